"""How much memory it takes (PSS: a page that several processes share counts once in all)."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench import machine
from bench.figures import Figure
from bench.server import Server, running, wait_for

IDLE = 60  # seconds after the start
TRAFFIC = 200  # pages


def measure(var: Path) -> Iterator[Figure]:
    with running(var) as server:
        time.sleep(IDLE)
        others = machine.neighbours({process.pid for process in server.tree()})
        note = f"{others} other Python processes share its libraries" if others else ""
        yield Figure("everything, 60 s after the start", "MiB", [_all(server)], bar=350, note=note)
        for name in ("web", "worker", "beat", "redis"):
            yield Figure(f"  {name}", "MiB", [machine.pss(server.part(name).pid)])
        yield Figure("  supervisor", "MiB", [machine.pss(server.process.pid)])
        browser = server.first_account()
        for _ in range(TRAFFIC):
            browser.get("/p/bench/jobs")
        yield Figure("everything, after the first account and 200 pages", "MiB", [_all(server)], bar=350)
        job_id = browser.new_job("for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 1; done; sleep 100")
        time.sleep(11)
        runner, family = _runner(job_id)
        yield Figure("a runner, after ten lines and ten seconds", "MiB", [machine.pss(runner.pid)], bar=30)
        helpers = [process for process in family if process.pid != runner.pid]
        yield Figure(
            "  with bubblewrap, slirp4netns and the job's shell",
            "MiB",
            [sum(machine.pss(one.pid) for one in (runner, *helpers))],
        )


def _all(server: Server) -> float:
    return sum(machine.pss(process.pid) for process in server.tree())


def _runner(job_id: str) -> tuple[psutil.Process, list[psutil.Process]]:
    """The runner of a job, and all below it."""

    def found() -> psutil.Process | None:
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or []
            if any("runner/__main__.py" in word for word in command) and any(
                f"/jobs/{job_id}/" in word for word in command
            ):
                return process
        return None

    runner = wait_for(found, "the runner")
    return runner, runner.children(recursive=True)
