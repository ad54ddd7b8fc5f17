"""Compares rows with what really runs, one living attempt at a time. Every step may be repeated by any worker of this host.

What really runs is the truth: a runner beside an attempt is left alone; where none is, another is started, which re-attaches to the job
or reports how it ended. A row never decides that a job is dead.
"""

import logging

from billing.budgets import Holds
from compute.models import ComputeResource
from jobs import engine, holds, places, queue
from jobs.models import Attempt
from jobs.states import JobState, Reason

log = logging.getLogger(__name__)


def host(resource: ComputeResource) -> None:
    """One step for every attempt that lives on this host, and a look at what the others left."""
    living = queue.living(resource)
    held = holds.holds() if living else Holds()
    for attempt in living:
        try:
            step(attempt, held)
        except Exception:  # one broken attempt must not keep the others from being looked at
            log.exception("attempt %s of job %s", attempt.index, attempt.job_id)
    engine.tidy({attempt.id for attempt in living})


def step(attempt: Attempt, held: Holds) -> None:
    """What one attempt needs now."""
    if (reason := _to_end(attempt, held)) and not _asked(attempt):
        engine.stop(attempt, reason=reason)
    if not engine.alive(attempt) and not engine.rests(attempt):
        engine.start(attempt)


def _to_end(attempt: Attempt, held: Holds) -> Reason | None:
    """Why it shall end: it is being stopped, or a budget is used up and it may wait for the next, or must not go on."""
    if attempt.job.state == JobState.CANCELLING:
        return Reason.STOPPED
    hold = holds.hold_of(attempt.job, held)
    return Reason.BUDGET if hold and (attempt.job.restartable or hold.ends) else None


def _asked(attempt: Attempt) -> bool:
    return (places.attempt_directory(attempt.job_id, attempt.index) / "stop.json").exists()
