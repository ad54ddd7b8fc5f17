"""The chart of the last months: stacked bars as numbers that a template draws as SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from billing.models import Kind

WIDTH: Final = 640
HEIGHT: Final = 200
LEFT: Final = 56  # room for the scale
BOTTOM: Final = 24  # room for the months
TOP: Final = 12


@dataclass(frozen=True, slots=True)
class Part:
    """One kind's part of a bar, in the chart's units."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One month. `x`, `width`: where it stands; `middle`: where its name stands."""

    x: float
    width: float
    middle: float
    label: str
    chosen: bool
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars, and the lines of the scale as (y, amount)."""

    bars: tuple[Bar, ...]
    scale: tuple[tuple[float, str], ...]
    kinds: tuple[tuple[str, str], ...]  # those that occur: (kind, name)
    unit: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT


def drawn(months: Sequence[dict[str, Any]], *, suffix: str, kinds: Sequence[str], unit: str, chosen: date) -> Chart:
    """Months as {month, gpu_cost, …}; `suffix`: "cost" or "hours", which names the columns that are stacked."""
    most = max((sum(_value(row, kind, suffix) for kind in kinds) for row in months), default=0.0)
    top, step = _nice(most), (WIDTH - LEFT) / max(1, len(months))
    height = HEIGHT - TOP - BOTTOM
    bars = [
        _bar(
            row, LEFT + place * step, step, [(kind, _value(row, kind, suffix) / top * height) for kind in kinds], chosen
        )
        for place, row in enumerate(months)
    ]
    scale = tuple((round(TOP + height * (1 - share), 1), f"{top * share:,.4g}") for share in (0.0, 0.5, 1.0))
    there = tuple((kind, _name(kind)) for kind in kinds if any(_value(row, kind, suffix) > 0 for row in months))
    return Chart(tuple(bars), scale, there, unit)


def _value(row: dict[str, Any], kind: str, suffix: str) -> float:
    return max(0.0, float(row.get(f"{kind}_{suffix}") or Decimal(0)))


def _name(kind: str) -> str:
    return {Kind.GPU: "GPU", Kind.CPU: "CPU", Kind.MEMORY: "Memory", Kind.STORAGE: "Storage"}[Kind(kind)]


def _bar(row: dict[str, Any], x: float, step: float, heights: list[tuple[str, float]], chosen: date) -> Bar:
    parts, y = [], float(HEIGHT - BOTTOM)
    for kind, height in heights:
        if height > 0:
            y -= height
            parts.append(Part(kind, round(y, 1), round(height, 1)))
    month = row["month"]
    width = min(28.0, step * 0.6)
    return Bar(
        round(x + (step - width) / 2, 1),
        round(width, 1),
        round(x + step / 2, 1),
        f"{month:%b}",
        month == chosen,
        tuple(parts),
    )


def _nice(most: float) -> float:
    """The top of the scale: 1, 2 or 5 times a power of ten, above the most."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= most)
