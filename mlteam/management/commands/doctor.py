"""`manage.py doctor`: what this machine has of what mlteam needs, and how to get the rest."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from mlteam import health


class Command(BaseCommand):
    help = "Says what this machine has of what mlteam needs, and how to get the rest; status 1 if something is wrong."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        findings = health.findings()
        style = {"ok": self.style.SUCCESS, "note": self.style.WARNING, "wrong": self.style.ERROR}
        for finding in findings:
            self.stdout.write(f"{style[finding.verdict](f'{finding.verdict:<5}')}  {finding.subject}: {finding.text}")
        if any(finding.verdict == "wrong" for finding in findings):
            sys.exit(1)
