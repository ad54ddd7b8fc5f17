"""Pages of a list, by cursor: the same cost anywhere, and nothing shifts when rows come."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Generic, Literal, TypeVar

from django.db.models import Model, QuerySet
from ninja import Schema
from pydantic import ConfigDict, Field

from accounts.paging import NEWEST, Fetcher, Order, is_cursor, paged
from api.problems import invalid

Item = TypeVar("Item")
Row = TypeVar("Row", bound=Model)
MOST = 200
Id = Annotated[str, Field(pattern="^[a-z2-7]{16}$")]  # of what is named in a body
Named = Annotated[str, Field(pattern="^[a-z0-9_-]{1,60}$")]  # a user by id or username, a team by id or address


def _all_optional(schema: dict[str, Any]) -> None:
    schema.pop("required", None)


class Out(Schema):
    """What is answered. With ?fields=… only some of it is: so the document calls no field required."""

    model_config = ConfigDict(json_schema_extra=_all_optional)


class In(Schema):
    """What is sent; fields that do not exist are refused by name."""

    model_config = ConfigDict(extra="forbid")


class Paging(Schema):
    """Which page of a list."""

    cursor: str = Field("", max_length=500, description="`next` or `previous` of another page; empty for the first")
    limit: int = Field(50, ge=1, le=MOST, description="how many items")


class Sorted(Paging):
    """Which page of a list that goes both ways; `sort` says what by, with "-" before it for falling."""

    sort: str

    def by(self, column: str) -> Order:
        """The order by what this list has as that."""
        return Order(column, descending=self.sort.startswith("-"))


class ByName(Sorted):
    sort: Literal["name", "-name"] = "name"


class ByUsername(Sorted):
    sort: Literal["username", "-username"] = "username"


class Newest(Sorted):
    sort: Literal["created_at", "-created_at"] = "-created_at"


class Oldest(Sorted):
    sort: Literal["created_at", "-created_at"] = "created_at"


class ByJoining(Sorted):
    sort: Literal["joined_at", "-joined_at"] = "joined_at"


class Listed(Schema, Generic[Item]):
    """A page of a list, and the cursors of those beside it."""

    items: list[Item]
    next: str | None = None
    previous: str | None = None


def page(
    rows: QuerySet,
    paging: Paging,
    show: Callable[[Any], Any],
    *,
    order: Order = NEWEST,
    read: Callable[[Any], Any] | None = None,
    fetch: Fetcher | None = None,
    prepare: Callable[[list[Any]], Iterable[Any]] = lambda rows: rows,
) -> dict[str, Any]:
    """A page of the rows, each shown. `read` is given the rows of the page or `fetch` their ids, and `prepare` what was read,
    to add what they show. Raises Problem for a cursor of no such list."""
    if not is_cursor(rows, paging.cursor, order):
        raise invalid([("cursor", "is none of this list: take `next` or `previous` of another page of it")])
    found = paged(rows, paging.cursor, order=order, size=paging.limit, read=read, fetch=fetch)
    shown = [show(row) for row in prepare(found.rows)]
    return {"items": shown, "next": found.older or None, "previous": found.newer or None}


def meant(found: Iterable[Row], text: str) -> Row | None:
    """Of what has this text as its id or as its name: what has it as its id, or else the other; None for nothing."""
    return min(found, key=lambda row: row.pk != text, default=None)


def whole(rows: Iterable[Any], show: Callable[[Any], Any]) -> dict[str, Any]:
    """A list that is short by nature, as its only page."""
    return {"items": [show(row) for row in rows], "next": None, "previous": None}
