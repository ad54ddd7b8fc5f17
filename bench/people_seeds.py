"""Projects, members, teams, invitations, entries of the trail and charges by the thousand, written straight into the database.

Import after Django is set up.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group
from django.db.models import DateField, F, Sum, Value
from django.db.models.functions import TruncMonth
from django.utils import timezone

from accounts.ids import new_id
from accounts.models import User
from billing.models import SUMMED, Budget, Charge, Month, MonthTotal, OwnerMonth, PersonMonth, Price, ProjectMonth
from billing.prices import floor_hour
from jobs.models import Job
from projects.levels import PRESETS, permissions_of
from projects.members import permissions
from projects.models import (
    AuditEntry,
    Invitation,
    Member,
    Project,
    ProjectGroupPermission,
    ProjectUserPermission,
    TeamMember,
)
from teams.models import Role, Team, TeamUser

WORDS = ("vision", "speech", "weather", "protein", "traffic", "music", "poetry", "robots")


def users(number: int, prefix: str = "person") -> list[User]:
    """Accounts with proven addresses and Personal projects."""
    names = [f"{prefix}-{place:05}" for place in range(number)]
    rows = [User(email=f"{name}@example.org", username=name, name=name.title(), password="!") for name in names]
    User.objects.bulk_create(rows)
    EmailAddress.objects.bulk_create(
        EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in rows
    )
    Project.objects.bulk_create(
        Project(name="Personal", slug=f"personal-{user.username}", owner=user, personal=True) for user in rows
    )
    return rows


def projects(owner: User, number: int, prefix: str = "owned") -> list[Project]:
    """Projects of one owner, with names in no order."""
    rows = [
        Project(name=f"{WORDS[place * 7 % 8]} {new_id()[:6]}", slug=f"{prefix}-{place:05}", owner=owner)
        for place in range(number)
    ]
    return Project.objects.bulk_create(rows)


def shared(projects: list[Project], user: User, preset: str = "Collaborator") -> None:
    """Makes the user a member of each of the projects."""
    wanted = list(permissions(permissions_of(PRESETS[preset])))
    Member.objects.bulk_create(Member(project=project, user=user) for project in projects)
    ProjectUserPermission.objects.bulk_create(
        ProjectUserPermission(user=user, content_object=project, permission=one)
        for project in projects
        for one in wanted
    )


def members(project: Project, people: list[User], preset: str = "Collaborator") -> None:
    """Makes each of the people a member of the project."""
    wanted = list(permissions(permissions_of(PRESETS[preset])))
    now = timezone.now()
    Member.objects.bulk_create(
        Member(project=project, user=user, joined_at=now - timedelta(minutes=place))
        for place, user in enumerate(people)
    )
    ProjectUserPermission.objects.bulk_create(
        ProjectUserPermission(user=user, content_object=project, permission=one) for user in people for one in wanted
    )


def invitations(project: Project, places: range) -> None:
    """Open invitations of the project."""
    now = timezone.now()
    Invitation.objects.bulk_create(
        Invitation(
            project=project,
            email=f"invited-{place:05}@example.org",
            levels=PRESETS["Viewer"],
            invited_by=project.owner,
            created_at=now - timedelta(seconds=place),
            expires_at=now + timedelta(days=7),
            delivery="sent",
        )
        for place in places
    )


def teams(places: range) -> list[Team]:
    """Teams that nobody is in."""
    groups = Group.objects.bulk_create(Group(name=f"team:{new_id()}") for _ in places)
    return Team.objects.bulk_create(
        Team(name=f"{WORDS[place * 7 % 8]} {new_id()[:6]}", slug=f"team-{place:05}", group=group)
        for place, group in zip(places, groups, strict=True)
    )


def fill(team: Team, people: list[User], role: str = Role.USER) -> None:
    """Takes the people into the team."""
    now = timezone.now()
    TeamUser.objects.bulk_create(
        TeamUser(team=team, user=user, role=role, joined_at=now - timedelta(minutes=place))
        for place, user in enumerate(people)
    )
    belongs = User.groups.through
    belongs.objects.bulk_create(belongs(group=team.group, user=user) for user in people)


def join(project: Project, teams: list[Team]) -> None:
    """Makes the teams members of the project."""
    wanted = list(permissions(permissions_of(PRESETS["Teammate"])))
    TeamMember.objects.bulk_create(TeamMember(project=project, team=team) for team in teams)
    ProjectGroupPermission.objects.bulk_create(
        ProjectGroupPermission(group=team.group, content_object=project, permission=one)
        for team in teams
        for one in wanted
    )


def trail(project: Project, number: int, people: list[User]) -> None:
    """Entries of the project's audit trail."""
    now = timezone.now()
    AuditEntry.objects.bulk_create(
        AuditEntry(
            at=now - timedelta(seconds=60 * place),
            by_id=people[place % 50].pk,
            by_name=people[place % 50].username,
            origin="page",
            address="192.0.2.7",
            project_id=project.pk,
            action=("job:new", "job:stop", "member:set")[place % 3],
            urn=f"{project.urn}:job:{new_id()}",
            after={"name": f"train {place}"},
            words=f"{people[place % 50].username} job train {place}",
        )
        for place in range(number)
    )


def price() -> None:
    """A core hour costs something, so pages speak of money."""
    since = floor_hour(timezone.now()) - timedelta(days=400)
    Price.objects.create(kind="cpu", amount=Decimal("0.1"), valid_from=since.date(), effective_from=since)


def charges(project: Project, number: int, people: list[User]) -> None:
    """Rows of the ledger, an hour each, by many members over many months."""
    hour = floor_hour(timezone.now())
    Charge.objects.bulk_create(
        (
            _charge(project, people[place % len(people)], hour - timedelta(hours=place % 300), f"train {place}", 1)
            for place in range(number)
        ),
        batch_size=2000,
    )


def costs(projects: list[Project], member: User) -> None:
    """What each of the projects cost this month, by one member."""
    hour = floor_hour(timezone.now())
    Charge.objects.bulk_create(
        (_charge(project, member, hour, "train", place) for place, project in enumerate(projects)), batch_size=2000
    )


def _charge(project: Project, member: User, hour: datetime, job: str, cores: int) -> Charge:
    return Charge(
        source="attempt",
        source_id=new_id(),
        subject_id=new_id(),
        subject_name=job,
        project_id=project.pk,
        project_name=project.name,
        owner_id=project.owner_id,
        owner_name=project.owner.shown,
        payer=f"user:{project.owner_id}",
        payer_name=project.owner.shown,
        member_id=member.pk,
        member_name=member.shown,
        hour=hour,
        milliseconds=3_600_000,
        final=True,
        cpu_hours=cores,
        cpu_cost=Decimal(cores) / 10,
        amount=Decimal(cores) / 10,
    )


def budgets(project: Project, people: list[User]) -> None:
    """A budget for each of the people."""
    Budget.objects.bulk_create(
        Budget(project=project, member=user, amount=1 + place % 97) for place, user in enumerate(people)
    )


def sum_up() -> None:
    """Makes the sums of the months anew from all rows of the ledger."""
    for model in (MonthTotal, OwnerMonth, ProjectMonth, PersonMonth):
        model._default_manager.all().delete()
    project = {"project_id": F("project_id"), "project_name": F("project_name")}
    _sum(MonthTotal, **project, member_id=F("member_id"), member_name=F("member_name"))
    _sum(OwnerMonth, **project, owner_id=F("owner_id"))
    _sum(ProjectMonth, project_id=F("project_id"))
    for side, person in ((PersonMonth.Side.OWNER, "owner_id"), (PersonMonth.Side.MEMBER, "member_id")):
        _sum(PersonMonth, side=Value(side), person_id=F(person))


def _sum(model: type[Month], **of: F | Value) -> None:
    month = TruncMonth("hour", output_field=DateField(), tzinfo=UTC)
    rows = Charge.objects.order_by().annotate(month=month)
    rows = rows.values_list("month", *of.values()).annotate(*map(Sum, SUMMED))
    model.objects.bulk_create((model(**dict(zip(("month", *of, *SUMMED), row, strict=True))) for row in rows), 2000)


def jobs(projects: list[Project], user: User) -> None:
    """A job in each of the projects, that has ended at a time of its own."""
    now = timezone.now()
    ended = [now - timedelta(minutes=place * 7919 % 100_000) for place in range(len(projects))]
    state = {"state": "succeeded", "reason": "exited", "spec": {}, "name": "train", "created_by": user}
    Job.objects.bulk_create(
        Job(project=project, **state, created_at=at - timedelta(hours=1), changed_at=at, ended_at=at)
        for project, at in zip(projects, ended, strict=True)
    )
