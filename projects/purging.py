"""The end of removed projects: rows and files go some time after nobody could see them any more."""

from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from projects import signals
from projects.models import Project, record

KEPT: Final = timedelta(hours=1)  # time for whatever still held something open to let go


def purge() -> int:
    """Deletes what was removed long enough ago; the number of projects."""
    due = list(Project.objects.filter(removed_at__lt=timezone.now() - KEPT)[:10])
    for project in due:
        _purge(project)
    return len(due)


@transaction.atomic
def _purge(project: Project) -> None:
    signals.project_purging.send(sender=Project, project=project)
    record(by=None, project=project, action="project:purge", before={"name": project.name, "slug": project.slug})
    project.delete()
