"""The people, projects and jobs of a server that browser tests share. Runs inside the server's own installation."""

import json
from datetime import timedelta

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts import actions as accounts
from accounts import first
from accounts.models import User
from jobs import actions as jobs
from jobs.models import Job
from jobs.spec import parse
from jobs.states import JobState, Reason
from projects import actions as projects
from projects import links, team_members
from projects.levels import PRESETS
from projects.models import Invitation, Project
from teams import actions as teams
from teams import joining

PASSWORD = "a long enough password"
LONG = "a-name-that-goes-on-and-on-" * 3
MANY = 5000
NAMES = {"ada": "Ada Byron", "grace": "Grace Murray", "emmy": "Emmy Noether", "stan": "Stan Stranger", "nora": ""}
NAMES |= {"fay": "Fay Factor"}  # has a second step at sign-in as soon as its test has run
NAMES |= {"gone": "Gwen Gone"}  # deletes her account
NAMES |= {"dee": "Dee Device"}  # has a second step as soon as she signs a program in

FAILS = """
import sys
print("reading the data")
def load(path):
    return open(path)
load("/nowhere/data.csv")
"""
WRITES = """
import json, os, struct, zlib
from pathlib import Path

out = Path(os.environ["MLTEAM_OUTPUT"])
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
rows = b"".join(b"\\0" + bytes(c for x in range(64) for c in (x * 4, y * 4, 120)) for y in range(64))
header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
picture = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
(out / "picture.png").write_bytes(b"\\x89PNG\\r\\n\\x1a\\n" + picture)
(out / "metrics.json").write_text(json.dumps({"accuracy": 0.97, "note": "<script>alert(1)</script>"}))
(out / "weights").mkdir()
(out / "weights" / "model.bin").write_bytes(os.urandom(100_000))
(out / "link").symlink_to("/etc/passwd")
for colour in range(16):
    code = 30 + colour % 8 + 60 * (colour // 8)
    print(f"\\x1b[{code}mcolour {colour}\\x1b[0m, \\x1b[1mbold\\x1b[0m, \\x1b[2mdim\\x1b[0m, \\x1b[7minverse\\x1b[0m")
"""


def make() -> None:
    """Makes all of it, and prints what tests need to know as JSON."""
    ada = accounts.create_first_account(
        token=first.make_token(), email="ada@example.org", username="ada", name=NAMES["ada"], password=PASSWORD
    )
    people = {name: _person(name) for name in NAMES if name != "ada"}
    vision = projects.create(name="Vision", by=ada)
    projects.create(name="Empty corner", by=ada)
    many = projects.create(name="Archive of everything that we ever trained", by=ada)
    for name, preset in (("grace", "Full"), ("emmy", "Viewer")):
        _join(vision, people[name], preset)
    _join(many, people["grace"], "Full")
    _team(vision, [people["emmy"]])
    _invite(vision)
    _fill(many, ada)
    for number in range(35):
        projects.create(name=f"Field {number:02}", by=people["stan"])
    made = {"failed": _script(vision, people["grace"], "reads-a-file", FAILS)}
    made["succeeded"] = _script(vision, people["grace"], LONG, WRITES, tags=["demo", "long-tag-" * 4])
    print(json.dumps({"password": PASSWORD, "jobs": made}))


def _person(name: str) -> User:
    return accounts.create_account(
        email=f"{name}@example.org", username=name, name=NAMES[name], password=PASSWORD, verified=name != "nora"
    )


def _join(project: Project, user: User, preset: str) -> None:
    offer = projects.invite(project=project, email=user.email, levels=PRESETS[preset], by=project.owner)
    projects.accept(token=links.token_of(offer, links.EMAILED), by=user)


def _team(project: Project, users: list[User]) -> None:
    """A team that is a member of the project, with a team in it."""
    lab = teams.create(name="Vision lab", by=project.owner)
    for user in users:
        teams.add_user(team=lab, user=user, role="user", by=project.owner)
    joining.invite(team=lab, email="a.very.long.address@department.university.example", role="admin", by=project.owner)
    teams.add_team(outer=lab, inner=teams.create(name="Interns", by=project.owner), by=project.owner)
    team_members.add(project=project, team=lab, levels=PRESETS["Viewer"], by=project.owner)


def _invite(project: Project) -> None:
    """One open invitation and one that is too old."""
    for email in ("a.very.long.address.of.somebody.to.come@department.university.example", "late@example.org"):
        projects.invite(project=project, email=email, levels=PRESETS["Teammate"], by=project.owner)
    Invitation.objects.filter(email="late@example.org").update(expires_at=timezone.now() - timedelta(days=1))


def _script(project: Project, by: User, name: str, script: str, **more: object) -> str:
    spec = parse({"name": name[:100], "command": "python3 script.py", "resources": {"cpu": 0.1, "mem": 0.25}, **more})
    return jobs.submit(project=project, spec=spec, by=by, files=[SimpleUploadedFile("script.py", script.encode())]).id


def _fill(project: Project, by: User) -> None:
    """Thousands of jobs that have been there, as rows alone."""
    now, states = timezone.now(), sorted({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
    Job.objects.bulk_create(
        Job(
            project=project,
            name=f"{LONG[: number % 80]}run-{number}",
            created_by=by,
            spec=parse({"command": "true"}).stored(),
            state=states[number % len(states)],
            reason=Reason.EXITED,
            sentence="It has ended.",
            created_at=now - timedelta(minutes=MANY - number),
            started_at=now - timedelta(minutes=MANY - number),
            ended_at=now - timedelta(minutes=MANY - number - 1),
        )
        for number in range(MANY)
    )
