"""What a test run says of the parts that a machine lacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlteam import state

CASE = """
import pytest

@pytest.mark.needs("iproute2")
def test_that_needs_a_program():
    pass

@pytest.mark.needs("gpu")
def test_that_needs_a_gpu():
    pass

def test_that_needs_nothing():
    pass
"""


def run(directory: Path, case: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A pytest run of its own over one file, on a machine without programs."""
    (directory / "test_case.py").write_text(case)
    (directory / "pytest.ini").write_text("[pytest]\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "PYTEST", "DJANGO"))}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:django",
        "-p",
        "tests.parts",
        "-p",
        "no:cacheprovider",
        directory,
    ]
    return subprocess.run(
        command,
        cwd=directory,
        env=clean | {"PATH": str(directory), "PYTHONPATH": str(state.ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_what_was_left_out_is_listed_with_the_line_that_brings_it(tmp_path: Path) -> None:
    done = run(tmp_path, CASE)
    assert done.returncode == 0, done.stdout
    assert "1 test for want of iproute2: package iproute2" in done.stdout
    assert "1 test for want of gpu: an NVIDIA GPU and its driver" in done.stdout
    assert "To run them too: apt install iproute2\n" in done.stdout
    assert "1 passed, 2 skipped" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("value", ["1", "true"])
def test_in_ci_a_part_that_could_be_installed_must_be_there(tmp_path: Path, value: str) -> None:
    done = run(tmp_path, CASE, CI=value)
    assert done.returncode == 1
    assert "needs iproute2" in done.stdout
    assert "1 passed, 1 skipped, 1 error" in done.stdout.splitlines()[-1]


def test_a_part_that_nobody_knows_stops_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, CASE.replace('"gpu"', '"tape robot"'))
    assert done.returncode == 4
    assert "tape robot" in done.stderr + done.stdout
