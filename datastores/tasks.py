"""Doors for Celery."""

from celery import shared_task

from datastores import checks, trees


@shared_task(name="datastores.tasks.check", ignore_result=True)
def check() -> None:
    """Each night: whether all content is there and whole; and what is laid out of versions that are no more goes."""
    try:
        checks.run()
    finally:
        trees.tidy()
