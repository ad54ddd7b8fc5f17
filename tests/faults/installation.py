"""An installation with a data directory of its own, run by the real supervisor, to be harmed in every way."""

import contextlib
import http.client
import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from mlteam import state
from runner import processes
from tests import server
from tests.faults import remains

PATIENCE = 180  # seconds; nothing here takes that long unless it is broken
CORES = 12  # that the installation believes it has, so that many small jobs run at once
GRACE = 2  # seconds between SIGTERM and SIGKILL


def until(condition, what, trouble=lambda: ""):
    """What `condition()` returns as soon as that is true; fails after PATIENCE with what `trouble()` says."""
    try:
        return server.wait(condition, what, PATIENCE)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{trouble()}") from None


class Installation(server.Server):
    """The data below `root`, and its server; `start` and `end` may alternate as often as one likes."""

    def __init__(self, root, **environment):
        self.var, self.output = Path(root) / "var", Path(root) / "output"
        given = {"MLTEAM_CPUS": str(CORES), "MLTEAM_STOP_GRACE": str(GRACE)}
        self.environment = server.environment_of(self.var, **given | environment)
        self.output.touch()
        self.process = self.desk = None

    # Its processes.

    def start(self, port=0):
        """Start it and wait for its address; a free port unless one is named."""
        self.said_before = self.output.stat().st_size
        self.process = server.launched(self.output, self.environment | {"PORT": str(port)})
        until(lambda: "Open " in self.says() or self.process.poll() is not None, "the address", self.says)
        assert self.process.poll() is None, self.says()
        if self.desk is None:
            self._open_desk()
        return self

    def _open_desk(self):
        self.desk = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.desk"], cwd=state.ROOT, env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.slug = self.ask("set_up")
        self.session = self.ask("sign_in")

    def says(self):
        """What it has shown since its last start."""
        return self.output.read_bytes()[self.said_before :].decode(errors="replace")

    def trouble(self):
        """For the report of a failed test."""
        logs = [f"{path.name}: {path.read_text(errors='replace')[-3000:]}" for path in (self.var / "log").glob("*.log")]
        return "\n".join([self.says()[-4000:], *logs])

    def ask(self, verb, **arguments):
        """The desk's answer."""
        self.desk.stdin.write(json.dumps([verb, arguments]) + "\n")
        self.desk.stdin.flush()
        answer = json.loads(self.desk.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["answer"]

    def power_off(self):
        """Everything dies at one moment, and the kernel that comes up afterwards is another one."""
        self._to_everything(signal.SIGKILL)
        while doomed := remains.of_installation(self.var):
            for pid in doomed:
                processes.send(pid, signal.SIGKILL)
        self.process.wait(timeout=PATIENCE)
        for path in (self.var / "jobs").glob("*/*/*"):
            if path.name == "state.json" or path.suffix == ".pid":
                self._of_another_boot(path)

    def shut_down(self, jobs):
        """As a host does in order: everything is told to end, killed when it does not, and the next kernel is another one."""
        self._to_everything(signal.SIGTERM)
        self.process.wait(timeout=PATIENCE)
        until(lambda: all(job.memory().get("phase") in ("ended", "done") for job in jobs), "the ends of the jobs")
        self.power_off()

    def _to_everything(self, number):
        """A signal to all processes at one moment, as only the kernel can send it otherwise: they stand still meanwhile."""
        everything = remains.of_installation(self.var, self.process)
        for one in (signal.SIGSTOP, number, signal.SIGCONT):
            for pid in everything:
                processes.send(pid, one)

    def _of_another_boot(self, path):
        """A process's identity and a runner's memory begin with the boot they are of."""
        kept = json.loads(path.read_text() or "{}")
        path.write_text(json.dumps({**kept, "boot": "00000000-0000-0000-0000-000000000000"}))

    def close(self):
        """End the server and whatever a failed test has left."""
        if self.process:
            with contextlib.suppress(psutil.NoSuchProcess):
                self.process.kill()
            self.process.wait(timeout=PATIENCE)
            for pid in remains.of_installation(self.var):
                processes.send(pid, signal.SIGKILL)
        if self.desk:
            self.desk.stdin.close()
            self.desk.wait(timeout=PATIENCE)
            self.desk.stdout.close()

    # Over HTTP.

    @property
    def where(self):
        """127.0.0.1:port, as runners are told."""
        return json.loads((self.var / "run" / "web.json").read_text())["url"].removeprefix("http://")

    def headers(self):
        """What a browser sends in which the owner is signed in."""
        return {"Host": f"localhost:{self.port}", "Cookie": f"mlteam-{self.port}={self.session}"}

    def get(self, path):
        """(status, body) as a browser gets them; waits while the web server is away."""

        def answered():
            connection = http.client.HTTPConnection(self.where, timeout=PATIENCE)
            try:
                connection.request("GET", path, headers=self.headers())
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                return None
            finally:
                connection.close()

        return until(answered, path, self.trouble)

    # Jobs.

    def submit(self, command, **spec):
        """A small job in the queue."""
        return self.submit_all([{"command": command, **spec}])[0]

    def submit_all(self, specs):
        """Several at once."""
        small = {"resources": {"cpu": 0.5, "mem": 0.25}}
        ids = self.ask("submit", specs=[{"name": f"job {number}", **small, **one} for number, one in enumerate(specs)])
        return [Job(self, job_id) for job_id in ids]

    def look(self, jobs):
        """The rows of jobs, in their order."""
        rows = {row["id"]: row for row in self.ask("look", job_ids=[job.id for job in jobs])}
        return [rows[job.id] for job in jobs]

    def ended(self, jobs):
        """Wait until all have ended and nothing of them is left; their rows."""
        until(lambda: all(row["final"] for row in self.look(jobs)), "the end of the jobs", lambda: self._stuck(jobs))
        rows = self.look(jobs)
        attempts = [attempt for row in rows for attempt in row["attempts"]]
        until(lambda: not remains.of_jobs(jobs, attempts), "nothing left running", lambda: self._left(jobs, attempts))
        return rows

    def _stuck(self, jobs):
        rows = [row for row in self.look(jobs) if not row["final"]]
        logs = [path.read_text(errors="replace")[-1500:] for row in rows for path in self._runner_logs(row["id"])]
        return "\n".join([*(json.dumps(row) for row in rows), *logs, self.trouble()])

    def _runner_logs(self, job_id):
        return (self.var / "jobs" / job_id).glob("*/runner.log")

    def _left(self, jobs, attempts):
        return "\n".join(map(str, remains.of_jobs(jobs, attempts)))

    def idle(self):
        """Whether no job holds anything."""
        return not any(self.ask("held").values())

    def until_running(self, jobs, size=1):
        """Wait until each of them runs, or has already ended, and has `size` bytes of log at the server."""
        until(
            lambda: all(row["state"] == "running" or row["final"] for row in self.look(jobs))
            and all(job.size >= size for job in jobs),
            "jobs that run", lambda: self._stuck(jobs),
        )  # fmt: skip


class Job:
    """A job as the tests know it."""

    def __init__(self, server, job_id):
        self.server, self.id = server, job_id

    def directory(self, index=0):
        """Of an attempt."""
        return self.server.var / "jobs" / self.id / str(index)

    def log_file(self, index=0):
        return self.server.var / "logs" / self.id / f"{index}.log"

    @property
    def size(self):
        """Bytes of the log that the server has."""
        with contextlib.suppress(FileNotFoundError):
            return self.log_file().stat().st_size
        return 0

    def log(self, index=0):
        """The log as a person downloads it, which is what lies on the server's disk."""
        status, body = self.server.get(f"/p/{self.server.slug}/jobs/{self.id}/attempts/{index}/log")
        kept = self.log_file(index).read_bytes() if self.log_file(index).exists() else b""
        assert (status, len(body), body == kept) == (200, len(kept), True)
        return body

    def row(self):
        """As the database has it now."""
        return self.server.look([self])[0]

    def wait(self):
        """Wait for its end; its row then."""
        return self.server.ended([self])[0]

    def go(self):
        """Tells a job that begins with GO."""
        (self.server.var / "jobs" / self.id / "work" / "go").touch()

    def stop(self):
        self.server.ask("stop", job_id=self.id)

    # Its processes.

    def identity(self, name, index=0):
        """Of the "runner", "sandbox" (its supervisor), "network" or "keeper"; None while it has none."""
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.directory(index) / f"{name}.pid").read_text())
        return None

    def memory(self, index=0):
        """What its runner remembers."""
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.directory(index) / "state.json").read_text())
        return {}

    def kill_runner(self, index=0):
        """`kill -9` of its runner, whichever that is now; False when there is none."""
        identity = self.identity("runner", index)
        if not remains.is_that(identity):
            return False
        processes.send(identity["pid"], signal.SIGKILL)
        return True

    def first_process(self, index=0):
        """Pid, on the host, of the first process inside the sandbox: pid 1 there."""
        return (self.memory(index).get("child") or {}).get("pid")
