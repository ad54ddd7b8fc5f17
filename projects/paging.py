"""Pages of a long list by position, not by number: the same cost anywhere in 100,000 rows, and nothing shifts when rows come."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

PAGE = 50

Row = TypeVar("Row", bound=Model)
Reader = Callable[[Any], Any]


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows newest first, and the cursors of the pages beside it ("" where there is none)."""

    rows: list[Row]
    older: str
    newer: str


def cursor_of(row: Model, direction: str, at: str = "created_at") -> str:
    """The position beside a row: what is older ("o") or newer ("n")."""
    return f"{direction}.{getattr(row, at).timestamp():.6f}.{row.pk}"


def paged(
    rows: "QuerySet[Row]", cursor: str, *, at: str = "created_at", read: Reader = lambda rows: rows
) -> "Page[Row]":
    """One page of the rows at a cursor; the first page for none, or for one that makes no sense.

    `at` names the column of the order, before the id. `read` is given the rows of the page and adds what they show.
    """
    direction, moment, pk = _parsed(rows, cursor)
    if direction == "n":
        after = Q(**{f"{at}__gt": moment}) | Q(**{at: moment, "pk__gt": pk})
        found = _read(rows.filter(after).order_by(at, "pk"), read)
        more, found = len(found) > PAGE, found[:PAGE][::-1]
        return Page(found, cursor_of(found[-1], "o", at) if found else "", cursor_of(found[0], "n", at) if more else "")
    if direction == "o":
        rows = rows.filter(Q(**{f"{at}__lt": moment}) | Q(**{at: moment, "pk__lt": pk}))
    found = _read(rows.order_by(f"-{at}", "-pk"), read)
    more, found = len(found) > PAGE, found[:PAGE]
    newer = cursor_of(found[0], "n", at) if found and direction == "o" else ""
    return Page(found, cursor_of(found[-1], "o", at) if more else "", newer)


def address_of(request: HttpRequest, cursor: str) -> str:
    """The address of the page at a cursor, with the filters of this one; "" for none."""
    if not cursor:
        return ""
    kept = {key: value for key, value in request.GET.items() if key != "page"}
    return f"{request.path}?{urlencode({**kept, 'page': cursor})}"


def _read(rows: "QuerySet[Row]", read: Reader) -> list[Row]:
    """A page and one more, in their order. They are picked first, by an index alone; only what was picked is read."""
    picked = rows.values("pk")[: PAGE + 1]
    return list(read(rows.model._default_manager.filter(pk__in=picked)).order_by(*rows.query.order_by))


def _parsed(rows: QuerySet, cursor: str) -> tuple[str, datetime | None, Any]:
    try:
        direction, seconds, fraction, pk = cursor.split(".")
        at = datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(fraction))
        pk = rows.model._meta.pk.to_python(pk)
    except (ValueError, OverflowError, OSError, ValidationError):
        return "", None, ""
    return (direction, at, pk) if direction in {"n", "o"} else ("", None, "")
