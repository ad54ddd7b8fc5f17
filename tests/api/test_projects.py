"""Projects and what happened in them, by programs alone."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from projects import actions
from projects.models import Project
from tests.api.conftest import streamed
from tests.api.test_door import problem
from tests.conftest import no_writes


@pytest.fixture
def here(project) -> str:
    return f"/projects/{project.pk}"


def test_a_project_is_made_in_another_found_renamed_and_removed(program, owner, project):
    asks = program(owner)
    made = asks.post("/projects", {"name": "Production", "parent": project.pk})
    inner = made.json()
    assert (made.status_code, inner["full_name"], inner["parent"]["id"]) == (201, "vision.production", project.pk)
    for where in ({"full_name": "vision.production"}, {"parent": project.pk}, {"q": "PROD"}):
        assert [one["id"] for one in asks.get("/projects", **where).json()["items"]] == [inner["id"]]
    path = f"/projects/{inner['id']}"
    assert asks.patch(path, {"name": "Live"}).json()["slug"] == "production"
    problem(asks.delete(f"{path}?confirm=Production"), 409, "not_confirmed")
    problem(asks.delete(f"/projects/{project.pk}?confirm=Vision"), 409, "conflict")
    problem(asks.delete(f"{path}?confirm=Live", **{"If-Match": made["ETag"]}), 412, "changed")
    assert asks.delete(f"{path}?confirm=Live").status_code == 204
    problem(asks.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": " "}, "name"),
        ({}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "a", "parent": "\0"}, "parent"),
        ({"name": "a", "slug": "a"}, "slug"),
    ],
)
def test_projects_that_make_no_sense_are_refused_by_field(program, owner, sent, field):
    wrong = problem(program(owner).post("/projects", sent), 422, "invalid")
    assert [one["field"] for one in wrong["errors"]] == [field]


def test_whoever_may_not_is_told_why(program, owner, viewer, stranger, here, project):
    problem(program(viewer).patch(here, {"name": "Mine"}), 403, "not_granted")
    problem(program(viewer).delete(f"{here}?confirm=Vision"), 403, "not_granted")
    problem(program(stranger).patch(here, {"name": "Mine"}), 404, "not_found")
    problem(program(stranger).post("/projects", {"name": "In", "parent": project.pk}), 404, "not_found")
    personal = owner.owned_projects.get(personal=True)
    problem(program(owner).patch(f"/projects/{personal.pk}", {"name": "Other"}), 403, "personal")
    assert [one["mine"] for one in program(viewer).get("/projects").json()["items"]] == [True, False]


def test_its_data_are_lent_by_a_switch(program, owner, viewer, here, project):
    asks = program(owner)
    read = asks.get(here)
    assert read.json()["lends_data"] is False
    problem(program(viewer).patch(here, {"lends_data": True}), 403, "not_granted")
    changed = asks.patch(here, {"lends_data": True})
    assert (changed.json()["lends_data"], changed.json()["name"]) == (True, "Vision")
    problem(asks.patch(here, {"name": "Late"}, **{"If-Match": read["ETag"]}), 412, "changed")
    problem(program(viewer).patch(here, {}), 403, "not_granted")


def test_the_trail_is_read_by_who_may_share_the_project(program, owner, viewer, here, project):
    actions.rename(project=project, name="Sight", by=owner)
    asks = program(owner)
    asks.get("/me")  # notes that the token is used
    with no_writes():
        items = asks.get(f"{here}/audit").json()["items"]
    assert [one["action"] for one in items[:1]] == ["project:set"]
    assert (items[0]["by"], items[0]["by_id"], items[0]["from"], items[0]["mine"]) == ("olga", owner.pk, "server", True)
    assert (items[0]["before"], items[0]["after"]) == ({"name": "Vision"}, {"name": "Sight"})
    problem(program(viewer).get(f"{here}/audit"), 403, "not_granted")
    problem(program(viewer).get(f"{here}/audit.jsonl"), 403, "not_granted")


def test_the_trail_is_filtered(program, owner, viewer, here, project):
    actions.rename(project=project, name="Sight", by=owner)
    asks = program(owner)

    def found(**where: str) -> list[str]:
        return [one["action"] for one in asks.get(f"{here}/audit", **where).json()["items"]]

    assert found(action="project:set") == ["project:set"]
    assert set(found(by=viewer.pk)) == {"invitation:accept", "member:new"}
    assert found(q="SIGHT") == ["project:set"]
    assert found(to="2020-01-01") == []
    assert found(**{"from": "2999-01-01"}) == []
    assert len(found(**{"from": "2020-01-01", "to": "2999-01-01"})) == 5
    assert len(found(**{"from": "0001-01-01", "to": "9999-12-31"})) == 5
    problem(asks.get(f"{here}/audit", **{"from": "yesterday"}), 422, "invalid")
    lines = asks.get(f"{here}/audit.jsonl", action="project:set")
    assert lines["Content-Type"] == "application/jsonl"
    [line] = streamed(lines).splitlines()
    assert json.loads(line)["after"] == {"name": "Sight"}


def test_what_a_program_did_is_in_the_trail_as_such(program, owner, here):
    asks = program(owner)
    asks.patch(here, {"name": "Sight"})
    [first, *_] = asks.get(f"{here}/audit", limit=1).json()["items"]
    assert (first["said"], first["from"]) == ("Renamed the project", "api")


def test_long_lists_cost_as_many_queries_as_short_ones(program, owner, project, here):
    def grow(since: int, until: int) -> None:
        for number in range(since, until):
            actions.create(name=f"Inner {number}", by=owner, parent=project)

    def cost() -> list[int]:
        asks, needed = program(owner), []
        for path, where in (("/projects", {"parent": project.pk}), (f"{here}/audit", {})):
            with CaptureQueriesContext(connection) as queries:
                items = asks.get(path, **where).json()["items"]
            needed.append((path, len(queries)))
        return [len(items), *needed]

    grow(0, 3)
    _, *few = cost()
    grow(3, 30)
    assert Project.objects.filter(parent=project).count() == 30
    assert cost()[1:] == few
