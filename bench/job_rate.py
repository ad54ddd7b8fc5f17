"""How many jobs a second go through: 200 times `true`, from sending the first form to the last job's end."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench.client import Browser
from bench.figures import Figure
from bench.server import Server, running, wait_for

JOBS = 200
SENDERS = 2
REPETITIONS = 3
DEFAULTS = {"cpu": "1", "mem": "1"}


def measure(var: Path) -> Iterator[Figure]:
    with running(var) as server:
        browser = server.first_account()
        browser.new_job("true")
        before = _busy(server)
        small = [_round(var, browser, {}) for _ in range(REPETITIONS)]
        spent = {name: (busy - before[name]) * 1000 / (REPETITIONS * JOBS) for name, busy in _busy(server).items()}
        whole = [_round(var, browser, DEFAULTS)]
    yield Figure(
        "200 × `true`, 0.1 CPU each", "jobs/s", [rate for rate, _ in small], bar=10, at_least=True, note="aim 20"
    )
    yield Figure("  forms taken", "forms/s", [forms for _, forms in small])
    for name, milliseconds in spent.items():
        yield Figure(f"  CPU of {name} for a job", "ms", [milliseconds])
    yield Figure("200 × `true`, 1 CPU each (the default)", "jobs/s", [rate for rate, _ in whole])


def _round(var: Path, browser: Browser, amounts: dict[str, str]) -> tuple[float, float]:
    """(jobs ended, forms taken) in a second."""
    done = _ended(var)
    begun = time.monotonic()
    threads = [threading.Thread(target=_send, args=(browser.again(), amounts)) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = time.monotonic() - begun
    wait_for(lambda: _ended(var) >= done + JOBS, "all jobs to end", seconds=300, every=0.05)
    return JOBS / (time.monotonic() - begun), JOBS / sent


def _send(browser: Browser, amounts: dict[str, str]) -> None:
    for _ in range(JOBS // SENDERS):
        browser.new_job("true", **amounts)


def _busy(server: Server) -> dict[str, float]:
    """CPU seconds that parts of the server have used."""
    return {name: sum(server.part(name).cpu_times()[:2]) for name in ("web", "worker", "redis")}


def _ended(var: Path) -> int:
    """How many jobs have ended, asked of the database: no request of ours slows the server."""
    with sqlite3.connect(f"file:{var}/db/mlteam.sqlite3?mode=ro", uri=True, timeout=20) as database:
        return database.execute("SELECT count(*) FROM jobs_job WHERE state = 'succeeded'").fetchone()[0]
