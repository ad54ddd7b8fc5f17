"""What projects show of the jobs in them."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Final

from django.db.models import (
    BigIntegerField,
    Count,
    F,
    FilteredRelation,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
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
        month = this_month()
        found = _listed(month if money else None).objects(pks=pks)
        others = [project for project in found if project.owner_id != seen_by] if money else []
        used = dict(_used(month).objects(pks=[project.pk for project in others], user=seen_by)) if others else {}
        for project in others:
            project.cost_this_month = used.get(project.pk, Decimal(0))  # type: ignore[attr-defined]
        return found

    def by_cost(self, projects: "ProjectQuerySet", seen_by: "User", *, owned: bool) -> "list[ProjectQuerySet]":
        return _by_cost(projects) if owned else _by_own_part(projects, seen_by)

    def of_member(self, project: "Project", user: "User") -> tuple[Sequence[Job], Sequence[Job]]:
        theirs = Job.objects.in_project(project).filter(created_by=user).newest_first()
        return list(theirs.filter(state__in=ACTIVE)), list(theirs.filter(state__in=WAITING))

    def counts(self, project: "Project") -> tuple[int, int]:
        jobs = Job.objects.in_project(project)
        return jobs.unfinished().count(), jobs.count()


def _by_cost(projects: "ProjectQuerySet") -> "list[ProjectQuerySet]":
    """By all that each costs. Nothing has to be added up: a project's month is one row."""
    month = this_month()
    costing = ProjectMonth.objects.filter(project=OuterRef("pk"), month=month, amount__gt=0).values("project")
    rows = projects.alias(month=FilteredRelation("months", condition=Q(months__month=month)))
    return [_dearest(rows.filter(month__amount__gt=0)), _free(projects.exclude(pk__in=costing))]


def _by_own_part(projects: "ProjectQuerySet", user: "User") -> "list[ProjectQuerySet]":
    """By what the user used in each, none of which is their own. Who sees many projects uses few of them in a month: those are asked for
    first, or a database would begin with all that they see."""
    month, own = this_month(), Project.objects.present().filter(owner=user).order_by().values("pk")
    spent = MonthTotal.objects.filter(member_id=user.pk, month=month, amount__gt=0).exclude(project__in=own)
    used = list(spent.values_list("project", flat=True))
    mine = Q(member_months__month=month, member_months__member_id=user.pk)
    rows = projects.alias(month=FilteredRelation("member_months", condition=mine))
    dear = [_dearest(rows.filter(pk__in=used, month__amount__gt=0))] if used else []
    return [*dear, _free(projects.exclude(pk__in=used))]


def _dearest(projects: "ProjectQuerySet") -> "ProjectQuerySet":
    # A whole number, which every database compares with that of an address. By the amount itself there is an index.
    key = Cast(F("month__amount") * MILLION, BigIntegerField())
    return projects.annotate(key=key).order_by("-month__amount", "-pk")


def _free(projects: "ProjectQuerySet") -> "ProjectQuerySet":
    return projects.annotate(key=Value(0, output_field=BigIntegerField())).order_by("-pk")


@cache
def _listed(month: date | None) -> "Prepared[Project]":
    """Projects as lists show them; with what they cost their owner in the month, if it is given."""
    jobs = Job.objects.filter(project=OuterRef("pk")).order_by()
    columns: dict[str, Combinable] = {
        "job_count": _counted(jobs),
        "running_count": _counted(jobs.filter(state__in=ACTIVE)),
        "waiting_count": _counted(jobs.filter(state__in=WAITING)),
        "last_activity": Subquery(Job.objects.filter(project=OuterRef("pk")).newest_first().values("changed_at")[:1]),
    }

    if month:
        amounts = ProjectMonth.objects.filter(project=OuterRef("pk"), month=month).values("amount")
        columns["cost_this_month"] = Coalesce(Subquery(amounts), Decimal(0), output_field=money_field())
    rows = Project.objects.select_related("owner", "parent").annotate(**columns)
    return Prepared(lambda pks: rows.filter(pk__in=pks))


@cache
def _used(month: date) -> "Prepared[tuple]":
    """(project, amount) of what a user used in these projects in the month."""
    rows = MonthTotal.objects.filter(month=month).order_by().values_list("project", "amount")
    return Prepared(lambda pks, user: rows.filter(project__in=pks, member_id=user), planned="anew")


def _counted(jobs: QuerySet) -> Coalesce:
    counts = jobs.values("project").annotate(number=Count("*")).values("number")
    return Coalesce(Subquery(counts, output_field=IntegerField()), Value(0))
