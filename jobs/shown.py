"""Jobs as programs see them: what an answer says of a job, its attempts, its history and what it wrote."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from django.db.models import OuterRef, Subquery
from django.urls import reverse

import access
from access.keys import RoleHolder
from accounts.adapter import absolute
from accounts.api import UserOut, show_user
from api import etags
from api.callers import ApiRequest
from api.lists import Out
from billing import usage
from jobs import hidden, lending, logs, queue, rows, transfers
from jobs.models import Attempt, Job, Move, Transfer
from jobs.queue import Waiting
from jobs.spec import Spec
from jobs.states import JobState
from projects.api import ProjectRef, show_refs


class ResourcesOut(Out):
    """What a job asked for: CPU cores, GiB of memory, GPUs."""

    cpu: float
    mem: float
    gpu: int


class LogOut(Out):
    """An attempt's log: bytes that are here, and what its runner said when it closed it. `complete`: all of them are here."""

    size: int
    lines: int | None
    verified: bool | None
    gaps: list[Any]
    complete: bool


class AttemptOut(Out):
    """One execution of a job; `gpus` are their types, `isolation` what was in force."""

    index: int
    host: str
    placed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    exit_status: int | None
    reason: str
    sentence: str
    peak_memory_mib: int | None
    gpus: list[str]
    isolation: dict[str, str]
    log: LogOut


class TransferOut(Out):
    """An input that is fetched (`direction` in) or an output that becomes a version or goes to a bucket (out), and how far it is.

    `bytes` and `files` of `all_bytes` and `all_files`, which are null until they are known; `rate` bytes in a second, lately; `left`
    seconds that it will take yet; `path` where the job sees an input; `sentence` why it failed, or waits for another try, or which
    version it became, and what was left out of that. It is stopped where its job ended before it was done. `address` without what follows
    a question mark, which may be a secret.
    """

    direction: Literal["in", "out"]
    address: str
    path: str | None
    key: str | None
    state: Literal["waiting", "running", "done", "failed", "stopped"]
    files: int
    all_files: int | None
    bytes: int
    all_bytes: int | None
    rate: float | None
    left: float | None
    begun_at: datetime | None
    ended_at: datetime | None
    sentence: str


class JobFacts(Out):
    """What every answer says of a job.

    `command` are the words that are executed; `elapsed` seconds that it has run; `position` its place in the queue from 1, told
    of the first 500; `cost` null where nothing costs anything; `by_role` the role whose key submitted it, then nobody created it.
    """

    id: str
    urn: str
    name: str
    project: ProjectRef
    created_by: UserOut | None
    by_role: str | None
    mine: bool
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    elapsed: float | None
    state: Literal[
        "queued", "preparing", "running", "uploading", "cancelling", "succeeded", "failed", "cancelled", "interrupted"
    ]
    reason: str
    sentence: str
    exit_status: int | None
    command: list[str]
    resources: ResourcesOut
    bid: int
    restartable: bool
    preemptable: bool
    tags: list[str]
    position: int | None
    waiting_for: str | None
    cloned_from: str | None
    files: list[str]
    url: str
    cost: str | None
    transfers: list[TransferOut]


class JobItem(JobFacts):
    """A job in a list, with its newest attempt."""

    attempt: AttemptOut | None


class JobOut(JobFacts):
    """A job with all its attempts, and the job.yml that makes it: as data and as text. Of web addresses in it what follows a question
    mark is not shown; who submitted the job gets it back in a `clone` that sends them as they are shown. `notices`: sentences on the data
    that it has of other projects."""

    attempts: list[AttemptOut]
    spec: dict[str, Any]
    spec_yaml: str
    notices: list[str]


class MoveOut(Out):
    """One change of state; `attempt` is the index of the one that it is about. `mine`: who asks made it."""

    at: datetime
    state: str
    reason: str
    sentence: str
    by: UserOut | None
    attempt: int | None
    mine: bool


def job_for(request: ApiRequest, job: str, action: str) -> Job:
    """The job with this id, when who asks may do the action to it."""
    present = Job.objects.for_programs().filter(project__removed_at=None)
    return access.fetch(request.user, action, present, pk=job)


def show_items(jobs: Sequence[Job], by: Any) -> list[dict[str, Any]]:
    """Jobs of any projects for an answer to `by`; a constant number of queries. They come as `JobQuerySet.for_programs` reads them."""
    newest = _newest(jobs)
    facts = _facts(jobs, by)
    return [one | {"attempt": newest.get(one["id"])} for one in facts]


def show_job(job: Job, by: Any) -> dict[str, Any]:
    """One job with all that there is to say of it."""
    attempts = [show_attempt(attempt) for attempt in job.attempts.select_related("resource")]
    spec = hidden.shown(Spec.model_validate(job.spec))
    told = {"attempts": attempts, "spec": spec.stored(), "spec_yaml": spec.as_yaml()}
    return _facts([job], by)[0] | told | {"notices": lending.notices(lending.borrowed(job), job.project, by)}


def tag_of(job: Job) -> str:
    """What names the job's state, for edits."""
    return etags.tag_of(job.pk, job.state, job.changed_at)


def is_mine(job: Job, by: Any) -> bool:
    """Whether who asks submitted it; the keys of a role did so together."""
    return job.by_role_id == by.role_id if isinstance(by, RoleHolder) else job.created_by_id == by.pk


def _facts(jobs: Sequence[Job], by: Any) -> list[dict[str, Any]]:
    projects = {job.project_id: job.project for job in jobs}
    refs, costs = show_refs(projects.values()), usage.costs_of(job.pk for job in jobs)
    waiting = queue.explanations(job for job in jobs if job.state == JobState.QUEUED)
    carried = transfers.of(job.pk for job in jobs if job.spec.get("input") or job.spec.get("output"))
    return [
        _fact(job, by, refs[job.project_id], waiting.get(job.pk), costs)
        | {"transfers": [show_transfer(row, job) for row in carried.get(job.pk, ())]}
        for job in jobs
    ]


PLAIN = (
    *("id", "name", "created_at", "queued_at", "started_at", "ended_at", "state", "reason", "sentence", "exit_status"),
    *("bid", "restartable", "preemptable", "tags", "files"),
)


def _fact(
    job: Job, by: Any, project: dict[str, str], waiting: Waiting | None, costs: dict[str, Decimal] | None
) -> dict[str, Any]:
    return {
        **{name: getattr(job, name) for name in PLAIN},
        "urn": job.urn,
        "project": project,
        "created_by": show_user(job.created_by, by) if job.created_by else None,
        "by_role": job.by_role or None,
        "mine": is_mine(job, by),
        "elapsed": rows.elapsed(job),
        "command": Spec.model_validate(job.spec).words,
        "resources": {"cpu": job.cpu_milli / 1000, "mem": job.memory_mib / 1024, "gpu": job.gpu},
        "position": waiting.position if waiting else None,
        "waiting_for": waiting.sentence if waiting else None,
        "cloned_from": job.cloned_from_id,
        "url": absolute(reverse("jobs:detail", args=[job.project.slug, job.pk])),
        "cost": f"{costs[job.pk]:f}" if costs is not None else None,
    }


def show_transfer(row: Transfer, job: Job) -> dict[str, Any]:
    """One input or output of a job."""
    plain = ("files", "all_files", "bytes", "all_bytes", "rate", "left", "begun_at", "ended_at")
    return {
        **{name: getattr(row, name) for name in plain},
        "address": transfers.shown(row.address),
        "state": transfers.state_of(row, job),
        "direction": "out" if row.outward else "in",
        "path": row.path or None,
        "key": row.key or None,
        "sentence": row.sentence,
    }


def _newest(jobs: Iterable[Job]) -> dict[str, dict[str, Any]]:
    """Job id -> its newest attempt; one query."""
    last = Attempt.objects.filter(job=OuterRef("job")).order_by("-index").values("index")[:1]
    newest = Attempt.objects.filter(job__in=[job.pk for job in jobs], index=Subquery(last)).select_related("resource")
    return {attempt.job_id: show_attempt(attempt) for attempt in newest}


def show_attempt(attempt: Attempt) -> dict[str, Any]:
    """An attempt; its resource comes with it."""
    plain = ("index", "host", "placed_at", "started_at", "ended_at", "exit_status", "reason", "sentence")
    return {
        **{name: getattr(attempt, name) for name in plain},
        "peak_memory_mib": attempt.peak_memory_mib,
        "gpus": [gpu["type"] for gpu in attempt.gpus],
        "isolation": attempt.isolation,
        "log": show_log(attempt, logs.size(logs.path_of(attempt.job_id, attempt.index))),
    }


def show_log(attempt: Attempt, size: int) -> dict[str, Any]:
    """What there is to say of an attempt's log of which so many bytes are here."""
    complete = attempt.log_size is not None and size >= attempt.log_size
    said = {"lines": attempt.log_lines, "verified": attempt.log_verified, "gaps": attempt.log_gaps}
    return {"size": size, **said, "complete": complete}


def show_move(move: Move, by: Any) -> dict[str, Any]:
    """One change of state; who made it and the attempt come with it."""
    plain = {name: getattr(move, name) for name in ("at", "state", "reason", "sentence")}
    who = show_user(move.by, by) if move.by else None
    mine = move.by is not None and move.by.pk == by.pk
    return plain | {"by": who, "attempt": move.attempt.index if move.attempt else None, "mine": mine}
