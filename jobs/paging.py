"""Pages of a long list by position, not by number: the same cost anywhere in 100,000 rows, and nothing shifts when rows come."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Q

from jobs.models import Job
from jobs.querysets import JobQuerySet

PAGE = 50


@dataclass(frozen=True)
class Page:
    """Rows newest first, and the cursors of the pages beside it ("" where there is none)."""

    rows: list[Job]
    older: str
    newer: str


def cursor_of(job: Job, direction: str) -> str:
    return f"{direction}.{job.created_at.timestamp():.6f}.{job.id}"


def paged(jobs: JobQuerySet, cursor: str) -> Page:
    """One page of the jobs at a cursor; the first page for none, or for one that makes no sense."""
    direction, at, job_id = _parsed(cursor)
    if direction == "n":
        after = Q(created_at__gt=at) | Q(created_at=at, id__gt=job_id)
        rows = _read(jobs.filter(after).order_by("created_at", "id"))
        more, rows = len(rows) > PAGE, rows[:PAGE][::-1]
        return Page(rows, cursor_of(rows[-1], "o") if rows else "", cursor_of(rows[0], "n") if more else "")
    if direction == "o":
        jobs = jobs.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=job_id))
    rows = _read(jobs.newest_first())
    more, rows = len(rows) > PAGE, rows[:PAGE]
    newer = cursor_of(rows[0], "n") if rows and direction == "o" else ""
    return Page(rows, cursor_of(rows[-1], "o") if more else "", newer)


def _read(jobs: JobQuerySet) -> list[Job]:
    """A page and one more, in their order. They are picked first, by an index alone; only what was picked is read."""
    picked = jobs.values("pk")[: PAGE + 1]
    return list(Job.objects.filter(pk__in=picked).as_list().order_by(*jobs.query.order_by))


def _parsed(cursor: str) -> tuple[str, datetime | None, str]:
    try:
        direction, seconds, fraction, job_id = cursor.split(".")
        at = datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(fraction))
    except (ValueError, OverflowError, OSError):
        return "", None, ""
    return (direction, at, job_id) if direction in {"n", "o"} else ("", None, "")
