"""Word to the workers that something waits for them. Lost where Redis is away: the sweep finds it anyway."""

import logging

log = logging.getLogger(__name__)


def delete_gone() -> None:
    """Asks a worker to delete what was removed of volumes."""
    from datastores import tasks

    try:
        tasks.delete_gone.apply_async(retry=False, ignore_result=True, expires=60)
    except Exception as error:  # kombu wraps the transport's errors in several ways
        log.debug("no worker was told to delete what was removed: %s", error)
