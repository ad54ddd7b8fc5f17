"""The parts of a machine that some tests need: whether they are here, and what brings them.

`@pytest.mark.needs("chromium", "slirp4netns")` skips a test where a part is missing; the run ends with a list of what
was left out and the `apt install` line that brings it. With `CI=1` a missing part fails the test, unless no package
could bring it (a GPU, being root). What stands in one of GROUPS runs one after another on one worker, beside the rest.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
)  # the first that is here is taken
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
    "chromium": Part(_program(*BROWSERS), ("chromium-headless-shell",)),
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
# What a marker says about the machine by itself.
IMPLIED = {"browser": ("chromium",), "sandbox": ("bwrap",), "index": ("index",)}
# Whole servers, browsers, and processes that are killed: too many of these at once would be too much for two cores. What stands
# in one group is run one after another.
GROUPS = {
    "tests/browser/": "browsers",
    "tests/faults/": "faults",
    "tests/runner/test_faults.py": "faults",
    "tests/test_supervisor.py": "faults",
    "tests/sdk/test_copy_as.py": "copies",
    "tests/sdk/": "programs",
    "tests/api/test_real.py": "programs",
}
# What takes longest begins first; the rest fills what is left of the time, the files with the most tests before others.
FIRST = (
    "browsers",
    "faults",
    "programs",
    "copies",
    "tests/access/test_routes.py",
    "tests/api/test_unforeseen.py",
    "tests/access/test_attacks.py",
    "tests/api/test_table.py",
    "tests/access/test_agreement.py",
    "tests/projects/test_owners_site.py",
)
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
    config.addinivalue_line(
        "markers", "walk: asks many addresses, often as everybody; the answers are the same on every database"
    )
    config.addinivalue_line("markers", "serial: starts whole servers; left out where the database is not its subject")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadgroup`: a file to a worker at a time, and each of GROUPS to one of them.

    xdist's own grouping writes into the ids of tests, which pytest 9.2 no longer reads from there.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    class OneAfterAnother(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            groups = (group for start, group in GROUPS.items() if nodeid.startswith(start))
            return next(groups, nodeid.split("::", 1)[0])

        def _assign_work_unit(self, node: Any) -> None:
            if first := next((name for name in FIRST if name in self.workqueue), None):
                self.workqueue.move_to_end(first, last=False)
            super()._assign_work_unit(node)

    return OneAfterAnother(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("needs"):
            if unknown := set(mark.args) - set(PARTS):
                raise pytest.UsageError(f"{item.nodeid} needs {', '.join(sorted(unknown))}: see tests/parts.py")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    named = [name for mark in item.iter_markers("needs") for name in mark.args]
    implied = [name for marker, names in IMPLIED.items() if item.get_closest_marker(marker) for name in names]
    need(*dict.fromkeys(named + implied))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was left out, and what brings it."""
    skipped = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    if not skipped:
        return
    terminalreporter.section("left out on this machine")
    wanted: Counter[str] = Counter()
    for reason, count in sorted(skipped.items()):
        if found := LEFT_OUT.search(reason):
            wanted.update(dict.fromkeys(found["parts"].split(", "), count))
        else:
            terminalreporter.line(f"{_tests(count)}: {reason}")
    for name, count in sorted(wanted.items()):
        words = PARTS[name].otherwise or f"package {' '.join(PARTS[name].packages)}"
        terminalreporter.line(f"{_tests(count)} for want of {name}: {words}")
    packages = sorted({package for name in wanted for package in PARTS[name].packages})
    if packages:
        terminalreporter.line(f"To run them too: apt install {' '.join(packages)}")


def _reason(report: Any) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def _tests(count: int) -> str:
    return f"{count} test{'s' if count > 1 else ''}"
