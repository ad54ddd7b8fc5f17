"""Tells whoever watches that a job has changed. A hint only: what is lost with Redis, the pages' slow poll finds."""

import functools
import logging
from typing import TYPE_CHECKING

from channels.layers import get_channel_layer
from django.conf import settings
from django.db import transaction

if TYPE_CHECKING:
    import redis

log = logging.getLogger(__name__)


def publish(job: "object") -> None:
    """After the transaction: one event to the job's page and one to its project's lists."""
    job_id, project_id = job.pk, job.project_id  # type: ignore[attr-defined]
    transaction.on_commit(
        lambda: send(
            {f"job.{job_id}", f"project.{project_id}"}, {"type": "job.changed", "job": job_id, "project": project_id}
        )
    )


def send(groups: set[str], message: dict[str, object]) -> None:
    """Sends a message to channel groups from any thread; Redis being away is no error."""
    packed = get_channel_layer().serialize(message)
    try:
        with _client().pipeline(transaction=False) as pipe:
            for group in groups:
                pipe.publish(f"{_prefix()}__group__{group}", packed)
            pipe.execute()
    except Exception as error:  # what redis raises in time of trouble is not only its own: ValueError, OSError
        log.debug("no hint sent: %s", error)


@functools.cache
def _client() -> "redis.Redis":
    import redis  # takes a tenth of the time in which a command starts, and most of them change no job

    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=0.5, socket_timeout=0.5)


def _prefix() -> str:
    return settings.CHANNEL_PREFIX
