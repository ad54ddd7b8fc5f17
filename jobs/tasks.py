"""Celery's doors to jobs. None stays for a job's length, none carries anything: the rows are the queue."""

import logging
import threading
from time import monotonic

from celery import shared_task

from billing import budgets
from compute import resources
from jobs import charges, data, engine, hints, outputs, queue, reconcile
from jobs.models import Attempt, Job
from jobs.states import JobState

log = logging.getLogger(__name__)

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
        _ask_again()
        _reconcile()


def _ask_again() -> None:
    """Of jobs whose data or output waits for a worker nobody may know any more."""
    if monotonic() < _asked_again["at"]:
        return
    _asked_again["at"] = monotonic() + hints.ASKED_AGAIN
    for job_id in Job.objects.queued().filter(waits_for_data=True).order_by("queued_at").values_list("pk", flat=True):
        hints.bring(job_id)
    for job_id in Job.objects.filter(state=JobState.UPLOADING).order_by("changed_at").values_list("pk", flat=True):
        hints.store(job_id)


def _reconcile() -> None:
    if not _sweeping.acquire(blocking=False):
        return
    try:
        reconcile.host(resources.this_host())
    finally:
        _sweeping.release()


@shared_task(name="jobs.tasks.bring", ignore_result=True)
def bring(job_id: str) -> None:
    """Lays out what a waiting job needs of datasets and models, and has it placed."""
    if data.bring(job_id):
        look()


@shared_task(name="jobs.tasks.store", ignore_result=True)
def store(job_id: str) -> None:
    """Makes versions of what a job has left, and ends it."""
    outputs.store(job_id)


@shared_task(name="jobs.tasks.charge", ignore_result=True)
def charge() -> None:
    """Each minute: what runs goes into the ledger, and whose budget nears its end is told."""
    try:
        charges.charge_all()
    finally:
        budgets.warn()
