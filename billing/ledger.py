"""The ledger: what was used in each hour of the clock, once, however often it is told and whoever tells it at the same time.

A row belongs to one source (an attempt) and one hour; the database refuses a second. While its hour lasts it grows, by
compare-and-set on how long it says; then it is final. Each row is one transaction with the sums that follow from it
(those of months, Balance), so a process may be killed between any two: who tells next begins where it ended.
What a row says follows from the source's own times and from the prices of its hour alone.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from billing import payers, sums
from billing.models import (
    STORED,
    STORED_NAME,
    SUMMED,
    ZERO,
    Charge,
    Line,
    MonthTotal,
    OwnerMonth,
    PersonMonth,
    ProjectMonth,
    Source,
)
from billing.prices import HOUR, MILLIONTH, Tariff, floor_hour, month_of, tariff

if TYPE_CHECKING:
    from accounts.models import User
    from projects.models import Project

Side = PersonMonth.Side
MILLISECOND: Final = timedelta(milliseconds=1)
MILLISECONDS: Final = Decimal(3_600_000)  # of an hour

Sums = dict[str, Decimal]  # the fields of Amounts


@dataclass(frozen=True)
class Use:
    """What something has used from `start` until `until`, and whether that was all (`over`). `source`: one of Source.

    The project comes with its owner. What it is about (`subject`) is what people know it by: the attempt's job.
    """

    source: str
    source_id: str
    subject_id: str
    subject_name: str
    project: "Project"
    member: "User | None"
    start: datetime
    until: datetime
    over: bool
    cpu_milli: int = 0
    memory_mib: int = 0
    gpus: tuple[str, ...] = ()  # their types
    storage_bytes: int = 0

    def milliseconds(self, hour: datetime) -> int:
        """For how long it was used in an hour."""
        return max(0, (min(self.until, hour + HOUR) - max(self.start, hour)) // MILLISECOND)

    def amounts(self, hour: datetime, milliseconds: int, prices: Tariff) -> Sums:
        """What so much of an hour is, and costs."""
        share = Decimal(milliseconds) / MILLISECONDS
        hours = {
            "gpu": share * len(self.gpus),
            "cpu": share * self.cpu_milli / 1000,
            "memory": share * self.memory_mib / 1024,
            "storage": share * self.storage_bytes / 2**30,
        }
        costs = {
            "gpu": share * prices.gpus(self.gpus, hour),
            "cpu": hours["cpu"] * prices.rate("cpu", hour),
            "memory": hours["memory"] * prices.rate("memory", hour),
            "storage": hours["storage"] * prices.stored(hour),
        }
        found = {f"{kind}_hours": _rounded(value) for kind, value in hours.items()}
        found |= {f"{kind}_cost": _rounded(value) for kind, value in costs.items()}
        return found | {"amount": sum((found[f"{kind}_cost"] for kind in costs), ZERO)}


def charge(use: Use) -> None:
    """Writes what has been used into the ledger: hours that it lacks, and the rest of the one that it has begun."""
    if use.until <= use.start:
        return
    prices = tariff()
    for hour in _hours(use):
        _record(use, hour, prices)


def add(use: Use) -> None:
    """Adds what was stored in a part of one hour to what the ledger has of that hour. Told twice it counts twice: call it in the
    transaction that notes how far it has been told, and for times that follow each other."""
    hour, prices = floor_hour(use.start), tariff()
    milliseconds, final = use.milliseconds(hour), hour + HOUR <= use.until
    amounts = use.amounts(hour, milliseconds, prices)
    while (row := _row(use, hour)) is not None or not _insert(_new(use, hour, milliseconds, amounts, final=final)):
        if row and (row.final or _grow(row, row.milliseconds + milliseconds, _more(row, amounts, prices), final=final)):
            return


def _more(row: Charge, amounts: Sums, prices: Tariff) -> Sums:
    """A row's sums with more stored. What it costs follows from all of the hour, so that many small parts are not rounded away."""
    stored = row.storage_hours + amounts["storage_hours"]
    cost = _rounded(stored * prices.stored(row.hour))
    return {name: getattr(row, name) for name in SUMMED} | {
        "storage_hours": stored,
        "storage_cost": cost,
        "amount": row.amount - row.storage_cost + cost,
    }


def close(source: str, source_id: str) -> None:
    """What has been written stays all: nobody knows how long it really was used."""
    Charge.objects.filter(source=source, source_id=source_id, final=False).update(final=True)


def _hours(use: Use) -> Iterator[datetime]:
    """The hours to look at: all before the newest row are final."""
    newest = (
        Charge.objects.filter(source=use.source, source_id=use.source_id, line=Line.USE)
        .order_by("-hour")
        .values_list("hour", flat=True)
        .first()
    )
    last = floor_hour(use.until - timedelta(microseconds=1))
    hour = floor_hour(use.start) if newest is None else min(newest, last) if use.over else newest
    while hour <= max(last, newest or last):
        yield hour
        hour += HOUR


@transaction.atomic
def _record(use: Use, hour: datetime, prices: Tariff) -> None:
    """One row: made, grown, made final or corrected."""
    milliseconds, final = use.milliseconds(hour), use.over or hour + HOUR <= use.until
    amounts = use.amounts(hour, milliseconds, prices)
    row = _row(use, hour)
    if row is None and _insert(_new(use, hour, milliseconds, amounts, final=final)):
        return
    row = row or _row(use, hour)  # somebody else made it in between
    while row:
        if row.final:
            if use.over and milliseconds < row.milliseconds:
                _insert(_correction(row, milliseconds, amounts))
            return
        if milliseconds <= row.milliseconds and not final:
            return  # somebody who looked later was here before
        if _grow(row, milliseconds, amounts, final=final):
            return
        row = _row(use, hour)


def _row(use: Use, hour: datetime) -> Charge | None:
    return Charge.objects.filter(source=use.source, source_id=use.source_id, hour=hour, line=Line.USE).first()


def _new(use: Use, hour: datetime, milliseconds: int, amounts: Sums, *, final: bool) -> Charge:
    payer = payers.payer_of(use.project.owner, max(hour, use.start))
    member_id, member_name = _whose(use)
    return Charge(
        source=use.source,
        source_id=use.source_id,
        hour=hour,
        milliseconds=milliseconds,
        final=final,
        payer=payer.key,
        payer_name=payer.name,
        owner_id=use.project.owner_id,
        owner_name=use.project.owner.shown,
        project_id=use.project.pk,
        project_name=use.project.name,
        member_id=member_id,
        member_name=member_name,
        subject_id=use.subject_id,
        subject_name=use.subject_name[:100],
        gpus=_counted(use.gpus)[:200],
        **amounts,
    )


def _whose(use: Use) -> tuple[str, str]:
    """The id and name of the member; of what a project stores, what stands for it among them."""
    if use.source == Source.STORAGE:
        return STORED, STORED_NAME
    return (use.member.pk, use.member.shown) if use.member else ("", "")


def _correction(row: Charge, milliseconds: int, amounts: Sums) -> Charge:
    """What makes a final row that said too much right; of the same payer."""
    fields = {field.name: getattr(row, field.name) for field in Charge._meta.fields if field.name != "id"}
    less = {name: amounts[name] - getattr(row, name) for name in SUMMED}
    fields |= {"line": Line.CORRECTION, "milliseconds": milliseconds - row.milliseconds, "recorded_at": timezone.now()}
    return Charge(**fields | less)


def _insert(row: Charge) -> bool:
    """False when the row is there already."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return False
    _add(row, {name: getattr(row, name) for name in SUMMED})
    return True


def _grow(row: Charge, milliseconds: int, amounts: Sums, *, final: bool) -> bool:
    """False when somebody else has changed the row meanwhile."""
    unchanged = Charge.objects.filter(pk=row.pk, final=False, milliseconds=row.milliseconds)
    if not unchanged.update(milliseconds=milliseconds, final=final, recorded_at=timezone.now(), **amounts):
        return False
    _add(row, {name: amounts[name] - getattr(row, name) for name in SUMMED})
    return True


def _add(row: Charge, more: Sums) -> None:
    """Carries a change of the ledger into the sums. Each row is in one sum of each kind, and they change in this order: so no two
    wait for each other."""
    month, project = {"month": month_of(row.hour)}, {"project_id": row.project_id}
    names = {"project_name": row.project_name}
    member = {"member_id": row.member_id}
    sums.add(MonthTotal, more, {**project, **member, **month}, {**names, "member_name": row.member_name})
    sums.add(OwnerMonth, more, {**project, "owner_id": row.owner_id, **month}, names)
    sums.add(ProjectMonth, more, {**project, **month})
    sums.add(PersonMonth, more, {"person_id": row.owner_id, "side": Side.OWNER, **month})
    if row.member_id and row.member_id != STORED:
        sums.add(PersonMonth, more, {"person_id": row.member_id, "side": Side.MEMBER, **month})
    payers.change(row.payer, charged=more["amount"])


def _counted(types: tuple[str, ...]) -> str:
    """ "2 × H200"."""
    return ", ".join(f"{count} × {gpu_type}" for gpu_type, count in Counter(types).items())


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(MILLIONTH, ROUND_HALF_UP)
