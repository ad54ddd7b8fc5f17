"""`manage.py stop`: ends the server, then the jobs, which would otherwise run on without it."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.actions import stop_all
from mlteam import running


class Command(BaseCommand):
    help = "Names the jobs that run, ends the server, then ends the jobs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--keep-jobs", action="store_true", help="end the server alone; jobs run on, as after Ctrl-C"
        )

    def handle(self, *args: Any, keep_jobs: bool, **options: Any) -> None:
        call_command("jobs_running", stdout=self.stdout)
        self._end_server()
        if not keep_jobs:
            stopped = stop_all()
            self.stdout.write(f"Jobs ended: {stopped}." if stopped else "No jobs to end.")

    def _end_server(self) -> None:
        server = running.find()
        if server is None:
            self.stdout.write("The server does not run.")
            return
        self.stdout.write(f"Ending the server (process {server.pid}) …")
        if not running.end(server):
            raise CommandError(f"It has not ended. `kill -9 {server.pid}` ends it and its processes.")
        self.stdout.write("The server has ended.")
