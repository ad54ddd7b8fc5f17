"""The pages of roles, policies and keys, and an owner who looks at a project as a member does."""

import pytest
from django.urls import reverse

import access
from access import keys, policies, roles
from access.models import Policy, Role, RoleKey
from jobs.models import Job
from projects import actions
from projects.models import Member
from teams import actions as teams


@pytest.fixture
def page(as_user, owner):
    """The owner's browser."""
    return as_user(owner)


@pytest.fixture
def role(project, owner):
    return roles.create(place=project, name="Operators", by=owner)


def at(name, *args):
    return reverse(f"projects:{name}", args=args)


def test_the_story_of_a_role(page, project, owner, stranger):
    response = page.post(at("roles", "vision"), {"name": "Night watch"}, follow=True)
    role = Role.objects.get(name="Night watch")
    assert response.redirect_chain[-1][0] == at("role", role.id)
    page.post(at("role_policy_add", role.id), {"text": f"job:get@{project.urn}:job:*"})
    page.post(at("role_member_add", role.id), {"kind": "user", "name": stranger.username})
    job = Job.objects.create(project=project, name="digits", created_by=owner, spec={})
    assert access.allowed(stranger, "job:get", job)
    text = page.get(at("role", role.id)).content.decode()
    assert f"job:get@{project.urn}:job:*" in text and stranger.shown in text
    page.post(at("policy_remove", Policy.objects.get(role=role).id))
    assert not access.allowed(stranger, "job:get", job)
    page.post(at("role_remove", role.id))
    assert not Role.objects.filter(pk=role.id).exists()


def test_a_key_is_shown_once(page, role):
    response = page.post(at("role_key_add", role.id), {"name": "nightly"})
    token = response.context["token"]
    assert keys.holder_of(token) and token in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    again = page.get(at("role", role.id)).content.decode()
    assert token not in again and "nightly" in again
    page.post(at("role_key_remove", role.id, RoleKey.objects.get().id))
    assert keys.holder_of(token) is None


def test_a_wrong_policy_is_shown_with_the_place_marked_and_kept(page, project, role):
    response = page.post(at("role_policy_add", role.id), {"text": f"job:gett@{project.urn}:job:*"})
    text = response.content.decode()
    assert "<mark>job:gett</mark>" in text and "There is no job:gett" in text
    assert f'value="job:gett@{project.urn}:job:*"' in text
    assert not role.policies.exists()


def test_what_one_may_not_grant_is_said_with_the_missing_rule(as_user, project, viewer, owner, role):
    policies.attach(text=f"project:share@{project.urn}", by=owner, user=viewer)
    text = f"job:rm@{project.urn}:job:*"
    response = as_user(viewer).post(at("role_policy_add", role.id), {"text": text})
    assert "You cannot grant what you do not hold" in response.content.decode()
    assert f"job:rm@{project.urn}" in response.content.decode()


def test_names_that_nobody_has_are_refused_in_the_form(page, role):
    for kind in ("user", "team"):
        response = page.post(at("role_member_add", role.id), {"kind": kind, "name": "nobody-here"})
        assert response.status_code == 200 and not role.members.exists()


def test_a_team_gets_a_policy_on_its_page(page, project, owner, stranger):
    team = teams.create(name="Lab", by=owner)
    teams.add_user(team=team, user=stranger, role="user", by=owner)
    page.post(at("team_policy_add", team.slug), {"text": f"project:get@{project.urn}"})
    assert access.allowed(stranger, "project:get", project)
    assert f"project:get@{project.urn}" in page.get(at("team_roles", team.slug)).content.decode()
    page.post(at("policy_remove", Policy.objects.get(group=team.group).id))
    assert not access.allowed(stranger, "project:get", project)


def test_only_an_admin_gives_a_user_a_policy_and_only_what_they_hold(as_user, admin, project, owner, stranger):
    text = f"job:get@{project.urn}:job:*"
    asked = {"username": stranger.username, "text": text}
    assert as_user(owner).post(at("user_policy_add"), asked).status_code == 403
    assert "You cannot grant" in as_user(admin).post(at("user_policy_add"), asked).content.decode()
    mine = actions.create(name="Mine", by=admin)
    as_user(admin).post(at("user_policy_add"), {**asked, "text": f"job:get@{mine.urn}:job:*"})
    policy = Policy.objects.get(user=stranger)
    assert policy.text in as_user(stranger).get(at("rules")).content.decode()
    assert as_user(owner).post(at("policy_remove", policy.id)).status_code == 404
    as_user(stranger).post(at("policy_remove", policy.id))
    assert not Policy.objects.filter(pk=policy.pk).exists()


def test_one_may_lay_a_role_down(as_user, project, owner, viewer, role):
    member = roles.add_member(role=role, user=viewer, by=owner)
    assert as_user(viewer).post(at("role_member_remove", role.id, member.id)).status_code == 302
    assert not role.members.exists()


def test_personal_has_no_roles(page, owner):
    personal = owner.owned_projects.get(personal=True)
    assert "no role or policy reaches it" in page.get(at("roles", personal.slug)).content.decode()
    assert page.post(at("roles", personal.slug), {"name": "x"}).status_code == 403


def test_the_rules_page_names_policies_and_roles_as_sources(as_user, project, owner, viewer, role):
    roles.add_policy(role=role, text=f"job:stop@{project.urn}:job:*", by=owner)
    roles.add_member(role=role, user=viewer, by=owner)
    text = as_user(viewer).get(at("access", "vision")).content.decode()
    assert "role Operators" in text and "job:stop" in text


def test_roles_are_listed_with_as_many_questions_for_many(page, project, owner, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert page.get(at("roles", "vision")).status_code == 200
        return len(queries)

    few = asked()
    for number in range(12):
        roles.create(place=project, name=f"Role {number}", by=owner)
    assert asked() == few


# Projects in projects


def test_a_project_in_another_is_created_and_shown_on_the_pages(page, project, owner):
    assert "New project in" in page.get(at("new") + "?in=vision").content.decode()
    page.post(at("new") + "?in=vision", {"name": "Production"})
    child = project.children.get()
    assert child.urn.startswith(f"{project.urn}:project:")
    assert "Production" in page.get(at("settings", "vision")).content.decode()
    text = page.get(at("settings", child.slug)).content.decode()
    assert project.name in text and child.urn in text


@pytest.mark.parametrize(("who", "status"), [("viewer", 403), ("collaborator", 403), ("stranger", 404)])
def test_nobody_else_creates_projects_in_it(request, as_user, project, who, status):
    browser = as_user(request.getfixturevalue(who))
    assert browser.get(at("new") + "?in=vision").status_code == status
    assert browser.post(at("new") + "?in=vision", {"name": "Mine"}).status_code == status
    assert not project.children.exists()


# As a member sees it


@pytest.fixture
def as_viewer(page, project, viewer):
    """The owner's browser, looking as the viewer."""
    assert page.post(at("view_as", "vision"), {"person": viewer.username}).status_code == 302
    return page


def test_an_owner_sees_what_the_member_sees(as_viewer, project, viewer):
    text = as_viewer.get(at("members", "vision")).content.decode()
    assert f"as <b>{viewer.shown}</b> sees it" in text
    assert "Invite" not in text and "Make owner" not in text
    assert as_viewer.get(reverse("jobs:new", args=["vision"])).status_code == 403
    assert as_viewer.get(at("audit", "vision")).status_code == 403


def test_nothing_is_changed_meanwhile(as_viewer, project, viewer):
    member = Member.objects.get(user=viewer)
    assert as_viewer.post(at("member_remove", "vision", member.id)).status_code == 403
    assert as_viewer.post(at("settings", "vision"), {"name": "Other"}).status_code == 403
    assert Member.objects.filter(pk=member.pk).exists()


def test_elsewhere_and_afterwards_the_owner_is_themselves(as_viewer, project, owner):
    other = actions.create(name="Other", by=owner)
    assert "Invite" in as_viewer.get(at("members", other.slug)).content.decode()
    as_viewer.post(at("view_end", "vision"))
    assert "Invite" in as_viewer.get(at("members", "vision")).content.decode()


def test_it_ends_with_the_membership_and_with_the_ownership(as_viewer, project, owner, viewer):
    actions.remove_member(member=Member.objects.get(user=viewer), by=owner)
    assert "Invite" in as_viewer.get(at("members", "vision")).content.decode()


def test_nobody_but_the_owner_looks_as_somebody(as_user, project, owner, viewer, collaborator, stranger):
    for who, status in ((viewer, 403), (collaborator, 403), (stranger, 404)):
        assert as_user(who).post(at("view_as", "vision"), {"person": owner.username}).status_code == status
    policies.attach(text=f"project:share@{project.urn}", by=owner, user=collaborator)
    assert as_user(collaborator).post(at("view_as", "vision"), {"person": viewer.username}).status_code == 403
    page = as_user(owner)
    page.post(at("view_as", "vision"), {"person": stranger.username})
    assert "sees it" not in page.get(at("members", "vision")).content.decode()


def test_the_members_other_projects_do_not_show(as_viewer, project, viewer):
    actions.create(name="Secret of theirs", by=viewer)
    assert "Secret of theirs" not in as_viewer.get(at("members", "vision")).content.decode()


def test_what_a_team_holds_is_for_those_in_it(as_user, owner, stranger, viewer):
    team = teams.create(name="Lab", by=owner)
    teams.add_user(team=team, user=viewer, role="user", by=owner)
    role = roles.create(place=team, name="Guests", by=owner)
    for who, status in ((viewer, 200), (stranger, 403)):
        assert as_user(who).get(at("team_roles", team.slug)).status_code == status
        assert as_user(who).get(at("role", role.id)).status_code == status


def test_projects_below_are_shown_as_a_tree_of_what_one_sees(page, as_user, project, owner, viewer):
    child = actions.create(name="Production", by=owner, parent=project)
    actions.create(name="Canary", by=owner, parent=child)
    _, _, shown = page.get(at("settings", "vision")).content.decode().partition('class="tree"')
    assert shown.index("Production") < shown.index('class="tree"') < shown.index("Canary")
    seen = as_user(viewer).get(at("settings", "vision")).content.decode()
    assert "Canary" in seen[seen.index('class="tree"') :]


def test_rules_about_teams_are_said_and_who_may_change_one(as_user, make_user, owner, viewer, stranger):
    team = teams.create(name="Lab", by=owner)
    teams.add_user(team=team, user=viewer, role="user", by=owner)
    policies.attach(text=f"team:set@{team.urn}", by=owner, user=stranger)
    page = as_user(owner).get(at("team_roles", team.slug)).content.decode()
    said = page.partition("Who may change the team")[2].partition("</section>")[0]
    assert "role owner in the team" in said and "a policy of your own" in said and viewer.shown not in said
    sources = {owner: "role owner in the team", stranger: "a policy of your own"}
    for user, source in sources.items():
        text = as_user(user).get(at("rules")).content.decode().partition('aria-label="Team Lab"')[2]
        assert source in text.partition("</section>")[0]
    assert "Team Lab" not in as_user(viewer).get(at("rules")).content.decode()
    member = team.members.get(user=viewer)
    teams.set_role(member=member, role="admin", by=owner)
    assert "role admin in the team" in as_user(viewer).get(at("rules")).content.decode()
