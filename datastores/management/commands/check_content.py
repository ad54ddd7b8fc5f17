"""`manage.py check_content`: whether all content of datasets and models is there and whole."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from datastores import checks, faults, room


class Command(BaseCommand):
    help = "Compares all content of datasets and models with its hashes, and takes away what nothing needs."

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--nightly", action="store_true", help="compare only as much as is done each night")
        which.add_argument("--known", action="store_true", help="compare nothing: only say what was found before")

    def handle(self, *args: Any, **options: Any) -> None:
        good = options["known"] or self._checked(whole=not options["nightly"])
        for one in faults.everywhere():
            good = False
            self.stdout.write(f"{one.fault} in {one.version.datastore.project.slug}: {one.version} {one.said}")
        if not good:
            raise CommandError(
                "Some content is lost. Restore it from a backup, or push a folder that has it: that heals every version."
            )

    def _checked(self, *, whole: bool) -> bool:
        report = checks.run(whole=whole)
        self.stdout.write(
            f"{report.blobs} blobs, {room.said(report.bytes)}; {report.compared} compared with their hashes"
        )
        for word in ("missing", "damaged", "healed", "deleted"):
            for key in getattr(report, word):
                self.stdout.write(f"{word}: {key}")
        for project_id in report.uncertain:
            self.stdout.write(f"a manifest is lost in project {project_id}: nothing was deleted there")
        return report.good
