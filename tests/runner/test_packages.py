"""Python packages of a job: shared environments of wheels, and what has to be built inside."""

import base64
import hashlib
import io
import os
import shutil
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.runner.conftest import until

pytestmark = pytest.mark.sandbox


@pytest.fixture(autouse=True)
def _python_in_reach():
    if not (Path(sysconfig.get_path("scripts")) / "uv").exists() and not shutil.which("uv"):
        pytest.skip("uv is not installed: pip install uv")


def make_wheel(directory, name, version, code="", *, pth="", requires=()):
    """A wheel with one module, as an index would offer it."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {r}\n" for r in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-says = {name}:main\n",
    }
    if pth:
        files[f"{name}.pth"] = pth
    lines = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


def _digest(text):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def make_source(directory, name, version, build):
    """A source distribution whose build backend is its own: `build` runs when it is built."""
    backend = (
        "import os, zipfile\n"
        "WHEEL = 'Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'\n"
        + build
        + "\n"
        "def build_wheel(directory, config_settings=None, metadata_directory=None):\n"
        f"    name = '{name}-{version}-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(os.path.join(directory, name), 'w') as wheel:\n"
        f"        wheel.writestr('{name}.py', 'BUILT = True')\n"
        f"        wheel.writestr('{name}-{version}.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n')\n"
        f"        wheel.writestr('{name}-{version}.dist-info/WHEEL', WHEEL)\n"
        f"        wheel.writestr('{name}-{version}.dist-info/RECORD', '')\n"
        "    return name\n"
    )
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    project += f'[project]\nname = "{name}"\nversion = "{version}"\n'
    files = {
        "pyproject.toml": project,
        "backend.py": backend,
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    }
    with tarfile.open(directory / f"{name}-{version}.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))


@pytest.fixture
def wheels(room):
    path = room / "wheels"
    path.mkdir()
    return path


@pytest.fixture
def make(make_job, room, wheels):
    """make(command, *requirements) -> a job with these packages, to be had from the directory of wheels alone."""
    scripts = Path(sysconfig.get_path("scripts")) / "uv"

    def make(command, *requirements):
        packages = {
            "requirements": list(requirements), "directory": str(room / "environments"),
            "uv": str(scripts if scripts.exists() else shutil.which("uv")), "python": os.path.realpath(sys.executable),
            "options": ["--no-index", "--find-links", str(wheels)],
        }  # fmt: skip
        return make_job(command, packages=packages)

    return make


def environments(room):
    return sorted(path.name for path in (room / "environments").iterdir() if path.is_dir() and len(path.name) == 32)


def test_a_wheel_is_there_for_the_job_and_shared(make, wheels, room):
    make_wheel(wheels, "greeting", "1.0", "def main(): print('from the script')\nTEXT = 'good morning'")
    command = "which python; python -c 'import greeting; print(greeting.TEXT)'; greeting-says; touch $VIRTUAL_ENV/planted || echo read-only"
    first = make(command, "greeting>=1")
    report = first.run()
    assert report["exit_status"] == 0, report
    assert "good morning\nfrom the script\n" in first.text
    assert first.text.endswith("read-only\n")
    assert [state["state"] for state in first.record.states] == ["preparing", "running"]
    second = make("python -c 'import greeting; print(greeting.__file__)'", "greeting")
    second.run()
    assert "greeting.py" in second.text
    assert len(environments(room)) == 1


def test_other_versions_are_other_environments(make, wheels, room):
    for version in ("1.0", "2.0"):
        make_wheel(wheels, "greeting", version, f"TEXT = {version!r}")
        job = make("python -c 'import greeting; print(greeting.TEXT)'", f"greeting=={version}")
        job.run()
        assert job.text.splitlines()[-1] == version
    assert len(environments(room)) == 2


def test_what_is_installed_does_not_run_on_the_servers_side(make, wheels, room):
    proof = room / "proof"
    make_wheel(
        wheels,
        "nasty",
        "1.0",
        f"open({str(proof)!r}, 'w')",
        pth=f"import os; os.path.isdir({str(room)!r}) and open({str(proof)!r}, 'w')\n",
    )
    job = make("echo done", "nasty")
    report = job.run()
    assert report["exit_status"] == 0, report
    assert not proof.exists()


def test_a_package_that_does_not_exist_fails_the_job_with_the_reason(make, wheels):
    job = make("echo never", "no-such-package-at-all")
    report = job.run()
    assert (report["reason"], report["exit_status"]) == ("environment", None)
    assert "no-such-package-at-all" in job.text
    assert report["message"]
    assert "never" not in job.text.split()


@pytest.mark.parametrize("line", ["--index-url=http://127.0.0.1:1/", "-r /etc/shadow", "-e .", "a\n-r /etc/shadow"])
def test_options_are_no_packages(make, wheels, line):
    report = make("echo never", line).run()
    assert report["reason"] == "environment"
    assert "option" in report["message"]


def test_a_source_distribution_is_built_inside_the_sandbox(make, wheels, room):
    proof = room / "proof"
    proof.mkdir(mode=0o777)
    proof.chmod(0o777)
    make_source(wheels, "sourced", "1.0", f"if os.path.isdir({str(proof)!r}): open({str(proof / 'ran')!r}, 'w')")
    job = make("python -c 'import sourced; print(sourced.BUILT, sourced.__file__)'", "sourced")
    report = job.run()
    assert report["exit_status"] == 0, (job.text, job.record.end)
    assert "True /work/.venv/" in job.text
    assert not list(proof.iterdir())
    assert not environments(room)


def test_a_source_that_cannot_be_built_fails_with_that_reason(make, wheels):
    make_source(wheels, "broken", "1.0", "raise SystemExit('cannot be built')")
    job = make("echo never", "broken @ file:///nowhere/broken-1.0.tar.gz")
    report = job.run()
    assert report["reason"] == "environment", job.text
    assert report["message"]
    assert "never" not in job.text.split()


def test_stop_while_the_packages_are_prepared(make, wheels, room):
    (room / "environments").mkdir()
    make_wheel(wheels, "greeting", "1.0")
    slow = room / "uv"
    slow.write_text("#!/bin/sh\necho waiting >&2\nexec sleep 100\n")
    slow.chmod(0o755)
    job = make("echo never", "greeting")
    job.config["packages"]["uv"] = str(slow)
    job.start().until_log("waiting")
    job.stop(grace=1)
    assert job.wait()["reason"] == "stopped"
    assert "never" not in job.text.split()


def test_a_runner_killed_while_it_prepares_begins_again(make, wheels, room):
    make_wheel(wheels, "greeting", "1.0", "TEXT = 'hello'")
    job = make("python -c 'import greeting; print(greeting.TEXT)'", "greeting")
    job.start()
    until(lambda: job.pid("step"), trouble=job.trouble)
    job.kill_runner()
    job.start()
    assert job.wait()["exit_status"] == 0, (job.text, job.record.end)
    assert job.text.splitlines()[-1] == "hello"


def test_two_jobs_with_the_same_packages_install_them_once(make, wheels, room):
    make_wheel(wheels, "greeting", "1.0", "TEXT = 'hello'")
    jobs = [make("python -c 'import greeting; print(greeting.TEXT)'", "greeting").start() for _ in range(3)]
    for job in jobs:
        assert job.wait()["exit_status"] == 0, (job.text, job.record.end)
    assert len(environments(room)) == 1


@pytest.mark.index
@pytest.mark.slow
def test_a_package_from_the_index(make):
    job = make("python -c 'import six; print(six.__version__)'", "six==1.17.0")
    job.config["packages"]["options"] = []
    assert job.run(patience=120)["exit_status"] == 0, (job.text, job.record.end)
    assert job.text.splitlines()[-1] == "1.17.0"
