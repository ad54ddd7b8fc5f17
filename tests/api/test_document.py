"""The document that describes the API, and what is the same for every operation in it."""

import pytest
from ninja import Schema

from access.decisions import split_action
from access.routes import PLAIN
from datastores import transfer
from mlteam.api import api
from projects import third_party

OPERATIONS = [
    (path, operation)
    for router in api._get_bound_routers()
    for path, view in router.path_operations.items()
    for operation in view.operations
]


@pytest.mark.parametrize(
    ("path", "operation"), OPERATIONS, ids=lambda one: one if isinstance(one, str) else one.methods[0]
)
def test_every_operation_names_its_action_and_says_what_it_does(path, operation):
    action = getattr(operation.view_func, "access_action", None)
    assert action, f"{operation.methods} {path} names no action"
    assert action in PLAIN or split_action(action)
    assert operation.auth_callbacks or action == "public"
    assert operation.view_func.__doc__


def test_the_document_is_there_for_everybody(client):
    document = client.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names)) == len(OPERATIONS) + len(transfer.ROUTES)
    for methods in document["paths"].values():
        for method, operation in methods.items():
            assert "application/problem+json" in operation["responses"]["4XX"]["content"]
            if method == "get" and "application/json" in operation["responses"].get("200", {}).get("content", {}):
                assert "fields" in {one["name"] for one in operation["parameters"]}


def test_things_of_different_kinds_have_different_names():
    """The document knows them by name alone: of two that share one, the other would not be described."""
    found: dict[str, set[type]] = {}
    for kind in _all_below(Schema):
        if kind.__module__.endswith("api") and "[" not in kind.__name__:
            found.setdefault(kind.__name__, set()).add(kind)
    assert [kinds for kinds in found.values() if len(kinds) > 1] == []


def _all_below(kind: type) -> set[type]:
    return {one for below in kind.__subclasses__() for one in {below, *_all_below(below)}}


def test_headers_that_change_what_is_done_are_parameters(client, program, owner, project, viewer):
    document = client.get("/api/v1/openapi.json").json()["paths"]
    guarded = set()
    for path, methods in document.items():
        for method, said in methods.items():
            named = {one["name"] for one in said["parameters"] if one["in"] == "header"}
            assert ("Idempotency-Key" in named) == (method == "post"), f"{method} {path}"
            guarded |= {path} if "If-Match" in named else set()
    hub = third_party.add(project=project, kind="wandb", name="runs", values={"api_key": "0123456789"}, by=owner)
    known = {"{project}": project.pk, "{user}": viewer.pk, "{third_party_key}": hub.pk}
    here = {
        path
        for path in guarded
        if path.startswith(("/api/v1/me", "/api/v1/projects/{project}")) and "{team}" not in path
    }
    assert len(here) == 5 and here < guarded
    for path in here - {"/api/v1/projects/{project}/budgets/{whose}"}:
        for name, value in known.items():
            path = path.replace(name, value)
        assert program(owner).get(path.removeprefix("/api/v1"))["ETag"], path
