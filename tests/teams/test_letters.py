"""The emails about teams: to whom, saying what in both of their parts, with links of ours alone."""

import pytest

from accounts import wishes
from accounts.models import OutgoingEmail
from projects import actions as projects
from projects import team_members
from projects.levels import PRESETS
from teams import actions, joining
from teams.models import TeamUser
from tests.projects.test_letters import NAMES, URL, check, emails


@pytest.fixture
def people(take_in, make_user):
    """Two who are in the team."""
    users = make_user("mia"), make_user("max")
    take_in(*users)
    emails()
    return users


def to(found):
    return sorted(email.to[0] for email in found)


def both_parts(email):
    """What the text and the HTML part say; the same."""
    check(email)
    [(page, kind)] = [(part[0], part[1]) for part in email.alternatives]
    assert kind == "text/html"
    return email.body, page


def said(email, *words):
    return all(word in part for word in words for part in both_parts(email))


def test_a_change_of_role_is_told_once_and_only_if_it_is_one(team, owner, people):
    place = TeamUser.objects.select_related("team", "user").get(user=people[0])
    actions.set_role(member=place, role="admin", by=owner)
    [email] = emails()
    assert (email.to, email.subject) == (["mia@example.com"], "Your role in the team Lab has changed")
    assert said(email, "Until now: User.", "From now on: Admin.", f"{URL}/t/lab")
    actions.set_role(member=place, role="admin", by=owner)
    assert emails() == []


def test_who_is_taken_out_is_told_and_who_leaves_knows(team, owner, people):
    mia, max_ = (TeamUser.objects.select_related("team", "user").get(user=user) for user in people)
    actions.remove_user(member=mia, by=owner)
    actions.remove_user(member=max_, by=people[1])
    [email] = emails()
    assert (email.to, email.subject) == (["mia@example.com"], "You are no longer in the team Lab")
    assert said(email, "taken you out", f"{URL}/") and "/t/lab" not in email.body


def test_all_in_a_removed_team_are_told_once_whatever_it_had(team, owner, people, project):
    other = projects.create(name="Other", by=owner)
    for one in (project, other):
        team_members.add(project=one, team=team, levels=PRESETS["Viewer"], by=owner)
    emails()
    actions.remove(team=team, by=owner)
    found = emails()
    assert to(found) == ["max@example.com", "mia@example.com"]
    assert all(said(email, "has removed the team “Lab”") for email in found)


def test_who_belongs_to_another_team_by_theirs_is_told(team, owner, people, take_in, stranger):
    outer = actions.create(name="Outer", by=owner)
    take_in(people[0], into=outer)
    emails()
    actions.add_team(outer=outer, inner=team, by=owner)
    [email] = emails()  # the other one was there already, and the owner did it
    assert (email.to, email.subject) == (["max@example.com"], "Your team Lab is in the team Outer")
    assert said(email, "has put the team “Lab”", f"{URL}/t/outer")
    actions.add_team(outer=outer, inner=team, by=owner)
    assert emails() == []
    actions.remove_team(outer=outer, inner=team, by=owner)
    [email] = emails()
    assert email.to == ["max@example.com"] and said(email, "out of the team “Outer”")


def test_what_a_team_gets_and_loses_in_a_project_is_told_to_all_in_it(team, owner, people, project, stranger):
    member = team_members.add(project=project, team=team, levels=PRESETS["Viewer"], by=owner)
    found = emails()
    assert to(found) == ["max@example.com", "mia@example.com"]
    assert found[0].subject == "Your team Lab is a member of Vision"
    assert said(found[0], "Viewer (jobs read, datasets read", f"{URL}/p/vision/members")
    team_members.set_levels(member=member, levels=PRESETS["Full"], by=owner)
    found = emails()
    assert len(found) == 2 and said(found[0], "Until now: Viewer (", "From now on: Full (")
    team_members.set_levels(member=member, levels=PRESETS["Full"], by=owner)
    assert emails() == []
    team_members.remove(member=member, by=owner)
    found = emails()
    assert len(found) == 2 and said(found[0], "has ended the membership") and "/p/vision" not in found[0].body
    team_members.remove(member=member, by=owner)
    assert emails() == []


def test_none_goes_to_who_does_without_or_has_no_account_any_more(team, owner, people, project):
    wishes.choose(user=people[0], wanted=[wishes.BUDGET])
    people[1].is_active = False
    people[1].save()
    member = team_members.add(project=project, team=team, levels=PRESETS["Viewer"], by=owner)
    team_members.remove(member=member, by=owner)
    actions.set_role(member=TeamUser.objects.get(user=people[0]), role="admin", by=owner)
    actions.remove(team=team, by=owner)
    assert emails() == []


def test_an_invitation_comes_whatever_one_does_without(team, owner, stranger):
    wishes.choose(user=stranger, wanted=[])
    joining.invite(team=team, email=stranger.email, role="admin", by=owner)
    [email] = emails()
    assert said(email, "Olga Owner invites you to the team “Lab”", f"{URL}/team-invitations/")


def test_a_large_team_costs_a_handful_of_queries(
    team, owner, project, make_user, take_in, django_assert_max_num_queries
):
    take_in(*(make_user(f"user{number:02}") for number in range(40)))
    OutgoingEmail.objects.all().delete()
    with django_assert_max_num_queries(40):
        team_members.add(project=project, team=team, levels=PRESETS["Viewer"], by=owner)
    assert OutgoingEmail.objects.count() == 40


@pytest.mark.parametrize("name", NAMES)
def test_names_are_text_in_every_part(make_user, name):
    owner, user = make_user("olga", name=name), make_user("mia")
    team, outer = (actions.create(name=name, by=owner) for _ in range(2))
    place = actions.add_user(team=team, user=user, role="user", by=owner)
    actions.set_role(member=place, role="admin", by=owner)
    actions.add_team(outer=outer, inner=team, by=owner)
    actions.remove_team(outer=outer, inner=team, by=owner)
    project = projects.create(name=name, by=owner)
    member = team_members.add(project=project, team=team, levels=PRESETS["Viewer"], by=owner)
    team_members.set_levels(member=member, levels=PRESETS["Full"], by=owner)
    team_members.remove(member=member, by=owner)
    joining.invite(team=team, email="new@example.com", role="user", by=owner)
    actions.remove_user(member=TeamUser.objects.select_related("team", "user").get(user=user), by=owner)
    found = emails()
    assert len(found) == 9
    for email in found:
        assert name in email.body
        email.body = email.body.replace(name, "NAME")
        check(email)
