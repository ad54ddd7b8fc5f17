"""How soon the `mlteam` command is there: its wheel in an environment of its own, in turn with a Python that does nothing.

Wall-clock seconds from start to exit, and as multiples of `python -c pass` on the same machine at the same time, which says the
same of a machine that is busy or slow. A local server has the jobs that `job ls` shows.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure
from bench.server import ROOT, running

REPETITIONS = 15
JOBS = 20
SDK = ROOT / "sdk"


def measure(var: Path) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="mlteam-command-") as directory, running(var) as server:
        import django

        django.setup()
        programs = installed(Path(directory))
        environment = {
            "PATH": os.environ["PATH"],
            "MLTEAM_CONFIG_DIR": f"{directory}/settings",
            "MLTEAM_URL": server.url,
            "MLTEAM_TOKEN": _somebody_with_jobs(server),
        }
        bare = [str(programs / "python"), "-c", "pass"]
        mlteam = str(programs / "mlteam")
        yield from _of("mlteam --help", [mlteam, "--help"], bare, environment, bar=0.25)
        yield from _of(f"mlteam job ls, {JOBS} jobs", [mlteam, "job", "ls"], bare, environment, bar=0.5)


def installed(directory: Path) -> Path:
    """Where `python` and `mlteam` are, in an environment with what sdk/requirements.lock names and the wheel."""
    venv.create(directory / "environment", with_pip=False, symlinks=True)
    python = directory / "environment" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", str(python), "install"]
    subprocess.run([*pip, "--require-hashes", "-r", str(SDK / "requirements.lock")], check=True)
    source = shutil.copytree(SDK, directory / "source")  # setuptools builds beside what it is given
    subprocess.run([*pip, "--no-deps", str(source)], check=True)
    return python.parent


def _somebody_with_jobs(server) -> str:
    """A token of the person who made the first account, whose Personal project has some jobs."""
    from accounts import tokens
    from accounts.models import User
    from jobs import actions
    from jobs.spec import parse
    from projects.models import Project

    server.first_account()
    user = User.objects.get(username="ada")
    project = Project.objects.get(owner=user, personal=True)
    for number in range(JOBS):
        spec = {"name": f"job-{number}", "command": "true", "resources": {"cpu": 0.1, "mem": 0.0625}}
        actions.submit(project=project, spec=parse(spec), by=user)
    return tokens.make(user=user, name="bench", scope="all", days=1)


def _of(what: str, command: list[str], bare: list[str], environment: dict[str, str], *, bar: float) -> Iterator[Figure]:
    _seconds(command, environment)  # the first run of all writes the compiled modules
    ours, theirs = [], []
    for _ in range(REPETITIONS):
        ours.append(_seconds(command, environment))
        theirs.append(_seconds(bare, environment))
    yield Figure(what, "s", ours, bar=bar)
    yield Figure(
        "  as multiples of python -c pass", "×", [mine / base for mine, base in zip(ours, theirs, strict=True)]
    )


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr}")
    return time.perf_counter() - begun
