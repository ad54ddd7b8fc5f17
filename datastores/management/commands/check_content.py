"""`manage.py check_content`: whether all content of datasets and models is there and whole."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from datastores import checks, room


class Command(BaseCommand):
    help = "Looks whether all content of datasets and models is there and whole, and takes away what nothing needs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="read all of it, not only what has waited longest")

    def handle(self, *args: Any, **options: Any) -> None:
        report = checks.run(whole=options["all"])
        self.stdout.write(
            f"{report.blobs} blobs, {room.said(report.bytes)}; {report.compared} compared with their hashes"
        )
        for word in ("missing", "damaged", "healed", "deleted"):
            for key in getattr(report, word):
                self.stdout.write(f"{word}: {key}")
        for project_id in report.uncertain:
            self.stdout.write(f"a manifest is lost in project {project_id}: nothing was deleted there")
        if not report.good:
            raise CommandError("Some content is lost. Restore it from a backup, or push it again.")
