"""A job's life, one move at a time: every change of state is one compare-and-set, one row of history, one event.

With jobs/reconcile.py this is all that there is to a job's life.
"""

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from datastores import volumes
from jobs import charges, events, hints
from jobs.models import Attempt, Job, Move
from jobs.spec import due
from jobs.states import FINAL, INTERRUPTIONS, MOVES, UNFINISHED, JobState, Reason, outcome
from projects.work import note_activity

if TYPE_CHECKING:
    from accounts.models import User


@transaction.atomic(savepoint=False)
def move(
    job: Job,
    to: JobState,
    *,
    reason: str,
    sentence: str = "",
    by: "User | None" = None,
    attempt: Attempt | None = None,
    only_from: frozenset[JobState] = UNFINISHED,
    **fields: Any,
) -> bool:
    """Moves the job, when its state still allows it; False when somebody else was there first. `fields` are set with it."""
    now = timezone.now()
    before = [state for state, onward in MOVES.items() if to in onward and state in only_from]
    why = {"reason": reason, "sentence": sentence[:500]}
    after = {"state": to, **why, "changed_at": now, "ended_at": now if to in FINAL else None, **fields}
    if not Job.objects.filter(pk=job.pk, state__in=before).update(**after):
        return False
    for field, value in after.items():
        setattr(job, field, value)
    Move.objects.create(job=job, attempt=attempt, at=now, state=to, by=by, **why)
    events.publish(job)
    transaction.on_commit(partial(note_activity, job.project_id), robust=True)
    return True


def started(attempt: Attempt, report: dict[str, Any], at: datetime | None = None) -> None:
    """The command runs; `at`: since when, if not since now."""
    now = timezone.now()
    since = _within(at, attempt.placed_at, now)
    isolation = {key: report[key] for key in ("network", "memory") if isinstance(report.get(key), str)}
    with transaction.atomic():
        if not Attempt.objects.filter(pk=attempt.pk, started_at=None, ended_at=None).update(
            started_at=since, isolation=isolation
        ):
            return
        sentence = f"Runs on {attempt.host}."
        move(attempt.job, JobState.RUNNING, reason=Reason.STARTED, sentence=sentence, attempt=attempt, started_at=since)


def ended(
    attempt: Attempt,
    *,
    reason: str,
    sentence: str,
    exit_status: int | None = None,
    at: datetime | None = None,
    **fields: Any,
) -> None:
    """The attempt is over: its slots are free, and the job ends, or waits for another attempt when it is restartable.

    `at`: when it ended, if not now; a runner that could not reach the server tells it later.
    """
    ended_at = _within(at, attempt.started_at or attempt.placed_at, timezone.now())
    with transaction.atomic():
        closed = Attempt.objects.filter(pk=attempt.pk, ended_at=None).update(
            ended_at=ended_at, reason=reason, sentence=sentence[:500], exit_status=exit_status, **fields
        )
        if not closed:
            return
        transaction.on_commit(partial(charges.charge_ended, attempt.pk), robust=True)
        job = attempt.job
        volumes.note_written(job.mounts.filter(writes=True).values("datastore"))
        job.refresh_from_db()
        if reason in INTERRUPTIONS and job.restartable and job.state != JobState.CANCELLING:
            restart(job, attempt, sentence)
            return
        stopped = job.state == JobState.CANCELLING and reason in INTERRUPTIONS
        state = JobState.CANCELLED if stopped else outcome(reason, exit_status)
        well = state == JobState.SUCCEEDED
        if (well or attempt.started_at) and state != JobState.CANCELLED and due(job.spec, succeeded=well):
            state, said = JobState.UPLOADING, "The command has ended well." if well else sentence
            sentence = f"{said} Its output is being stored."
            transaction.on_commit(partial(hints.store, job.pk), robust=True)
        move(job, state, reason=reason, sentence=sentence, attempt=attempt, exit_status=exit_status)


def _within(at: datetime | None, earliest: datetime, now: datetime) -> datetime:
    """A moment of another clock, which may be wrong: not before the earliest, not after now."""
    return now if at is None else min(max(at, earliest), now)


def restart(job: Job, attempt: Attempt, why: str) -> None:
    """Back to the queue for a new attempt: same id, same command."""
    sentence = f"Attempt {attempt.index} was interrupted: {why} It is restartable and waits for a new attempt."
    move(job, JobState.QUEUED, reason=Reason.RESTARTED, sentence=sentence, attempt=attempt, queued_at=timezone.now())
