"""Encrypts the third-party keys of all projects with a new secret of var/secrets."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from projects import third_party


class Command(BaseCommand):
    help = (
        "Encrypts all third-party keys with a new secret; the server may run meanwhile. When it was interrupted, the same again "
        "brings it to its end."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = third_party.rotate()
        if not done.begun:
            self.stdout.write(
                "An earlier rotation had not come to its end: it has now. Run this again for a new secret."
            )
        self.stdout.write(f"{done.sealed} key{'s are' if done.sealed != 1 else ' is'} encrypted anew.")
        self.stdout.write("Older secrets go by themselves an hour after no key needs them any more.")
        if done.unreadable:
            names = ", ".join(f"{key.name} of {key.project.name} ({key.project_id})" for key in done.unreadable)
            raise CommandError(
                f"These cannot be read, for their secrets are not in var/secrets; their owners must replace them: {names}"
            )
