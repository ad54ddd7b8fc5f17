"""What jobs do when something happens in a project. Signals only tell an app above; nothing else uses them."""

from typing import Any

from jobs import actions
from jobs.models import Job
from projects import signals
from projects.errors import Impossible
from projects.models import Project


def connect() -> None:
    """Listens to projects; called once when the app is ready."""
    signals.member_removed.connect(_member_removed, dispatch_uid="jobs.member_removed")
    signals.project_removing.connect(_project_removing, dispatch_uid="jobs.project_removing")
    signals.project_purging.connect(_project_purging, dispatch_uid="jobs.project_purging")


def find_job(job_id: str) -> Job | None:
    """By its id; for `access.find`."""
    return Job.objects.as_rows().filter(project__removed_at=None, pk=job_id).first()


def _member_removed(sender: object, *, project: Project, user: Any, by: Any, **_: object) -> None:
    actions.cancel_queued_of(project=project, user=user, by=by)


def _project_removing(sender: object, *, project: Project, **_: object) -> None:
    """Objects while jobs are unfinished."""
    unfinished = Job.objects.in_project(project).unfinished().count()
    if unfinished == 1:
        raise Impossible("One job has not ended yet. Stop it, or wait for it, first.")
    if unfinished:
        raise Impossible(f"{unfinished} jobs have not ended yet. Stop them, or wait for them, first.")


def _project_purging(sender: object, *, project: Project, **_: object) -> None:
    actions.remove_everything_of(project)
