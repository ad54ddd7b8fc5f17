"""Doors for Celery."""

from celery import shared_task

from projects import purging, third_party


@shared_task(ignore_result=True)
def purge() -> None:
    """Deletes the content of projects that were removed some time ago, and secrets that no key needs any more."""
    purging.purge()
    third_party.drop_old_secrets()
