"""Placement: order, slots, GPUs, uids, preemption, and what a waiting job is told."""

import pytest

from jobs import engine, queue, transitions
from jobs.models import Attempt
from projects import actions as projects

pytestmark = pytest.mark.django_db


@pytest.fixture
def lab(owner):
    return projects.create(name="Lab", by=owner)


@pytest.fixture
def other_lab(stranger):
    return projects.create(name="Other lab", by=stranger)


def placed(resource):
    return [attempt.job.name for attempt in queue.place(resource)]


def test_jobs_are_placed_by_age_as_far_as_slots_reach(resource, queued, lab, owner):
    for name in "abc":
        queued(lab, owner, name=name)
    assert placed(resource) == ["a", "b"]
    assert placed(resource) == []


def test_a_higher_bid_goes_first(resource, queued, lab, owner):
    queued(lab, owner, name="cheap", cpu=2)
    queued(lab, owner, name="dear", cpu=2, bid=10)
    assert placed(resource) == ["dear"]


def test_owners_share_fairly_whatever_they_queue(resource, queued, lab, owner, other_lab, stranger):
    for number in range(5):
        queued(lab, owner, name=f"many{number}", cpu=0.5)
    for number in range(2):
        queued(other_lab, stranger, name=f"few{number}", cpu=0.5)
    assert sorted(placed(resource)) == ["few0", "few1", "many0", "many1"]


def test_a_large_job_is_not_starved_by_small_ones_behind_it(resource, queued, lab, owner):
    queued(lab, owner, name="running", cpu=1)
    assert placed(resource) == ["running"]
    queued(lab, owner, name="large", cpu=2)
    queued(lab, owner, name="small", cpu=0.5)
    assert placed(resource) == []


def test_a_job_that_waits_for_a_gpu_does_not_hold_back_what_it_does_not_need(resource, queued, lab, owner):
    queued(lab, owner, name="both gpus", cpu=0.1, gpu=2)
    assert placed(resource) == ["both gpus"]
    queued(lab, owner, name="wants a gpu", cpu=0.5, gpu=1)
    queued(lab, owner, name="no gpu", cpu=0.5)
    assert placed(resource) == ["no gpu"]


def test_each_job_gets_gpus_of_its_own(resource, queued, lab, owner):
    for name in "ab":
        queued(lab, owner, name=name, gpu=1)
    given = [gpu["uuid"] for attempt in queue.place(resource) for gpu in attempt.gpus]
    assert sorted(given) == ["GPU-0", "GPU-1"]


def test_living_attempts_have_different_uids_where_the_server_is_root(resource, queued, lab, owner, monkeypatch):
    monkeypatch.setattr(engine, "drops_uids", lambda: True)
    for _ in range(4):
        queued(lab, owner, cpu=0.5)
    uids = {attempt.uid for attempt in queue.place(resource)}
    assert len(uids) == 4
    assert all(uid >= 70_000 for uid in uids)


def test_nothing_is_placed_where_no_sandbox_can_be_had(resource, queued, lab, owner):
    resource.facts = {"isolation": "none", "problems": ["No sandbox: do this."]}
    resource.save()
    job = queued(lab, owner)
    assert placed(resource) == []
    assert queue.explain(job).sentence == "No sandbox: do this."


def test_slots_come_back_when_an_attempt_ends(resource, queued, lab, owner):
    queued(lab, owner, name="first", cpu=2)
    [attempt] = queue.place(resource)
    queued(lab, owner, name="second", cpu=2)
    assert placed(resource) == []
    transitions.ended(attempt, reason="exited", sentence="", exit_status=0)
    assert placed(resource) == ["second"]


@pytest.fixture
def stopped(monkeypatch):
    """Which attempts the engine was asked to stop, and why."""
    asked = []
    monkeypatch.setattr(engine, "stop", lambda attempt, reason: asked.append((attempt.job.name, reason)))
    return asked


def test_only_preemptable_jobs_of_lower_bids_make_room(
    resource, queued, lab, owner, stopped, django_capture_on_commit_callbacks
):
    queued(lab, owner, name="firm", cpu=1)
    queued(lab, owner, name="soft", cpu=1, preemptable=True)
    assert len(queue.place(resource)) == 2
    queued(lab, owner, name="urgent", cpu=1, bid=5)
    with django_capture_on_commit_callbacks(execute=True):
        assert placed(resource) == []
    assert stopped == [("soft", "preempted")]


def test_nobody_is_preempted_in_vain(resource, queued, lab, owner, stopped, django_capture_on_commit_callbacks):
    queued(lab, owner, name="firm", cpu=1)
    queued(lab, owner, name="soft", cpu=1, preemptable=True)
    queue.place(resource)
    queued(lab, owner, name="too large", cpu=2, bid=5)
    with django_capture_on_commit_callbacks(execute=True):
        assert placed(resource) == []
    assert stopped == []


def test_a_waiting_job_says_what_it_waits_for_and_its_place(resource, queued, lab, owner):
    queued(lab, owner, cpu=2)
    queue.place(resource)
    first, second = queued(lab, owner, cpu=1), queued(lab, owner, cpu=1, gpu=1)
    assert queue.explain(first).sentence == "Waits for 1 CPU (0 of 2 free)."
    assert [queue.explain(job).position for job in (first, second)] == [1, 2]


def test_placing_takes_the_same_number_of_queries_for_many_waiting_jobs(
    resource, queued, lab, owner, django_assert_max_num_queries
):
    queued(lab, owner, cpu=2)
    queue.place(resource)
    for _ in range(30):
        queued(lab, owner)
    with django_assert_max_num_queries(12):
        assert queue.place(resource) == []
    assert Attempt.objects.count() == 1
