"""Approves accounts for GPUs, or withdraws that; it counts where MLTEAM_GPU_APPROVAL is set."""

import argparse

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User


class Command(BaseCommand):
    help = "Let accounts submit jobs with GPUs, or (--withdraw) no more; without names, say who may."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("usernames", nargs="*")
        parser.add_argument("--withdraw", action="store_true")

    def handle(self, *args: object, usernames: list[str], withdraw: bool, **options: object) -> None:
        if not settings.MLTEAM_GPU_APPROVAL:
            self.stderr.write("MLTEAM_GPU_APPROVAL is not set: every account may use GPUs.")
        if missing := set(usernames) - set(
            User.objects.filter(username__in=usernames).values_list("username", flat=True)
        ):
            raise CommandError(f"There is no account called {', '.join(sorted(missing))}. Nothing was changed.")
        User.objects.filter(username__in=usernames).update(gpu_approved=not withdraw)
        approved = User.objects.filter(gpu_approved=True).order_by("username").values_list("username", flat=True)
        self.stdout.write(f"Approved: {', '.join(approved) or 'nobody'}")
