"""Celery's doors to jobs. None stays for a job's length, none carries anything: the rows are the queue."""

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

from celery import shared_task
from celery.signals import worker_shutting_down
from django.db.models import BooleanField, ExpressionWrapper, Q, Sum
from django.db.models.functions import Coalesce

from billing import budgets
from compute import resources
from jobs import charges, data, engine, hints, inputs, outputs, queue, reconcile, transfers
from jobs.models import Attempt, Job
from jobs.querysets import JobQuerySet
from jobs.states import JobState

log = logging.getLogger(__name__)

LONG: Final = (
    6  # tasks at once that take long: the worker has more threads than that, so that the short ones never wait for them
)
OF_ONE: Final = 2  # of these, for the jobs of one owner
ASKED: Final = 10  # for how many jobs of one owner workers are asked again

_placing = threading.Lock()
_asked = threading.Event()
_sweeping = threading.Lock()
_asked_again = {"at": 0.0}  # when jobs that wait for their data, or for their output to be stored, are looked at next


@shared_task(name="jobs.tasks.look", ignore_result=True)
def look() -> None:
    """Places waiting jobs and starts them. While one thread does, others only leave word that it shall look once more."""
    _asked.set()
    while _asked.is_set() and _placing.acquire(blocking=False):
        try:
            _asked.clear()
            for attempt in queue.place(resources.this_host()):
                _start(attempt)
        finally:
            _placing.release()


def _start(attempt: Attempt) -> None:
    try:
        engine.start(attempt)
    except Exception:  # a full disk, say: the others are started, and the sweep tries this one again
        log.exception("attempt %s of job %s was not started", attempt.index, attempt.job_id)


@shared_task(name="jobs.tasks.sweep", ignore_result=True)
def sweep() -> None:
    """Each second: what a lost hint or a killed process left undone."""
    try:
        look()
    finally:
        try:
            _ask_again()
        finally:
            _reconcile()


@worker_shutting_down.connect
def _end(**_: Any) -> None:
    """What is carried ends with the worker, and goes on with the next one."""
    transfers.ending.set()


def _ask_again() -> None:
    """Of jobs whose data or output waits for a worker nobody may know any more."""
    if monotonic() < _asked_again["at"]:
        return
    _asked_again["at"] = monotonic() + hints.ASKED_AGAIN
    for job_id in _first(Job.objects.queued().filter(waits_for_data=True), "queued_at"):
        hints.bring(job_id)
    for job_id in _first(Job.objects.filter(state=JobState.UPLOADING), "changed_at"):
        hints.store(job_id)
    inputs.tidy()


def _first(jobs: JobQuerySet, order: str) -> list[str]:
    """Some of them for each owner, who cannot have many done at once anyway: first those of which nothing has failed yet, and that have
    not only to wait for room."""
    asked, found = Counter[str](), []
    waits = ExpressionWrapper(Q(input_bytes__gt=0, input_room=False), output_field=BooleanField())
    tried = jobs.annotate(tries=Coalesce(Sum("transfers__tries"), 0), waits_for_room=waits)
    in_order = tried.order_by("tries", "waits_for_room", order)
    for job_id, owner in in_order.values_list("pk", "project__owner_id"):
        asked[owner] += 1
        if asked[owner] <= ASKED:
            found.append(job_id)
    return found


def _reconcile() -> None:
    if not _sweeping.acquire(blocking=False):
        return
    try:
        reconcile.host(resources.this_host())
    finally:
        _sweeping.release()


_long: Counter[str] = Counter()  # how many take long now, by the owner of the job's project
_counting = threading.Lock()


@contextmanager
def _room_for(job_id: str) -> Iterator[bool]:
    """Whether this process has a thread for what takes long for this job. Where not, it is asked again."""
    owner = Job.objects.filter(pk=job_id).values_list("project__owner_id", flat=True).first() or ""
    with _counting:
        free = _long.total() < LONG and _long[owner] < OF_ONE
        _long[owner] += free
    try:
        yield free
    finally:
        if free:
            with _counting:
                _long[owner] -= 1
            _asked_again["at"] = 0.0  # others may have waited for this thread


@shared_task(name="jobs.tasks.bring", ignore_result=True)
def bring(job_id: str) -> None:
    """Fetches and lays out what a waiting job needs, and has it placed."""
    with _room_for(job_id) as free:
        ready = free and data.bring(job_id)
    if ready:
        look()


@shared_task(name="jobs.tasks.store", ignore_result=True)
def store(job_id: str) -> None:
    """Stores what a job has left, and ends it."""
    with _room_for(job_id) as free:
        if free:
            outputs.store(job_id)


@shared_task(name="jobs.tasks.charge", ignore_result=True)
def charge() -> None:
    """Each minute: what runs goes into the ledger, and whose budget nears its end is told."""
    try:
        charges.charge_all()
    finally:
        budgets.warn()


@shared_task(name="jobs.tasks.note_writing", ignore_result=True)
def note_writing() -> None:
    """Each minute: which volumes running jobs may have changed."""
    data.note_writing()
