"""The web server alone, on rows that nobody shall run: in this process through its ASGI application, and over HTTP.

Import after Django is set up.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvloop
from django.conf import settings
from django.db.backends.signals import connection_created
from django.test import Client

from accounts.models import User
from bench.client import Browser
from bench.figures import percentile
from bench.server import ROOT, wait_for


def cookies_of(user: User) -> dict[str, str]:
    """A session of the user's."""
    client = Client()
    client.force_login(user, "accounts.backends.Backend")
    return {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value}


@dataclass
class Times:
    """Milliseconds of each request, mean CPU milliseconds of one (other work on the machine hardly changes those), and its queries."""

    taken: list[float]
    cpu: float
    queries: int

    def note(self) -> str:
        return f"p50 {percentile(self.taken, 0.5):.1f}, p95 {percentile(self.taken, 0.95):.1f}, CPU {self.cpu:.1f}, {self.queries} queries"


class InProcess:
    """The application, asked without a network; counts the queries of each answer."""

    def __init__(self, cookies: dict[str, str]) -> None:
        from mlteam.asgi import application

        self.application = application
        self.cookie = "; ".join(f"{name}={value}" for name, value in cookies.items()).encode()
        self.queries, self.headers = 0, []
        connection_created.connect(self._count, weak=False)

    def _count(self, connection: Any, **_: object) -> None:
        if self._counted not in connection.execute_wrappers:  # a thread connects anew with each request on PostgreSQL
            connection.execute_wrappers.append(self._counted)

    def _counted(self, execute: Any, sql: str, *rest: Any) -> Any:
        self.queries += not sql.startswith(("PRAGMA", "SET"))
        return execute(sql, *rest)

    def times(self, paths: list[str], headers: dict[str, str] | None = None) -> "Times":
        """Asks for each path, one after another."""
        self.headers = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # the loop of the Procfile's web server
            return runner.run(self._times(paths))

    async def _times(self, paths: list[str]) -> "Times":
        await self._ask(paths[0])  # a first time loads templates
        taken, busy = [], time.process_time()
        for path in paths:
            self.queries = 0
            begun = time.perf_counter()
            await self._ask(path)
            taken.append((time.perf_counter() - begun) * 1000)
        return Times(taken, (time.process_time() - busy) * 1000 / len(paths), self.queries)

    async def _ask(self, path: str) -> bytes:
        where, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": where,
            "raw_path": where.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"localhost"), (b"cookie", self.cookie), *self.headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        asked, over, body = False, asyncio.Event(), bytearray()

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                await over.wait()
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] != 200:
                raise RuntimeError(f"{path}: {message['status']}")
            body.extend(message.get("body", b""))

        await self.application(scope, receive, send)
        over.set()
        return bytes(body)


@contextmanager
def over_http(cookies: dict[str, str]) -> Iterator[Browser]:
    """The Procfile's web server on a free port, and somebody with these cookies."""
    from mlteam import address, supervisor

    with address.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        commands = supervisor.read_procfile(ROOT / "Procfile", {"LISTEN_FD": str(listener.fileno())})
        environment = {**os.environ, "MLTEAM_URL": f"http://localhost:{port}"}
        web = subprocess.Popen(commands["web"], cwd=ROOT, pass_fds=[listener.fileno()], env=environment)
        try:
            browser = Browser(f"http://localhost:{port}", cookies)
            wait_for(lambda: browser.get("/accounts/login/").status in {200, 302}, "the web server")
            yield browser
        finally:
            web.terminate()
            web.wait(30)


def http_times(browser: Browser, paths: list[str]) -> list[float]:
    """Milliseconds for each path over one kept connection, one after another."""
    browser.get(paths[0])
    taken = []
    for path in paths:
        begun = time.perf_counter()
        answer = browser.get(path)
        taken.append((time.perf_counter() - begun) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
    return taken
