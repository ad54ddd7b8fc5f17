"""Celery's doors to jobs. None stays for a job's length, none carries anything: the rows are the queue."""

import threading

from celery import shared_task

from compute import resources
from jobs import engine, queue, reconcile

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
                engine.start(attempt)
        finally:
            _placing.release()


@shared_task(name="jobs.tasks.sweep", ignore_result=True)
def sweep() -> None:
    """Each second: what a lost hint or a killed process left undone."""
    look()
    if not _sweeping.acquire(blocking=False):
        return
    try:
        reconcile.host(resources.this_host())
    finally:
        _sweeping.release()
