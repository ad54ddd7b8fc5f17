"""Roles of the installation: its admins make them, they give what their granters hold, and nobody else hears of them."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

import access
from access import Refused, keys, policies, roles
from access.installation import INSTALLATION
from access.models import Policy, Role
from accounts import admins
from jobs.models import Job
from projects import actions
from teams import actions as teams


@pytest.fixture
def other_admin(make_user):
    return make_user("berta", admin=True)


@pytest.fixture
def role(admin):
    return roles.create(place=INSTALLATION, name="Operators", by=admin)


@pytest.fixture
def shared(admin):
    """A project of the admin's own."""
    return actions.create(name="Shared", by=admin)


def at(name, *args):
    return reverse(f"projects:{name}", args=args)


def test_the_story_of_one(as_user, admin, shared, stranger, make_user):
    page = as_user(admin)
    assert at("installation_roles") in page.get(reverse("admins")).content.decode()
    page.post(at("installation_roles"), {"name": "Night watch"}, follow=True)
    role = Role.objects.get(name="Night watch")
    assert "Night watch" in page.get(at("installation_roles")).content.decode()
    page.post(at("role_policy_add", role.id), {"text": f"job:get@{shared.urn}:job:*"})
    page.post(at("role_member_add", role.id), {"kind": "user", "name": stranger.username})
    team = teams.create(name="Lab", by=admin)
    tess = teams.add_user(team=team, user=make_user("tess"), role="user", by=admin).user
    page.post(at("role_member_add", role.id), {"kind": "team", "name": team.slug})
    job = Job.objects.create(project=shared, name="digits", created_by=admin, spec={})
    for user in (stranger, tess):
        assert access.allowed(user, "job:get", job)
        assert access.allowed(user, "job:get", job).reason.count("role Night watch")
        text = as_user(user).get(at("role", role.id)).content.decode()
        assert "Night watch" in text and "New key" not in text
        assert "Night watch" in as_user(user).get(at("installation_roles")).content.decode()
        assert "Night watch" in as_user(user).get(at("rules")).content.decode()
    token = page.post(at("role_key_add", role.id), {"name": "ci"}).context["token"]
    assert access.allowed(keys.holder_of(token), "job:get", job)
    page.post(at("role_remove", role.id))
    assert not any(access.allowed(user, "job:get", job) for user in (stranger, tess))
    assert keys.holder_of(token) is None


def test_it_is_no_rule_about_projects_to_be_an_admin(as_user, admin, role, project):
    for text in (f"project:get@{project.urn}", f"job:get@{project.urn}:job:*", f"*@{project.urn}+{project.urn}:*"):
        with pytest.raises(Refused):
            roles.add_policy(role=role, text=text, by=admin)
    response = as_user(admin).post(at("role_policy_add", role.id), {"text": f"project:get@{project.urn}"})
    assert "You cannot grant what you do not hold" in response.content.decode()
    assert not Policy.objects.filter(role=role).exists()


def test_nor_is_it_one_to_give_what_another_admin_granted(admin, other_admin, role, shared, stranger):
    roles.add_policy(role=role, text=f"project:get@{shared.urn}", by=admin)
    for do in (
        lambda: roles.add_member(role=role, user=other_admin, by=other_admin),
        lambda: roles.add_member(role=role, user=stranger, by=other_admin),
        lambda: roles.add_key(role=role, name="mine", by=other_admin),
    ):
        with pytest.raises(Refused):
            do()
    assert not access.allowed(other_admin, "project:get", shared)


def test_no_policy_is_about_the_installation_itself_or_somebodys_personal_project(admin, other_admin, role):
    personal = other_admin.owned_projects.get(personal=True)
    for name in (INSTALLATION.urn, f"{INSTALLATION.urn}:*", access.urn("user", admin.pk), "mlteam:*"):
        with pytest.raises(ValueError, match="A rule is about a project or a team"):
            roles.add_policy(role=role, text=f"*@{name}", by=admin)
    for by in (admin, other_admin):
        with pytest.raises(Refused):
            roles.add_policy(role=role, text=f"project:get@{personal.urn}", by=by)


def test_nobody_else_makes_changes_or_sees_them(as_user, admin, role, owner, make_user):
    member = roles.add_member(role=role, user=make_user("mia"), by=admin)
    _, token = roles.add_key(role=role, name="ci", by=admin)
    page, key = as_user(owner), role.keys.get()
    for name, args in (
        ("role_remove", [role.id]),
        ("role_policy_add", [role.id]),
        ("role_member_add", [role.id]),
        ("role_key_add", [role.id]),
        ("role_key_remove", [role.id, key.id]),
        ("role_member_remove", [role.id, member.id]),  # last: of one's own it is laying down
    ):
        sent = {"name": owner.username, "kind": "user", "text": "job:get@x"}
        assert page.post(at(name, *args), sent).status_code == 404
        assert as_user(member.user).post(at(name, *args), sent).status_code in {403, 302}
    assert page.get(at("role", role.id)).status_code == 404
    assert "Operators" not in page.get(at("installation_roles")).content.decode()
    assert page.post(at("installation_roles"), {"name": "Mine"}).status_code == 403
    assert page.get(at("installation_roles")).status_code == 200
    assert not Role.objects.filter(name="Mine").exists() and keys.holder_of(token)
    assert not role.members.exists()  # the member laid it down themselves


def test_who_is_no_admin_any_more_changes_none_but_takes_back_what_was_theirs(
    as_user, admin, other_admin, role, shared, stranger
):
    policy = roles.add_policy(role=role, text=f"project:get@{shared.urn}", by=admin)
    roles.add_member(role=role, user=stranger, by=admin)
    admins.remove(user=admin, by=other_admin)
    page = as_user(admin)
    assert page.post(at("role_member_add", role.id), {"kind": "user", "name": "berta"}).status_code == 404
    with pytest.raises(Refused):  # also as it was in memory
        roles.create(place=INSTALLATION, name="Another", by=admin)
    assert policy.text in page.get(at("rules")).content.decode()
    assert as_user(stranger).post(at("policy_remove", policy.id), {"from": "rules"}).status_code == 403
    page.post(at("policy_remove", policy.id), {"from": "rules"})
    assert not access.allowed(stranger, "project:get", shared)


def test_what_a_granter_loses_the_role_loses(admin, role, project, owner, stranger):
    policy = policies.attach(text=f"project:get+project:share@{project.urn}", by=owner, user=admin)
    roles.add_policy(role=role, text=f"project:get@{project.urn}", by=admin)
    roles.add_member(role=role, user=stranger, by=admin)
    waiting = Job.objects.create(project=project, name="digits", created_by=stranger, spec={})
    assert access.allowed(stranger, "project:get", project)
    policies.detach(policy=policy, by=owner)
    assert not access.allowed(stranger, "project:get", project) and not role.policies.exists()
    waiting.refresh_from_db()
    assert waiting.state == "cancelled"


@pytest.mark.parametrize("name", ["admin", "user", "Admin", " USER ", "Operators", "", " ", "a\nb"])
def test_names_are_there_once_and_never_those_of_predefined_ones(admin, role, name):
    with pytest.raises(ValidationError):
        roles.create(place=INSTALLATION, name=name, by=admin)
    assert Role.objects.filter(place_id="installation").count() == 1


def test_nobody_takes_a_predefined_roles_name_in_a_project_or_a_team_either(project, owner):
    team = teams.create(name="Lab", by=owner)
    for place in (project, team):
        with pytest.raises(ValidationError):
            roles.create(place=place, name="Admin", by=owner)


def test_a_name_is_text(as_user, admin, stranger):
    role = roles.create(place=INSTALLATION, name="<b>x</b>", by=admin)
    roles.add_member(role=role, user=stranger, by=admin)
    for path in (at("installation_roles"), at("role", role.id), at("rules")):
        text = as_user(stranger).get(path).content.decode()
        assert "&lt;b&gt;x" in text and "<b>x</b>" not in text
