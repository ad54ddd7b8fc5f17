"""Signing up, in and out; resetting passwords; one's profile."""

import re

import pytest
from django.core import mail as sent
from django.urls import reverse

from accounts import mail
from accounts.models import OutgoingEmail, User
from projects import actions, links
from projects.levels import PRESETS
from projects.models import Project
from tests.conftest import PASSWORD

NEW = {"email": "new@example.com", "username": "nick", "name": "Nick", "password1": PASSWORD}


@pytest.fixture
def offer(project, owner):
    return actions.invite(project=project, email="new@example.com", levels=PRESETS["Viewer"], by=owner)


def page_of(offer, kind=links.EMAILED):
    return reverse("projects:invitation", args=[links.token_of(offer, kind)])


def sign_up(client, offer, kind=links.EMAILED, **answers):
    return client.post(reverse("account_signup"), NEW | {"next": page_of(offer, kind)} | answers)


def test_without_an_invitation_nobody_signs_up(db, client, settings):
    for answer in (client.get("/accounts/signup/"), client.post("/accounts/signup/", NEW)):
        assert "account/signup_closed.html" in [template.name for template in answer.templates]
    client.post("/accounts/signup/", NEW | {"next": "/invitations/guess/"})
    client.post("/accounts/signup/", NEW | {"next": "https://elsewhere.example/invitations/guess/"})
    assert not User.objects.exists()


SENT = "/accounts/confirm-email/"


def link_in(email):
    return re.search(r"http://localhost:8000(\S+)", email.body)[1]


def test_a_setting_opens_sign_up_to_who_has_the_address(db, client, settings, read_only):
    settings.OPEN_SIGNUP = True
    with read_only():
        assert "Send the link" in client.get("/accounts/signup/").content.decode()
    assert client.post("/accounts/signup/", {"email": "New@Example.com"})["Location"] == SENT
    assert not User.objects.exists()
    (email,) = OutgoingEmail.objects.all()
    with read_only():
        page = client.get(link_in(email))
    proof = page.context["form"]["address"].value()
    wrong = client.post("/accounts/signup/", NEW | {"address": proof, "username": "admin"})
    assert wrong.context["form"].errors.keys() == {"username"}
    answer = client.post("/accounts/signup/", NEW | {"address": proof, "email": "somebody-else@example.com"})
    assert answer["Location"] == "/"
    user = User.objects.get()
    assert (user.username, user.name, user.email, user.verified) == ("nick", "Nick", "new@example.com", True)
    assert user.owned_projects.get().slug == "personal-nick"


def test_open_sign_up_answers_the_same_for_every_address(client, owner, settings):
    settings.OPEN_SIGNUP = True
    known, unknown = (client.post("/accounts/signup/", {"email": one}) for one in (owner.email, "new@example.com"))
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert {email.to for email in OutgoingEmail.objects.all()} == {owner.email, "new@example.com"}
    assert "You have one already" in OutgoingEmail.objects.get(to=owner.email).body


def test_open_sign_up_does_not_flood_a_mailbox(db, client, settings):
    settings.OPEN_SIGNUP = True
    for _ in range(6):
        assert client.post("/accounts/signup/", {"email": "new@example.com"})["Location"] == SENT
    assert OutgoingEmail.objects.count() == 3


@pytest.mark.parametrize("proof", ["", "new@example.com", "new@example.com.x.y", "ü"])
def test_without_the_link_open_sign_up_makes_no_account(db, client, settings, proof):
    settings.OPEN_SIGNUP = True
    client.post("/accounts/signup/", NEW | {"address": proof})
    assert not User.objects.exists()


def test_the_link_is_worth_nothing_once_sign_up_is_closed_or_used(db, client, settings):
    settings.OPEN_SIGNUP = True
    client.post("/accounts/signup/", {"email": "new@example.com"})
    link = link_in(OutgoingEmail.objects.get())
    proof = client.get(link).context["form"]["address"].value()
    settings.OPEN_SIGNUP = False
    client.post("/accounts/signup/", NEW | {"address": proof})
    assert not User.objects.exists()
    settings.OPEN_SIGNUP = True
    client.post("/accounts/signup/", NEW | {"address": proof})
    client.post("/accounts/logout/")
    client.post("/accounts/signup/", NEW | {"address": proof, "username": "second"})
    assert User.objects.count() == 1


def test_by_the_emailed_link_the_address_is_proven_and_needs_no_second_email(client, offer, project, read_only):
    with read_only():
        page = client.get(page_of(offer))
        form = client.get(page.context["sign_up_url"])
    assert page.context["state"] == "signed_out"
    assert form.context["invitation"].project_name == "Vision"
    assert "new@example.com" in form.content.decode()
    OutgoingEmail.objects.all().delete()

    assert sign_up(client, offer)["Location"] == page_of(offer)
    user = User.objects.get(username="nick")
    assert user.verified
    assert not OutgoingEmail.objects.exists()
    assert client.get(page_of(offer)).context["state"] == "accept"
    assert client.post(page_of(offer))["Location"] == "/p/vision/jobs"
    assert Project.objects.visible_to(user).filter(pk=project.pk).exists()


def test_by_the_copied_link_it_stays_unproven_until_the_email_comes_back(client, offer, project):
    OutgoingEmail.objects.all().delete()
    sign_up(client, offer, links.COPIED)
    user = User.objects.get(username="nick")
    assert not user.verified
    client.post(page_of(offer, links.COPIED))
    assert client.get("/p/vision/jobs").status_code == 200
    assert client.get("/projects/").context["user_may_create"] is False
    assert client.post("/projects/new", {"name": "Mine"}).status_code == 403
    assert client.get("/projects/").context["shell"].unverified

    mail.send_waiting()
    said = "\n".join(email.body for email in sent.outbox)
    (link,) = re.findall(r"http://\S+/accounts/confirm-email/\S+", said)
    client.post(link.removeprefix("http://localhost:8000"))
    assert user.verified
    assert client.post("/projects/new", {"name": "Mine"})["Location"] == "/p/mine/jobs"


def test_an_invitation_makes_an_account_for_its_own_address_only(client, offer):
    sign_up(client, offer, email="somebody-else@example.com")
    assert User.objects.get(username="nick").email == "new@example.com"


@pytest.mark.parametrize("end", ["revoked", "expired", "accepted"])
def test_an_invitation_that_is_over_opens_no_sign_up(client, offer, owner, end, make_user):
    if end == "revoked":
        actions.revoke(invitation=offer, by=owner)
    elif end == "expired":
        type(offer).objects.update(expires_at=offer.created_at)
    else:
        actions.accept(token=links.token_of(offer, links.EMAILED), by=make_user("nora", email="new@example.com"))
    sign_up(client, offer)
    assert not User.objects.filter(username="nick").exists()
    assert client.get(page_of(offer)).status_code == 404


def test_an_address_that_has_an_account_gets_no_second_one(client, offer, make_user):
    make_user("nora", email="new@example.com")
    sign_up(client, offer)
    assert not User.objects.filter(username="nick").exists()


@pytest.mark.parametrize("username", ["admin", "a", "-x", "x y", "jobs"])
def test_bad_usernames_are_refused(client, offer, username):
    page = sign_up(client, offer, username=username)
    assert page.context["form"].errors.keys() == {"username"}


def test_weak_passwords_are_refused(client, offer):
    assert sign_up(client, offer, password1="short").context["form"].errors.keys() == {"password1"}


@pytest.mark.parametrize("login", ["olga@example.com", "OLGA@Example.com", "olga"])
def test_signing_in_by_address_or_username(client, owner, login):
    answer = client.post("/accounts/login/", {"login": login, "password": PASSWORD})
    assert answer["Location"] == "/"
    assert client.get("/")["Location"] == "/p/personal-olga/jobs"


def test_wrong_passwords_and_unknown_addresses_look_the_same(client, owner):
    answers = []
    for login in ("olga@example.com", "nobody@example.com"):
        page = client.post("/accounts/login/", {"login": login, "password": "wrong"})
        answers.append((page.status_code, str(page.context["form"].errors)))
    assert answers[0] == answers[1]


def test_after_a_few_wrong_passwords_even_the_right_one_waits(client, owner):
    for _ in range(5):
        client.post("/accounts/login/", {"login": "olga@example.com", "password": "wrong"})
    page = client.post("/accounts/login/", {"login": "olga@example.com", "password": PASSWORD})
    assert "Too many" in str(page.context["form"].errors)


def test_an_account_that_was_switched_off_does_not_get_in(client, owner):
    User.objects.update(is_active=False)
    client.post("/accounts/login/", {"login": "olga@example.com", "password": PASSWORD})
    assert client.get("/projects/").status_code == 302


def test_signing_out(client, owner):
    client.force_login(owner, backend="accounts.backends.Backend")
    assert client.get("/accounts/logout/").status_code == 200
    assert client.get("/projects/").status_code == 200  # a GET signs nobody out
    client.post("/accounts/logout/")
    assert client.get("/projects/").status_code == 302


def test_resetting_a_password_by_a_link_of_our_own_address(client, owner):
    client.post("/accounts/password/reset/", {"email": "olga@example.com"}, headers={"host": "127.0.0.1"})
    mail.send_waiting()
    (link,) = re.findall(r"http://\S+", sent.outbox[0].body)
    assert link.startswith("http://localhost:8000/accounts/password/reset/key/")
    form = client.get(link.removeprefix("http://localhost:8000"), follow=True)
    client.post(form.request["PATH_INFO"], {"password1": "another long password", "password2": "another long password"})
    owner.refresh_from_db()
    assert owner.check_password("another long password")
    assert client.get(link.removeprefix("http://localhost:8000")).context["token_fail"]


def test_a_reset_for_an_unknown_address_answers_the_same_and_tells_its_owner(client, owner):
    known = client.post("/accounts/password/reset/", {"email": "olga@example.com"})
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.com"})
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert OutgoingEmail.objects.filter(to="nobody@example.com").count() == 1


def test_a_stranger_does_not_flood_a_mailbox_with_resets(client, owner):
    for number in range(8):
        client.post("/accounts/password/reset/", {"email": owner.email}, REMOTE_ADDR=f"192.0.2.{number}")
    assert OutgoingEmail.objects.filter(to=owner.email).count() == 5


def test_ones_profile(client, owner, make_user):
    make_user("ada")
    client.force_login(owner, backend="accounts.backends.Backend")
    fields = {"name": "O", "username": "olga2", "time_zone": "Europe/Berlin", "theme": "dark"}
    assert client.post("/profile/", fields)["Location"] == "/profile/"
    owner.refresh_from_db()
    assert (owner.name, owner.username, owner.time_zone, owner.theme) == ("O", "olga2", "Europe/Berlin", "dark")
    for bad in ({"username": "ada"}, {"username": "admin"}, {"time_zone": "Mars"}, {"theme": "pink"}):
        page = client.post("/profile/", fields | bad)
        assert page.context["form"].errors.keys() == bad.keys()
    assert client.post("/profile/", fields | {"is_superuser": "on", "email": "x@example.com"}).status_code == 302
    owner.refresh_from_db()
    assert (owner.is_superuser, owner.email, owner.username) == (False, "olga@example.com", "olga2")


def test_a_freed_username_does_not_take_over_the_old_personal_address(owner, make_user):
    owner.username = "olga2"
    owner.save()
    taken = make_user("olga", email="second@example.com")
    assert taken.owned_projects.get().slug == "personal-olga-2"


def test_an_account_and_its_personal_project_come_together_or_not_at_all(transactional_db, make_user, monkeypatch):
    def fail(**_):
        raise RuntimeError

    monkeypatch.setattr(actions, "create_personal", fail)
    with pytest.raises(RuntimeError):
        User.objects.create_user(email="a@example.com", username="ada")
    assert not User.objects.exists()
