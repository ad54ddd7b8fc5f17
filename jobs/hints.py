"""Word to the workers that something waits for them. Lost where Redis is away: the sweep finds it anyway."""

import logging
from typing import Final

log = logging.getLogger(__name__)

ASKED_AGAIN: Final = 10  # seconds after which the sweep asks once more


def look() -> None:
    """Asks a worker to look at the queue."""
    _send("look")


def bring(job_id: str) -> None:
    """Asks a worker to lay out what a job needs."""
    _send("bring", job_id)


def store(job_id: str) -> None:
    """Asks a worker to store what a job has left."""
    _send("store", job_id)


def _send(task: str, *arguments: str) -> None:
    from jobs import tasks

    try:
        getattr(tasks, task).apply_async(arguments, retry=False, ignore_result=True, expires=ASKED_AGAIN)
    except Exception as error:  # kombu wraps the transport's errors in several ways
        log.debug("no worker was told to %s: %s", task, error)
