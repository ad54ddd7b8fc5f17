"""The SDK as people install it: a wheel in an environment of its own. Tests in this process import what the wheel holds."""

import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import parts
from tests.sdk.loopback import Loopback
from tests.sdk.site import Site
from tests.server import running

CLOUDS = "127.0.0.77"  # where the server finds clouds, if a test has some
SOURCE = Path(__file__).parents[2] / "sdk"
KEPT = Path(sys.prefix) / "sdk"  # environments with what the SDK needs, kept from run to run
BUILT = ("build", "__pycache__", "*.egg-info", ".mypy_cache", ".ruff_cache")
_wheel: Path | None = None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.serial)


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def built(directory: Path) -> Path:
    """The SDK's wheel."""
    source = directory / "source"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns(*BUILT))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", directory, source)
    [wheel] = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that `pip install mlteam-sdk` would download."""
    return built(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session", autouse=True)
def _from_the_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """`import mlteam_sdk` in tests is what the wheel holds."""
    where = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(where)
    sys.path.insert(0, str(where))


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One process at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def needs_of(lock: Path) -> Path:
    """An environment with all that the SDK needs and nothing else; made once for each lock file and Python."""
    named = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    where = KEPT / named
    with alone(KEPT / "lock"):
        if not where.exists():
            parts.need("index")
            half = KEPT / f"{named}.half"
            shutil.rmtree(half, ignore_errors=True)
            venv.create(half, with_pip=False, symlinks=True)
            pip("--python", half / "bin" / "python", "install", "--require-hashes", "-r", lock)
            half.rename(where)
    return where


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with `python` and `mlteam` of an environment in which the wheel is installed."""
    needs = needs_of(SOURCE / "requirements.lock")
    [packages] = needs.glob("lib/python*/site-packages")
    where = tmp_path_factory.mktemp("environment")
    venv.create(where, with_pip=False, symlinks=True)
    pip("--python", where / "bin" / "python", "install", "--no-deps", wheel)
    [own] = where.glob("lib/python*/site-packages")
    (own / "needs.pth").write_text(f"{packages}\n")
    return where / "bin"


@pytest.fixture(scope="session")
def site(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A whole server with a few people, for all tests here."""
    parts.need("bwrap", "slirp4netns")
    google = (CLOUDS, free_port(CLOUDS))
    limits = {"MLTEAM_CPUS": "4", "MLTEAM_STOP_GRACE": "2", "MLTEAM_API_RATE": "0"}
    with running(**limits, **reaching(google)) as server:
        made = server.manage("shell", "--no-imports", "-v", "0", "-c", "from tests.sdk import site; site.make()")
        yield Site(server, installed, tmp_path_factory.mktemp("settings"), google=google, **json.loads(made))


def free_port(host: str) -> int:
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])


def reaching(google: tuple[str, int]) -> dict[str, str]:
    """The settings of a server that takes what is at this address for Google's, and reaches nothing else in its own network."""
    url = f"http://{google[0]}:{google[1]}"
    services = f"{os.environ.get('MLTEAM_SERVICES', '')} gcp={url}/token gcs={url}".strip()
    return {"MLTEAM_REACHABLE": f"{CLOUDS}/32", "MLTEAM_SERVICES": services}


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    """A server on this machine that answers what the test says."""
    with Loopback() as server:
        yield server


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No settings of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith("MLTEAM_") and not name.startswith(("MLTEAM_PIP", "MLTEAM_VAR")):
            monkeypatch.delenv(name)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLTEAM_CONFIG_DIR", str(tmp_path / "settings"))
    return tmp_path / "settings"
