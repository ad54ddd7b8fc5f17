"""Policies and roles: nobody grants what they do not hold, and what they granted goes with it."""

import pytest
from django.utils import timezone

import access
from access import Refused, keys, policies, roles
from access.models import Policy, Role, RoleKey, RoleMember, Statement
from accounts.errors import Impossible
from jobs.models import Job
from projects import actions, ownership
from projects.levels import PRESETS
from projects.models import AuditEntry, Member, Project
from teams import actions as teams


@pytest.fixture
def job(project, owner):
    return Job.objects.create(project=project, name="digits", created_by=owner, spec={})


@pytest.fixture
def sharer(project, owner, make_user, join):
    """A member with Viewer to whom the owner gave the right to share."""
    user = make_user("sharon")
    join(project, user, "Viewer")
    policies.attach(text=f"project:share@{project.urn}", by=owner, user=user)
    return user


def role_of(project, owner, text="", name="Operators"):
    role = roles.create(place=project, name=name, by=owner)
    if text:
        roles.add_policy(role=role, text=text, by=owner)
    return role


def may(user, action, about) -> bool:
    return bool(access.allowed(user, action, about))


# What they give


def test_a_policy_gives_what_it_says_and_no_more(project, owner, stranger, job):
    policies.attach(text=f"job:get+job:stop@{project.urn}:job:{job.id}", by=owner, user=stranger)
    other = Job.objects.create(project=project, name="other", created_by=owner, spec={})
    assert may(stranger, "job:get", job) and may(stranger, "job:stop", job)
    assert not may(stranger, "job:rm", job)
    assert not may(stranger, "job:get", other)
    assert not may(stranger, "job:get", project) and not may(stranger, "project:get", project)


def test_a_decision_says_where_it_comes_from(project, owner, stranger, viewer, job):
    policies.attach(text=f"job:get@{project.urn}:job:*", by=owner, user=stranger)
    assert access.allowed(stranger, "job:get", job).reason == "allowed by a policy of your own"
    role = role_of(project, owner, f"job:stop@{project.urn}:job:*")
    roles.add_member(role=role, user=viewer, by=owner)
    assert access.allowed(viewer, "job:stop", job).reason == "allowed by role Operators"


def test_users_hold_what_their_teams_and_their_teams_roles_do(project, owner, stranger, viewer, job):
    team = teams.create(name="Night shift", by=stranger)
    role = role_of(project, owner, f"job:stop@{project.urn}:job:*")
    roles.add_member(role=role, group=team.group, by=owner)
    assert access.allowed(stranger, "job:stop", job).reason == "allowed by role Operators of team Night shift"
    policies.attach(text=f"job:get@{project.urn}:job:*", by=owner, group=team.group)
    assert access.allowed(stranger, "job:get", job).reason == "allowed by a policy of team Night shift"
    member = team.members.get()
    teams.add_user(team=team, user=viewer, role="owner", by=stranger)
    teams.remove_user(member=member, by=viewer)
    assert not may(stranger, "job:get", job) and not may(stranger, "job:stop", job)


def test_rights_reach_projects_below_and_none_above(project, owner, stranger, viewer, make_user, join):
    policies.attach(text=f"project:get+project:new@{project.urn}", by=owner, user=stranger)
    child = actions.create(name="Production", by=stranger, parent=project)
    assert child.owner == owner
    inside = Job.objects.create(project=child, name="a", created_by=stranger, spec={})
    assert access.allowed(owner, "job:rm", inside).reason == "allowed by ownership of the project"
    said = f"allowed by membership of {project.name}, which it is in: level read on jobs"
    assert access.allowed(viewer, "job:get", inside).reason == said
    assert not may(viewer, "job:new", child)
    assert not may(stranger, "job:get", project) and not may(stranger, "job:get", inside)
    member = make_user("mona")
    join(child, member, "Full")
    assert not may(member, "project:get", project)
    watcher = make_user("wanda")
    policies.attach(text=f"job:get@{project.urn}:project:*:job:*", by=owner, user=watcher)
    deeper = actions.create(name="Deeper", by=owner, parent=child)
    assert may(watcher, "job:get", inside)
    lowest = Job.objects.create(project=deeper, name="b", created_by=stranger, spec={})
    assert not may(watcher, "job:get", lowest)
    assert may(viewer, "job:get", lowest) and may(member, "job:rm", lowest)


def test_who_leaves_a_project_leaves_what_is_in_it(project, owner, viewer):
    child = actions.create(name="Production", by=owner, parent=project)
    with pytest.raises(Refused, match=f"You are here as a member of {project.name}"):
        actions.leave(project=child, by=viewer)
    actions.leave(project=project, by=viewer)
    assert not may(viewer, "project:get", child)
    assert child not in Project.objects.visible_to(viewer)


# Who may grant


@pytest.mark.parametrize(
    "text",
    ["job:get@{urn}:job:*", "project:share@{urn}", "*@{urn}+{urn}:*", "project:get@{urn}", "key:use@{urn}:key:*"],
)
def test_nobody_grants_what_they_do_not_hold(project, viewer, collaborator, stranger, text):
    team = teams.create(name="Mine", by=viewer)
    for by in (viewer, collaborator, stranger):
        for holder in ({"user": by}, {"group": team.group}):
            with pytest.raises(Refused):
                policies.attach(text=text.format(urn=project.urn), by=by, **holder)
    assert not Policy.objects.filter(granted_by__in=[viewer, collaborator, stranger]).exists()


def test_who_may_share_grants_what_they_hold_and_no_more(project, sharer, stranger):
    policies.attach(text=f"job:get@{project.urn}:job:*", by=sharer, user=stranger)
    for text in (f"job:new@{project.urn}:job:*", f"*:get@{project.urn}:*", f"project:rm@{project.urn}"):
        with pytest.raises(Refused) as refusal:
            policies.attach(text=text, by=sharer, user=stranger)
        assert refusal.value.decision.code == "not_held"


def test_who_may_share_gives_no_level_above_their_own(project, sharer, collaborator):
    member = Member.objects.get(user=collaborator)
    with pytest.raises(Refused):
        actions.set_levels(member=member, levels=PRESETS["Full"], by=sharer)
    with pytest.raises(Refused):
        actions.set_levels(member=Member.objects.get(user=sharer), levels=PRESETS["Full"], by=sharer)
    with pytest.raises(Refused):
        actions.invite(project=project, email="x@example.org", levels=PRESETS["Teammate"], by=sharer)
    actions.invite(project=project, email="x@example.org", levels=PRESETS["Viewer"], by=sharer)


def test_no_grant_reaches_a_personal_project(owner, stranger):
    personal = Project.objects.get(owner=owner, personal=True)
    for text in (f"job:get@{personal.urn}:job:*", f"*@{personal.urn}", f"project:get@{personal.urn}"):
        with pytest.raises(Refused):
            policies.attach(text=text, by=owner, user=stranger)
    with pytest.raises(Refused):
        roles.create(place=personal, name="Operators", by=owner)
    with pytest.raises(Refused):
        actions.create(name="Child", by=owner, parent=personal)


def test_who_may_create_in_a_project_grants_nothing_in_it(project, owner, stranger):
    policies.attach(text=f"project:get+project:new@{project.urn}", by=owner, user=stranger)
    child = actions.create(name="Production", by=stranger, parent=project)
    for text in (f"job:get@{project.urn}:job:*", f"*@{project.urn}:*", f"job:get@{child.urn}:job:*"):
        with pytest.raises(Refused):
            policies.attach(text=text, by=stranger, user=stranger)


def test_a_role_is_given_only_by_who_holds_all_of_it(project, owner, sharer, stranger):
    role = role_of(project, owner, f"job:*@{project.urn}:job:*")
    with pytest.raises(Refused):
        roles.add_member(role=role, user=stranger, by=sharer)
    with pytest.raises(Refused):
        roles.add_member(role=role, user=sharer, by=sharer)
    with pytest.raises(Refused):
        roles.add_key(role=role, name="ci", by=sharer)
    with pytest.raises(Refused):
        roles.add_policy(role=role, text=f"job:rm@{project.urn}:job:*", by=sharer)


def test_a_role_of_one_project_reaches_another_only_by_who_shares_that(project, owner, stranger):
    mine = actions.create(name="Mine", by=stranger)
    role = role_of(mine, stranger)
    with pytest.raises(Refused):
        roles.add_policy(role=role, text=f"job:get@{project.urn}:job:*", by=stranger)


def test_predefined_roles_are_the_same_everywhere(project, owner, stranger, viewer):
    found = {role.name: role for role in roles.of_place(project)}
    assert set(found) == {"admin", "user"}
    for change in (
        lambda: roles.add_policy(role=found["user"], text=f"job:get@{project.urn}:job:*", by=owner),
        lambda: roles.remove_policy(policy=found["admin"].policies.get(), by=owner),
        lambda: roles.remove(role=found["admin"], by=owner),
    ):
        with pytest.raises(Refused):
            change()
    roles.add_member(role=found["admin"], user=viewer, by=owner)
    held = {action for action in ("get", "set", "share", "new", "rm") if may(viewer, f"project:{action}", project)}
    assert held == {"get", "set", "share"}
    assert not may(viewer, "key:set", project)
    with pytest.raises(Refused):
        actions.remove(project=project, by=viewer)
    with pytest.raises(Refused):
        ownership.offer(member=Member.objects.get(user=viewer), by=viewer)


# What lapses


def test_what_a_removed_member_granted_goes_with_them(project, owner, sharer, stranger, make_user):
    policies.attach(text=f"job:get@{project.urn}:job:*", by=sharer, user=stranger)
    invitation = actions.invite(project=project, email="x@example.org", levels=PRESETS["Viewer"], by=sharer)
    actions.remove_member(member=Member.objects.get(user=sharer), by=owner)
    assert not may(sharer, "project:share", project)
    assert not may(stranger, "job:get", project)
    invitation.refresh_from_db()
    assert invitation.revoked_at
    gone = AuditEntry.objects.filter(action="policy:rm")
    assert {entry.details.get("granted_by") for entry in gone} == {None, "sharon"}


def test_a_lowered_level_takes_back_what_was_granted_by_it(project, owner, make_user, join, stranger):
    user = make_user("sue")
    join(project, user, "Full")
    policies.attach(text=f"project:share@{project.urn}", by=owner, user=user)
    policies.attach(text=f"job:stop@{project.urn}:job:*", by=user, user=stranger)
    policies.attach(text=f"job:get@{project.urn}:job:*", by=user, user=stranger)
    actions.set_levels(member=Member.objects.get(user=user), levels=PRESETS["Viewer"], by=owner)
    assert may(stranger, "job:get", project) and not may(stranger, "job:stop", project)


def test_grants_of_grants_lapse_too(project, owner, sharer, stranger, make_user):
    policies.attach(text=f"project:share+project:get@{project.urn}", by=owner, user=stranger)
    policies.attach(text=f"job:get@{project.urn}:job:*", by=sharer, user=stranger)
    last = make_user("lars")
    policies.attach(text=f"job:get@{project.urn}:job:*", by=stranger, user=last)
    assert may(last, "job:get", project)
    actions.remove_member(member=Member.objects.get(user=sharer), by=owner)
    assert not may(last, "job:get", project)


def test_keys_and_members_of_roles_lapse_with_who_made_them(project, owner, sharer, stranger):
    role = role_of(project, owner, f"job:get@{project.urn}:job:*")
    roles.add_member(role=role, user=stranger, by=sharer)
    _, token = roles.add_key(role=role, name="ci", by=sharer)
    assert keys.holder_of(token)
    actions.leave(project=project, by=sharer)
    assert may(sharer, "project:share", project) is False
    assert not may(stranger, "job:get", project)
    assert keys.holder_of(token) is None


def test_a_new_owner_takes_over_what_the_former_one_granted(project, owner, viewer, stranger):
    policies.attach(text=f"key:set@{project.urn}:key:*", by=owner, user=stranger)
    ownership.offer(member=Member.objects.get(user=viewer), by=owner)
    ownership.accept(project=project, by=viewer)
    assert may(stranger, "key:set", project)
    assert Policy.objects.get(user=stranger).granted_by == viewer


def test_with_a_project_go_its_roles_and_all_that_was_said_about_it(project, owner, stranger):
    role_of(project, owner, f"job:get@{project.urn}:job:*")
    policies.attach(text=f"job:get@{project.urn}:job:*", by=owner, user=stranger)
    actions.remove(project=project, by=owner)
    assert not Role.objects.exists() and not Policy.objects.exists() and not Statement.objects.exists()


def test_who_is_put_out_keeps_no_role_and_no_policy_of_the_project(project, owner, viewer):
    role = role_of(project, owner, f"job:*@{project.urn}:job:*+{project.urn}:job:*")
    roles.add_member(role=role, user=viewer, by=owner)
    policies.attach(text=f"project:set@{project.urn}", by=owner, user=viewer)
    actions.remove_member(member=Member.objects.get(user=viewer), by=owner)
    assert not may(viewer, "job:get", project) and not may(viewer, "project:set", project)
    assert not RoleMember.objects.exists()


def test_removing_a_role_or_a_policy_takes_away_what_it_gave(project, owner, stranger):
    role = role_of(project, owner, f"job:get@{project.urn}:job:*")
    roles.add_member(role=role, user=stranger, by=owner)
    before = access.generation()
    roles.remove_policy(policy=role.policies.get(), by=owner)
    assert not may(stranger, "job:get", project)
    assert access.generation() > before
    roles.add_policy(role=role, text=f"job:get@{project.urn}:job:*", by=owner)
    assert may(stranger, "job:get", project)
    roles.remove(role=role, by=owner)
    assert not may(stranger, "job:get", project)


# Keys


def test_a_key_does_what_its_role_may_and_nothing_else(project, owner, job):
    role = role_of(project, owner, f"job:get@{project.urn}:job:{job.id}")
    key, token = roles.add_key(role=role, name="dashboard", by=owner)
    holder = keys.holder_of(token)
    other = Job.objects.create(project=project, name="other", created_by=owner, spec={})
    assert may(holder, "job:get", job)
    assert not any(may(holder, action, job) for action in ("job:stop", "job:rm", "job:set", "job:exec"))
    assert not may(holder, "job:get", other) and not may(holder, "project:get", project)
    team = teams.create(name="Everybody sees teams", by=owner)
    assert not may(holder, "team:get", team)
    assert set(Job.objects.visible_to(holder)) == {job}
    key.refresh_from_db()
    assert key.last_used_at <= timezone.now()


def test_a_token_is_stored_as_a_hash_alone(project, owner):
    key, token = roles.add_key(role=role_of(project, owner), name="ci", by=owner)
    assert token.startswith("mlr_") and token not in str(RoleKey.objects.filter(pk=key.pk).values().get())
    assert not any(token in str(entry.after) + str(entry.details) for entry in AuditEntry.objects.all())


def test_a_revoked_key_and_a_made_up_one_open_nothing(project, owner):
    key, token = roles.add_key(role=role_of(project, owner), name="ci", by=owner)
    roles.remove_key(key=key, by=owner)
    assert [keys.holder_of(one) for one in (token, "mlr_x", "", "nonsense")] == [None] * 4


# Bad input


def test_a_name_is_there_once_and_a_member_too(project, owner, viewer):
    from django.core.exceptions import ValidationError

    role = role_of(project, owner)
    for name in ("Operators", "admin", "", "a\u202eb", "x" * 61):
        with pytest.raises(ValidationError):
            roles.create(place=project, name=name, by=owner)
    roles.add_member(role=role, user=viewer, by=owner)
    with pytest.raises(Impossible):
        roles.add_member(role=role, user=viewer, by=owner)


def test_projects_are_nested_to_a_depth_and_removed_from_below(project, owner):
    child = actions.create(name="Production", by=owner, parent=project)
    with pytest.raises(Impossible, match="Production"):
        actions.remove(project=project, by=owner)
    actions.remove(project=child, by=owner)
    deepest = project
    with pytest.raises(Impossible, match="nested"):
        for level in range(actions.DEEPEST + 1):
            deepest = actions.create(name=f"Level {level}", by=owner, parent=deepest)
    assert len(deepest.access_above()) == actions.DEEPEST - 1


# Teams that go, and users who leave them


@pytest.fixture
def night(project, owner, make_user):
    """A team with a policy that lets it share, and a user in it."""
    team = teams.create(name="Night shift", by=owner)
    policies.attach(
        text=f"project:get+project:share+job:get@{project.urn}+{project.urn}:job:*", by=owner, group=team.group
    )
    return team, teams.add_user(team=team, user=make_user("nina"), role="user", by=owner)


def test_who_leaves_a_team_loses_what_they_granted_by_it(project, owner, night, stranger):
    _, member = night
    policies.attach(text=f"job:get@{project.urn}:job:*", by=member.user, user=stranger)
    teams.remove_user(member=member, by=owner)
    assert not may(member.user, "project:get", project) and not may(stranger, "job:get", project)


def test_with_a_team_go_its_policies_roles_and_what_was_granted_by_them(project, owner, night, stranger, viewer):
    team, member = night
    role = roles.create(place=team, name="Guests", by=owner)
    roles.add_policy(role=role, text=f"job:stop@{project.urn}:job:*", by=owner)
    _, token = roles.add_key(role=role, name="ci", by=owner)
    roles.add_member(role=role, user=viewer, by=owner)
    policies.attach(text=f"job:get@{project.urn}:job:*", by=member.user, user=stranger)
    teams.remove(team=team, by=owner)
    assert not may(stranger, "job:get", project) and not may(viewer, "job:stop", project)
    assert keys.holder_of(token) is None
    assert not Policy.objects.exclude(role__predefined=True).exists()
    assert not Role.objects.filter(predefined=False).exists()


def test_a_role_of_a_removed_project_gives_nothing_elsewhere(project, owner, stranger):
    other = actions.create(name="Other", by=owner)
    role = role_of(other, owner, f"job:get@{project.urn}:job:*")
    roles.add_member(role=role, user=stranger, by=owner)
    assert may(stranger, "job:get", project)
    actions.remove(project=other, by=owner)
    assert not may(stranger, "job:get", project)
    assert AuditEntry.objects.filter(project_id=project.pk, action="policy:rm").exists()
