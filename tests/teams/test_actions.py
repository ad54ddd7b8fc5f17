"""Teams: who is in them, through however many, and who may change that."""

import itertools
import random

import pytest
from django.core.exceptions import ValidationError
from django.http import Http404

import access
from accounts.errors import Impossible
from accounts.models import OutgoingEmail
from teams import actions, closure
from teams.models import Nesting, Role, Team, TeamUser


def belong(team):
    return set(team.group.user_set.all())


def test_whoever_creates_a_team_owns_it_and_is_in_it(team, owner):
    assert belong(team) == {owner}
    assert TeamUser.objects.get(team=team).role == Role.OWNER
    assert access.find(team.urn) == team and team.urn == f"mlteam:team:{team.id}"


def test_two_teams_of_one_name_have_two_addresses(team, owner):
    assert [actions.create(name="Lab", by=owner).slug for _ in range(2)] == ["lab-2", "lab-3"]
    assert actions.create(name="ラボ", by=owner).slug == "group"


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\nb", "right\u202eleft", "a\x00b"])
def test_a_name_that_people_could_not_read_is_refused(owner, name):
    with pytest.raises(ValidationError):
        actions.create(name=name, by=owner)
    assert not Team.objects.exists()


@pytest.mark.parametrize("name", ["job", "Teams", "LS", " port-forward "])
def test_a_word_of_the_command_line_is_no_name(team, owner, name):
    with pytest.raises(ValidationError, match="a word of mlteam itself"):
        actions.create(name=name, by=owner)
    with pytest.raises(ValidationError, match="a word of mlteam itself"):
        actions.rename(team=team, name=name, by=owner)


def test_nor_is_it_an_address(owner):
    assert [actions.create(name=name, by=owner).slug for name in ("Job!", "Use (all)")] == ["job-2", "use-all"]


def test_who_may_create_teams_is_a_setting(settings, make_user, admin):
    unproven, proven = make_user("una", verified=False), make_user("vera")
    assert [actions.may_create(user) for user in (unproven, proven, admin)] == [False, True, True]
    settings.MLTEAM_ADMINS_MAKE_TEAMS = True
    assert [actions.may_create(user) for user in (unproven, proven, admin)] == [False, False, True]
    with pytest.raises(access.Refused):
        actions.create(name="Mine", by=proven)


def test_who_is_added_hears_of_it(team, owner, stranger, take_in):
    take_in(stranger)
    [email] = OutgoingEmail.objects.filter(to=stranger.email)
    assert "Lab" in email.subject and f"/t/{team.slug}" in email.body
    with pytest.raises(Impossible):
        take_in(stranger)


def test_nested_teams_flow_down_and_ends_of_them_back(owner, stranger, viewer, take_in):
    top, middle, bottom = (actions.create(name=name, by=owner) for name in ("top", "middle", "bottom"))
    actions.add_team(outer=top, inner=middle, by=owner)
    take_in(stranger, into=bottom)
    actions.add_team(outer=middle, inner=bottom, by=owner)
    [place] = take_in(viewer, into=bottom)
    assert belong(top) == belong(middle) == {owner, stranger, viewer}
    actions.remove_user(member=place, by=owner)
    assert belong(top) == {owner, stranger}
    actions.remove_team(outer=top, inner=middle, by=owner)
    assert (belong(top), belong(middle)) == ({owner}, {owner, stranger})
    actions.add_team(outer=top, inner=middle, by=owner)
    actions.remove(team=middle, by=owner)
    assert (belong(top), belong(bottom)) == ({owner}, {owner, stranger})


def test_who_is_in_two_ways_stays_when_one_ends(owner, stranger, team, take_in):
    inner = actions.create(name="inner", by=owner)
    [place] = take_in(stranger)
    take_in(stranger, into=inner)
    actions.add_team(outer=team, inner=inner, by=owner)
    actions.remove_user(member=place, by=owner)
    assert stranger in belong(team)


def test_teams_never_go_round_in_a_circle(owner):
    chain = [actions.create(name=f"t{number}", by=owner) for number in range(4)]
    for outer, inner in itertools.pairwise(chain):
        actions.add_team(outer=outer, inner=inner, by=owner)
    for outer, inner in itertools.combinations_with_replacement(chain, 2):
        with pytest.raises(Impossible):
            actions.add_team(outer=inner, inner=outer, by=owner)
    assert Nesting.objects.count() == 3


def test_whatever_changes_the_groups_are_what_the_teams_say(owner, make_user):
    """Random changes; after each the groups are compared with what a walk over all finds."""
    chance = random.Random(7)
    people = [make_user(f"p{number}") for number in range(6)]
    teams = [actions.create(name=f"t{number}", by=owner) for number in range(6)]
    for _ in range(150):
        _change(chance, teams, people, owner)
    for team in teams:
        direct = TeamUser.objects.filter(team__in=closure.inner_of(team.pk))
        assert belong(team) == {member.user for member in direct.select_related("user")}
    assert Nesting.objects.exists() and TeamUser.objects.count() > len(teams)


def _change(chance, teams, people, owner):
    outer, inner = chance.sample(teams, 2)
    try:
        if chance.random() < 0.3:
            actions.add_team(outer=outer, inner=inner, by=owner)
        elif chance.random() < 0.3:
            actions.remove_team(outer=outer, inner=inner, by=owner)
        elif chance.random() < 0.6:
            actions.add_user(team=outer, user=chance.choice(people), role="user", by=owner)
        elif member := outer.members.exclude(user=owner).first():
            actions.remove_user(member=member, by=owner)
    except Impossible:
        return


def test_the_last_owner_stays(team, owner, stranger, take_in):
    place = TeamUser.objects.get(team=team, user=owner)
    for refused in (
        lambda: actions.remove_user(member=place, by=owner),
        lambda: actions.set_role(member=place, role="user", by=owner),
    ):
        with pytest.raises(Impossible):
            refused()
    take_in(stranger, role="owner")
    actions.remove_user(member=place, by=owner)
    assert belong(team) == {stranger}


def test_an_owner_who_cannot_sign_in_does_not_count(team, owner, stranger, take_in):
    take_in(stranger, role="owner")
    stranger.is_active = False
    stranger.save()
    with pytest.raises(Impossible):
        actions.remove_user(member=TeamUser.objects.get(team=team, user=owner), by=owner)


def test_admins_change_who_is_in_but_make_and_unmake_no_owners(team, owner, stranger, viewer, make_user, take_in):
    [place] = take_in(stranger, role="admin")
    added = actions.add_user(team=team, user=viewer, role="admin", by=stranger)
    actions.set_role(member=added, role="user", by=stranger)
    owners = TeamUser.objects.get(team=team, user=owner)
    another = make_user("another")
    for refused in (
        lambda: actions.add_user(team=team, user=another, role="owner", by=stranger),
        lambda: actions.set_role(member=place, role="owner", by=stranger),
        lambda: actions.set_role(member=owners, role="user", by=stranger),
        lambda: actions.remove_user(member=owners, by=stranger),
        lambda: actions.remove(team=team, by=stranger),
    ):
        with pytest.raises(access.Refused):
            refused()
    assert belong(team) == {owner, stranger, viewer}


def test_users_and_strangers_change_nothing_but_leave(team, owner, stranger, viewer, admin, take_in):
    [place] = take_in(viewer)
    other = actions.create(name="Other", by=stranger)
    for who in (viewer, stranger, admin):
        for refused in (
            lambda who=who: actions.add_user(team=team, user=stranger, role="user", by=who),
            lambda who=who: actions.add_team(outer=team, inner=other, by=who),
            lambda who=who: actions.remove_team(outer=team, inner=other, by=who),
            lambda who=who: actions.rename(team=team, name="Mine", by=who),
            lambda who=who: actions.remove(team=team, by=who),
        ):
            with pytest.raises((access.Refused, Http404)):
                refused()
    actions.remove_user(member=place, by=viewer)
    assert belong(team) == {owner}


def test_what_taking_out_takes_away_is_asked_again_everywhere(team, owner, stranger, take_in):
    [place] = take_in(stranger)
    before = access.generation()
    actions.remove_user(member=place, by=owner)
    assert access.generation() > before


def test_roles_answer_alike_whichever_way_they_are_asked(team, owner, stranger, viewer, admin, take_in):
    take_in(stranger, role="admin")
    take_in(viewer)
    for action in ("team:get", "team:set", "team:rm"):
        who = access.who_is_allowed(action, team)
        for user in (owner, stranger, viewer, admin):
            allowed = bool(access.allowed(user, action, team))
            assert allowed == (user.pk in who)
            assert allowed == access.holders(action, team).filter(pk=user.pk).exists()
            assert allowed == Team.objects.filter(access.scope(user, action, project="pk")).filter(pk=team.pk).exists()
