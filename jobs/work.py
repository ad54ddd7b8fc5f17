"""What projects show of the jobs in them."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Final

from django.db.models import (
    BigIntegerField,
    Case,
    Count,
    F,
    FilteredRelation,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce

from access.prepared import Prepared
from billing.models import MonthTotal, ProjectMonth, money_field
from billing.prices import money_shows, this_month
from jobs.models import Job
from jobs.states import ACTIVE, WAITING
from projects.models import Project

if TYPE_CHECKING:
    from accounts.models import User
    from projects.querysets import ProjectQuerySet

MILLION: Final = 1_000_000


class JobsOfProjects:
    """Answers projects.work.Work, each in a constant number of queries."""

    def money_shows(self) -> bool:
        return money_shows()

    def listed(self, *, pks: list[str], seen_by: str, money: bool) -> "list[Project]":
        return _listed(this_month() if money else None).objects(pks=pks, seen_by=seen_by)

    def by_cost(self, projects: "ProjectQuerySet", seen_by: "User", *, owned: bool) -> "list[ProjectQuerySet]":
        # Nothing has to be added up: a project's month is one row, and a member's in it too.
        kept, table, whose = ("months", ProjectMonth, {}) if owned else ("member_months", MonthTotal, _used_by(seen_by))
        spent: QuerySet = table.objects.filter(month=this_month(), amount__gt=0, **whose)  # type: ignore[attr-defined]
        month = {f"{kept}__{name}": value for name, value in {"month": this_month(), **whose}.items()}
        dear = projects.alias(month=FilteredRelation(kept, condition=Q(**month))).filter(month__amount__gt=0)
        if not owned:  # nobody uses many projects of others in a month, and a database that is asked for them begins with all that one sees
            dear = dear.filter(
                pk__in=list(spent.exclude(project__in=_owned_by(seen_by)).values_list("project", flat=True))
            )
        # A whole number, which every database compares with that of an address. By the amount itself there is an index.
        dear = dear.annotate(key=Cast(F("month__amount") * MILLION, BigIntegerField())).order_by(
            "-month__amount", "-pk"
        )
        free = projects.exclude(pk__in=spent.filter(project=OuterRef("pk")).values("project"))
        return [dear, free.annotate(key=Value(0, output_field=BigIntegerField())).order_by("-pk")]

    def of_member(self, project: "Project", user: "User") -> tuple[Sequence[Job], Sequence[Job]]:
        theirs = Job.objects.in_project(project).filter(created_by=user).newest_first()
        return list(theirs.filter(state__in=ACTIVE)), list(theirs.filter(state__in=WAITING))

    def counts(self, project: "Project") -> tuple[int, int]:
        jobs = Job.objects.in_project(project)
        return jobs.unfinished().count(), jobs.count()


def _used_by(user: "User") -> dict[str, str]:
    return {"member_id": user.pk}


def _owned_by(user: "User") -> QuerySet:
    return Project.objects.present().filter(owner=user).order_by().values("pk")


@cache
def _listed(month: date | None) -> "Prepared[Project]":
    """Projects as lists show them; with what they cost in the month, if it is given."""
    jobs = Job.objects.filter(project=OuterRef("pk")).order_by()
    columns: dict[str, Combinable] = {
        "job_count": _counted(jobs),
        "running_count": _counted(jobs.filter(state__in=ACTIVE)),
        "waiting_count": _counted(jobs.filter(state__in=WAITING)),
        "last_activity": Subquery(Job.objects.filter(project=OuterRef("pk")).newest_first().values("changed_at")[:1]),
    }

    def rows(pks: list[str], seen_by: str) -> "QuerySet[Project]":
        cost = {"cost_this_month": _cost(seen_by, month)} if month else {}
        found = Project.objects.filter(pk__in=pks).select_related("owner", "parent")
        return found.annotate(**columns, **cost)

    return Prepared(rows)


def _cost(seen_by: str, month: date) -> Combinable:
    """What the project cost in the month: to its owner all of it, to others what they used themselves."""
    place = {"project_id": OuterRef("pk"), "month": month}
    every = ProjectMonth.objects.filter(**place).values("amount")
    own = MonthTotal.objects.filter(**place, member_id=seen_by).values("amount")
    return Case(When(owner=seen_by, then=_or_nothing(every)), default=_or_nothing(own), output_field=money_field())


def _or_nothing(amounts: QuerySet) -> Coalesce:
    return Coalesce(Subquery(amounts), Decimal(0), output_field=money_field())


def _counted(jobs: QuerySet) -> Coalesce:
    counts = jobs.values("project").annotate(number=Count("*")).values("number")
    return Coalesce(Subquery(counts, output_field=IntegerField()), Value(0))
