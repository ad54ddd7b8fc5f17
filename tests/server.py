"""A whole server for a test: a real supervisor with a data directory and a port of its own, and all that it starts."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from mlteam import state

OURS = ("MLTEAM_", "DATABASE_URL", "REDIS_URL", "EMAIL_URL", "DJANGO_", "PORT", "HOST", "PYTEST")
COLLECT = "import django; django.setup(); from mlteam import static_files; static_files.collect()"
KEPT = ("MLTEAM_PIP_", "MLTEAM_SERVICES")  # where packages come from on this machine; that no key is tried outside
PARTS = {"redis": "redis-server", "web": "uvicorn", "worker": "mlteam.celery", "beat": "mlteam.beat"}
PATIENCE = 90  # seconds; nothing here takes that long unless it is broken

T = TypeVar("T")


def wait(condition: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """What `condition()` returns as soon as that is true."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


def environment_of(var: Path, **more: str) -> dict[str, str]:
    """The environment of a server with this data directory, at a free port: nothing else is configured but what `more` says."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS) or name.startswith(KEPT)}
    return clean | {"MLTEAM_VAR": str(var), "PORT": "0"} | more


def launched(output: Path, environment: dict[str, str], *options: str) -> psutil.Popen:
    """A supervisor that has just begun; what it says is added to the file `output`."""
    with output.open("a") as said:
        return psutil.Popen(
            [sys.executable, "-m", "mlteam.supervisor", "up", *options],
            cwd=state.ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )


class Server:
    """A supervisor, its children and what it says. Its jobs live on until `stop` ends them too."""

    def __init__(self, var: Path, *options: str, output: Path | None = None, **environment: str) -> None:
        self.var = var
        self.output = output or var.with_suffix(".output")
        self.environment = environment_of(var, **environment)
        self.process = launched(self.output, self.environment, *options)

    def says(self) -> str:
        return self.output.read_text()

    def wait(self, condition: Callable[[], T], what: str) -> T:
        """What `condition()` returns as soon as that is true; fails with all that the server said."""
        try:
            return wait(condition, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the server said:\n{self.says()}") from None

    def opened(self) -> "Server":
        """The server, once its pages answer."""
        self.wait(lambda: "\nOpen " in f"\n{self.says()}", "the address")
        return self

    @property
    def address(self) -> str:
        """The printed address, where pages are: http://localhost:8000/setup/…"""
        return self.says().rpartition("Open ")[2].split()[0]

    @property
    def url(self) -> str:
        """Where pages begin: http://localhost:8000"""
        return "/".join(self.address.split("/")[:3])

    @property
    def port(self) -> str:
        return json.loads((self.var / "run" / "web.json").read_text())["url"].rpartition(":")[2]

    def manage(self, *arguments: str) -> str:
        """What `manage.py` says to these arguments."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=state.ROOT, env=self.environment, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def part(self, name: str) -> psutil.Process | None:
        """The process of a part: a child of the supervisor whose command says so."""
        for child in self.process.children():
            try:
                if PARTS[name] in " ".join(child.cmdline()):
                    return child
            except psutil.Error:  # just ended
                continue
        return None

    def kill(self, name: str) -> None:
        """kill -9 of a part; returns when its successor is there."""
        old = self.wait(lambda: self.part(name), name)
        assert old
        os.kill(old.pid, signal.SIGKILL)
        self.wait(lambda: (new := self.part(name)) and new.pid != old.pid, f"a new {name}")

    def answers(self) -> bool:
        """Whether the web server gives any answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/accounts/login/", headers={"Host": self.url.partition("://")[2]}
        )
        try:
            return urllib.request.urlopen(request, timeout=30).status == 200
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def end(self, number: int = signal.SIGINT) -> int:
        """Ends the server, not the jobs; returns its exit status."""
        if self.process.is_running():
            self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE)

    def stop(self) -> None:
        """Ends the server and its jobs."""
        self.manage("stop")
        self.process.wait(timeout=PATIENCE)


def begin_migrated(var: Path) -> None:
    """Puts a migrated database and the static files into a new data directory. Servers of tests that test how one begins do without."""
    (var / "db").mkdir(mode=0o700, parents=True)
    var.chmod(0o711)
    kept = migrated()
    shutil.copyfile(kept, var / "db" / "mlteam.sqlite3")
    shutil.copytree(kept.with_suffix(".static"), var / "static")


def migrated() -> Path:
    """A migrated database with nothing in it: who first needs it makes it, for all others."""
    kept = state.ROOT / "var" / "tests" / f"migrated-{_migrations()}.sqlite3"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _migrate(kept)
    return kept


def _migrations() -> str:
    """What tells these migrations from others, before and after them."""
    files = sorted(state.ROOT.glob("*/migrations/*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _migrate(kept: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="mlteam-migrated-") as directory:
        environment = environment_of(Path(directory), DJANGO_SETTINGS_MODULE="mlteam.settings")
        for command in (["manage.py", "migrate", "--verbosity", "0"], ["-c", COLLECT]):
            subprocess.run([sys.executable, *command], cwd=state.ROOT, env=environment, check=True, timeout=PATIENCE)
        shutil.rmtree(kept.with_suffix(".static"), ignore_errors=True)
        shutil.copytree(Path(directory) / "static", kept.with_suffix(".static"))
        shutil.copyfile(Path(directory) / "db" / "mlteam.sqlite3", kept.with_suffix(".draft"))
    kept.with_suffix(".draft").replace(kept)


@contextmanager
def running(*options: str, **environment: str) -> Iterator[Server]:
    """A server that answers, in a fresh data directory; afterwards nothing of it is left."""
    directory = Path(tempfile.mkdtemp(prefix="mlteam-server-"))
    directory.chmod(0o711)  # a job's own user passes through
    if "DATABASE_URL" not in environment:
        begin_migrated(directory / "var")
    server = Server(directory / "var", *options, **environment)
    try:
        yield server.opened()
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)
