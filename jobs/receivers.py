"""What jobs do when something happens in a project. Signals only tell an app above; nothing else uses them."""

from typing import Any

import access
from access.signals import may_hold_less
from datastores.errors import User
from datastores.models import Datastore
from datastores.signals import datastore_removing
from jobs import actions, data, lending
from jobs.models import Job
from projects import signals
from projects.errors import Impossible
from projects.models import Project


def connect() -> None:
    """Listens to projects; called once when the app is ready."""
    may_hold_less.connect(_may_hold_less, dispatch_uid="jobs.may_hold_less")
    signals.project_removing.connect(_project_removing, dispatch_uid="jobs.project_removing")
    signals.project_purging.connect(_project_purging, dispatch_uid="jobs.project_purging")
    datastore_removing.connect(_datastore_removing, dispatch_uid="jobs.datastore_removing")


def _datastore_removing(sender: object, *, datastore: Datastore, by: Any, **_: object) -> list[User]:
    """Names the jobs that still need it."""
    return data.users_of(datastore, by)


def find_job(job_id: str) -> Job | None:
    """By its id; for `access.find`."""
    return Job.objects.as_rows().filter(project__removed_at=None, pk=job_id).first()


def _may_hold_less(sender: object, *, users: set[str], by: Any, **_: object) -> None:
    """Who no longer sees a project, however they saw it, has nothing waiting there."""
    waiting = Job.objects.queued().filter(created_by__in=users)
    for project in Project.objects.filter(pk__in=waiting.values("project")):
        stay = access.holders("project:get", project).values("pk")
        actions.cancel(waiting.filter(project=project).exclude(created_by__in=stay), by=by)


def _project_removing(sender: object, *, project: Project, **_: object) -> None:
    """Objects while jobs are unfinished."""
    unfinished = Job.objects.in_project(project).unfinished().count()
    if unfinished == 1:
        raise Impossible("One job has not ended yet. Stop it, or wait for it, first.")
    if unfinished:
        raise Impossible(f"{unfinished} jobs have not ended yet. Stop them, or wait for them, first.")
    if lending.borrowers(project):
        raise Impossible("Jobs of other projects read its data. Wait until they have ended.")


def _project_purging(sender: object, *, project: Project, **_: object) -> None:
    actions.remove_everything_of(project)
