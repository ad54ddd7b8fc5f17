"""What projects show of the jobs in them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from billing.models import MonthTotal, money_field
from billing.prices import money_shows, this_month
from jobs.models import Job
from jobs.states import ACTIVE, UNFINISHED, WAITING

if TYPE_CHECKING:
    from accounts.models import User
    from projects.models import Project
    from projects.querysets import ProjectQuerySet


class JobsOfProjects:
    """Answers projects.work.Work, each in a constant number of queries."""

    def annotate(self, projects: "ProjectQuerySet") -> "ProjectQuerySet":
        jobs = Job.objects.filter(project=OuterRef("pk")).order_by()
        return projects.annotate(
            job_count=_counted(jobs),
            active_count=_counted(jobs.filter(state__in=UNFINISHED)),
            cost_this_month=_cost(),
            last_activity=Subquery(Job.objects.filter(project=OuterRef("pk")).newest_first().values("changed_at")[:1]),
        )

    def running_by_member(self, project: "Project") -> dict[str, int]:
        active = Job.objects.in_project(project).filter(state__in=ACTIVE).order_by()
        return dict(active.values_list("created_by_id").annotate(Count("pk")))

    def of_member(self, project: "Project", user: "User") -> tuple[Sequence[Job], Sequence[Job]]:
        theirs = Job.objects.in_project(project).filter(created_by=user).newest_first()
        return list(theirs.filter(state__in=ACTIVE)), list(theirs.filter(state__in=WAITING))

    def counts(self, project: "Project") -> tuple[int, int]:
        jobs = Job.objects.in_project(project)
        return jobs.unfinished().count(), jobs.count()


def _cost() -> Coalesce | Value:
    """What the project cost this month; null where nothing costs anything."""
    if not money_shows():
        return Value(None, output_field=money_field())
    month = MonthTotal.objects.filter(project_id=OuterRef("pk"), month=this_month()).order_by().values("project_id")
    return Coalesce(Subquery(month.annotate(sum=Sum("amount")).values("sum")), Decimal(0), output_field=money_field())


def _counted(jobs: QuerySet) -> Coalesce:
    counts = jobs.values("project").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counts, output_field=IntegerField()), Value(0))
