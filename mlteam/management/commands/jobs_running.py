"""Names the jobs that run, one in a line; what `make run` says when it ends."""

from typing import Any

from django.core.management.base import BaseCommand

from jobs.models import Job


class Command(BaseCommand):
    help = "Name the jobs that run now."
    requires_system_checks: Any = []  # they load all that the server does

    def handle(self, *args: object, **options: object) -> None:
        for job in Job.objects.active().select_related("project", "created_by").newest_first():
            by = job.created_by.username if job.created_by else "nobody"
            self.stdout.write(f"{job.name} ({job.id}) in {job.project.name}, by {by}: {job.state}")
