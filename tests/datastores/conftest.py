"""A dataset of the cast's project, and what pushes into it."""

import asyncio
import io
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections

from datastores import actions, blobs, places, transfer
from datastores.disk import DiskStore
from datastores.models import Datastore
from mlteam import asgi
from tests.api.conftest import _unlimited, program, role_program

__all__ = ["_unlimited", "program", "role_program"]

THREADS = 2


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch) -> DiskStore:
    """A store of the test's own."""
    shutil.rmtree(places.uploads())
    store = DiskStore(tmp_path / "blobs")
    monkeypatch.setattr(blobs, "store", lambda: store)
    for module in ("checks", "contents"):
        monkeypatch.setattr(f"datastores.{module}.store", lambda: store)
    return store


@pytest.fixture
def dataset(project, owner) -> Datastore:
    """The owner's."""
    return actions.create(project=project, kind="dataset", name="faces", by=owner)


@async_to_sync
async def body_of(response: Any, *, then: Callable[[bytes], bytes] = bytes) -> bytes:
    """`then` is called with each piece as it comes, and gives it back."""
    return b"".join([then(piece) async for piece in response.streaming_content])


@dataclass
class Answer:
    """What was answered; `whole`: to its end."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    whole: bool = True
    json: Any = field(init=False)

    def __post_init__(self) -> None:
        self.json = json.load(io.BytesIO(self.body)) if self.body[:1] == b"{" else None


Wire = Callable[..., Answer]


@pytest.fixture
def wire(transactional_db, monkeypatch) -> Iterator[Wire]:
    """wire("PUT", "/uploads/x/pack", body, token=…) asks the server's root as uvicorn would; `cut`: after so many bytes nobody is there."""
    with ThreadPoolExecutor(THREADS) as pool:
        monkeypatch.setattr(transfer, "_threads", pool)
        yield async_to_sync(_ask)
        all_at_once = threading.Barrier(THREADS)
        for done in [pool.submit(_close, all_at_once) for _ in range(THREADS)]:
            done.result()
    async_to_sync(sync_to_async(connections.close_all))()


def _close(all_at_once: threading.Barrier) -> None:
    connections.close_all()
    all_at_once.wait()


async def _ask(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    token: str | None = None,
    query: str = "",
    cut: int | None = None,
    size: int = 65536,
    **headers: str,
) -> Answer:
    parts = [body[at : at + size] for at in range(0, len(body) if cut is None else cut, size)] or [b""]
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if cut is None:
        messages[-1]["more_body"] = False
    sent: list[dict[str, Any]] = []
    named = {"host": "localhost:8000", "content-length": str(len(body)), **headers}
    named |= {"authorization": f"Bearer {token}"} if token else {}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": f"/api/v1{path}",
        "raw_path": f"/api/v1{path}".encode(),
        "query_string": query.encode(),
        "scheme": "http",
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 8000),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()],
    }

    async def receive() -> dict[str, Any]:
        if not messages and cut is None:
            await asyncio.Future()
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await asgi.application(scope, receive, send)
    if not sent:
        return Answer(0, {})
    headers_sent = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body_sent = b"".join(one.get("body", b"") for one in sent[1:])
    whole = sent[-1]["type"] == "http.response.body" and not sent[-1].get("more_body")
    return Answer(sent[0]["status"], headers_sent, body_sent, whole)
