"""Pages of a long list by position, not by number: the same cost anywhere in 100,000 rows, and nothing shifts when rows come."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import DateTimeField, Field, Model, Q, QuerySet
from django.http import HttpRequest

from access.prepared import Prepared

PAGE = 50

Row = TypeVar("Row", bound=Model)
Item = TypeVar("Item")
Other = TypeVar("Other")
Reader = Callable[[Any], Any]
Fetcher = Callable[..., Iterable[Any]]


@dataclass(frozen=True)
class Order:
    """By a column or an annotation that is never null, and then by the id, the same way."""

    by: str = "created_at"
    descending: bool = True


NEWEST: Final = Order()


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Rows in their order, and the cursors of the pages beside it, "" where there is none: what follows is `older`, in any order."""

    rows: list[Item]
    older: str
    newer: str

    def showing(self, rows: Iterable[Other]) -> "Page[Other]":
        """The same page with what is shown of its rows."""
        return Page(list(rows), self.older, self.newer)


NO_PAGE: Final = Page[Any]([], "", "")


def cursor_of(value: Any, pk: Any, direction: str) -> str:
    """The position beside a row with this value in the column of the order: what follows ("o") or comes before ("n")."""
    return f"{direction}.{pk}.{f'{value.timestamp():.6f}' if isinstance(value, datetime) else value}"


def paged(
    rows: "QuerySet[Row] | Sequence[QuerySet[Row]]",
    cursor: str,
    *,
    order: Order = NEWEST,
    size: int = PAGE,
    read: Reader | None = None,
    fetch: Fetcher | None = None,
) -> "Page[Row]":
    """One page of the rows at a cursor; the first page for none, or for one that makes no sense.

    The rows may be given as parts, each in its own falling order: all values of the order in one are above those in the next.
    `read` is given the rows of the page and adds what they show; or `fetch` gets them by their ids, `pks`, as a prepared
    question does.
    """
    parts = [rows.order_by(f"-{order.by}", "-pk")] if isinstance(rows, QuerySet) else rows
    direction, value, pk = _parsed(parts[0], cursor, order)
    rising = order.descending == (direction == "n")
    beyond = "gt" if rising else "lt"
    there = Q(**{f"{order.by}__{beyond}": value}) | Q(**{order.by: value, f"pk__{beyond}": pk}) if direction else Q()
    # Picked first, by an index alone where there is one; only what was picked is read.
    picked: list[tuple] = []
    for part in reversed(parts) if rising else parts:
        if len(picked) <= size:
            ordered = part.reverse() if rising else part
            picked += ordered.filter(there).values_list("pk", order.by)[: size + 1 - len(picked)]
    more, picked = len(picked) > size, picked[:size]
    if direction == "n":
        picked.reverse()
    older, newer = direction == "n" or more, more if direction == "n" else bool(direction)
    return Page(
        _in_order([pk for pk, _ in picked], fetch or _fetcher(parts[0].model, read)),
        cursor_of(picked[-1][1], picked[-1][0], "o") if older and picked else "",
        cursor_of(picked[0][1], picked[0][0], "n") if newer and picked else "",
    )


def is_cursor(rows: QuerySet, cursor: str, order: Order) -> bool:
    """Whether it is a position in these rows; none at all is the beginning."""
    return not cursor or bool(_parsed(rows, cursor, order)[0])


def searched(request: HttpRequest) -> str:
    """What the request searches for (`q`), "" for nothing."""
    return request.GET.get("q", "").strip()[:100]


def address_of(request: HttpRequest, cursor: str, name: str = "page") -> str:
    """The address of the page at a cursor, with the filters of this one; "" for none. `name`: of several lists on a page, which."""
    if not cursor:
        return ""
    kept = {key: value for key, value in request.GET.items() if key != name}
    return f"{request.path}?{urlencode({**kept, name: cursor})}"


def addresses_of(request: HttpRequest, page: Page, name: str = "page") -> dict[str, str]:
    """For the pager: the addresses of the pages beside a page."""
    return {"older": address_of(request, page.older, name), "newer": address_of(request, page.newer, name)}


def _fetcher(model: type[Model], read: Reader | None) -> Fetcher:
    """What gets rows by their ids, with what `read` adds."""
    return (lambda pks: read(model._default_manager.filter(pk__in=pks))) if read else _plain(model).objects


@cache
def _plain(model: type[Model]) -> Prepared:
    return Prepared(lambda pks: model._default_manager.filter(pk__in=pks))


def _in_order(pks: list[Any], fetch: Fetcher) -> list[Any]:
    """The rows of these ids, in this order."""
    found = {row.pk: row for row in fetch(pks=pks)} if pks else {}
    return [found[pk] for pk in pks if pk in found]


def _parsed(rows: QuerySet, cursor: str, order: Order) -> tuple[str, Any, Any]:
    nothing = "", None, None
    direction, _, rest = cursor.partition(".")
    pk, _, text = rest.partition(".")
    if direction not in {"n", "o"}:
        return nothing
    try:
        return direction, _value(_column(rows, order.by), text), _value(rows.model._meta.pk, pk)
    except (ValueError, OverflowError, OSError, ValidationError):
        return nothing


def _column(rows: QuerySet, name: str) -> Field:
    annotation = rows.query.annotations.get(name)
    return annotation.output_field if annotation is not None else rows.model._meta.get_field(name)


def _value(column: Field, text: str) -> Any:
    """What a cursor says, as the column has it. Raises one of many errors for what nobody could have stored there."""
    if isinstance(column, DateTimeField):
        seconds, _, fraction = text.partition(".")
        return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(fraction))
    value = column.to_python(text)
    column.run_validators(value)
    return value
