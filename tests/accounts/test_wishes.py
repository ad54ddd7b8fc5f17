"""Which emails a person wants."""

import pytest

from accounts import wishes

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
