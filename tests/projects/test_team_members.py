"""Teams as members of projects."""

import pytest
from django.http import Http404

import access
from jobs.models import Job
from projects import actions, team_members
from projects.errors import Impossible
from projects.levels import KINDS, PRESETS
from projects.models import AuditEntry, Project
from teams import actions as teams
from teams.models import TeamUser
from tests.access.world import job


@pytest.fixture
def team(owner, stranger):
    """`stranger` is in it."""
    made = teams.create(name="Lab", by=owner)
    teams.add_user(team=made, user=stranger, role="user", by=owner)
    return made


@pytest.fixture
def shared(project, team, owner):
    return team_members.add(project=project, team=team, levels=PRESETS["Teammate"], by=owner)


def test_all_in_a_team_hold_what_its_levels_say(shared, project, owner, stranger):
    mine, others = job(project, stranger), job(project, owner)
    assert access.allowed(stranger, "job:stop", mine) and not access.allowed(stranger, "job:stop", others)
    assert access.allowed(stranger, "job:get", others).reason == "allowed by team Lab: level own on jobs"
    assert project in Project.objects.visible_to(stranger)
    assert set(Job.objects.visible_to(stranger)) == {mine, others}
    assert stranger.pk in access.who_is_allowed("job:new", project)
    assert stranger.has_perm("projects.create_jobs", project) and not stranger.has_perm("projects.manage_jobs", project)


def test_who_joins_later_has_it_at_once_and_who_goes_loses_it(shared, project, team, owner, make_user):
    late = make_user("late")
    assert not access.allowed(late, "project:get", project)
    place = teams.add_user(team=team, user=late, role="user", by=owner)
    assert access.allowed(late, "job:new", project)
    teams.remove_user(member=place, by=owner)
    assert not access.allowed(late, "project:get", project)


def test_through_a_team_in_the_team(shared, project, team, owner, make_user):
    deep = make_user("deep")
    inner = teams.create(name="Inner", by=owner)
    teams.add_user(team=inner, user=deep, role="user", by=owner)
    teams.add_team(outer=team, inner=inner, by=owner)
    assert access.allowed(deep, "job:new", project)
    teams.remove_team(outer=team, inner=inner, by=owner)
    assert not access.allowed(deep, "project:get", project)


def test_levels_of_a_team_and_of_a_member_add_up(shared, project, stranger, owner, join):
    member = join(project, stranger, dict.fromkeys(KINDS, "read"))
    assert access.allowed(stranger, "job:new", project)
    team_members.set_levels(member=shared, levels=PRESETS["Viewer"], by=owner)
    assert not access.allowed(stranger, "job:new", project)
    team_members.remove(member=shared, by=owner)
    assert access.allowed(stranger, "job:get", project)
    actions.remove_member(member=member, by=owner)
    assert not access.allowed(stranger, "project:get", project)


def _lose_by_team(shared, team, stranger, owner):
    team_members.remove(member=shared, by=owner)


def _lose_by_leaving(shared, team, stranger, owner):
    teams.remove_user(member=TeamUser.objects.get(team=team, user=stranger), by=stranger)


def _lose_with_the_team(shared, team, stranger, owner):
    teams.remove(team=team, by=owner)


@pytest.mark.parametrize("lose", [_lose_by_team, _lose_by_leaving, _lose_with_the_team])
@pytest.mark.parametrize("stays", [False, True])
def test_who_loses_the_project_has_queued_jobs_cancelled_and_who_stays_has_not(
    shared, project, team, owner, stranger, join, lose, stays
):
    if stays:
        join(project, stranger, "Viewer")
    waiting, before = job(project, stranger), access.generation()
    lose(shared, team, stranger, owner)
    waiting.refresh_from_db()
    assert (waiting.state == "cancelled") is not stays
    assert bool(access.allowed(stranger, "project:get", project)) is stays
    assert access.generation() > before


def test_a_member_who_is_also_in_a_team_is_not_thrown_out_with_the_membership(shared, project, stranger, owner, join):
    waiting = job(project, stranger)
    actions.remove_member(member=join(project, stranger, "Full"), by=owner)
    waiting.refresh_from_db()
    assert waiting.state == "queued"


def test_who_is_here_by_a_team_is_told_which_to_leave(shared, as_user, project, stranger):
    answer = as_user(stranger).post(f"/p/{project.slug}/leave")
    assert answer.status_code == 403 and "by the team Lab" in answer.content.decode()


def test_a_personal_project_is_shared_with_no_team(team, owner):
    own = Project.objects.get(owner=owner, personal=True)
    with pytest.raises(access.Refused):
        team_members.add(project=own, team=team, levels=PRESETS["Full"], by=owner)


def test_members_and_strangers_share_with_no_team(shared, project, team, stranger, collaborator, make_user):
    mine = teams.create(name="Mine", by=collaborator)
    for who in (stranger, collaborator, make_user("outsider")):
        with pytest.raises((access.Refused, Http404)):
            team_members.add(project=project, team=mine, levels=PRESETS["Full"], by=who)
        with pytest.raises((access.Refused, Http404)):
            team_members.set_levels(member=shared, levels=PRESETS["Full"], by=who)
        with pytest.raises((access.Refused, Http404)):
            team_members.remove(member=shared, by=who)


def test_a_team_is_a_member_once_and_the_trail_says_so(shared, project, team, owner):
    with pytest.raises(Impossible):
        team_members.add(project=project, team=team, levels=PRESETS["Viewer"], by=owner)
    team_members.remove(member=shared, by=owner)
    trail = AuditEntry.objects.filter(project_id=project.id, action__startswith="team:").order_by("pk")
    assert list(trail.values_list("action", flat=True)) == ["team:new", "team:rm"]


def test_a_team_from_another_project_is_not_reached_by_its_id(shared, as_user, owner):
    other = actions.create(name="Other", by=owner)
    answer = as_user(owner).post(f"/p/{other.slug}/teams/{shared.pk}/remove")
    assert answer.status_code == 404


def test_the_page_adds_changes_and_removes(as_user, project, team, owner):
    client, url = as_user(owner), f"/p/{project.slug}"
    assert (
        "No team has this address"
        in client.post(f"{url}/teams/add", {"team-team": "nope", "team-preset": "Full"}).content.decode()
    )
    assert client.post(f"{url}/teams/add", {"team-team": team.slug, "team-preset": "Viewer"}).status_code == 302
    [shown] = client.get(f"{url}/members").context["teams"]
    assert (shown["preset"], shown["people"]) == ("Viewer", 2)
    client.post(f"{url}/teams/{shown['id']}/set", dict.fromkeys(KINDS, "all") | {"preset": ""})
    [shown] = client.get(f"{url}/members").context["teams"]
    assert shown["preset"] == "Full"
    client.post(f"{url}/teams/{shown['id']}/remove")
    assert client.get(f"{url}/members").context["teams"] == []
