"""`manage.py up`: the server in one terminal, as `make run` starts it."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Starts web, worker, beat and Redis, and starts again what dies; Ctrl-C ends them, jobs run on."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--demo", action="store_true", help="fill an empty installation with a small team and a job"
        )

    def handle(self, *args: Any, demo: bool, **options: Any) -> None:
        """Becomes the supervisor, which has no use for Django's memory."""
        command = [sys.executable, "-m", "mlteam.supervisor", "up", *(["--demo"] if demo else [])]
        os.execv(sys.executable, command)  # noqa: S606 - a list of arguments, no shell wanted
