"""Doors for Celery."""

from celery import shared_task

from datastores import checks


@shared_task(name="datastores.tasks.check", ignore_result=True)
def check() -> None:
    """Each night: whether all content is there and whole."""
    checks.run()
