"""Waiting jobs that a budget holds back: the row says so (reason "budget"), and the queue passes them over."""

from collections.abc import Iterable

from django.utils import timezone

from billing.budgets import Hold, Holds, holds
from jobs import events
from jobs.models import Job, Move
from jobs.querysets import JobQuerySet
from jobs.states import JobState, Reason

__all__ = ["Holds", "hold_of", "holds", "refresh"]

WHOSE = ("project_id", "project__owner_id", "created_by_id")


def hold_of(job: Job, held: Holds) -> Hold | None:
    """Why nothing of this job may run; None when it may. The job comes with its project."""
    return held.of(project_id=job.project_id, owner_id=job.project.owner_id, member_id=job.created_by_id)


def refresh(held: Holds) -> None:
    """Marks the waiting jobs that are held, and lets go those that no longer are; a number of queries that follows from
    the number of people whose jobs change, not of jobs. Call in a transaction."""
    waiting = Job.objects.queued().order_by()
    for project, owner, member, sentence in waiting.held().values_list(*WHOSE, "sentence").distinct():
        hold = held.of(project_id=project, owner_id=owner, member_id=member)
        if hold is None or hold.sentence != sentence:
            _mark(waiting.held().filter(project=project, created_by=member, sentence=sentence), hold)
    if not held:
        return
    for project, owner, member in waiting.not_held().values_list(*WHOSE).distinct():
        if hold := held.of(project_id=project, owner_id=owner, member_id=member):
            _mark(waiting.not_held().filter(project=project, created_by=member), hold)


def _mark(jobs: JobQuerySet, hold: Hold | None) -> None:
    """Held, or let go; each change a row of history, by compare-and-set."""
    now = timezone.now()
    rows = list(jobs.only("id", "project_id", "reason"))
    for job in rows:
        job.reason, job.sentence, job.changed_at = *_why(job, hold), now
    changed = [job for job in rows if _change(job)]
    Move.objects.bulk_create(
        Move(job=job, at=now, state=JobState.QUEUED, reason=job.reason, sentence=job.sentence) for job in changed
    )
    _tell(changed)


def _why(job: Job, hold: Hold | None) -> tuple[str, str]:
    if hold:
        return Reason.BUDGET, hold.sentence[:500]
    reason = Reason.RESTARTED if job.attempts.exists() else Reason.SUBMITTED
    return reason, "No longer held: it waits for its place."


def _change(job: Job) -> int:
    fields = {"reason": job.reason, "sentence": job.sentence, "changed_at": job.changed_at}
    return Job.objects.queued().filter(pk=job.pk).update(**fields)


def _tell(jobs: Iterable[Job]) -> None:
    for job in jobs:
        events.publish(job)
