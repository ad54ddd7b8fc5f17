"""Jobs as rows of a list: what the row shows beside the job's own columns."""

import re
from collections.abc import Iterable

from django.urls import reverse
from django.utils import timezone

from jobs import logs, queue, transfers
from jobs.models import Job
from jobs.states import JobState
from projects.models import Project

_escape = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_control = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
LAST_BYTES = 2048


def prepare(jobs: Iterable[Job], project: Project) -> list[Job]:
    """The project's jobs, each with what `Job` says that a list adds; a constant number of queries."""
    rows = list(jobs)
    places_in_queue = queue.positions() if any(job.state == JobState.QUEUED for job in rows) else {}
    address = reverse("jobs:list", args=[project.slug])
    carried = transfers.under_way(rows)
    for job in rows:
        job.address = f"{address}/{job.id}"
        job.uses = uses(job)
        job.elapsed = elapsed(job)
        job.last_line = carried.get(job.id) or last_line(job)
        job.position = places_in_queue.get(job.id)
    return rows


def uses(job: Job) -> str:
    """What it takes most of: "2 GPUs", else "0.5 CPU"."""
    return f"{job.gpu} GPU{'s' if job.gpu > 1 else ''}" if job.gpu else f"{job.cpu_milli / 1000:g} CPU"


def elapsed(job: Job) -> float | None:
    """Seconds that the job has run; None before it started."""
    if job.started_at is None:
        return None
    return ((job.ended_at or timezone.now()) - job.started_at).total_seconds()


def last_line(job: Job) -> str:
    """The last line that the job's newest attempt wrote, as plain text; "" when there is none."""
    index = getattr(job, "newest", None)
    if index is None:
        return ""
    path = logs.path_of(job.id, index)
    data = logs.read(path, max(0, logs.size(path) - LAST_BYTES), LAST_BYTES)
    return plain(data.rstrip().rsplit(b"\n", 1)[-1].rsplit(b"\r", 1)[-1])[:200]


def plain(data: bytes) -> str:
    """Bytes of a log as text without terminal sequences."""
    return _control.sub("", _escape.sub(b"", data).decode(errors="replace"))
