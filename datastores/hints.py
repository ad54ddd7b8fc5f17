"""Word to the workers that something waits for them. Lost where Redis is away: the sweep finds it anyway."""

import logging

from mlteam.beat import host_queue

log = logging.getLogger(__name__)


def delete_gone() -> None:
    """Asks a worker to delete what was removed of volumes."""
    from datastores import tasks

    try:
        tasks.delete_gone.apply_async(retry=False, ignore_result=True, expires=60)
    except Exception as error:  # kombu wraps the transport's errors in several ways
        log.debug("no worker was told to delete what was removed: %s", error)


def bring_in(import_id: str) -> None:
    """Asks this host's worker to go on with an import."""
    from datastores import tasks

    try:
        tasks.bring_in.apply_async((import_id,), queue=host_queue(), retry=False, ignore_result=True, expires=60)
    except Exception as error:  # kombu wraps the transport's errors in several ways
        log.debug("no worker was told of import %s: %s", import_id, error)


def compare(project_id: str, sha256: str) -> None:
    """Asks a worker to look at content that was found missing or damaged: a page that is read writes nothing."""
    from datastores import tasks

    try:
        tasks.compare.apply_async((project_id, sha256), retry=False, ignore_result=True, expires=3600)
    except Exception as error:  # kombu wraps the transport's errors in several ways
        log.debug("no worker was told to compare %s: %s", sha256, error)


def mend(project_id: str, hashes: list[str]) -> None:
    """Asks this host's worker to put content that has come again into what jobs read."""
    from datastores import tasks

    try:
        tasks.mend.apply_async((project_id, hashes), queue=host_queue(), retry=False, ignore_result=True, expires=3600)
    except Exception as error:  # kombu wraps the transport's errors in several ways
        log.warning("no worker was told to mend %s: %s", ", ".join(hashes), error)
