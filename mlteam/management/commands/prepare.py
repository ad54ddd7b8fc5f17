"""Makes the database and the static files ready, and prints the path to open first."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from accounts import first
from accounts.models import Installation
from mlteam import static_files


class Command(BaseCommand):
    help = "Migrates, collects static files, and prints the path to open: with the set-up token while nobody has an account."

    requires_system_checks: Any = []  # they load all that the server does, which is about to do that itself

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        static_files.collect()
        Installation.objects.get_or_create(pk=1)
        self.stdout.write(_path())


def _path() -> str:
    if first.is_set_up():
        first.discard_token()
        return "/"
    return first.path()
