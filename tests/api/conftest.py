"""Programs that ask: by a personal token, or by a role's key."""

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access import roles
from accounts import tokens
from accounts.models import User
from api import limits
from mlteam import broker
from tests.access.everybody import world
from tests.server import PATIENCE, wait
from tests.test_supervisor import ponged

__all__ = ["world"]

ROOT = "/api/v1"


class Program:
    """Asks the API with one token; `get("/projects")` and so on answer with Django's response."""

    def __init__(self, token: str | None) -> None:
        self.client = Client(enforce_csrf_checks=True)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def _ask(self, method: str, path: str, data: Any = None, **headers: str) -> Any:
        body = {"data": data, "content_type": "application/json"} if data is not None else {}
        if method == "get":
            body = {"query_params": data or {}}
        return getattr(self.client, method)(ROOT + path, headers=self.headers | headers, **body)

    def get(self, path: str, **query: Any) -> Any:
        return self._ask("get", path, query)

    def post(self, path: str, data: Any = None, **headers: str) -> Any:
        return self._ask("post", path, data, **headers)

    def patch(self, path: str, data: Any, **headers: str) -> Any:
        return self._ask("patch", path, data, **headers)

    def put(self, path: str, data: Any, **headers: str) -> Any:
        return self._ask("put", path, data, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self._ask("delete", path, **headers)


def streamed(response: Any) -> str:
    """The text of an answer that is made while it is sent."""

    async def read() -> bytes:
        return b"".join([piece async for piece in response.streaming_content])

    return async_to_sync(read)().decode()


def cost_of(asks: Program, *paths: str) -> list[int]:
    """How many items the last of these lists has, and how many queries each took."""
    needed = []
    for path in paths:
        with CaptureQueriesContext(connection) as queries:
            found = asks.get(path).json()["items"]
        needed.append(len(queries))
    return [len(found), *needed]


@pytest.fixture
def redis(settings, tmp_path, monkeypatch) -> Iterator[None]:
    """A Redis of its own, in which requests are counted."""
    server, socket = broker.find_server(), tmp_path / "redis.sock"
    assert server
    process = subprocess.Popen(broker.arguments(server, socket))
    settings.REDIS_URL = f"unix://{socket}"
    monkeypatch.setattr(limits, "PATIENCE", PATIENCE)
    monkeypatch.setattr(limits, "asked_again", 0.0)
    limits.redis.cache_clear()
    wait(lambda: ponged(limits.redis()), "Redis")
    yield
    process.kill()
    process.wait()
    limits.redis.cache_clear()


@pytest.fixture(autouse=True)
def _unlimited(settings):
    settings.MLTEAM_API_RATE = 0


@pytest.fixture
def program(db) -> Callable[..., Program]:
    """program(user) asks as a person, program(user, "read") with a token that only reads, program(None) as nobody."""

    def make(user: User | None, scope: str = "all") -> Program:
        return Program(tokens.make(user=user, name="test", scope=scope, days=1) if user else None)

    return make


@pytest.fixture
def role_program(project) -> Callable[[str], Program]:
    """role_program("job:get@{urn}:job:*") asks with the key of a role of the project that has this policy."""

    def make(policy: str) -> Program:
        role = roles.create(place=project, name="ci", by=project.owner)
        roles.add_policy(role=role, text=policy.format(urn=project.urn), by=project.owner)
        return Program(roles.add_key(role=role, name="key", by=project.owner)[1])

    return make
