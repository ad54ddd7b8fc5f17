"""Doors for Celery."""

from celery import shared_task

from projects import purging


@shared_task(ignore_result=True)
def purge() -> None:
    """Deletes the content of projects that were removed some time ago."""
    purging.purge()
