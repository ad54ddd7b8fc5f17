"""Word to the workers that something waits for them. Lost where Redis is away: the sweep finds it anyway."""

import logging
from typing import Any

from mlteam.beat import host_queue

log = logging.getLogger(__name__)


def delete_gone() -> None:
    """Asks a worker to delete what was removed of volumes."""
    _ask("delete_gone", expires=60)


def bring_in(import_id: str) -> None:
    """Asks this host's worker to go on with an import."""
    _ask("bring_in", import_id, queue=host_queue(), expires=60)


def compare(project_id: str, sha256: str) -> None:
    """Asks a worker to look at content that was found missing or damaged: a page that is read writes nothing."""
    _ask("compare", project_id, sha256, expires=3600)


def mend(project_id: str, hashes: list[str]) -> None:
    """Asks this host's worker to put content that has come again into what jobs read."""
    _ask("mend", project_id, hashes, level=logging.WARNING, queue=host_queue(), expires=3600)


def _ask(task: str, *what: Any, level: int = logging.DEBUG, **how: Any) -> None:
    """`level`: of what is logged where no worker can be told, and nothing finds it later."""
    from datastores import tasks

    try:
        getattr(tasks, task).apply_async(what, retry=False, ignore_result=True, **how)
    except Exception as error:  # kombu wraps the transport's errors in several ways
        log.log(level, "no worker was told of %s %s: %s", task, what, error)
