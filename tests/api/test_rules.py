"""What do I hold, may I, why not, and who may, as programs ask."""

import pytest

from access import roles
from jobs.models import Job
from projects import actions
from teams import actions as teams
from tests.api.test_door import problem


@pytest.fixture
def job(project, owner):
    spec = {"name": "digits", "command": "true"}
    return Job.objects.create(project=project, name="digits", created_by=owner, spec=spec, state="running")


def test_the_rules_that_one_holds_come_with_where_from(program, project, owner, viewer):
    listed = program(viewer).get("/rules", project=project.pk).json()["items"]
    about_jobs = next(rule for rule in listed if rule["expression"] == f"{project.urn}:job:*")
    assert (about_jobs["action"], about_jobs["only_mine"]) == ("job:get+job:connect", False)
    assert about_jobs["source"]
    everything = program(viewer).get("/rules").json()["items"]
    assert [rule for rule in everything if rule["expression"] == about_jobs["expression"]] == [about_jobs]
    assert {"action": "user:set", "expression": f"mlteam:user:{viewer.pk}"}.items() <= everything[0].items()


def test_pages_of_rules_say_what_everybody_holds_once(program, owner, project):
    actions.create(name="Another", by=owner)
    asks = program(owner)
    first = asks.get("/rules", limit=1).json()
    assert owner.owned_projects.get(personal=True).urn in {rule["expression"] for rule in first["items"]}
    second = asks.get("/rules", limit=1, cursor=first["next"]).json()
    assert first["items"][0]["action"] == "user:set"
    assert {rule["expression"].split(":")[1] for rule in second["items"]} == {"project"}
    assert second["next"] is None


def test_a_role_holds_its_policies(role_program, project):
    rules = role_program("project:get@{urn}").get("/rules").json()["items"]
    assert [(rule["action"], rule["expression"]) for rule in rules] == [("project:get", project.urn)]


def test_rules_about_a_single_thing_are_held_without_seeing_its_project(
    program, role_program, project, owner, stranger, viewer, job, as_user
):
    key = role_program(f"job:get@{job.urn}")
    expected = [("job:get", job.urn)]
    for found in (key.get("/rules"), key.get("/rules", project=project.pk)):
        assert [(rule["action"], rule["expression"]) for rule in found.json()["items"]] == expected
    role = roles.create(place=project, name="readers", by=owner)
    roles.add_policy(role=role, text=f"job:get@{job.urn}", by=owner)
    roles.add_member(role=role, user=stranger, by=owner)
    mine = program(stranger).get("/rules").json()["items"]
    assert job.urn in [rule["expression"] for rule in mine] and all(rule["mine"] for rule in mine)
    page = as_user(stranger).get("/rules/").content.decode()
    assert "Single things" in page and job.urn in page and "Vision" not in page
    assert "Single things" not in as_user(viewer).get("/rules/").content.decode()
    roles.remove_member(member=role.members.get(), by=owner)
    problem(program(stranger).get("/rules", project=project.pk), 404, "not_found")


def test_may_i_and_why_not(program, project, owner, viewer, job):
    asks = program(viewer)
    yes = asks.get("/rules/allowed", action="job:get", urn=job.urn).json()
    assert (yes["allowed"], yes["code"], yes["missing"], yes["who_can_grant"]) == (True, "granted", "", [])
    no = asks.get("/rules/allowed", action="job:stop", urn=job.urn).json()
    assert (no["allowed"], no["missing"]) == (False, f"job:stop@{job.urn}")
    assert [one["username"] for one in no["who_can_grant"]] == ["olga"]
    for_all = asks.get("/rules/allowed", action="job:stop", urn=f"{project.urn}:job:*").json()
    assert (for_all["allowed"], for_all["missing"]) == (False, f"job:stop@{project.urn}:job:*")


def test_what_one_may_not_see_is_answered_as_what_is_not_there(program, project, owner, stranger, job):
    asks = program(stranger)
    urns = [
        job.urn,
        project.urn,
        f"{project.urn}:job:*",
        f"{project.urn}:job:none",
        "mlteam:project:none",
        "x",
        "mlteam:user:y",
    ]
    answers = [asks.get("/rules/allowed", action="job:get", urn=urn).json() for urn in urns]
    assert {(answer.pop("urn"), answer["code"])[1] for answer in answers} == {"not_found"}
    assert answers.count(answers[0]) == len(urns)
    for urn in urns:
        problem(asks.get("/rules/holders", action="job:get", urn=urn), 404, "not_found")
    # Not even by what would be wrong about the question.
    assert asks.get("/rules/allowed", action="team:set", urn=job.urn).json()["code"] == "not_found"


@pytest.mark.parametrize("action", ["fly", "job:fly", "job", ":", "user:get"])
def test_an_action_that_cannot_be_asked_is_said(program, owner, job, action):
    wrong = problem(program(owner).get("/rules/allowed", action=action, urn=job.urn), 422, "invalid")
    assert wrong["errors"][0]["field"] == "action"


def test_owners_ask_about_others_and_others_do_not(program, project, owner, viewer, collaborator, job):
    asked = {"action": "job:stop", "urn": job.urn, "user": "vera"}
    assert program(owner).get("/rules/allowed", **asked).json()["allowed"] is False
    assert program(owner).get("/rules/allowed", **asked | {"user": "carl"}).json()["allowed"] is True
    problem(program(owner).get("/rules/allowed", **asked | {"user": "nobody"}), 422, "invalid")
    problem(program(collaborator).get("/rules/allowed", **asked), 403, "not_granted")
    assert program(viewer).get("/rules/allowed", **asked).json()["allowed"] is False


def test_asking_about_others_tells_nothing_of_what_is_hidden(program, project, viewer, job):
    other = actions.create(name="Hidden", by=project.owner)
    asks = program(viewer)
    answers = {
        asks.get("/rules/allowed", action="project:get", urn=urn, user="olga").json()["code"]
        for urn in (other.urn, "mlteam:project:none")
    }
    assert answers == {"not_granted"}


def test_who_may_page_by_page(program, project, owner, viewer, collaborator, job):
    asks = program(viewer)
    first = asks.get("/rules/holders", action="job:get", urn=job.urn, limit=2).json()
    assert (first["count"], [one["user"]["username"] for one in first["items"]]) == (3, ["carl", "olga"])
    last = asks.get("/rules/holders", action="job:get", urn=job.urn, limit=2, cursor=first["next"]).json()
    assert [(one["user"]["username"], one["mine"]) for one in last["items"]] == [("vera", True)]
    assert last["next"] is None
    assert all(one["source"] for one in (*first["items"], *last["items"]))


def test_teams_and_people_are_asked_about_too(program, owner, stranger, make_user):
    admin, team = make_user("anna", admin=True), teams.create(name="Lab", by=owner)
    asks = program(stranger)
    assert asks.get("/rules/allowed", action="team:get", urn=team.urn).json()["allowed"] is True
    no = asks.get("/rules/allowed", action="team:set", urn=team.urn).json()
    assert (no["allowed"], [one["username"] for one in no["who_can_grant"]]) == (False, ["olga"])
    me = f"mlteam:user:{stranger.pk}"
    assert asks.get("/rules/allowed", action="user:set", urn=me).json()["allowed"] is True
    assert asks.get("/rules/allowed", action="user:set", urn=f"mlteam:user:{owner.pk}").json()["allowed"] is False
    assert asks.get("/rules/allowed", action="user:get", urn=f"mlteam:user:{owner.pk}").json()["allowed"] is True
    holders = asks.get("/rules/holders", action="user:set", urn=me).json()["items"]
    assert {one["user"]["id"] for one in holders} == {stranger.pk, admin.pk}


def test_a_roles_key_asks_what_it_may_and_not_who_else(role_program, project, job):
    key = role_program("job:get@{urn}:job:*")
    assert key.get("/rules/allowed", action="job:get", urn=job.urn).json()["allowed"] is True
    problem(key.get("/rules/holders", action="job:get", urn=job.urn), 403, "person_needed")
