"""What things cost, and since when. Prices begin at full hours (UTC), so that each hour of the ledger has one."""

import calendar
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from django.utils import timezone

from access.prepared import Prepared
from billing.models import ZERO, Kind, Price

HOUR: Final = timedelta(hours=1)
MILLIONTH: Final = Decimal("0.000001")


def floor_hour(at: datetime) -> datetime:
    """The beginning of the hour of the clock, in UTC."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def month_of(at: datetime) -> date:
    """The first day of the month, in UTC."""
    return at.astimezone(UTC).date().replace(day=1)


def this_month() -> date:
    return month_of(timezone.now())


def effective_from(day: date, now: datetime) -> datetime:
    """When a price that is set now is in force: at the day's beginning, and never before the next full hour."""
    return max(datetime.combine(day, time(), UTC), floor_hour(now) + HOUR)


@dataclass(frozen=True, slots=True)
class Tariff:
    """All prices there ever were: (kind, GPU type) -> (in force from, amount), earliest first."""

    prices: dict[tuple[str, str], list[tuple[datetime, Decimal]]]

    def rate(self, kind: str, at: datetime, gpu_type: str = "") -> Decimal:
        """The price of a unit at a moment. A GPU type without a price of its own has that of every other type."""
        found = [amount for since, amount in self.prices.get((kind, gpu_type), ()) if since <= at]
        if not found and gpu_type:
            return self.rate(kind, at)
        return found[-1] if found else ZERO

    def gpus(self, types: Iterable[str], at: datetime) -> Decimal:
        """What these GPUs cost in an hour."""
        return sum((self.rate(Kind.GPU, at, gpu_type) for gpu_type in types), ZERO)

    def stored(self, at: datetime) -> Decimal:
        """What a stored GiB costs in an hour: its month's price over the hours that the month has."""
        return self.rate(Kind.STORAGE, at) / (calendar.monthrange(at.year, at.month)[1] * 24)

    def charges(self, at: datetime) -> bool:
        """Whether anything costs anything at that moment."""
        return any(self.rate(kind, at, gpu_type) for kind, gpu_type in self.prices)


PRICES: Final = Prepared(
    lambda: Price.objects.order_by("effective_from").values_list("kind", "gpu_type", "effective_from", "amount")
)


def tariff() -> Tariff:
    """The prices as they are; one query."""
    rows = PRICES.objects()
    prices: dict[tuple[str, str], list[tuple[datetime, Decimal]]] = defaultdict(list)
    for kind, gpu_type, since, amount in rows:
        prices[kind, gpu_type].append((since, amount))
    return Tariff(dict(prices))


def money_shows() -> bool:
    """Whether pages speak of money: something costs something now. One query."""
    return tariff().charges(timezone.now())
