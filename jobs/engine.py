"""The local engine: starts and stops runners on this host. Every function may be repeated, and returns at once."""

import contextlib
import hashlib
import hmac
import json
import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import F

import runner
from compute import host, trees
from jobs import attached, data, inputs, places, transitions
from jobs.models import Attempt, Job
from jobs.spec import INPUT, Spec
from jobs.states import Reason
from mlteam import state

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
TIDY_AFTER = 5.0  # seconds after which a runner that has died with its work all but done is started once more
KEYS = "keys.json"  # beside attempt.json: the values of the job's keys, in clear
LONGEST_PAUSE = 30  # seconds between two runners of an attempt, when one after the other dies


def token(attempt_id: str) -> str:
    """The attempt's bearer token: derived, so that a runner can be started again without anything stored in clear."""
    return hmac.new(settings.SECRET_KEY.encode(), f"attempt:{attempt_id}".encode(), hashlib.sha256).hexdigest()


def token_hash(attempt_id: str) -> str:
    """What the database keeps of it."""
    return hashlib.sha256(token(attempt_id).encode()).hexdigest()


def start(attempt: Attempt) -> None:
    """Starts a runner for the attempt, unless one lives or is being started by somebody else."""
    directory = _directory(attempt)
    with runner.claim(directory) as lock:
        if lock is None or not _raise_generation(attempt):
            return
        with _keys_stay_for_a_runner_alone(directory):
            mounts = _mounts_before(directory)
            if mounts is None:
                try:
                    mounts = data.places(attempt.job) + inputs.mounts(attempt.job)
                    _attach(attempt, directory)
                except (data.Unusable, inputs.NotHere) as missing:
                    _give_up(attempt, Reason.DATA, str(missing))
                    return
                except attached.Missing as missing:
                    _give_up(attempt, Reason.KEY, str(missing))
                    return
                _prepare(attempt)
            runner.write_attempt(directory, _config(attempt, mounts))
        _mark(attempt.id, directory)
        runner.launch(directory, lock)


@contextlib.contextmanager
def _keys_stay_for_a_runner_alone(directory: Path) -> Iterator[None]:
    """Takes the values of keys away again where no runner was told of the attempt: only one that was takes them away itself."""
    try:
        yield
    finally:
        if not (directory / "attempt.json").exists():
            (directory / KEYS).unlink(missing_ok=True)


def _mounts_before(directory: Path) -> list[dict[str, Any]] | None:
    """What an earlier runner of the attempt was told that the job sees, whatever became of that; None for the first."""
    try:
        told: list[dict[str, Any]] = json.loads((directory / "attempt.json").read_bytes())["mounts"]
    except FileNotFoundError:
        return None
    return told


def _attach(attempt: Attempt, directory: Path) -> None:
    """Puts the job's keys, as they are now, beside the attempt, for its runner, which takes them away at the end.

    Raises Missing, also for a key that only its output needs.
    """
    spec = Spec.model_validate(attempt.job.spec)
    attached.check_outputs(attempt.job, spec)
    if not spec.keys:
        return
    given, keys = attached.given(attempt.job, spec, directory=_keys_directory(attempt.job))
    runner.replace(str(directory / KEYS), asdict(given))
    attached.note_use(attempt, keys)


def _keys_directory(job: Job) -> str:
    """Where the job finds the files of its keys: in a sandbox in memory."""
    if host.facts().isolation == "sandbox":
        return attached.INSIDE
    return str(places.job_directory(job.id) / "keys")


def _give_up(attempt: Attempt, reason: Reason, sentence: str) -> None:
    """The attempt cannot begin: nothing of it ran, and its log is empty."""
    transitions.ended(
        attempt, reason=reason, sentence=sentence, log_size=0, log_lines=0, log_verified=True, log_gaps=[]
    )


def _raise_generation(attempt: Attempt) -> bool:
    """Whether the attempt still lives as we know it; from now on the server refuses its earlier runners."""
    raised = Attempt.objects.filter(pk=attempt.pk, ended_at=None, generation=attempt.generation).update(
        generation=F("generation") + 1
    )
    attempt.generation += raised
    return bool(raised)


def _mark(attempt_id: str, directory: Path) -> None:
    """Remembers on this host that a runner was started, until `tidy` has seen that it is done."""
    with contextlib.suppress(FileExistsError):
        _marks().joinpath(attempt_id).symlink_to(directory)


def _marks() -> Path:
    return state.directory(f"runners/{host.name()}")


def tidy(living: set[str]) -> None:
    """Starts a runner once more where one died after the server had heard of the end, but before it had left nothing
    behind. `living`: ids of the attempts that have not ended, of which others take care."""
    for mark in list(_marks().iterdir()):
        if mark.name not in living and time.time() - mark.lstat().st_mtime > TIDY_AFTER:
            _tidy(mark)


def _tidy(mark: Path) -> None:
    directory = mark.readlink()
    if not directory.is_dir():
        mark.unlink()
        return
    with runner.claim(directory) as lock:
        if lock is None:
            return
        if runner.done(directory):
            mark.unlink()
            return
        os.utime(mark, follow_symlinks=False)
        runner.launch(directory, lock)


def stop(attempt: Attempt, *, reason: str) -> None:
    """Asks the attempt's runner to end the job; the question stays until it has an answer."""
    directory = places.attempt_directory(attempt.job_id, attempt.index)
    if directory.is_dir():
        runner.request_stop(directory, reason, settings.MLTEAM_STOP_GRACE)


def alive(attempt: Attempt) -> bool:
    """Whether a runner stands beside the attempt, or is being started."""
    directory = places.attempt_directory(attempt.job_id, attempt.index)
    return directory.is_dir() and runner.alive(directory)


def rests(attempt: Attempt) -> bool:
    """Whether a runner was started so lately that, should it be dead, the next one waits: longer each time."""
    try:
        launched_at = (places.attempt_directory(attempt.job_id, attempt.index) / "attempt.json").stat().st_mtime
    except OSError:
        return False
    return time.time() - launched_at < min(attempt.generation, LONGEST_PAUSE)


def _directory(attempt: Attempt) -> Path:
    """The attempt's directory, made when it is missing."""
    places.make_job_directory(attempt.job_id)
    directory = places.attempt_directory(attempt.job_id, attempt.index)
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory


def _prepare(attempt: Attempt) -> None:
    """What the job finds: work/, which begins with the files uploaded with it, and output/. Killed half-way, it is done again."""
    job = places.job_directory(attempt.job_id)
    if not (job / "work").exists():
        _fill_work(job)
    (job / "output").mkdir(mode=0o700, exist_ok=True)
    if attempt.uid is None:
        return
    for name in ("work", "output"):
        trees.hand_over(job / name, attempt.uid)
    # A job may open its own directories to all, and leave programs there that run as its user: no other user comes near.
    os.chown(job, -1, attempt.uid)
    job.chmod(0o710)


def _fill_work(job: Path) -> None:
    draft = job / "work.new"
    shutil.rmtree(draft, ignore_errors=True)
    if (job / "files").is_dir():
        shutil.copytree(job / "files", draft, symlinks=True)
    else:
        draft.mkdir()
    draft.chmod(0o700)
    draft.rename(job / "work")


def _config(attempt: Attempt, mounts: list[dict[str, Any]]) -> dict[str, Any]:
    """attempt.json, as docs/runner-protocol.md says it."""
    job, spec, facts = attempt.job, Spec.model_validate(attempt.job.spec), host.facts()
    directory = places.job_directory(job.id)
    return {
        "job": job.id,
        "attempt": attempt.id,
        "index": attempt.index,
        "generation": attempt.generation,
        "token": token(attempt.id),
        "endpoint_file": str(state.endpoint_file()),
        "command": spec.argv,
        "workdir": spec.workdir,
        "environment": _environment(attempt, spec),
        "work": str(directory / "work"),
        "output": str(directory / "output"),
        "uid": attempt.uid,
        "memory_mib": job.memory_mib,
        "cpu": job.cpu_milli / 1000,
        "gpus": [{"index": gpu["index"], "uuid": gpu["uuid"]} for gpu in attempt.gpus],
        "max_run_time": spec.max_run_time or settings.MLTEAM_MAX_RUN_TIME,
        "grace": settings.MLTEAM_STOP_GRACE,
        "log_cap": settings.MLTEAM_LOG_CAP,
        "masks": [],
        "packages": _packages(spec),
        "mounts": mounts,
        "isolation": facts.isolation,
        "network": facts.network,
        "base_prefix": sys.base_prefix,
        "unreachable": host.addresses(),
        "bwrap": facts.bwrap,
        "slirp4netns": facts.slirp4netns,
    }


def _environment(attempt: Attempt, spec: Spec) -> dict[str, str]:
    """What the job sees of its surroundings; its own variables win over the defaults, never over MLTEAM_*."""
    threads = str(max(1, attempt.job.cpu_milli // 1000))
    return {
        "PATH": f"{sys.base_prefix}/bin:{SYSTEM_PATH}",  # `python` is the Python that the server runs on
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        **spec.environment_vars,
        "MLTEAM_JOB_ID": attempt.job_id,
        "MLTEAM_ATTEMPT": str(attempt.index),
        "MLTEAM_PROJECT": attempt.job.project_id,
        "MLTEAM_OUTPUT": "/output"
        if host.facts().isolation == "sandbox"
        else str(places.output_directory(attempt.job_id)),
        "MLTEAM_URL": settings.MLTEAM_URL,
        "MLTEAM_INPUT": _input(attempt, spec),
    }


def _input(attempt: Attempt, spec: Spec) -> str:
    """Where the job finds the first of its inputs; an empty directory where it has none."""
    if host.facts().isolation != "sandbox":
        return str(inputs.place_of(attempt.job_id, 0))
    return spec.input[0].to if spec.input else INPUT


def _packages(spec: Spec) -> dict[str, Any] | None:
    if not spec.packages.pip:
        return None
    return {
        "requirements": spec.packages.pip,
        "directory": str(state.directory("environments", 0o711)),
        "uv": str(Path(sysconfig.get_path("scripts")) / "uv"),
        "python": getattr(sys, "_base_executable", sys.executable),
        "options": settings.MLTEAM_PIP_OPTIONS,
    }


def drops_uids() -> bool:
    """Whether jobs get a uid of their own: only a server run as root can give one."""
    return os.geteuid() == 0


def free_uid(taken: set[int], job: Job) -> int:
    """An unprivileged uid that no living attempt on this host has; the same for a job whenever it can be."""
    span = 20_000
    first = int.from_bytes(hashlib.sha256(job.id.encode()).digest()[:4]) % span
    for step in range(span):
        uid = settings.MLTEAM_UID_BASE + (first + step) % span
        if uid not in taken:
            return uid
    raise RuntimeError("no uid is left for another job")
