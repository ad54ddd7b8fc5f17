"""How fast output goes through: one job writes 1,000,000 numbered lines of 60 bytes, as fast as it can.

Alone; with ten viewers, each of whom must have every byte; and with one more who reads next to nothing.
"""

import asyncio
import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import connect

from bench import machine
from bench.client import Browser
from bench.figures import Figure
from bench.server import Server, running, wait_for

LINES, WIDTH = 1_000_000, 60
SIZE = LINES * WIDTH
# Waits until the viewers are there, then writes.
COMMAND = f"sleep 2; seq -f %0{WIDTH - 1}.0f 1 {LINES}"
VIEWERS = 10
ALONE = 3  # repetitions
SLOW = 0.5  # seconds between two frames that the slow viewer takes


def measure(var: Path) -> Iterator[Figure]:
    expected = _expected()
    with running(var) as server:
        browser = server.first_account()
        browser.new_job("true")
        alone = [_run(server, browser, 0, slow=False) for _ in range(ALONE)]
        watched = _run(server, browser, VIEWERS, slow=False)
        crowded = _run(server, browser, VIEWERS, slow=True)
    yield Figure("alone, into the log", "MB/s", [run.rate for run in alone], bar=10, at_least=True)
    yield Figure(f"with {VIEWERS} viewers, into the log", "MB/s", [watched.rate], bar=10, at_least=True)
    yield _whole(watched.viewers, expected)
    yield Figure("  end of the log → each viewer has all", "s", watched.lags, bar=30)
    yield Figure("with one that reads slowly too, into the log", "MB/s", [crowded.rate], bar=10, at_least=True)
    yield _whole(crowded.viewers, expected)
    yield Figure("  end of the log → each of the others has all", "s", crowded.lags, bar=30)
    yield Figure("  the slow one had then", "MB", [crowded.slow.size / 1e6])
    yield Figure("memory of web: before", "MiB", [alone[0].memory[0]])
    yield Figure("  at most, without viewers", "MiB", [max(max(run.memory) for run in alone)])
    yield Figure(f"  at most, with {VIEWERS} viewers", "MiB", [max(watched.memory)])
    yield Figure("  at most, with the slow one too", "MiB", [max(crowded.memory)])


@dataclass
class Viewer:
    """What one viewer has: bytes, their checksum, and when (monotonic) the last came."""

    size: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    at: float = 0.0

    def take(self, data: bytes) -> None:
        self.size += len(data)
        self.digest.update(data)
        self.at = time.monotonic()


@dataclass
class Run:
    """One job: MB/s from the log's first byte to its last, and what the viewers and web had meanwhile."""

    rate: float
    complete: float  # monotonic time at which the log was complete
    viewers: list[Viewer]
    slow: Viewer
    memory: list[float]

    @property
    def lags(self) -> list[float]:
        return [viewer.at - self.complete for viewer in self.viewers]


def _run(server: Server, browser: Browser, viewers: int, *, slow: bool) -> Run:
    web = server.part("web").pid
    memory = [machine.pss(web)]
    job_id = browser.new_job(COMMAND, name="output", cpu="1", mem="0.25")
    crowd = Crowd(browser, job_id, viewers, slow=slow)
    crowd.start()
    log = server.var / "logs" / job_id / "0.log"
    wait_for(lambda: _size(log), "the first byte", every=0.002)
    first, looked = time.monotonic(), time.monotonic()
    while _size(log) < SIZE:
        time.sleep(0.005)
        if time.monotonic() - looked > 0.25:
            looked = time.monotonic()
            memory.append(machine.pss(web))
        if time.monotonic() - first > 300:
            raise TimeoutError("the log does not get complete")
    complete = time.monotonic()
    while crowd.unfinished() and time.monotonic() - complete < 120:
        time.sleep(0.1)
        memory.append(machine.pss(web))
    crowd.end()
    wait_for(
        lambda: b'data-state="succeeded"' in browser.get(f"/p/bench/jobs/{job_id}").body, "the job's end", every=0.2
    )
    return Run(SIZE / 1e6 / (complete - first), complete, crowd.viewers, crowd.slow, memory)


class Crowd(threading.Thread):
    """Viewers of one log, in an event loop of their own."""

    def __init__(self, browser: Browser, job_id: str, viewers: int, *, slow: bool) -> None:
        super().__init__(daemon=True)
        self.url, self.options = browser.log_url(job_id), browser.socket_options()
        self.viewers = [Viewer() for _ in range(viewers)]
        self.slow = Viewer()
        self.with_slow = slow
        self.over = threading.Event()

    def unfinished(self) -> bool:
        return any(viewer.size < SIZE for viewer in self.viewers)

    def end(self) -> None:
        self.over.set()
        self.join(30)

    def run(self) -> None:
        asyncio.run(self._watch())

    async def _watch(self) -> None:
        watching = [asyncio.create_task(self._read(viewer)) for viewer in self.viewers]
        if self.with_slow:
            watching.append(asyncio.create_task(self._read(self.slow, pause=SLOW)))
        while not self.over.is_set():
            await asyncio.sleep(0.05)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)

    async def _read(self, viewer: Viewer, pause: float = 0.0) -> None:
        limits = {"max_queue": 1} if pause else {}
        async with connect(
            self.url, compression=None, proxy=None, max_size=None, close_timeout=1, **limits, **self.options
        ) as socket:
            async for message in socket:
                if isinstance(message, bytes):
                    viewer.take(message)
                if pause:
                    await asyncio.sleep(pause)


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def _expected() -> str:
    digest = hashlib.sha256()
    for start in range(1, LINES + 1, 1000):
        digest.update(b"".join(b"%0*d\n" % (WIDTH - 1, number) for number in range(start, start + 1000)))
    return digest.hexdigest()


def _whole(viewers: list[Viewer], expected: str) -> Figure:
    right = sum(viewer.digest.hexdigest() == expected for viewer in viewers)
    return Figure("  viewers with every byte, once and in order", "", [right], bar=len(viewers), at_least=True)
