"""For somebody who has lost their devices and their recovery codes: the next sign-in asks for the password alone."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import notices, second_step
from accounts.models import User


class Command(BaseCommand):
    help = "Takes the second step of an account away. Be sure that it is its owner who asks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no account called {username}.")
        number = second_step.forget_all(user=user)
        if number:
            notices.send(None, user, notices.FORGOTTEN)
        self.stdout.write(f"{number} device{'s' if number != 1 else ''} of {username} forgotten.")
