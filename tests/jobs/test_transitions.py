"""A job's life as a table: which moves there are, and what each end of an attempt makes of its job."""

import itertools

import pytest

from jobs import queue, transitions
from jobs.states import FINAL, MOVES, WAITING, JobState, Reason, outcome
from projects import actions as projects

pytestmark = pytest.mark.django_db

ENDS = [
    # reason, exit status, restartable -> state of the job
    (Reason.EXITED, 0, False, JobState.SUCCEEDED),
    (Reason.EXITED, 1, False, JobState.FAILED),
    (Reason.EXITED, 137, True, JobState.FAILED),
    (Reason.STOPPED, 143, True, JobState.CANCELLED),
    (Reason.TIME_LIMIT, 143, True, JobState.INTERRUPTED),
    (Reason.OUT_OF_MEMORY, 137, True, JobState.FAILED),
    (Reason.COULD_NOT_START, None, True, JobState.FAILED),
    (Reason.ENVIRONMENT, None, True, JobState.FAILED),
    (Reason.SUPERVISOR_LOST, None, False, JobState.INTERRUPTED),
    (Reason.HOST_RESTARTED, None, False, JobState.INTERRUPTED),
    (Reason.HOST_RESTARTED, None, True, JobState.QUEUED),
    (Reason.PREEMPTED, 143, False, JobState.INTERRUPTED),
    (Reason.PREEMPTED, 143, True, JobState.QUEUED),
]


@pytest.fixture
def job(queued, owner):
    return queued(projects.create(name="Lab", by=owner), owner)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(JobState, JobState)))
def test_only_the_moves_of_the_table_happen(job, before, after):
    type(job).objects.filter(pk=job.pk).update(state=before, ended_at=job.created_at if before in FINAL else None)
    happened = transitions.move(job, after, reason="started")
    job.refresh_from_db()
    assert happened == (after in MOVES[before] and before not in FINAL)
    assert job.state == (after if happened else before)
    assert job.moves.count() == happened
    assert (job.ended_at is not None) == (job.state in FINAL)


def test_nothing_leaves_a_final_state_but_a_failed_upload():
    assert {state for state in FINAL if MOVES[state]} == {JobState.FAILED}
    assert MOVES[JobState.FAILED] == {JobState.UPLOADING}


@pytest.mark.parametrize(("reason", "status", "restartable", "state"), ENDS)
def test_how_an_attempt_ends_decides_its_job(job, resource, reason, status, restartable, state):
    job.restartable = restartable
    job.save()
    [attempt] = queue.place(resource)
    transitions.ended(attempt, reason=reason, sentence="So it was.", exit_status=status)
    job.refresh_from_db()
    assert job.state == state
    assert not job.attempts.filter(ended_at=None).exists()


def test_a_restarted_job_gets_another_attempt_with_the_next_index(job, resource):
    job.restartable = True
    job.save()
    [first] = queue.place(resource)
    transitions.ended(first, reason=Reason.HOST_RESTARTED, sentence="The host was restarted.")
    [second] = queue.place(resource)
    assert (first.index, second.index) == (0, 1)
    assert [move.state for move in job.moves.all()] == ["preparing", "queued", "preparing"]


def test_a_job_that_is_being_stopped_is_never_restarted(job, resource):
    job.restartable = True
    job.save()
    [attempt] = queue.place(resource)
    transitions.move(job, JobState.CANCELLING, reason=Reason.STOPPED)
    transitions.ended(attempt, reason=Reason.HOST_RESTARTED, sentence="")
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED


def test_an_end_that_is_told_twice_counts_once(job, resource):
    [attempt] = queue.place(resource)
    transitions.ended(attempt, reason=Reason.EXITED, sentence="", exit_status=0)
    transitions.ended(attempt, reason=Reason.HOST_RESTARTED, sentence="")
    job.refresh_from_db()
    assert (job.state, job.moves.count()) == (JobState.SUCCEEDED, 2)


def test_a_job_that_was_placed_meanwhile_is_not_cancelled_as_a_waiting_one(job, resource):
    queue.place(resource)
    assert not transitions.move(job, JobState.CANCELLED, reason=Reason.STOPPED, only_from=WAITING)


def test_every_reason_has_an_outcome():
    assert {outcome(reason, None) for reason in Reason} <= FINAL
