"""Which emails a person wants."""

import pytest

from accounts import wishes
from accounts.models import OutgoingEmail
from projects import actions, ownership
from projects.levels import PRESETS
from projects.models import Member
from teams import actions as teams

EMAILS = "/profile/emails/"


def test_all_are_wanted_until_somebody_says_no(owner, as_user, read_only):
    assert all(wishes.wants(owner, kind) for kind in wishes.KINDS)
    client = as_user(owner)
    with read_only():
        page = client.get(EMAILS)
    assert page.content.decode().count(" checked") == len(wishes.KINDS)
    assert client.post(EMAILS, {wishes.BUDGET: "on"})["Location"] == EMAILS
    owner.refresh_from_db()
    assert [kind for kind in wishes.KINDS if wishes.wants(owner, kind)] == [wishes.BUDGET]
    client.post(EMAILS, dict.fromkeys(wishes.KINDS, "on"))
    owner.refresh_from_db()
    assert owner.muted == []


@pytest.mark.parametrize("made_up", ["security", "x" * 500])
def test_nothing_else_can_be_refused(owner, as_user, made_up):
    client = as_user(owner)
    client.post(EMAILS, {made_up: "on"})
    owner.refresh_from_db()
    assert set(owner.muted) == set(wishes.KINDS)


def test_letters_that_somebody_does_not_want_are_not_written(owner, project, stranger, join):
    wishes.choose(user=stranger, wanted=())
    OutgoingEmail.objects.all().delete()
    team = teams.create(name="Lab", by=owner)
    teams.add_user(team=team, user=stranger, role="user", by=owner)
    member = join(project, stranger)
    assert [email.subject for email in OutgoingEmail.objects.all()] == ["Olga Owner invites you to Vision"]
    OutgoingEmail.objects.all().delete()
    actions.set_levels(member=member, levels=PRESETS["Viewer"], by=owner)
    assert not OutgoingEmail.objects.exists()
    ownership.offer(member=Member.objects.get(pk=member.pk), by=owner)
    assert OutgoingEmail.objects.get().to == stranger.email
