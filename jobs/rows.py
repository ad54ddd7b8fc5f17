"""Jobs as rows of a list: what the row shows beside the job's own columns."""

import re
from collections.abc import Iterable

from django.utils import timezone

from jobs import logs, queue
from jobs.models import Job
from jobs.states import JobState

_escape = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_control = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
LAST_BYTES = 2048


def prepare(jobs: Iterable[Job]) -> list[Job]:
    """The jobs with .creator, .last_line, .elapsed (seconds) and .position (in the queue); a constant number of queries."""
    rows = list(jobs)
    places_in_queue = queue.positions() if any(job.state == JobState.QUEUED for job in rows) else {}
    for job in rows:
        job.creator = job.created_by
        job.elapsed = elapsed(job)
        job.last_line = last_line(job)
        job.position = places_in_queue.get(job.id)
    return rows


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
