"""Folders on their way to a dataset and back: many small files, the same with ten changed, 2 GB in 20 files.

The SDK in this process, a server on loopback. Small files are pushed as they are just written and as they are known; what is asked of
the second push is a share of the first in the same run. Large ones are compared with `cp -r` of the same folder and `sha256sum` of the
same bytes, in turn with them.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bench.programs import connected

SMALL = 10_000
CHANGED = 10
ROUNDS = 3
LARGE, LARGE_BYTES = 20, 100_000_000  # files, bytes of each


def measure(var: Path) -> Iterator[Figure]:
    with connected(var) as (_, client, here):
        yield from _small(client, here)
        yield from _large(client, here)


def _small(client: Any, here: Path) -> Iterator[Figure]:
    rates, shares, again, pulls, volumes = [], [], [], [], []
    for turn in range(ROUNDS):
        dataset, data = client.datastores.create(f"small-{turn}"), here / f"small-{turn}"
        _fill(data, turn)
        first = _seconds(dataset.push, data)
        _change(data, turn)
        second = _seconds(dataset.push, data)
        rates.append(SMALL / first)
        shares.append(first / second)
        again.append(second)
        pulls.append(SMALL / _seconds(dataset.pull, here / "back"))
        shutil.rmtree(here / "back")
        dataset.remove()
        volumes.append(SMALL / _into_a_volume(client, data, turn))
        shutil.rmtree(data)
    yield Figure(f"push of {SMALL:,} files of 200 bytes", "files/s", rates, bar=1000, at_least=True)
    yield Figure(f"  again with {CHANGED} changed", "s", again)
    yield Figure("  how often that goes into the first", "×", shares, bar=20, at_least=True)
    yield Figure("  pull of them", "files/s", pulls)
    yield Figure("  push of them into a volume", "files/s", volumes)


def _into_a_volume(client: Any, data: Path, turn: int) -> float:
    volume = client.datastores.create(f"volume-{turn}", kind="volume")
    seconds = _seconds(volume.push, data)
    volume.remove()
    return seconds


def _fill(data: Path, turn: int) -> None:
    for number in range(SMALL):
        path = data / f"{number % 100}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{turn} {number} ".ljust(200))
    time.sleep(0.5)  # so that what is read now counts as settled


def _change(data: Path, turn: int) -> None:
    for number in range(0, SMALL, SMALL // CHANGED):
        (data / f"{number % 100}" / f"{number}.txt").write_text(f"another {turn} {number}")


def _large(client: Any, here: Path) -> Iterator[Figure]:
    pushes, pulls = [], []
    for turn in range(ROUNDS):
        dataset, data = client.datastores.create(f"large-{turn}"), here / "large"
        data.mkdir()
        for number in range(LARGE):
            (data / f"{number}.bin").write_bytes(os.urandom(LARGE_BYTES))
        copied = _seconds(_copy, here)
        pushed = _seconds(dataset.push, data)
        copied = min(copied, _seconds(_copy, here))
        pulled = _seconds(dataset.pull, here / "back")
        pushes.append(copied / pushed)
        pulls.append(copied / pulled)
        for folder in (data, here / "back"):
            shutil.rmtree(folder)
        dataset.remove()
    size = f"{LARGE * LARGE_BYTES / 1e9:.0f} GB in {LARGE} files"
    yield Figure(f"push of {size}, against cp and sha256sum", "×", pushes, bar=0.5, at_least=True)
    yield Figure("  pull of them", "×", pulls, bar=0.5, at_least=True)


def _copy(here: Path) -> None:
    subprocess.run(["cp", "-r", here / "large", here / "copy"], check=True)
    files = sorted((here / "large").iterdir())
    subprocess.run(["sha256sum", *files], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(here / "copy")


def _seconds(work: Callable[..., Any], *given: Path) -> float:
    begun = time.perf_counter()
    work(*given)
    return time.perf_counter() - begun
