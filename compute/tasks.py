"""Celery's doors to this host."""

from celery import shared_task

from compute import resources


@shared_task(name="compute.tasks.heartbeat", ignore_result=True)
def heartbeat() -> None:
    """This host is here, and has this."""
    resources.register_this_host()
