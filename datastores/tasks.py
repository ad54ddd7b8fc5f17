"""Doors for Celery."""

from celery import shared_task

from datastores import checks, faults, imports, trees, volumes, weights


@shared_task(name="datastores.tasks.check", ignore_result=True)
def check() -> None:
    """Each night: whether all content is there and whole, which admins are told where it is not; and what is laid out of versions that
    are no more goes."""
    try:
        checks.run()
        checks.tell_admins()
    finally:
        trees.tidy()
        volumes.delete_gone()


@shared_task(name="datastores.tasks.compare", ignore_result=True)
def compare(project_id: str, sha256: str) -> None:
    """Looks at content that somebody who read it found missing or damaged."""
    faults.look(project_id, sha256)


@shared_task(name="datastores.tasks.mend", ignore_result=True)
def mend(project_id: str, hashes: list[str]) -> None:
    """Content that was damaged has come again: jobs read that."""
    trees.mend(project_id, hashes)


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


@shared_task(name="datastores.tasks.bring_in", ignore_result=True)
def bring_in(import_id: str) -> None:
    """Goes on with an import."""
    imports.carry_out(import_id)


@shared_task(name="datastores.tasks.resume_imports", ignore_result=True)
def resume_imports() -> None:
    """Each minute: imports whose word was lost, or whose worker was killed."""
    imports.resume_all()
