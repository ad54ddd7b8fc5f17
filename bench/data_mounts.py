"""A version of 100,000 files in a job: how long the first one waits for it, and what it costs each further one."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bench.programs import connected

FILES, CONTENTS = 100_000, 2_000  # files, and how many different contents they have
JOBS = 5
PATIENCE = 300  # seconds


def measure(var: Path) -> Iterator[Figure]:
    with connected(var) as (_, client, here):
        dataset = client.datastores.create("many")
        _fill(here / "many")
        begun = time.perf_counter()
        dataset.push(here / "many")
        yield Figure(f"push of {FILES:,} files with {CONTENTS:,} contents", "s", [time.perf_counter() - begun])
        yield Figure("the first job that has them, from its form to its end", "s", [_took(client, data=["many:/data"])])
        without, with_it = [], []
        for _ in range(JOBS):
            without.append(_took(client))
            with_it.append(_took(client, data=["many:/data"]))
        more = [one - other for one, other in zip(with_it, without, strict=True)]
        yield Figure("a job without data", "s", without)
        yield Figure("  what further ones take longer with them", "s", more, bar=1)


def _fill(data: Path) -> None:
    for folder in range(FILES // 1000):
        (data / f"{folder}").mkdir(parents=True)
        for number in range(1000):
            (data / f"{folder}" / f"{number}.txt").write_text(f"{(folder * 1000 + number) % CONTENTS}")


def _took(client: Any, **spec: Any) -> float:
    begun = time.perf_counter()
    command = "test -e /data/99/999.txt" if spec else "true"
    job = client.jobs.create(command=command, cpu=0.1, mem=0.125, **spec)
    job.wait(PATIENCE)
    took = time.perf_counter() - begun
    if job.state != "succeeded":
        raise SystemExit(f"the job ended as {job.state}: {job.sentence}")
    return took
