"""The parts of a machine that some tests need: whether they are here, and what brings them.

`@pytest.mark.needs("chromium", "slirp4netns")` skips a test where a part is missing; the run ends with a list of what
was left out and the `apt install` line that brings it. With `CI=1` a missing part fails the test, unless no package
could bring it (a GPU, being root). Tests marked `browser` or `faults` run one after another, beside the rest.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

LEFT_OUT = re.compile(r"needs (?P<parts>[\w-]+(?:, [\w-]+)*)$")


@dataclass(frozen=True)
class Part:
    """Something a machine may have: how to see whether it does, the Debian packages or the words that bring it."""

    found: Callable[[], bool]
    packages: tuple[str, ...] = ()
    otherwise: str = ""


def _program(*names: str) -> Callable[[], bool]:
    return lambda: any(shutil.which(name) for name in names)


def _postgresql() -> bool:
    return shutil.which("initdb") is not None or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def _sandbox() -> bool:
    """Whether bubblewrap can make its namespaces here, as the user that jobs would have."""
    from compute import host  # only here: it needs the settings, and this module is loaded before them

    return bool(host.which_bwrap()) and not host._no_sandbox(host.which_bwrap())


def _index() -> bool:
    """Whether pip reaches a package index."""
    with tempfile.TemporaryDirectory() as directory:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--retries",
            "0",
            "--timeout",
            "15",
            "--dest",
            directory,
            "tqdm",
        ]
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0


def _gpu() -> bool:
    return (
        shutil.which("nvidia-smi") is not None
        and subprocess.run(["nvidia-smi", "-L"], capture_output=True).returncode == 0
    )


PARTS = {
    "chromium": Part(_program("chromium", "chromium-browser", "google-chrome"), ("chromium",)),
    "postgresql": Part(_postgresql, ("postgresql",)),
    "slirp4netns": Part(
        lambda: shutil.which("slirp4netns") is not None and Path("/dev/net/tun").exists(), ("slirp4netns",)
    ),
    "bwrap": Part(_sandbox, ("bubblewrap",), "user namespaces must be allowed: `make doctor` says how"),
    "redis": Part(_program("redis-server"), ("redis-server",)),
    "iproute2": Part(_program("ip"), ("iproute2",)),
    "wheelhouse": Part(
        lambda: bool(os.environ.get("MLTEAM_PIP_FIND_LINKS")),
        otherwise="`.ci/run` makes one: a directory of wheels named in MLTEAM_PIP_FIND_LINKS",
    ),
    "index": Part(_index, otherwise="a package index that pip reaches"),
    "root": Part(lambda: os.geteuid() == 0, otherwise="being root"),
    "unprivileged": Part(lambda: os.geteuid() != 0, otherwise="not being root"),
    "gpu": Part(_gpu, otherwise="an NVIDIA GPU and its driver"),
}
NEVER_IN_CI = {"root", "unprivileged", "gpu"}  # a machine has them or not: nothing that .ci/run installs brings them


@functools.cache
def here(name: str) -> bool:
    """Whether this machine has the part; looked at once."""
    return PARTS[name].found()


def strict() -> bool:
    """Whether a missing part fails its tests (`CI=1`)."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def need(*names: str) -> None:
    """Go on only where every part is here; otherwise skip the test, or fail it under `CI=1`."""
    missing = [name for name in names if not here(name)]
    if not missing:
        return
    reason = f"needs {', '.join(missing)}"
    if strict() and not NEVER_IN_CI & set(missing):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*parts): parts of the machine without which the test cannot run")
    config.addinivalue_line("markers", "serial: runs on one worker, one after another")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("needs"):
            unknown = set(mark.args) - set(PARTS)
            if unknown:
                raise pytest.UsageError(
                    f"{item.nodeid} needs {', '.join(sorted(unknown))}, of which tests/parts.py knows nothing"
                )
        if any(item.get_closest_marker(name) for name in ("browser", "faults", "serial")):
            item.add_marker(pytest.mark.xdist_group("serial"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    need(*(name for mark in item.iter_markers("needs") for name in mark.args))


def pytest_terminal_summary(terminalreporter) -> None:
    """What was left out, and what brings it."""
    left_out = _left_out(terminalreporter.stats.get("skipped", []))
    if not left_out:
        return
    terminalreporter.section("left out on this machine")
    for name, count in sorted(left_out.items()):
        words = PARTS[name].otherwise or f"package {' '.join(PARTS[name].packages)}"
        terminalreporter.line(f"{count} test{'s' if count > 1 else ''} for want of {name}: {words}")
    packages = sorted({package for name in left_out for package in PARTS[name].packages})
    if packages:
        terminalreporter.line(f"To run them too: apt install {' '.join(packages)}")


def _left_out(reports) -> dict[str, int]:
    """How many skipped tests want each part."""
    counts: dict[str, int] = {}
    for report in reports:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if found := LEFT_OUT.search(reason):
            for name in found["parts"].split(", "):
                counts[name] = counts.get(name, 0) + 1
    return counts
