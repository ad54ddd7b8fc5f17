"""Roles, policies and keys, as programs change them."""

import pytest

from access import roles
from access.models import Role
from teams import actions as teams
from tests.api.conftest import Program
from tests.api.test_door import problem


@pytest.fixture
def role(project, owner):
    return roles.create(place=project, name="Operators", by=owner)


def test_a_role_is_made_filled_given_and_removed(program, project, owner, viewer):
    asks, theirs = program(owner), program(viewer)
    made = asks.post(f"/projects/{project.pk}/roles", {"name": "Operators"})
    role = made.json()
    assert (made.status_code, role["place"], role["mine"]) == (
        201,
        {"kind": "project", "id": project.pk, "name": "Vision"},
        False,
    )
    policy = asks.post(f"/roles/{role['id']}/policies", {"text": f"job:stop@{project.urn}:job:*"}).json()
    assert (policy["holder"]["name"], policy["granted_by"]["username"], policy["mine"]) == ("Operators", "olga", True)
    member = asks.post(f"/roles/{role['id']}/members", {"user": viewer.pk}).json()
    assert (member["id"], member["name"], member["type"]) == (viewer.pk, "vera", "user")
    found = {one["name"]: one for one in theirs.get(f"/projects/{project.pk}/roles").json()["items"]}
    assert {"admin", "user", "Operators"} == set(found)
    assert (found["Operators"]["people"], found["Operators"]["mine"], found["admin"]["mine"]) == (1, True, False)
    assert [one["id"] for one in theirs.get(f"/roles/{role['id']}/policies").json()["items"]] == [policy["id"]]
    assert theirs.get(f"/policies/{policy['id']}").json()["text"] == policy["text"]
    assert theirs.get(f"/roles/{role['id']}/members").json()["items"][0]["mine"]
    problem(theirs.delete(f"/roles/{role['id']}"), 403, "not_granted")
    assert theirs.delete(f"/roles/{role['id']}/members/{viewer.pk}").status_code == 204
    assert asks.delete(f"/policies/{policy['id']}").status_code == 204
    assert asks.delete(f"/roles/{role['id']}").status_code == 204
    problem(asks.get(f"/roles/{role['id']}"), 404, "not_found")


def test_a_role_is_found_by_its_name(program, project, owner, role):
    asks = program(owner)
    assert [one["id"] for one in asks.get(f"/projects/{project.pk}/roles", name="Operators").json()["items"]] == [
        role.pk
    ]
    assert asks.get(f"/projects/{project.pk}/roles", name="Oper").json()["items"] == []


def test_what_cannot_be_is_said(program, project, owner, viewer, role):
    asks = program(owner)
    place = f"/projects/{project.pk}/roles"
    problem(asks.post(place, {"name": "Operators"}), 422, "invalid")
    problem(asks.post(place, {"name": ""}), 422, "invalid")
    wrong = problem(asks.post(f"/roles/{role.pk}/policies", {"text": "job:fly@x"}), 422, "invalid")
    assert wrong["errors"][0]["field"] == "text"
    members = f"/roles/{role.pk}/members"
    for nobody in ({}, {"user": "nobody"}, {"team": "nobody"}, {"user": viewer.pk, "team": "x"}):
        problem(asks.post(members, nobody), 422, "invalid")
    assert asks.post(members, {"user": viewer.pk}).status_code == 201
    problem(asks.post(members, {"user": viewer.pk}), 409, "conflict")
    admin = Role.objects.get(place_id=project.pk, name="admin")
    problem(asks.delete(f"/roles/{admin.pk}"), 403, "predefined")


def test_nobody_grants_what_they_do_not_hold(program, project, stranger, role):
    other = program(stranger)
    problem(other.get(f"/roles/{role.pk}"), 404, "not_found")
    problem(other.get(f"/projects/{project.pk}/roles"), 404, "not_found")
    team = other.post(f"/teams/{teams.create(name='Lab', by=stranger).pk}/roles", {"name": "mine"}).json()
    refusal = other.post(f"/roles/{team['id']}/policies", {"text": f"job:get@{project.urn}:job:*"})
    assert problem(refusal, 403, "not_held")["missing"]


def test_a_key_of_a_role_asks_and_is_revoked(program, project, owner, viewer, role):
    asks, keys = program(owner), f"/roles/{role.pk}/keys"
    asks.post(f"/roles/{role.pk}/policies", {"text": f"project:get@{project.urn}"})
    made = asks.post(keys, {"name": "ci"}).json()
    key = Program(made["token"])
    assert key.get("/me").json()["role"]["id"] == role.pk
    listed = asks.get(keys).json()["items"]
    assert [(one["name"], one["mine"]) for one in listed] == [("ci", True)]
    assert "token" not in listed[0]
    problem(program(viewer).get(keys), 403, "not_granted")
    for answer in (
        key.get(keys),
        key.get(f"/roles/{role.pk}"),
        key.post(f"/projects/{project.pk}/roles", {"name": "x"}),
    ):
        problem(answer, 403, "person_needed")
    assert asks.delete(f"{keys}/{made['id']}").status_code == 204
    problem(key.get("/me"), 401, "not_signed_in")


def test_what_a_team_holds_is_for_those_in_it(program, project, owner, stranger):
    team = teams.create(name="Lab", by=owner)
    asks, other = program(owner), program(stranger)
    policy = asks.post(f"/teams/{team.pk}/policies", {"text": f"job:get@{project.urn}:job:*"}).json()
    assert policy["holder"] == {"kind": "team", "id": team.pk, "name": "Lab"}
    for address in (f"/teams/{team.pk}/policies", f"/teams/{team.pk}/roles", f"/policies/{policy['id']}"):
        assert asks.get(address).status_code == 200
        problem(other.get(address), 403, "not_granted")
    problem(other.delete(f"/policies/{policy['id']}"), 403, "not_granted")


def test_admins_give_users_policies_that_they_hold_and_only_the_two_hear_of_it(program, make_user, join, owner):
    admin, given, other = make_user("anna", admin=True), make_user("gina"), make_user("otto")
    asks = program(admin)
    place = asks.post("/projects", {"name": "Hers"}).json()
    made = asks.post(f"/users/{given.pk}/policies", {"text": f"project:get@{place['urn']}"})
    assert made.status_code == 201
    policy = made.json()["id"]
    assert program(given).get(f"/users/{given.pk}/policies").json()["items"][0]["id"] == policy
    assert program(other).get(f"/users/{given.pk}/policies").json()["items"] == []
    problem(program(other).get(f"/policies/{policy}"), 404, "not_found")
    problem(program(other).delete(f"/policies/{policy}"), 404, "not_found")
    problem(program(owner).post(f"/users/{given.pk}/policies", {"text": "project:get@x"}), 403, "not_granted")
    assert program(given).delete(f"/policies/{policy}").status_code == 204


def test_the_installations_roles_are_its_admins_and_theirs_who_have_them(program, make_user, stranger):
    admin = make_user("anna", admin=True)
    asks, other = program(admin), program(stranger)
    problem(other.post("/installation/roles", {"name": "x"}), 403, "not_granted")
    role = asks.post("/installation/roles", {"name": "Auditors"}).json()
    assert role["place"]["kind"] == "installation"
    assert [one["name"] for one in other.get("/installation/roles").json()["items"]] == ["admin", "user"]
    problem(other.get(f"/roles/{role['id']}"), 404, "not_found")
    asks.post(f"/roles/{role['id']}/members", {"user": stranger.pk})
    assert [one["mine"] for one in other.get("/installation/roles").json()["items"]] == [False, True, True]


def test_who_runs_the_installation_is_a_role(program, admin, owner, stranger):
    asks = program(admin)
    [role] = asks.get("/installation/roles", name="admin").json()["items"]
    assert (role["predefined"], role["people"], role["mine"]) == (True, 1, True)
    members = f"/roles/{role['id']}/members"
    assert [one["name"] for one in program(owner).get(members).json()["items"]] == ["anna"]
    problem(program(owner).post(members, {"user": owner.pk}), 403, "not_granted")
    problem(asks.post(members, {"team": "x"}), 422, "invalid")
    assert asks.post(members, {"user": owner.pk}).json()["name"] == "olga"
    assert asks.delete(f"{members}/{admin.pk}").status_code == 204
    problem(program(owner).delete(f"{members}/{owner.pk}"), 409, "conflict")
    everybody = program(stranger).get("/roles/user/members").json()["items"]
    assert [one["name"] for one in everybody] == ["anna", "olga", "stan"]


def test_lists_ask_so_much_for_one_as_for_many(program, project, owner, role, make_user, django_assert_max_num_queries):
    asks = program(owner)
    for number in range(6):
        roles.add_member(role=role, user=make_user(f"many-{number}"), by=owner)
        roles.add_policy(role=role, text=f"job:get@{project.urn}:job:j{number}", by=owner)
        roles.create(place=project, name=f"r{number}", by=owner)
    for address in (f"/roles/{role.pk}/members", f"/roles/{role.pk}/policies", f"/projects/{project.pk}/roles"):
        with django_assert_max_num_queries(16):
            assert len(asks.get(address).json()["items"]) >= 6
