"""What a measurement answers, and how it is shown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field


@dataclass
class Figure:
    """One thing measured some times. `bar` is what must be reached: at most it, or with `at_least` at least it."""

    what: str
    unit: str
    values: list[float] = field(default_factory=list)
    bar: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def reached(self) -> bool | None:
        """Whether the median is where it must be; None where nothing is asked."""
        if self.bar is None:
            return None
        return self.median >= self.bar if self.at_least else self.median <= self.bar

    def in_words(self) -> str:
        """One line for who waits."""
        what, median, spread, _, bar, remark = _row(self)
        return "  ".join(part for part in (f"{what.strip()}: {median}", spread and f"({spread})", bar, remark) if part)

    def as_line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Figure:
        return cls(**json.loads(line))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def table(figures: Iterable[Figure]) -> str:
    """The figures as lines of text, in columns."""
    rows = [("", "median", "min – max", "n", "must be", ""), *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(_line(row, widths) for row in rows)


def _row(figure: Figure) -> tuple[str, ...]:
    unit = f" {figure.unit}" if figure.unit else ""
    spread = f"{_number(min(figure.values))} – {_number(max(figure.values))}" if len(figure.values) > 1 else ""
    bar = f"{'≥' if figure.at_least else '≤'} {_number(figure.bar)}{unit}" if figure.bar is not None else ""
    verdict = {True: "reached", False: "MISSED", None: ""}[figure.reached]
    remark = "  ".join(part for part in (verdict, figure.note) if part)
    return figure.what, f"{_number(figure.median)}{unit}", spread, str(len(figure.values)), bar, remark


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    numbers = (text.rjust(width) for text, width in zip(row[1:5], widths[1:], strict=True))
    return "  ".join([row[0].ljust(widths[0]), *numbers, row[5]]).rstrip()


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
