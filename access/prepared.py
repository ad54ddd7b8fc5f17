"""Questions that every page asks: built and compiled once, and then asked with other values.

Django takes several times as long to write the SQL of such a question as the database takes to answer it.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, Generic, Literal, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.sql.compiler import SQLCompiler

MARK: Final = "\ue000"  # begins the texts with which a question is compiled; no id has it
LEAST: Final = -(2**31)  # from here on are the numbers with which it is compiled; no id is below 0
MOST: Final = 64  # values of a list for which the SQL is kept

Value = str | Collection[str] | Collection[int]
Answer = TypeVar("Answer")


@contextmanager
def planned_once() -> Iterator[None]:
    """For questions that a few rows of an index answer, whatever the values: within the block PostgreSQL keeps the plan that it
    makes for each, one for a connection, and does not think anew with every page. Planning takes it longer than answering.

    Not for lists: of which a few rows are shown may be any number, and for each number another plan is right.
    Without `prepare_threshold` among the database's options, and on SQLite, it changes nothing.
    """
    if connection.vendor != "postgresql" or connection.settings_dict["OPTIONS"].get("prepare_threshold") is None:
        yield
        return
    connection.ensure_connection()  # whoever wraps queries from its beginning on does so now, and not within the block
    with connection.execute_wrapper(_on_the_server):
        yield


@contextmanager
def planned_anew() -> Iterator[None]:
    """Within the block, which may be in one of `planned_once`, PostgreSQL sees the values and plans for these."""
    around = connection.execute_wrappers
    connection.execute_wrappers = [one for one in around if one is not _on_the_server]
    try:
        yield
    finally:
        connection.execute_wrappers = around


def _on_the_server(execute: Any, sql: str, parameters: Any, many: bool, context: dict[str, Any]) -> Any:
    """Has the server put the values in: only such a statement can be kept there."""
    from django.db.backends.postgresql.base import ServerBindingCursor

    cursor_class: Any = ServerBindingCursor
    context["cursor"].cursor = cursor_class(context["connection"].connection)
    return execute(sql, parameters, many, context)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A question as it was compiled, with marks among its parameters: by the name of a value, its mark or marks."""

    marks: dict[str, Any]
    asked: QuerySet
    compiler: SQLCompiler
    sql: str
    parameters: tuple[Any, ...]

    def filled(self, values: dict[str, Value]) -> list[Any]:
        """The parameters with the values in place of their marks."""
        real: dict[Any, Any] = {}
        for name, mark in self.marks.items():
            real |= {mark: values[name]} if isinstance(mark, str) else zip(mark, values[name], strict=True)
        # A number keeps the kind by which Django tells the database how long it is.
        return [type(one)(real[one]) if isinstance(one, str | int) and one in real else one for one in self.parameters]

    def objects(self, parameters: list[Any]) -> list[Any]:
        """What the queryset would give for these parameters: Django makes it of the rows as it always does."""
        compiler: Any = copy(self.compiler)
        compiler.connection = connection
        compiler.as_sql = lambda *_, **__: (self.sql, parameters)
        asked: Any = SimpleNamespace(
            query=SimpleNamespace(get_compiler=lambda *_, **__: compiler),
            db=connection.alias,
            model=self.asked.model,
            _known_related_objects={},
        )
        rows: Any = self.asked._iterable_class(asked)
        return list(rows)


class Prepared(Generic[Answer]):
    """A query that is answered by a few rows. `build` gets each value by its name: a string, or for an IN a list
    of strings or of whole numbers.

    `planned`: "once" for what `planned_once` is for, "anew" for what is asked of so different values that no plan fits all.
    """

    def __init__(
        self, build: "Callable[..., QuerySet[Any, Answer]]", planned: Literal["once", "anew"] = "once"
    ) -> None:
        self._build = build
        self._planned = planned_once if planned == "once" else planned_anew
        self._kept: dict[tuple, Compiled | None] = {}

    def rows(self, **values: Value) -> list[tuple]:
        """The answers as the database gives them, for ids and texts; one query."""
        compiled, parameters = self._filled(values)
        return self._fetched(compiled.sql, parameters) if compiled else []

    def count(self, **values: Value) -> int:
        """How many answers there are; one query."""
        compiled, parameters = self._filled(values)
        if compiled is None:
            return 0
        ((number,),) = self._fetched(f"SELECT COUNT(*) FROM ({compiled.sql}) answers", parameters)  # noqa: S608 - SQL of Django's own
        return int(number)

    def objects(self, **values: Value) -> list[Answer]:
        """The answers as the queryset gives them: models with all that it adds, or values of any kind; one query."""
        compiled, parameters = self._filled(values)
        if compiled is None:
            return []
        with self._planned():
            return compiled.objects(parameters)

    def first(self, **values: Value) -> Answer | None:
        """The first of these answers; None where there is none."""
        return next(iter(self.objects(**values)), None)

    def among(self, column: str, **values: Value) -> Q:
        """That a column is one of the answers, as a condition; the query has one column."""
        compiled, parameters = self._filled(values)
        if compiled is None:
            return Q(pk__in=[])
        return Q(**{f"{column}__in": RawSQL(compiled.sql, parameters)})  # noqa: S611 - SQL of Django's own

    def _fetched(self, sql: str, parameters: list[Any]) -> list[tuple]:
        with self._planned(), connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def _filled(self, values: dict[str, Value]) -> tuple[Compiled | None, list[Any]]:
        """The question and its parameters; no question where Django knows that there can be no answer."""
        shape = tuple((name, *_shape(value)) for name, value in values.items())
        key = (connection.vendor, *shape)
        if key in self._kept:
            compiled = self._kept[key]
        else:
            compiled = self._compiled(shape)
            if all(length <= MOST for _, length, _ in shape):
                self._kept[key] = compiled
        return compiled, compiled.filled(values) if compiled else []

    def _compiled(self, shape: tuple) -> Compiled | None:
        marks = {name: _mark(place, length, kind) for place, (name, length, kind) in enumerate(shape)}
        try:
            asked = self._build(**marks)
            compiler = asked.query.get_compiler(connection=connection)
            return Compiled(marks, asked, compiler, *compiler.as_sql())
        except EmptyResultSet:
            return None


def _shape(value: Value) -> tuple[int, type]:
    """Of how many values it is, -1 for a single one, and whether of texts or of numbers."""
    return (-1, str) if isinstance(value, str) else (len(value), type(next(iter(value), "")))


def _mark(place: int, length: int, kind: type) -> Any:
    """What stands for a value of this shape, the question's number `place`."""
    if length < 0:
        return f"{MARK}{place}"
    if kind is int:
        return [LEAST + place * 1_000_000 + number for number in range(length)]
    return [f"{MARK}{place}{MARK}{number}" for number in range(length)]
