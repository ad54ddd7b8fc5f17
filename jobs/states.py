"""The states of a job, the moves between them, and the reasons for which a job ends."""

from typing import Final

from django.db import models


class JobState(models.TextChoices):
    QUEUED = "queued", "Queued"
    PREPARING = "preparing", "Preparing"
    RUNNING = "running", "Running"
    UPLOADING = "uploading", "Uploading"
    CANCELLING = "cancelling", "Cancelling"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    INTERRUPTED = "interrupted", "Interrupted"


class Reason(models.TextChoices):
    """Why a job is in its state; the sentence beside it says it to people."""

    SUBMITTED = "submitted"
    RESTARTED = "restarted"
    PLACED = "placed"
    STARTED = "started"
    EXITED = "exited"
    STOPPED = "stopped"
    MEMBER_REMOVED = "member_removed"
    TIME_LIMIT = "time_limit"
    OUT_OF_MEMORY = "out_of_memory"
    SUPERVISOR_LOST = "supervisor_lost"
    COULD_NOT_START = "could_not_start"
    ENVIRONMENT = "environment"
    HOST_RESTARTED = "host_restarted"
    PREEMPTED = "preempted"
    BUDGET = "budget"
    KEY = "key"
    DATA = "data"
    INPUT = "input"
    UPLOAD = "upload"
    VOLUME_FULL = "volume_full"


ACTIVE: Final = frozenset({JobState.PREPARING, JobState.RUNNING, JobState.UPLOADING, JobState.CANCELLING})
FINAL: Final = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED})
WAITING: Final = frozenset({JobState.QUEUED})
UNFINISHED: Final = ACTIVE | WAITING

# From -> to. A restartable job that is interrupted goes back to the queue; only a failed upload leaves a final state.
MOVES: Final[dict[str, frozenset[str]]] = {
    JobState.QUEUED: frozenset({JobState.PREPARING, JobState.CANCELLED, JobState.FAILED}),
    JobState.PREPARING: frozenset({JobState.RUNNING, JobState.CANCELLING, JobState.QUEUED, *FINAL}),
    JobState.RUNNING: frozenset({JobState.UPLOADING, JobState.CANCELLING, JobState.QUEUED, *FINAL}),
    JobState.UPLOADING: frozenset({JobState.CANCELLING, *FINAL}),
    JobState.CANCELLING: frozenset(FINAL),
    **{state: frozenset() for state in FINAL},
    JobState.FAILED: frozenset({JobState.UPLOADING}),  # an output that could not be stored is stored again
}

# An interruption is what happened to a job from outside; such a job runs again when it is restartable.
INTERRUPTIONS: Final = frozenset({Reason.HOST_RESTARTED, Reason.PREEMPTED, Reason.SUPERVISOR_LOST, Reason.BUDGET})


def outcome(reason: str, exit_status: int | None) -> JobState:
    """The final state of an attempt that ended for a reason."""
    if reason == Reason.EXITED:
        return JobState.SUCCEEDED if exit_status == 0 else JobState.FAILED
    if reason in {Reason.STOPPED, Reason.MEMBER_REMOVED}:
        return JobState.CANCELLED
    if reason in INTERRUPTIONS | {Reason.TIME_LIMIT}:
        return JobState.INTERRUPTED
    return JobState.FAILED
