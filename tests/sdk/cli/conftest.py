"""The command as people run it, and a small server on loopback for what needs no whole one."""

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[3]
RUN: list[str] = []  # how the command is started, once the wheel is installed
FOREIGN = ("MLTEAM_", "PYTHON", "DISPLAY", "WAYLAND", "BROWSER", "_MLTEAM")
ID = "a234567a234567a{}"


@pytest.fixture(scope="session", autouse=True)
def _installed_command(installed: Path) -> None:
    """What tests start is the command of the installed wheel; what they run within their process comes from the wheel, too."""
    RUN[:] = [str(installed / "mlteam")]


@dataclass
class Ran:
    """What a command said, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Command = Callable[..., Ran]


@contextmanager
def begun(*words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The command, running, as from a terminal: Ctrl-C is for it, also where whoever runs the tests does not hear it."""
    with subprocess.Popen(
        [*RUN, *words],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def environment(directory: Path, **more: str) -> dict[str, str]:
    """Nothing of mlteam from outside, and a configuration directory of the test's own."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLTEAM_", "DISPLAY", "WAYLAND", "BROWSER"))
    }
    return clean | {"MLTEAM_CONFIG_DIR": str(directory), "COLUMNS": "200"} | more


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """MLTEAM_CONFIG_DIR; it does not exist yet."""
    return tmp_path / "home" / ".mlteam"


@pytest.fixture
def mlteam(home: Path, tmp_path: Path) -> Command:
    """mlteam("job", "ls", input="", MLTEAM_URL=…) runs the command, within this process, in a directory of the test's own."""

    def run(*words: str, input: str = "", **variables: str) -> Ran:
        from mlteam_sdk.cli.app import run as command

        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            for name in set(os.environ) - set(environment(home)):
                patch.delenv(name)
            for name, value in environment(home, **variables).items():
                patch.setenv(name, value)
            patch.chdir(tmp_path)
            for name, stream in (("stdin", io.StringIO(input)), ("stdout", out), ("stderr", err)):
                patch.setattr(sys, name, stream)
            command(list(words))
        status = ended.value.code
        assert isinstance(status, int)
        return Ran(status, *(stream.buffer.getvalue().decode("utf-8", "backslashreplace") for stream in (out, err)))

    return run


@pytest.fixture
def on_terminal(home: Path, tmp_path: Path) -> Command:
    """The same with a terminal as standard output."""

    def run(*words: str, **variables: str) -> Ran:
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [*RUN, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment(home, **variables),
        ) as process:
            os.close(theirs)
            said = b"".join(iter(lambda: _read(ours), b""))
            assert process.stderr
            err = process.stderr.read().decode()
        os.close(ours)
        return Ran(process.returncode, said.decode(), err)

    return run


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 65536)
    except OSError:  # Linux says so when the other end is closed
        return b""


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    body: bytes
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, Any] | Callable[[Asked], tuple[int, Any]]


@dataclass
class Desk:
    """A server that answers what a test tells it to, in the words of the API. It notes what it was asked."""

    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, what: str, answer: Any, status: int = 200) -> None:
        """on("GET /jobs", …): a thing, a list of items, or a function of what was asked."""
        if isinstance(answer, list):
            answer = {"items": answer, "next": None, "previous": None}
        self.answers[what] = answer if callable(answer) else (status, answer)

    def refuse(self, what: str, status: int, code: str, detail: str, **more: Any) -> None:
        self.answers[what] = (status, {"status": status, "code": code, "detail": detail, "title": code, **more})

    def those(self, what: str) -> list[Asked]:
        """The requests for this."""
        return [one for one in self.asked if f"{one.method} {one.path}" == what]


class Listener(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says what went wrong; that a command which has its answer hangs up is nothing wrong, and no word of the command's."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    found = Desk()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = address.path.removeprefix("/api/v1")
            asked = Asked(self.command, path, parse_qs(address.query), body, self.headers)
            found.asked.append(asked)
            known = found.answers.get(f"{self.command} {path}")
            status, answer = known(asked) if callable(known) else known or _unknown(path)
            self.say(status, answer)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def say(self, status: int, answer: Any) -> None:
            kind = "application/json" if status < 400 else "application/problem+json"
            text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            if status == 206:
                first = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                self.send_header("Content-Range", f"bytes {first}-{first + len(text) - 1}/{first + len(text)}")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *said: Any) -> None:
            pass

    server = Listener(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def _unknown(path: str) -> tuple[int, Any]:
    return 404, {"status": 404, "code": "not_found", "title": "Not found", "detail": f"There is nothing at {path}."}


@pytest.fixture
def at(desk: Desk, mlteam: Command) -> Command:
    """The command, signed in at the desk."""

    def run(*words: str, input: str = "", **variables: str) -> Ran:
        return mlteam(*words, input=input, **{"MLTEAM_URL": desk.url, "MLTEAM_TOKEN": "mlt_test"} | variables)

    return run


def person(username: str, number: int = 1) -> dict[str, Any]:
    return {
        "id": f"uuuuuuuuuuuuuuu{number + 1}",
        "urn": f"acme:user:{username}",
        "username": username,
        "name": username.title(),
        "mine": username == "ada",
    }


def project(
    name: str, number: int, owner: str = "ada", *, personal: bool = False, parent: dict[str, Any] | None = None
) -> dict[str, Any]:
    found = ID.format(number)
    slug = re.sub(r"\W+", "-", name.lower())
    full = f"{parent['full_name']}.{slug}" if parent else slug
    above = parent and {"id": parent["id"], "name": parent["name"], "full_name": parent["full_name"]}
    more = {"owner": person(owner), "personal": personal, "mine": owner == "ada", "parent": above}
    return {"id": found, "urn": f"acme:project:{found}", "name": name, "full_name": full, **more}


def job(name: str, number: int, owner: str = "ada", **more: Any) -> dict[str, Any]:
    found = f"bbbbbbbbbbbbbbb{number}"
    known = {
        "id": found,
        "urn": f"acme:project:{ID.format(2)}:job:{found}",
        "name": name,
        "state": "succeeded",
        "mine": owner == "ada",
        "created_by": person(owner),
        "created_at": f"2026-11-2{number % 7}T10:00:00Z",
        "command": ["python", "train.py"],
        "exit_status": 0,
        "project": {"id": ID.format(2), "name": "Vision", "full_name": "vision"},
        "elapsed": 12,
        "tags": ["night", "a"],
        "attempts": [{"index": 0, "exit_status": 0}],
    }
    return known | more


@pytest.fixture
def person_at(site: Any, tmp_path: Path) -> Callable[..., Any]:
    """person_at("ada") sits at a terminal of their own, with a token in MLTEAM_TOKEN; person_at(None) is not signed in."""
    from tests.sdk.cli.live import Person

    def sit(name: str | None) -> Person:
        directory = tmp_path / (name or "nobody")
        directory.mkdir(exist_ok=True)
        return Person(site, name, directory)

    return sit
