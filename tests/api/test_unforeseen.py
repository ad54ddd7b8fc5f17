"""The API is asked what nobody would, over the network, as its own description allows: by schemathesis."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import ROOT
from tests.api.test_table import OF_VOLUMES, SENT, filled
from tests.server import running

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Who asks -> how often each operation, with what it takes, and with what it does not.
OFTEN = {"owner": (1, 2), "role": (1, 0), "nobody": (1, 0)}

# What would end the test or the server's rest: the token itself; jobs that run.
NEVER = {"/me/tokens/current"}
NOT_HERE = {
    "POST /projects/{project}/jobs",
    "POST /projects/{project}/jobs/with-files",
    "POST /projects/{project}/leave",
    "POST /teams/{team}/leave",
    "POST /projects/{project}/offer/accept",
}


@dataclass
class Asked:
    """A server, who asks it, and the ids of what is there."""

    url: str
    tokens: dict[str, str]
    known: dict[str, Any]


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    with running(MLTEAM_API_RATE="0") as server:
        made = json.loads(
            server.manage("shell", "--no-imports", "-v", "0", "-c", "from tests.api import cast; cast.make()")
        )
        yield Asked(server.url, made["tokens"], made["known"])


def path_of(operation: Any, known: dict[str, Any]) -> dict[str, Any]:
    """Ids of what is there for an operation that leaves it there; else none, and any are made up."""
    path = operation.path.removeprefix(ROOT)
    if operation.method == "delete" or f"{operation.method.upper()} {path}" in NOT_HERE:
        return {}
    names = [one["name"] for one in operation.definition.raw.get("parameters", []) if one["in"] == "path"]
    if OF_VOLUMES.match(path):
        known = known | {"datastore": known["volume"]}
    if path.startswith("/teams"):
        known = known | {"invitation": known["team_invitation"]}
    return {name: known[name] for name in names if name in known}


@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.parametrize("who", OFTEN)
def test_whatever_is_asked_is_answered_as_the_document_says(asked, who):
    schema = schemathesis.openapi.from_url(f"{asked.url}/api/v1/openapi.json")
    headers = {"Authorization": f"Bearer {asked.tokens[who]}"} if who in asked.tokens else {}
    failures = []
    with requests.Session() as session:
        for operation in (found.ok() for found in schema.get_all_operations()):
            if operation.path.removeprefix(ROOT) in NEVER:
                continue
            if who == "owner":
                failures += _sensibly(operation, asked.known, session, headers)
            for mode, often in zip((GenerationMode.POSITIVE, GenerationMode.NEGATIVE), OFTEN[who], strict=True):
                try:
                    _ask(operation, mode, often, path_of(operation, asked.known), session, headers)
                except (Exception, BaseExceptionGroup) as error:
                    failures.append(f"{operation.method.upper()} {operation.path}: {_said(error)}")
        still = session.get(f"{asked.url}{ROOT}/me", headers=headers)
    assert not failures, "\n\n".join(failures)
    assert still.status_code == (200 if headers else 401), "the token ended with what was asked before"


def _sensibly(operation: Any, known: dict[str, Any], session: Any, headers: Any) -> list[str]:
    """What is wrong with the answer to a request that makes sense, of those that the table has."""
    name = f"{operation.method.upper()} {operation.path.removeprefix(ROOT)}"
    path, names = path_of(operation, known), {key: str(value) for key, value in known.items()}
    if name not in SENT or not path or name == "POST /projects":
        return []
    case = operation.Case(path_parameters=path, body=filled(SENT[name], names), media_type="application/json")
    try:
        answer = case.call_and_validate(session=session, headers=headers, checks=CHECKS)
    except (Exception, BaseExceptionGroup) as error:
        return [f"{name}: {_said(error)}"]
    return [] if answer.status_code < 400 else [f"{name}: {answer.status_code} {answer.text}"]


def _said(error: BaseException) -> str:
    """What was found, with the request that found it."""
    inner = getattr(error, "exceptions", ())
    return "\n".join([str(error), *(_said(one) for one in inner), *getattr(error, "__notes__", [])])


def _ask(operation: Any, mode: GenerationMode, often: int, path: dict[str, Any], session: Any, headers: Any) -> None:
    if not often:
        return

    @settings(
        max_examples=often,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode, path_parameters=path))
    def asks(case: Any) -> None:
        case.call_and_validate(session=session, headers=headers, checks=CHECKS)

    asks()
