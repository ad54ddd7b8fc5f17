"""A private server for one measurement: started as `make run` does, in a temporary directory, on a free port."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.client import Browser

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120  # seconds for what takes a few, unless it is broken
PARTS = {"redis": "redis-server", "web": "uvicorn", "worker": "mlteam.celery", "beat": "mlteam.beat"}


def prepare_environment() -> Path:
    """A directory for var/, named in this process's environment; call before anything of mlteam is imported."""
    var = Path(tempfile.mkdtemp(prefix="mlteam-bench-"))
    var.chmod(0o711)  # jobs of another user pass through
    for name in [name for name in os.environ if name.startswith("MLTEAM_")] + ["REDIS_URL", "EMAIL_URL", "HOST"]:
        os.environ.pop(name, None)
    os.environ.update(MLTEAM_VAR=str(var), PORT="0", DJANGO_SETTINGS_MODULE="mlteam.settings")
    return var


class Server:
    """A supervisor, its children, and a person who is signed in."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.said = var / "said"
        with self.said.open("w") as output:
            self.process = psutil.Popen(
                [sys.executable, "-m", "mlteam.supervisor", "up"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        opened = wait_for(
            lambda: re.search(r"^Open (http://[^/]+)(/\S*)", self.said.read_text(), re.MULTILINE), "the server"
        )
        self.url, self.path = opened.groups()

    def first_account(self) -> Browser:
        """The person who makes the first account, and a project named Bench (slug `bench`)."""
        browser = Browser(self.url)
        account = {"email": "ada@example.org", "username": "ada", "name": "Ada", "password": "correct-horse-9"}
        browser.submit(self.path, account)
        browser.submit("/projects/new", {"name": "Bench"})
        return browser

    def part(self, name: str) -> psutil.Process:
        """The process of a part: redis, web, worker, beat."""
        return next(child for child in self.process.children() if PARTS[name] in " ".join(child.cmdline()))

    def tree(self) -> list[psutil.Process]:
        """The supervisor and all below it; runners and jobs are not among them."""
        return [self.process, *self.process.children(recursive=True)]

    def end(self) -> None:
        """Ends the jobs and the server."""
        manage = [sys.executable, "manage.py", "stop"]
        subprocess.run(manage, cwd=ROOT, capture_output=True, timeout=PATIENCE, check=False)
        if self.process.is_running():
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)


@contextmanager
def running(var: Path) -> Iterator[Server]:
    """A server for the block; afterwards it and its directory are gone."""
    server = Server(var)
    try:
        yield server
    finally:
        server.end()


def remove(var: Path) -> None:
    """Deletes what a measurement left, files of jobs included."""
    shutil.rmtree(var, ignore_errors=True)


def wait_for(condition, what: str, *, seconds: float = PATIENCE, every: float = 0.02):
    """What `condition()` answers as soon as that is true. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(every)
    raise TimeoutError(f"waited {seconds:.0f} s for {what}")
