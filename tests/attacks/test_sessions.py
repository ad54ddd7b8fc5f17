"""Links in the wrong hands, and sessions that have ended."""

from types import SimpleNamespace

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

import access
from accounts.models import User
from accounts.sessions import signed_in
from jobs.consumers import NOT_ALLOWED, JobConsumer
from projects import actions, links
from projects.levels import PRESETS
from tests.accounts.hands import confirm, sign_in
from tests.conftest import PASSWORD


def _scope(client: Client) -> dict:
    """What an open line keeps: the session's key, whatever becomes of the session."""
    return {"session": SimpleNamespace(session_key=client.session.session_key)}


def test_a_line_is_nobodys_after_its_sign_out(client, owner):
    client.force_login(owner)
    scope, before = _scope(client), access.generation()
    assert signed_in(scope["session"].session_key) == owner
    client.post("/accounts/logout/")
    assert access.generation() > before
    assert signed_in(scope["session"].session_key) is None


def test_a_line_is_nobodys_after_a_new_password(client, owner, project, queued):
    client.force_login(owner)
    line = JobConsumer()
    line.scope = {**_scope(client), "url_route": {"kwargs": {"job_id": queued(project, owner).id}}}
    assert line._refusal() is None
    before = access.generation()
    owner.set_password("another long password")
    owner.save()
    assert access.generation() > before
    assert line._refusal() == NOT_ALLOWED


def test_a_line_is_nobodys_once_the_account_is_closed(client, owner):
    client.force_login(owner)
    scope, before = _scope(client), access.generation()
    owner.is_active = False
    owner.save()
    assert access.generation() > before
    assert signed_in(scope["session"].session_key) is None


def test_a_sign_in_disturbs_nobody_else(client, make_user):
    user, before = make_user("ada"), access.generation()
    client.force_login(user)
    assert access.generation() == before


def test_a_line_without_a_session_is_nobodys(db):
    assert signed_in(None) is None


@pytest.fixture
def stranger(client, project, owner) -> User:
    """Somebody who was passed the link that the owner copied, and made an account with it."""
    offer = actions.invite(project=project, email="bob@example.org", levels=PRESETS["Viewer"], by=owner)
    page = f"/invitations/{links.token_of(offer, links.COPIED)}/"
    client.post(f"/accounts/signup/?next={page}", {"username": "mallory", "password1": PASSWORD, "next": page})
    client.post(page)
    return User.objects.get(username="mallory")


def test_who_was_passed_a_copied_link_cannot_prove_another_address_instead(client, stranger, mailoutbox):
    client.post("/accounts/email/", {"email": "evil@example.net", "action_add": "1"})
    assert list(EmailAddress.objects.filter(user=stranger).values_list("email", "verified")) == [
        ("bob@example.org", False)
    ]
    assert not stranger.verified


def test_a_proven_address_may_be_changed(client, owner):
    sign_in(client, owner)
    confirm(client)
    client.post("/accounts/email/", {"email": "new@example.com", "action_add": "1"})
    assert EmailAddress.objects.filter(user=owner, email="new@example.com").exists()
