"""A measurement on a private PostgreSQL, which is made for it and removed afterwards."""

import subprocess
import sys
from collections.abc import Iterator

from bench.figures import Figure


def figures_of(module: str) -> Iterator[Figure]:
    """What `python -m MODULE` prints, in a process of its own with DATABASE_URL set for it."""
    command = [sys.executable, "-m", "tests.postgresql", sys.executable, "-m", module]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield from (Figure.from_line(line) for line in process.stdout if line.startswith("{"))
