"""Jobs run by the real runner in the real sandbox, against a small real server."""

import base64
import contextlib
import hashlib
import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import runner
from runner import processes
from tests.runner.server import Record, Server
from tests.server import PATIENCE

HOUSE = Path(runner.__file__).parent.parent
UIDS = itertools.count(61000 + secrets.randbelow(400) * 10)
MISSING = [name for name in ("bwrap", "slirp4netns") if not shutil.which(name)]


@pytest.fixture(autouse=True)
def _parts():
    """Without bubblewrap these tests say so; on CI they fail."""
    if MISSING and not os.environ.get("CI"):
        pytest.skip(f"{' and '.join(MISSING)} not installed: apt install bubblewrap slirp4netns")
    assert not MISSING, f"{MISSING} missing on CI"


@pytest.fixture
def server():
    server = Server()
    yield server
    server.stop()


class Job:
    """One attempt: its directory, its runner, and what the server heard of it."""

    def __init__(self, root, server, command, *, user=None, **config):
        self.server, self.token = server, secrets.token_hex(8)
        self.id = secrets.token_hex(6)
        self.top = root / self.id
        self.directory, self.work, self.output = self.top / "0", self.top / "work", self.top / "output"
        self.generation = 0
        self.user = user  # the ordinary uid that the server runs as; None: that of the tests
        self.uid = next(UIDS) if os.getuid() == 0 and user is None else None
        self._make()
        self.endpoint = root / "endpoint.json"
        self.record = server.attempts[self.id] = Record(self.token)
        self.config = {
            "job": self.id, "attempt": self.id, "index": 0, "token": self.token, "endpoint_file": str(self.endpoint),
            "command": command if isinstance(command, list) else ["/bin/sh", "-c", command], "workdir": "/work",
            "environment": {"MLTEAM_JOB_ID": self.id}, "work": str(self.work), "output": str(self.output), "uid": self.uid,
            "memory_mib": 512, "cpu": 1, "gpus": [], "max_run_time": None, "grace": 5, "log_cap": 1 << 30, "masks": [],
            "packages": None, "isolation": "sandbox", "network": "own", "bwrap": shutil.which("bwrap"),
            "slirp4netns": shutil.which("slirp4netns"), "base_prefix": None if user else sys.base_prefix,
            **config,
        }  # fmt: skip

    def _make(self):
        self.top.mkdir()
        self.top.chmod(0o711)
        self.directory.mkdir(mode=0o700)
        for path in (self.work, self.output):
            path.mkdir(mode=0o700)
            if self.uid:
                os.chown(path, self.uid, self.uid)
        if self.user:
            for path in (self.top, self.directory, self.work, self.output):
                os.chown(path, self.user, self.user)

    def start(self):
        """Start a runner, as the server does; again after `kill_runner`."""
        self.generation += 1
        self.endpoint.write_text(json.dumps({"url": self._url()}))
        runner.write_attempt(self.directory, {**self.config, "generation": self.generation})
        self.launched_at = time.time()
        if self.user is None:
            runner.launch(self.directory)
        else:
            self._launch_as_user()
        return self

    def _launch_as_user(self):
        os.chown(self.directory / "attempt.json", self.user, self.user)
        self._as_user("runner.launch(directory)")

    def _as_user(self, call):
        script = f"import sys, pathlib, runner; directory = pathlib.Path(sys.argv[1]); {call}"
        drop = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "/usr/bin/python3"]
        subprocess.run([*drop, "-c", script, self.directory], check=True, cwd=HOUSE)

    def stop(self, reason="stopped", grace=0):
        """Ask the runner to end the job, as the server does."""
        if self.user is None:
            runner.request_stop(self.directory, reason, grace)
        else:
            self._as_user(f"runner.request_stop(directory, {reason!r}, {grace})")

    def _url(self):
        if self.server.http is None:
            return self.server.start()
        return f"http://127.0.0.1:{self.server.http.server_port}"

    def wait(self, patience=PATIENCE):
        """The end as the server has it; the runner has left by then and nothing of the job runs."""
        until(lambda: self.record.end, patience, self.trouble)
        until(lambda: not runner.alive(self.directory), trouble=self.trouble)
        report = self.record.end
        assert report["log"]["size"] == len(self.log)
        assert report["log"]["sha256"] == hashlib.sha256(self.log).hexdigest()
        until(lambda: not self.left(), trouble=lambda: f"left: {self.left()}")
        return report

    def run(self, patience=PATIENCE):
        return self.start().wait(patience)

    @property
    def log(self):
        return bytes(self.record.log)

    @property
    def text(self):
        return self.log.decode(errors="replace")

    def until_log(self, text):
        until(lambda: text.encode() in self.record.log, trouble=self.trouble)

    def go(self):
        """Tells a job that waits at a GO."""
        (self.work / "go").touch()

    def trouble(self):
        with contextlib.suppress(OSError):
            return f"log: {self.text[-2000:]}\nrunner.log: {(self.directory / 'runner.log').read_text()[-4000:]}"
        return "no runner.log"

    def pid(self, name):
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.directory / f"{name}.pid").read_text())["pid"]
        return None

    def state(self):
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.directory / "state.json").read_text())
        return {}

    def kill_runner(self):
        """kill -9; the lock is free afterwards."""
        until(lambda: runner.alive(self.directory) and self.pid("runner"), trouble=self.trouble)
        processes.send(self.pid("runner"), signal.SIGKILL)
        until(lambda: not runner.alive(self.directory), trouble=self.trouble)

    def left(self):
        """Processes of this attempt that still run."""
        found = []
        for name in ("sandbox", "network", "keeper", "runner"):
            with contextlib.suppress(OSError, ValueError):
                identity = json.loads((self.directory / f"{name}.pid").read_text())
                if processes.is_alive(identity):
                    found.append(name)
        return found + self.inside()

    def inside(self):
        """Host pids of the job's own processes, known by their environment."""
        mark, found = f"MLTEAM_JOB_ID={self.id}".encode(), []
        for pid in processes.everyone():
            with contextlib.suppress(OSError):
                if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.append(pid)
        return found


def until(true, patience=PATIENCE, trouble=lambda: ""):
    """Wait until `true()` holds; fail with what `trouble()` says."""
    deadline = time.monotonic() + patience
    while not (result := true()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {patience} s: {trouble()}", pytrace=True)
        time.sleep(0.01)
    return result


@pytest.fixture
def room():
    """A directory that everybody may pass through, as pytest's own is not."""
    path = Path(tempfile.mkdtemp(prefix="mlteam-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_job(room, server):
    """make_job(command, **changes to attempt.json) -> Job, cleaned up afterwards."""
    jobs = []

    def make(command, **config):
        jobs.append(Job(room, server, command, **config))
        return jobs[-1]

    yield make
    for job in jobs:
        _clean(job)


def _clean(job):
    for name in ("runner", "sandbox", "network", "keeper"):
        if pid := job.pid(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    for pid in job.inside():
        processes.send(pid, signal.SIGKILL)


def encoded(text):
    return base64.b64encode(text.encode()).decode()
