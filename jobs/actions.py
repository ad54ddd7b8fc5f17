"""What changes jobs: one function for each verb. Pages and tasks come through here."""

import shutil
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

import access
from access.keys import person_of
from compute import host, resources, trees
from jobs import (
    approval,
    attached,
    charges,
    data,
    engine,
    events,
    hidden,
    lending,
    logs,
    outputs,
    places,
    transfers,
    transitions,
)
from jobs.hints import bring, look, store
from jobs.models import Attempt, Job, Move, Transfer
from jobs.querysets import JobQuerySet, words_of
from jobs.spec import Resources, Spec, SpecErrors
from jobs.states import UNFINISHED, WAITING, JobState, Reason
from mlteam import state
from projects.models import Project, record
from projects.work import note_activity

if TYPE_CHECKING:
    from access.keys import RoleHolder
    from accounts.models import User


class Refusal(Exception):
    """What was asked for cannot be done now; the sentence says why and what to do."""


def submit(
    *,
    project: Project,
    spec: Spec,
    by: "User | RoleHolder",
    files: Iterable[UploadedFile] = (),
    cloned_from: Job | None = None,
    keep_files: Iterable[str] = (),
) -> Job:
    """A new job in the queue; nobody's where a role's key submits it. Raises what `check` raises."""
    spec = _whole(spec, cloned_from, by)
    mounted = _checked(project, spec, by, cloned_from)
    job = _row(project, data.pinned(spec, mounted), by, cloned_from)
    job.waits_for_data = data.waits(mounted) or bool(spec.input)
    try:
        job.files = _store_files(job, files, cloned_from, keep_files)
        with transaction.atomic():
            access.require(by, "job:new", project)  # once more: it may have been taken away while files were stored
            job.save(force_insert=True)
            data.mount(job, mounted)
            Transfer.objects.bulk_create(transfers.planned(job, spec))
            Move.objects.create(job=job, state=job.state, reason=job.reason, at=job.created_at, by=job.created_by)
            clone = {"cloned_from": cloned_from.urn} if cloned_from else {}
            record(by=by, project=project, action="job:new", urn=job.urn, after=_recorded(job), **clone)
            events.publish(job)
            transaction.on_commit(partial(bring, job.pk) if job.waits_for_data else look)
            transaction.on_commit(partial(note_activity, project.pk), robust=True)
    except BaseException:
        shutil.rmtree(places.job_directory(job.id), ignore_errors=True)
        raise
    return job


def _whole(spec: Spec, cloned_from: Job | None, by: "User | RoleHolder") -> Spec:
    """The spec with what the job that it repeats hides. Raises SpecErrors."""
    if cloned_from:
        access.require(by, "job:get", cloned_from)
    mine = cloned_from is not None and Job.objects.filter(pk=cloned_from.pk).made_by(by, others=False).exists()
    return hidden.whole(spec, cloned_from, mine=mine)


def check(*, project: Project, spec: Spec, by: "User | RoleHolder", cloned_from: Job | None = None) -> list[data.Found]:
    """Whether such a job would be taken; the datasets and models that it would have.

    Raises SpecErrors for what no host here can ever give, Refusal where no sandbox can be had.
    """
    access.require(by, "job:new", project)
    return _checked(project, _whole(spec, cloned_from, by), by, cloned_from)


def _checked(project: Project, spec: Spec, by: "User | RoleHolder", cloned_from: Job | None) -> list[data.Found]:
    """The same for a spec that hides nothing any more."""
    access.require(by, "job:new", project)
    check_fits(spec)
    if lacking := approval.lacking(by, spec.resources.gpu):
        raise SpecErrors([("resources.gpu", lacking)])
    if wrong := attached.errors(project, spec, by):
        raise SpecErrors(wrong)
    mounted = data.found(project, spec, by)
    if wrong := outputs.errors(project, spec, by):
        raise SpecErrors(wrong)
    if cloned_from and (why := lending.why_no_clone(cloned_from, project)):
        raise Refusal(f"Not here: {why}.")
    return mounted


def _recorded(job: Job) -> dict[str, Any]:
    """What the audit trail says of a new job. Not its command and variables: those can hold secrets."""
    amounts = {"cpu": job.cpu_milli / 1000, "mem_gib": job.memory_mib / 1024, "gpu": job.gpu}
    attached_to_it = {name: job.spec[name] for name in ("keys", "data") if job.spec.get(name)}
    carried = {
        "input": [one["from"] for one in job.spec.get("input", ())],
        "output": [one["to"] for one in job.spec.get("output", ())],
    }
    elsewhere = {name: [transfers.shown(one) for one in those] for name, those in carried.items() if those}
    return {"name": job.name, **amounts, "bid": job.bid, "files": len(job.files), **attached_to_it, **elsewhere}


def _row(project: Project, spec: Spec, by: "User | RoleHolder", cloned_from: Job | None) -> Job:
    account = person_of(by)
    return Job(
        project=project,
        name=spec.name,
        created_by=account,
        by_role="" if account else by.name,
        by_role_id=getattr(by, "role_id", ""),
        cloned_from=cloned_from,
        spec=spec.stored(),
        tags=spec.tags,
        words=words_of(spec.name, spec.tags),
        cpu_milli=round(spec.resources.cpu * 1000),
        memory_mib=round(spec.resources.mem * 1024),
        gpu=spec.resources.gpu,
        bid=spec.bid,
        restartable=spec.restartable,
        preemptable=spec.preemptable,
        reason=Reason.SUBMITTED,
    )


def check_fits(spec: Spec) -> None:
    """Raises SpecErrors, naming what there is, for a job larger than any host here; Refusal where hosts have no sandbox."""
    there = resources.what_there_is()
    if not there["runs_jobs"]:
        raise Refusal(" ".join(there["problems"]))
    if errors := too_large(spec.resources, there):
        raise SpecErrors(errors)


def too_large(wanted: Resources, there: dict[str, Any]) -> list[tuple[str, str]]:
    """What no host can ever give, as [(field, what was asked for and what there is)]; `there` from compute.resources."""
    errors = []
    for field, amount, unit in (
        ("cpu", there["cpu"], "CPU cores"),
        ("mem", there["mem"], "GiB of memory"),
        ("gpu", there["gpu"], "GPUs"),
    ):
        if getattr(wanted, field) > amount:
            largest = f"the largest host here has {amount:g} {unit}" if amount else f"no host here has {unit}"
            errors.append((f"resources.{field}", f"{getattr(wanted, field):g} asked for, {largest}"))
    return errors


def check_file_name(name: str) -> str:
    """The name of a file uploaded with a job: a relative path without “..”. Raises SpecErrors."""
    pure = PurePosixPath(name)
    bad = (
        not name or not name.isprintable() or "\\" in name or pure.is_absolute() or ".." in pure.parts or not pure.parts
    )
    if bad or any(len(part.encode()) > 255 for part in pure.parts):
        raise SpecErrors([("files", f"“{name[:80]}” is no file name that a job may have: relative, without “..”")])
    return str(pure)


def _store_files(job: Job, files: Iterable[UploadedFile], source: Job | None, keep: Iterable[str]) -> list[str]:
    """Puts the uploaded files, and those kept from the job that is cloned, into the new job's files/. Returns their names."""
    names: list[str] = []
    directory = places.job_directory(job.id) / "files"
    uploads = [(check_file_name(file.name or ""), file) for file in files]
    twice = sorted(name for name, count in Counter(name for name, _ in uploads).items() if count > 1)
    if twice:
        raise SpecErrors([("files", f"“{name}” was chosen twice") for name in twice])
    total = sum(file.size or 0 for _, file in uploads)
    if total > settings.MLTEAM_UPLOAD_CAP:
        raise SpecErrors(
            [
                (
                    "files",
                    f"{total // 2**20} MiB are more than the {settings.MLTEAM_UPLOAD_CAP // 2**20} MiB that may be uploaded with a job",
                )
            ]
        )
    kept = [name for name in keep if source and name in source.files]
    if not uploads and not kept:
        return []
    state.directory("jobs", 0o711)
    directory.parent.mkdir(mode=0o711, exist_ok=True)
    directory.mkdir(mode=0o700)
    for name, file in uploads:
        _write(directory / name, file)
        names.append(name)
    for name in kept:
        if source and name not in names:
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(places.job_directory(source.id) / "files" / name, target)
            names.append(name)
    return names


def _write(path: Path, file: UploadedFile) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as target:
        for chunk in file.chunks():
            target.write(chunk)


def stop(*, job: Job, by: "User | RoleHolder") -> None:
    """Ends the job: a waiting one at once, a running one by SIGTERM, then SIGKILL for all of it. Refusal when it has ended."""
    access.require(by, "job:stop", job)
    with transaction.atomic():
        if not _stop(job, sentence=f"Stopped by {by.username}.", by=by):
            job.refresh_from_db()
            raise Refusal(
                "It is being stopped already." if job.state == JobState.CANCELLING else "It has ended already."
            )


def _stop(job: Job, *, sentence: str, by: "User | RoleHolder | None") -> bool:
    """False when there is nothing left to stop."""
    before, account = job.state, person_of(by) if by else None
    move = partial(transitions.move, job, reason=Reason.STOPPED, sentence=sentence, by=account, stop_by=account)
    if move(JobState.CANCELLED, only_from=WAITING | {JobState.UPLOADING}):  # where no runner has to be asked
        _record_stop(job, before, by)
        return True
    if not move(JobState.CANCELLING):
        return False
    _record_stop(job, before, by)
    attempt = job.attempts.filter(ended_at=None).select_related("resource").first()
    if attempt:
        transaction.on_commit(lambda: _ask_to_stop(attempt))
    return True


def _record_stop(job: Job, before: str, by: "User | RoleHolder | None", **details: object) -> None:
    states = {"before": {"state": before}, "after": {"state": job.state}}
    record(by=by, project=job.project, action="job:stop", urn=job.urn, name=job.name, **states, **details)


def _ask_to_stop(attempt: Attempt) -> None:
    """Asks the runner at once where the job runs on this host; the sweep of its worker does it anyway."""
    if attempt.host == host.name():
        engine.stop(attempt, reason=Reason.STOPPED)


def cancel(jobs: JobQuerySet, *, by: "User | None") -> None:
    """The waiting jobs of people who have lost their projects do not start; running ones go on. `by`: whose doing that was."""
    for job in jobs.select_related("project", "created_by"):
        sentence = f"{job.created_by.username} no longer has access to this project."
        reason = Reason.MEMBER_REMOVED
        if transitions.move(job, JobState.CANCELLED, reason=reason, sentence=sentence, only_from=WAITING):
            _record_stop(job, JobState.QUEUED, by, reason=sentence)


def attempt_reported(attempt_id: str, report: dict[str, Any]) -> None:
    """The runner says where the attempt stands."""
    attempt = Attempt.objects.select_related("job", "resource").get(pk=attempt_id)
    if report.get("state") == "running":
        transitions.started(attempt, report, at=moment(report.get("at")))


def attempt_ended(attempt_id: str, report: dict[str, Any]) -> None:
    """The runner says how the attempt ended; its log is closed and its sizes and checksum were compared."""
    attempt = Attempt.objects.select_related("job", "resource").get(pk=attempt_id)
    closed = report.get("log") or {}
    transitions.ended(
        attempt,
        reason=report["reason"],
        sentence=sentence_of(report),
        at=moment(report.get("ended_at")),
        exit_status=report.get("exit_status"),
        peak_memory_mib=report.get("peak_memory_mib"),
        log_size=closed.get("size"),
        log_lines=closed.get("lines"),
        log_verified=closed.get("verified"),
        log_gaps=closed.get("gaps") or [],
    )
    if Job.objects.queued().exists():
        look()


def moment(seconds: Any) -> datetime | None:
    """A time of the runner's clock, which counts from the start of the sandbox to its exit; None for what is none."""
    if not isinstance(seconds, int | float) or not 0 < seconds < 2**33:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def sentence_of(report: dict[str, Any]) -> str:
    """How the attempt ended, for people."""
    message = (report.get("message") or "").strip()
    if report["reason"] == Reason.EXITED:
        return _exit_sentence(report.get("exit_status"), report.get("signal"))
    said = {
        Reason.STOPPED: "Stopped.",
        Reason.PREEMPTED: "Made room for a job with a higher bid.",
        Reason.BUDGET: "Its budget was used up.",
        Reason.TIME_LIMIT: "Ran into its time limit.",
        Reason.OUT_OF_MEMORY: "Used more memory than it asked for.",
        Reason.VOLUME_FULL: "Filled a volume.",
        Reason.SUPERVISOR_LOST: "Its sandbox was killed from outside.",
        Reason.COULD_NOT_START: "The command could not be started.",
        Reason.ENVIRONMENT: "Its Python packages could not be installed.",
        Reason.HOST_RESTARTED: "The host was restarted while it ran.",
    }.get(report["reason"], "Ended.")
    return f"{said} {message}".strip()


def _exit_sentence(status: int | None, signal: int | None) -> str:
    if signal:
        import signal as signals

        known = {one.value: one.name for one in signals.Signals}
        return f"The command was killed by {known.get(signal, f'signal {signal}')}."
    return "The command ended with exit status 0." if status == 0 else f"The command failed with exit status {status}."


def stop_all() -> list[Job]:
    """Ends every job of the installation; for `make stop`. Returns the jobs that were asked to end."""
    asked = []
    for job in Job.objects.filter(state__in=UNFINISHED - WAITING).select_related("project"):
        with transaction.atomic():
            if _stop(job, sentence="Stopped with the server.", by=None):
                asked.append(job)
    return asked


def store_again(*, job: Job, by: "User | RoleHolder") -> None:
    """Stores an output that could not be stored once more. Refusal where there is none."""
    access.require(by, "job:stop", job)
    with transaction.atomic():
        before = {"state": job.state, "sentence": job.sentence}
        if not outputs.store_again(job):
            raise Refusal("It has no output that could not be stored.")
        record(by=by, project=job.project, action="job:store", urn=job.urn, name=job.name, before=before)
        transaction.on_commit(partial(store, job.pk))


def remove(*, job: Job, by: "User | RoleHolder") -> None:
    """Deletes a job that has ended, with all that it wrote; the ledger stays. Refusal while it has not ended.

    What is on the disk goes first: where that ends half-way the row is still there, to be removed again.
    """
    access.require(by, "job:rm", job)
    if job.state in UNFINISHED:
        raise Refusal("It has not ended yet. Stop it, or wait for it, first.")
    charges.charge_rest(job.attempts.all())
    _remove_files(job)
    with transaction.atomic():
        urn, name, project = job.urn, job.name, job.project
        gone, _ = Job.objects.filter(pk=job.pk).delete()
        if gone:  # by whoever was first
            events.publish(job)
            record(by=by, project=project, action="job:rm", urn=urn, name=name, before={"state": job.state})


def remove_everything_of(project: Project) -> None:
    """Deletes the jobs of a removed project with all their files and logs. None of them runs any more; the ledger stays."""
    charges.charge_rest(Attempt.objects.filter(job__project=project))
    for job in Job.objects.filter(project=project).exclude(state__in=UNFINISHED):
        _remove_files(job)
        job.delete()


def _remove_files(job: Job) -> None:
    trees.remove(places.job_directory(job.id))
    shutil.rmtree(logs.path_of(job.id, 0).parent, ignore_errors=True)
