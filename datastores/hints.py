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
