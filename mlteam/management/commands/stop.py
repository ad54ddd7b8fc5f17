"""`manage.py stop`: ends the server and the jobs, which would otherwise run on without it."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from jobs.actions import stop_all
from jobs.models import Job
from mlteam import running

ENDING = 20  # seconds that a job has for its end beyond those between SIGTERM and SIGKILL


class Command(BaseCommand):
    help = "Names the jobs that run, ends them, and ends the server."
    requires_system_checks: Any = []  # they load all that the server does

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--keep-jobs", action="store_true", help="end the server alone; jobs run on, as after Ctrl-C"
        )

    def handle(self, *args: Any, keep_jobs: bool, **options: Any) -> None:
        server = running.find()
        if server and not keep_jobs and not running.drain(server):
            raise CommandError(
                f"Its worker does not end. `kill -9 {server.pid}` ends the server with all its processes."
            )
        if not keep_jobs:
            self._end_jobs(heard=server is not None)
        if server is None:
            self.stdout.write("The server does not run.")
        elif running.end(server):
            self.stdout.write("The server has ended.")
        else:
            raise CommandError(f"The server does not end. `kill -9 {server.pid}` ends it with all its processes.")

    def _end_jobs(self, *, heard: bool) -> None:
        """Name the jobs, and end them; `heard`: a server is there to be told how they ended."""
        migrated = Job._meta.db_table in connection.introspection.table_names()
        jobs = stop_all() if migrated else []
        if not jobs:
            self.stdout.write("No job runs.")
            return
        self.stdout.write(f"Ending {len(jobs)} job{'s' if len(jobs) > 1 else ''}:")
        for job in jobs:
            self.stdout.write(f"  {job.name} ({job.id}) in {job.project.name}")
        self.stdout.flush()
        if not heard:
            self.stdout.write("How they ended is recorded when the server starts again.")
        elif not running.wait(_none_runs, seconds=settings.MLTEAM_STOP_GRACE + ENDING):
            self.stdout.write("Not all have ended yet; the rest is recorded when the server starts again.")


def _none_runs() -> bool:
    return not Job.objects.active().exists()
