"""`python -m bench [name …] [--json FILE]`: runs the named measurements, or all, and prints their table.

Each runs in a process of its own, with a server and a directory of its own, one after another.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from bench import machine
from bench.figures import Figure, table

ALL = {
    "first_line": "from sending the form to the first line in a viewer",
    "job_rate": "200 trivial jobs, from the first form to the last end",
    "output": "one job that writes 1,000,000 lines, and its viewers",
    "log_pages": "1,000 lines anywhere in a log of 1 GB",
    "lists": "the jobs page with 100,000 jobs in 1,000 projects",
    "access_questions": "who may do what, with 100,000 members and 100,000 statements",
    "people_lists": "lists of projects, members, teams, invitations, entries and charges with 10,000 rows each",
    "command": "how soon the mlteam command is there, and lists jobs",
    "data_push": "10,000 small files and 2 GB to a dataset and back, and again with 10 changed",
    "data_mounts": "a job with a dataset of 100,000 files",
    "data_memory": "the server while 2 GB pass through it",
    "buckets": "files into buckets and out of them, against the libraries' own ways",
    "memory": "a runner, and the whole server",
}


def main() -> int:
    options = _options()
    print(machine.described())
    before = machine.noise()
    print(f"before: {before}", flush=True)
    figures: dict[str, list[Figure]] = {}
    for name in options.names or ALL:
        print(f"\n{name}: {ALL[name]}", flush=True)
        begun = time.monotonic()
        figures[name] = list(_measure(name))
        print(f"({time.monotonic() - begun:.0f} s; {machine.noise()})", flush=True)
    after = machine.noise()
    print(f"\nafter: {after}\n")
    print(table([figure for found in figures.values() for figure in found]))
    if options.json:
        kept = {"machine": machine.described(), "before": asdict(before), "after": asdict(after)}
        rows = {name: [asdict(figure) for figure in found] for name, found in figures.items()}
        options.json.write_text(json.dumps({**kept, "figures": rows}, indent=1) + "\n")
    return 0 if all(figures.values()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ALL, []], metavar="name", help=", ".join(ALL))
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    return parser.parse_args()


def _measure(name: str) -> Iterator[Figure]:
    """The figures of one measurement, each shown as soon as it is there; one that fails keeps those that it had."""
    command = [sys.executable, "-m", "bench.measure", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("{"):
                figure = Figure.from_line(line)
                print("  " + figure.in_words(), flush=True)
                yield figure
    if process.returncode:
        print(f"{name} failed with status {process.returncode}")


if __name__ == "__main__":
    sys.exit(main())
