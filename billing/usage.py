"""What the usage pages show, from the sums of the months and the rows of the ledger; each a constant number of queries."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from access.prepared import planned_once
from billing.chart import Chart, drawn
from billing.models import (
    SUMMED,
    ZERO,
    Charge,
    Kind,
    MonthTotal,
    OwnerMonth,
    PersonMonth,
    ProjectMonth,
    Source,
    Stored,
)
from billing.prices import money_shows, month_of

MONTHS: Final = 12  # in the chart
PAGE: Final = 25  # rows of the ledger
PARTS: Final = 25  # members or projects in the table of a month
RANKS: Final = (
    "amount",
    "gpu_hours",
    "cpu_hours",
    "storage_hours",
)  # the first of which there was anything says who comes first

# What is stacked in the chart, and the order of the tables: label, unit of the hours.
KINDS: Final = (
    (Kind.GPU, "GPUs", "GPU hours"),
    (Kind.CPU, "CPU cores", "core hours"),
    (Kind.MEMORY, "Memory", "GiB hours"),
    (Kind.STORAGE, "Storage", "GiB hours"),
)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose use: a project's, a member's in it, an owner's in all their projects, or a member's in all projects.

    `filters`: columns of Charge with their values; `by`: what it is broken down by.
    """

    filters: dict[str, str]
    by: str  # "member" or "project"

    @property
    def months(self) -> QuerySet:
        """The sums of its months, a row for each."""
        match self.filters:
            case {"project_id": _, "member_id": _}:
                return self.parts
            case {"project_id": project_id}:
                return ProjectMonth.objects.filter(project_id=project_id)
            case {"owner_id": owner_id}:
                return PersonMonth.objects.filter(person_id=owner_id, side=PersonMonth.Side.OWNER)
        return PersonMonth.objects.filter(person_id=self.filters["member_id"], side=PersonMonth.Side.MEMBER)

    @property
    def parts(self) -> QuerySet:
        """The sums of its members' or projects' months, a row for each."""
        if "owner_id" in self.filters:
            return OwnerMonth.objects.filter(**self.filters)
        return MonthTotal.objects.filter(**self.filters)

    @property
    def charges(self) -> QuerySet:
        return Charge.objects.filter(**self.filters)

    @property
    def stored(self) -> int | None:
        """How many bytes are stored, as they were last looked at; None for what a member used, who stores nothing."""
        match self.filters:
            case {"member_id": _}:
                return None
            case {"project_id": project_id}:
                rows = Stored.objects.filter(project=project_id)
            case {"owner_id": owner_id}:
                rows = Stored.objects.filter(project__owner=owner_id, project__removed_at=None)
        return rows.aggregate(sum=Sum("bytes"))["sum"] or 0


@dataclass(frozen=True, slots=True)
class Parts:
    """The dearest members or projects of a month as {id, name, …sums}; the sums of all others, None where there are none."""

    rows: list[dict[str, Any]]
    others: dict[str, Any] | None


def month_named(text: str) -> date:
    """The month of an address, "2026-11"; this month for none, for one that makes no sense, and for one to come."""
    now = month_of(timezone.now())
    try:
        found = datetime.strptime(text, "%Y-%m").date()
    except ValueError:
        return now
    return min(found, now) if found.year > 1 else now


def before(month: date, months: int) -> date:
    """The month so many months earlier."""
    number = month.year * 12 + month.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def by_month(scope: Scope, last: date) -> list[dict[str, Any]]:
    """The last MONTHS months with their sums, oldest first; empty ones too."""
    first = before(last, MONTHS - 1)
    rows = scope.months.filter(month__gte=first, month__lte=last).values("month", *SUMMED)
    found = {row["month"]: row for row in rows}
    months = [before(last, back) for back in range(MONTHS - 1, -1, -1)]
    return [found.get(month) or {"month": month, **dict.fromkeys(SUMMED, ZERO)} for month in months]


def parts(scope: Scope, month: date, total: dict[str, Any]) -> "Parts":
    """The month by member or by project, dearest first; `total`: its sums. One query, of an index where there is money."""
    column = f"{scope.by}_id"
    rank = next((name for name in RANKS if total[name]), RANKS[0])
    ranked = scope.parts.filter(month=month).order_by(f"-{rank}", column)
    rows = list(ranked.values(column, f"{scope.by}_name", *SUMMED)[: PARTS + 1])
    shown = [{**row, "id": row[column], "name": row[f"{scope.by}_name"]} for row in rows[:PARTS]]
    return Parts(shown, _rest(total, shown) if len(rows) > PARTS else None)


def _rest(total: dict[str, Any], shown: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: total[name] - sum(row[name] for row in shown) for name in SUMMED}


def kinds(sums: dict[str, Any]) -> list[dict[str, Any]]:
    """A month by kind, without what was not used: {label, unit, hours, cost}."""
    return [
        {"kind": kind, "label": label, "unit": unit, "hours": sums[f"{kind}_hours"], "cost": sums[f"{kind}_cost"]}
        for kind, label, unit in KINDS
        if sums[f"{kind}_hours"]
    ]


def chart(months: list[dict[str, Any]], *, money: bool, unit: str, chosen: date) -> Chart:
    """Money by kind; where nothing costs anything the hours of GPUs, or of CPU cores where there were none."""
    if money:
        return drawn(months, suffix="cost", kinds=[kind for kind, _, _ in KINDS], unit=unit, chosen=chosen)
    kind = Kind.GPU if any(row["gpu_hours"] for row in months) else Kind.CPU
    unit = "GPU hours" if kind == Kind.GPU else "CPU core hours"
    return drawn(months, suffix="hours", kinds=[kind], unit=unit, chosen=chosen)


def share_of(project_id: str, member_id: str, month: date) -> dict[str, Any]:
    """What one person used in a project in a month."""
    with planned_once():
        rows = MonthTotal.objects.filter(project_id=project_id, member_id=member_id, month=month).values(*SUMMED)
        return next(iter(rows), None) or dict.fromkeys(SUMMED, ZERO)


def cost_of(subject_id: str) -> Decimal | None:
    """What a job has cost up to now; None where nothing costs anything. Two queries."""
    if not money_shows():
        return None
    return Charge.objects.filter(subject_id=subject_id).aggregate(sum=Sum("amount", default=ZERO))["sum"]


def costs_of(subject_ids: Iterable[str]) -> dict[str, Decimal] | None:
    """What each of these jobs has cost up to now; None where nothing costs anything. Two queries."""
    if not money_shows():
        return None
    ids = list(subject_ids)
    rows = Charge.objects.filter(subject_id__in=ids).order_by().values_list("subject_id").annotate(sum=Sum("amount"))
    return dict.fromkeys(ids, ZERO) | dict(rows)


# The ledger's rows


@dataclass(frozen=True, slots=True)
class Page:
    """Rows newest first, and the cursors of the pages beside it ("" where there is none)."""

    rows: list[Charge]
    older: str
    newer: str


def of_month(charges: QuerySet, month: date) -> QuerySet:
    """The rows whose hour lies in the month."""
    start = datetime.combine(month, time(), UTC)
    return charges.filter(hour__gte=start, hour__lt=datetime.combine(before(month, -1), time(), UTC))


WHAT: Final = {"jobs": Source.ATTEMPT, "storage": Source.STORAGE}


def only(charges: QuerySet, what: str) -> QuerySet:
    """Those of jobs, or of storage; all of them for anything else."""
    return charges.filter(source=WHAT[what]) if what in WHAT else charges


def paged(charges: QuerySet, cursor: str) -> Page:
    """One page of rows at a cursor; the first for none, or for one that makes no sense."""
    direction, hour, row_id = _parsed(cursor)
    if direction == "n":
        later = Q(hour__gt=hour) | Q(hour=hour, id__gt=row_id)
        rows = list(charges.filter(later).order_by("hour", "id")[: PAGE + 1])
        more, rows = len(rows) > PAGE, rows[:PAGE][::-1]
        return Page(rows, cursor_of(rows[-1], "o") if rows else "", cursor_of(rows[0], "n") if more else "")
    if direction == "o":
        charges = charges.filter(_earlier(hour, row_id))
    rows = list(charges.order_by("-hour", "-id")[: PAGE + 1])
    more, rows = len(rows) > PAGE, rows[:PAGE]
    newer = cursor_of(rows[0], "n") if rows and direction == "o" else ""
    return Page(rows, cursor_of(rows[-1], "o") if more else "", newer)


def pieces(charges: QuerySet, size: int) -> Iterator[list[Charge]]:
    """All rows, newest first, so many at a time: each a query of its own, so that nothing is held open in between."""
    rows = list(charges.order_by("-hour", "-id")[:size])
    while rows:
        yield rows
        rows = list(charges.filter(_earlier(rows[-1].hour, rows[-1].pk)).order_by("-hour", "-id")[:size])


def cursor_of(row: Charge, direction: str) -> str:
    return f"{direction}.{row.hour.timestamp():.0f}.{row.pk}"


def _earlier(hour: datetime, row_id: int) -> Q:
    return Q(hour__lt=hour) | Q(hour=hour, id__lt=row_id)


def _parsed(cursor: str) -> tuple[str, datetime, int]:
    nothing = "", datetime.now(UTC), 0
    try:
        direction, seconds, row_id = cursor.split(".")
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(seconds))
        number = int(row_id)
    except (ValueError, OverflowError):
        return nothing
    return (direction, at, number) if direction in {"n", "o"} and 0 <= number < 2**63 else nothing
