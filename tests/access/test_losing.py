"""However somebody loses a project, what of theirs waits in it does not start, and what they offered to others goes with them."""

from collections.abc import Callable

import pytest

import access
from access import policies, roles
from jobs.models import Job, Move
from projects import actions, links, ownership, team_members
from projects.errors import InvalidInvitation
from projects.levels import PRESETS
from projects.models import AuditEntry, Invitation, Member
from teams import actions as teams
from teams.models import TeamUser

END = Callable[[], object]


def waiting(project, user) -> Job:
    return Job.objects.create(project=project, name="digits", created_by=user, spec={})


def by_policy(project, owner, user, make_user) -> END:
    policy = policies.attach(text=f"*@{project.urn}+{project.urn}:*", by=owner, user=user)
    return lambda: policies.detach(policy=policy, by=owner)


def by_role(project, owner, user, make_user) -> END:
    role = _role(project, owner)
    member = roles.add_member(role=role, user=user, by=owner)
    return lambda: roles.remove_member(member=member, by=owner)


def _role(project, owner):
    role = roles.create(place=project, name="Operators", by=owner)
    roles.add_policy(role=role, text=f"*@{project.urn}+{project.urn}:*", by=owner)
    return role


def by_a_role_that_goes(project, owner, user, make_user) -> END:
    role = _role(project, owner)
    roles.add_member(role=role, user=user, by=owner)
    return lambda: roles.remove(role=role, by=owner)


def by_a_policy_of_a_role(project, owner, user, make_user) -> END:
    role = _role(project, owner)
    roles.add_member(role=role, user=user, by=owner)
    return lambda: roles.remove_policy(policy=role.policies.get(), by=owner)


def by_a_role_laid_down(project, owner, user, make_user) -> END:
    member = roles.add_member(role=_role(project, owner), user=user, by=owner)
    return lambda: roles.remove_member(member=member, by=user)


def _team(owner, user):
    team = teams.create(name="Night", by=owner)
    teams.add_user(team=team, user=user, role="user", by=owner)
    return team


def by_a_policy_of_a_team(project, owner, user, make_user) -> END:
    team = _team(owner, user)
    policies.attach(text=f"*@{project.urn}+{project.urn}:*", by=owner, group=team.group)
    return lambda: teams.remove_user(member=TeamUser.objects.get(team=team, user=user), by=owner)


def by_a_role_of_a_team_that_goes(project, owner, user, make_user) -> END:
    team = _team(owner, user)
    roles.add_member(role=_role(project, owner), group=team.group, by=owner)
    return lambda: teams.remove(team=team, by=owner)


def by_a_team_that_is_a_member(project, owner, user, make_user) -> END:
    team = _team(owner, user)
    member = team_members.add(project=project, team=team, levels=PRESETS["Full"], by=owner)
    return lambda: team_members.remove(member=member, by=owner)


def by_a_team_in_it(project, owner, user, make_user) -> END:
    outer, inner = teams.create(name="Outer", by=owner), _team(owner, user)
    teams.add_team(outer=outer, inner=inner, by=owner)
    team_members.add(project=project, team=outer, levels=PRESETS["Full"], by=owner)
    return lambda: teams.remove_team(outer=outer, inner=inner, by=owner)


def by_who_is_removed(project, owner, user, make_user) -> END:
    granter = make_user("gina")
    offer = actions.invite(project=project, email=granter.email, levels=PRESETS["Full"], by=owner)
    actions.accept(token=links.token_of(offer, links.EMAILED), by=granter)
    roles.add_member(role=next(one for one in roles.of_place(project) if one.name == "admin"), user=granter, by=owner)
    policies.attach(text=f"project:get@{project.urn}", by=granter, user=user)
    return lambda: actions.remove_member(member=Member.objects.get(user=granter), by=owner)


def by_a_role_of_a_project_that_goes(project, owner, user, make_user) -> END:
    other = actions.create(name="Other", by=owner)
    role = roles.create(place=other, name="Guests", by=owner)
    roles.add_policy(role=role, text=f"*@{project.urn}+{project.urn}:*", by=owner)
    roles.add_member(role=role, user=user, by=owner)
    return lambda: actions.remove(project=other, by=owner)


WAYS = [
    by_policy,
    by_role,
    by_a_role_that_goes,
    by_a_policy_of_a_role,
    by_a_role_laid_down,
    by_a_policy_of_a_team,
    by_a_role_of_a_team_that_goes,
    by_a_team_that_is_a_member,
    by_a_team_in_it,
    by_who_is_removed,
    by_a_role_of_a_project_that_goes,
]


@pytest.mark.parametrize("way", WAYS)
def test_what_waits_does_not_start(way, project, owner, stranger, make_user):
    end = way(project, owner, stranger, make_user)
    theirs, mine = waiting(project, stranger), waiting(project, owner)
    running = waiting(project, stranger)
    Job.objects.filter(pk=running.pk).update(state="running")
    assert access.allowed(stranger, "project:get", project)
    before = access.generation()
    end()
    assert not access.allowed(stranger, "project:get", project)
    assert access.generation() > before
    states = [Job.objects.get(pk=one.pk).state for one in (theirs, mine, running)]
    assert states == ["cancelled", "queued", "running"]
    assert Move.objects.get(job=theirs, state="cancelled").sentence == "stan no longer has access to this project."
    assert AuditEntry.objects.of(project).filter(action="job:stop").count() == 1


@pytest.mark.parametrize("way", WAYS)
def test_who_sees_the_project_in_another_way_too_goes_on(way, project, owner, stranger, make_user, join):
    end = way(project, owner, stranger, make_user)
    join(project, stranger, "Viewer")
    theirs = waiting(project, stranger)
    end()
    theirs.refresh_from_db()
    assert theirs.state == "queued"


def test_one_loses_only_what_is_lost(project, owner, stranger):
    other = actions.create(name="Other", by=owner)
    ends = [by_policy(one, owner, stranger, None) for one in (project, other)]
    jobs = [waiting(one, stranger) for one in (project, other)]
    ends[0]()
    assert [Job.objects.get(pk=one.pk).state for one in jobs] == ["cancelled", "queued"]


def test_who_gives_a_project_away_stays_a_member_of_it_and_of_those_below(project, owner, viewer):
    below = actions.create(name="Below", by=owner, parent=project)
    there, here = waiting(below, owner), waiting(project, owner)
    ownership.offer(member=Member.objects.get(user=viewer), by=owner)
    ownership.accept(project=project, by=viewer)
    assert [Job.objects.get(pk=one.pk).state for one in (there, here)] == ["queued", "queued"]


def test_who_leaves_a_project_has_nothing_waiting_in_those_below(project, owner, viewer):
    there = waiting(actions.create(name="Below", by=owner, parent=project), viewer)
    actions.leave(project=project, by=viewer)
    assert Job.objects.get(pk=there.pk).state == "cancelled"


def test_an_invitation_goes_with_the_role_by_which_it_was_made(project, owner, stranger, make_user):
    admin_role = next(one for one in roles.of_place(project) if one.name == "admin")
    held = roles.add_member(role=admin_role, user=stranger, by=owner)
    policy = policies.attach(text=f"*@{project.urn}:*", by=owner, user=stranger)
    asked = make_user("ida")
    offer = actions.invite(project=project, email=asked.email, levels=PRESETS["Viewer"], by=stranger)
    policies.detach(policy=policy, by=owner)
    assert Invitation.objects.open().filter(pk=offer.pk).exists()
    roles.remove_member(member=held, by=owner)
    assert not Invitation.objects.open().filter(pk=offer.pk).exists()
    with pytest.raises(InvalidInvitation):
        actions.accept(token=links.token_of(offer, links.EMAILED), by=asked)


def test_a_project_that_changes_hands_keeps_its_invitations(project, owner, viewer, make_user):
    asked = make_user("ida")
    offer = actions.invite(project=project, email=asked.email, levels=PRESETS["Viewer"], by=owner)
    ownership.offer(member=Member.objects.get(user=viewer), by=owner)
    ownership.accept(project=project, by=viewer)
    actions.accept(token=links.token_of(offer, links.EMAILED), by=asked)
    assert Member.objects.get(user=asked).invited_by == viewer
