"""Fills an empty installation with a small team, a project and a training job; says how to sign in."""

from pathlib import Path

from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management.base import BaseCommand, CommandError

from accounts import actions as accounts
from accounts import first
from accounts.models import User
from jobs import actions as jobs
from jobs.spec import parse_yaml
from mlteam import state
from projects import actions as projects
from projects import links
from projects.levels import PRESETS
from projects.models import Project

EXAMPLE = Path(settings.BASE_DIR) / "examples" / "digits"
TEAM = (("ada", "Ada Byron", ""), ("grace", "Grace Murray", "Collaborator"), ("emmy", "Emmy Noether", "Viewer"))


class Command(BaseCommand):
    help = "Make a small team, a project and a training job in an installation that has nobody yet; print the accounts."

    def handle(self, *args: object, **options: object) -> None:
        password = state.secret("demo-password")[:16]
        if not first.is_set_up():
            self._fill(password)
        elif not User.objects.filter(email=_email("ada")).exists():
            raise CommandError("This installation is in use: the demo needs one of its own (MLTEAM_VAR).")
        self.stdout.write("Sign in with one of:")
        for username, _, preset in TEAM:
            self.stdout.write(f"  {_email(username):<20} password {password}   {preset or 'owner and admin'}")

    def _fill(self, password: str) -> None:
        owner = accounts.create_first_account(
            token=first.make_token(), email=_email("ada"), username="ada", name="Ada Byron", password=password
        )
        project = projects.create(name="Vision", by=owner)
        for username, name, preset in TEAM[1:]:
            self._join(project, owner, username, name, password, preset)
        spec = parse_yaml((EXAMPLE / "job.yml").read_text())
        script = SimpleUploadedFile("train.py", (EXAMPLE / "train.py").read_bytes())
        jobs.submit(project=project, spec=spec, by=User.objects.get(username="grace"), files=[script])

    def _join(self, project: Project, owner: User, username: str, name: str, password: str, preset: str) -> None:
        invitation = projects.invite(project=project, email=_email(username), levels=PRESETS[preset], by=owner)
        user = accounts.create_account(
            email=_email(username), username=username, name=name, password=password, verified=True
        )
        projects.accept(token=links.token_of(invitation, links.EMAILED), by=user)


def _email(username: str) -> str:
    return f"{username}@example.org"
