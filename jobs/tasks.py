"""Celery's doors to jobs. None stays for a job's length, none carries anything: the rows are the queue."""

import logging
import threading

from celery import shared_task

from billing import budgets
from compute import resources
from jobs import charges, engine, queue, reconcile
from jobs.models import Attempt

log = logging.getLogger(__name__)

_placing = threading.Lock()
_asked = threading.Event()
_sweeping = threading.Lock()


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
        _reconcile()


def _reconcile() -> None:
    if not _sweeping.acquire(blocking=False):
        return
    try:
        reconcile.host(resources.this_host())
    finally:
        _sweeping.release()


@shared_task(name="jobs.tasks.charge", ignore_result=True)
def charge() -> None:
    """Each minute: what runs goes into the ledger, and whose budget nears its end is told."""
    try:
        charges.charge_all()
    finally:
        budgets.warn()
