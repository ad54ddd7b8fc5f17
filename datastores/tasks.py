"""Doors for Celery."""

from celery import shared_task

from datastores import checks, trees, volumes, weights


@shared_task(name="datastores.tasks.check", ignore_result=True)
def check() -> None:
    """Each night: whether all content is there and whole; and what is laid out of versions that are no more goes."""
    try:
        checks.run()
    finally:
        trees.tidy()
        volumes.delete_gone()


@shared_task(name="datastores.tasks.delete_gone", ignore_result=True)
def delete_gone() -> None:
    """Deletes what was removed of volumes."""
    volumes.delete_gone()


@shared_task(name="datastores.tasks.measure", ignore_result=True)
def measure() -> None:
    """Finds out how much is in volumes."""
    volumes.measure_changed()


@shared_task(name="datastores.tasks.charge", ignore_result=True)
def charge() -> None:
    """Now and then: what projects store goes into the ledger."""
    weights.charge()
