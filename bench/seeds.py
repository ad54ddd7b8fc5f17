"""Rows for measurements of pages, written straight into the database: nothing of them has run. Import after Django is set up."""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from access.models import Policy, Statement
from accounts import actions as accounts
from accounts import first
from accounts.models import User
from compute.models import ComputeResource
from jobs import logs
from jobs.models import Attempt, Job
from jobs.querysets import words_of
from jobs.spec import parse
from projects import actions
from projects.levels import PRESETS, permissions_of
from projects.members import permissions, set_permissions
from projects.models import Member, Project, ProjectUserPermission

TAGS = ["vision", "nightly"]
PASSWORD = "correct-horse-9"
PROJECTS = 1000
JOBS = 100_000
AT_ONCE = 5000  # rows of an INSERT
SHARES = ("succeeded", "succeeded", "failed", "cancelled", "interrupted", "succeeded")
UNFINISHED = 80  # of the newest jobs: half wait, half run
WITH_LOG = 500  # of the newest jobs
LOG = (
    b"loading\n"
    + b"".join(b"\repoch 40: %3d%%|####      | %d/40" % (done * 5 // 2, done) for done in range(41))
    + b"\nsaved\n"
)


def account() -> tuple[User, Project]:
    """The person who looks, and their project `bench`."""
    if not User.objects.exists():
        token = first.make_token()
        user = accounts.create_first_account(
            token=token, email="ada@example.org", username="ada", name="Ada", password=PASSWORD
        )
        actions.create(name="Bench", by=user)
    return User.objects.get(username="ada"), Project.objects.get(slug="bench")


def projects(user: User, number: int) -> list[Project]:
    """So many more projects of the user's, half of them shared with them by somebody else."""
    other = accounts.create_account(
        email="grace@example.org", username="grace", name="Grace", password=PASSWORD, verified=True
    )
    rows = [
        Project(name=f"Project {place:04}", slug=f"project-{place:04}", owner=user if place % 2 else other)
        for place in range(number)
    ]
    Project.objects.bulk_create(rows)
    for project in rows[::2]:
        Member.objects.create(project=project, user=user, invited_by=other)
        set_permissions(project, user, PRESETS["Collaborator"])
    return rows


def people(number: int, name: str) -> list[User]:
    """So many accounts, `NAME-0` and on."""
    rows = [User(username=f"{name}-{place}", email=f"{name}-{place}@example.org") for place in range(number)]
    return User.objects.bulk_create(rows, batch_size=AT_ONCE)


def members(projects: list[Project], users: list[User]) -> None:
    """Makes each of the users a Viewer of each of the projects."""
    held = list(permissions(permissions_of(PRESETS["Viewer"])))
    for project in projects:
        Member.objects.bulk_create([Member(project=project, user=user) for user in users], batch_size=AT_ONCE)
        rows = (
            ProjectUserPermission(user=user, content_object=project, permission=permission)
            for user in users
            for permission in held
        )
        ProjectUserPermission.objects.bulk_create(rows, batch_size=AT_ONCE, ignore_conflicts=True)


def statements(projects: list[Project], users: list[User], by: User) -> None:
    """A policy with one statement for each user, about one project after another."""
    rows = [Policy(user=user, granted_by=by, text="job:get@…") for user in users]
    Policy.objects.bulk_create(rows, batch_size=AT_ONCE)
    compiled = (
        Statement(policy=policy, user=policy.user, place=projects[place % len(projects)].pk, kind="job", verb="get")
        for place, policy in enumerate(rows)
    )
    Statement.objects.bulk_create(compiled, batch_size=AT_ONCE)


def jobs(user: User, here: Project, others: list[Project], places: range, resource: ComputeResource) -> None:
    """Jobs number `places` (0 is the newest), each second in `here`, with an attempt each; the first of all have logs."""
    now, spec = timezone.now(), _spec()
    for start in range(places.start, places.stop, 5000):
        chunk = range(start, min(start + 5000, places.stop))
        rows = [_job(_project(here, others, place), user, place, now, spec) for place in chunk]
        Job.objects.bulk_create(rows)
        Attempt.objects.bulk_create([_attempt(job, resource) for job in rows if job.state != "queued"])
        for job in rows[: max(0, WITH_LOG - start)]:
            logs.append(logs.path_of(job.id, 0), 0, LOG)


def _project(here: Project, others: list[Project], place: int) -> Project:
    return here if place % 2 == 0 or not others else others[place // 2 % len(others)]


def _spec() -> dict[str, Any]:
    return parse({"name": "train", "command": "python train.py --epochs 40 --lr 0.001", "tags": TAGS}).stored()


def _job(project: Project, user: User, place: int, now: datetime, spec: dict[str, Any]) -> Job:
    """The job number `place`, 0 being the newest."""
    name = f"train resnet {place % 97} fold {place % 7}"
    created = now - timedelta(seconds=20 * place + 1)
    state = SHARES[place % len(SHARES)]
    if place < UNFINISHED:
        state = "queued" if place < UNFINISHED // 2 else "running"
    final = state in SHARES
    return Job(
        project=project,
        name=name,
        created_by=user if place % 3 else project.owner,
        created_at=created,
        queued_at=created,
        changed_at=created,
        spec=spec,
        tags=TAGS,
        words=words_of(name, TAGS),
        state=state,
        reason="exited" if final else "started",
        sentence="The command ended with exit status 0.",
        started_at=None if state == "queued" else created + timedelta(seconds=2),
        ended_at=created + timedelta(seconds=900) if final else None,
        exit_status=0 if state == "succeeded" else None,
    )


def _attempt(job: Job, resource: ComputeResource) -> Attempt:
    return Attempt(
        job=job,
        index=0,
        resource=resource,
        token_hash="",
        started_at=job.started_at,
        ended_at=job.ended_at,
        log_size=120,
        log_lines=3,
    )


def analyse() -> None:
    """What a database does by itself now and then: statistics for its planner."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
