"""Two at once: what teams stay when changes come from several connections in the same moment."""

import pytest

from accounts.models import OutgoingEmail
from teams import actions, closure
from teams.models import Nesting, Role, TeamUser
from tests.at_once import together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def make_team(make_user):
    owner = make_user("olga")
    return lambda name: actions.create(name=name, by=owner), owner


@pytest.mark.parametrize("length", [2, 3])
def test_circles_made_at_once_do_not_close(make_team, length):
    make, owner = make_team
    ring = [make(f"t{number}") for number in range(length)]
    pairs = list(zip(ring, [*ring[1:], ring[0]], strict=True))
    results = together(
        *[
            lambda outer=outer, inner=inner: actions.add_team(outer=outer, inner=inner, by=owner)
            for outer, inner in pairs
        ]
    )
    assert sorted(results) == ["Impossible"] + ["done"] * (length - 1)
    assert Nesting.objects.count() == length - 1
    for team in ring:
        assert not closure.inner_of(team.pk) & (closure.outer_of(team.pk) - {team.pk})


def test_of_two_owners_who_leave_at_once_one_stays(make_team, make_user):
    make, owner = make_team
    team, other = make("Lab"), make_user("otto")
    second = actions.add_user(team=team, user=other, role="owner", by=owner)
    first = TeamUser.objects.get(team=team, user=owner)
    results = together(
        lambda: actions.remove_user(member=first, by=owner), lambda: actions.remove_user(member=second, by=other)
    )
    assert sorted(results) == ["Impossible", "done"]
    assert TeamUser.objects.get(team=team).role == Role.OWNER


def test_of_two_owners_who_unmake_each_other_at_once_one_stays(make_team, make_user):
    make, owner = make_team
    team, other = make("Lab"), make_user("otto")
    second = actions.add_user(team=team, user=other, role="owner", by=owner)
    first = TeamUser.objects.get(team=team, user=owner)
    together(
        lambda: actions.set_role(member=second, role="user", by=owner),
        lambda: actions.set_role(member=first, role="user", by=other),
    )
    assert TeamUser.objects.filter(team=team, role=Role.OWNER).count() == 1


def test_somebody_who_is_taken_in_twice_at_once_is_in_once(make_team, make_user):
    make, owner = make_team
    team, user = make("Lab"), make_user("nick")
    results = together(*[lambda: actions.add_user(team=team, user=user, role="user", by=owner)] * 3)
    assert sorted(results) == ["Impossible", "Impossible", "done"]
    assert set(team.group.user_set.all()) == {owner, user}
    assert OutgoingEmail.objects.filter(to=user.email).count() == 1


def test_somebody_taken_out_while_a_team_comes_in_has_what_the_teams_say(make_team, make_user):
    make, owner = make_team
    outer, inner, user = make("Outer"), make("Inner"), make_user("nick")
    place = actions.add_user(team=inner, user=user, role="user", by=owner)
    together(
        lambda: actions.add_team(outer=outer, inner=inner, by=owner),
        lambda: actions.remove_user(member=place, by=owner),
    )
    assert set(outer.group.user_set.all()) == set(inner.group.user_set.all()) == {owner}


def test_two_teams_of_one_name_at_once_get_two_addresses(make_team):
    make, _ = make_team
    assert together(*[lambda: make("Lab")] * 3) == ["done"] * 3
