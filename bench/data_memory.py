"""How much more memory the server's processes take while a large file passes: up, down, and out of a job into a model.

`BENCH_GB=20` makes it a larger one: `make bench-large`.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import machine
from bench.figures import Figure
from bench.programs import connected
from bench.server import Server

BYTES = int(float(os.environ.get("BENCH_GB", "2")) * 1e9)
BLOCK = 16 * 2**20
EACH = 0.2  # seconds between two looks
PATIENCE = 3600  # seconds
BAR = 100  # MiB


def measure(var: Path) -> Iterator[Figure]:
    with connected(var) as (server, client, here):
        dataset = client.datastores.create("large")
        (here / "up").mkdir()
        _fill(here / "up" / "large.bin")
        said = f"{BYTES / 1e9:g} GB"
        client.datastores.list()
        yield from _growth(server, f"while {said} is pushed", lambda: dataset.push(here / "up"))
        yield from _growth(server, f"while {said} is pulled", lambda: dataset.pull(here / "down"))
        yield from _growth(server, f"while a job reads {said}, and leaves it as a model", lambda: _job(client))


def _fill(file: Path) -> None:
    with file.open("wb") as target:
        for _ in range(BYTES // BLOCK):
            target.write(os.urandom(BLOCK))


def _job(client: Any) -> None:
    job = client.jobs.create(
        command="tr a b < /data/large.bin > $MLTEAM_OUTPUT/large.bin",
        cpu=0.5,
        mem=0.5,
        data=["large:/data"],
        output=[{"to": "model:trained"}],
    )
    if job.wait(PATIENCE).state != "succeeded":
        raise SystemExit(f"the job ended as {job.state}: {job.sentence}")


def _growth(server: Server, what: str, do: Callable[[], Any]) -> Iterator[Figure]:
    idle = {name: machine.pss(server.part(name).pid) for name in ("web", "worker")}
    with _watched(server) as most:
        do()
    yield Figure(f"web and workers {what}: more than before", "MiB", [most["both"] - sum(idle.values())], bar=BAR)
    for name, before in idle.items():
        yield Figure(f"  {name}", "MiB", [most[name] - before], note=f"{before:.0f} MiB before")


@contextmanager
def _watched(server: Server) -> Iterator[dict[str, float]]:
    """The most that each took within the block, and both together."""
    most, over = {"web": 0.0, "worker": 0.0, "both": 0.0}, threading.Event()

    def watch() -> None:
        while not over.wait(EACH):
            now = {name: machine.pss(server.part(name).pid) for name in ("web", "worker")}
            now["both"] = sum(now.values())
            for name, size in now.items():
                most[name] = max(most[name], size)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()
