"""How quiet the machine is: what else ran on it decides how far its figures can be believed."""

import hashlib
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

ROUNDS = 15


@dataclass
class Noise:
    """A moment of the machine: how long a fixed piece of work takes, who else works, what the hypervisor took away."""

    work_ms: float
    spread: float  # (slowest - fastest) / median of the same piece of work
    load: float
    busy_percent: float
    steal_percent: float

    def __str__(self) -> str:
        return (
            f"fixed work {self.work_ms:.1f} ms (spread {self.spread:.0%}), load {self.load:.2f}, "
            f"CPU busy {self.busy_percent:.0f} %, stolen {self.steal_percent:.1f} %"
        )


def noise() -> Noise:
    """Looks for about a second and a half, of which it is idle for one."""
    psutil.cpu_times_percent(None)
    time.sleep(1)
    times = psutil.cpu_times_percent(None)
    taken = [_work() for _ in range(ROUNDS)]
    median = statistics.median(taken)
    spread = (max(taken) - min(taken)) / median
    return Noise(median * 1000, spread, os.getloadavg()[0], 100 - times.idle, getattr(times, "steal", 0.0))


def _work() -> float:
    """Seconds for a loop in Python and a checksum in C."""
    begun = time.perf_counter()
    total = 0
    for number in range(150_000):
        total += number * number
    hashlib.sha256(bytes(4_000_000)).digest()
    return time.perf_counter() - begun


def described() -> str:
    """The machine in a line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
    memory = psutil.virtual_memory().total / 2**30
    return f"{len(os.sched_getaffinity(0))} × {model}, {memory:.0f} GiB, Linux {os.uname().release}"


def pss(pid: int) -> float:
    """The proportional set size of a process in MiB; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next((int(line.split()[1]) / 1024 for line in file if line.startswith("Pss:")), 0.0)
    except OSError:
        return 0.0


def neighbours(own: set[int]) -> int:
    """How many Python processes run that are not ours: pages shared with them make ours look smaller."""
    return sum(
        1
        for process in psutil.process_iter(["name"])
        if "python" in (process.info["name"] or "") and process.pid not in own
    )
