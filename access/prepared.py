"""Questions that every page asks: built and compiled once, and then asked with other values.

Django takes several times as long to write the SQL of such a question as the database takes to answer it.
"""

from collections.abc import Callable, Collection
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

MARK: Final = "\ue000"  # begins the values with which a question is compiled; no id has it
MOST: Final = 64  # values of a list for which the SQL is kept

Value = str | Collection[str]


class Prepared:
    """A query of ids and texts. `build` gets each value by its name: a string, or a list of strings for an IN."""

    def __init__(self, build: Callable[..., QuerySet]) -> None:
        self._build = build
        self._kept: dict[tuple, tuple[str, tuple] | None] = {}

    def rows(self, **values: Value) -> list[tuple]:
        """The answers; one query."""
        found = self._filled(values)
        if found is None:
            return []
        with connection.cursor() as cursor:
            cursor.execute(*found)
            return cursor.fetchall()

    def among(self, column: str, **values: Value) -> Q:
        """That a column is one of the answers, as a condition; the query has one column."""
        found = self._filled(values)
        return Q(pk__in=[]) if found is None else Q(**{f"{column}__in": RawSQL(*found)})  # noqa: S611 - SQL of Django's own

    def _filled(self, values: dict[str, Value]) -> tuple[str, list[Any]] | None:
        """The SQL and its parameters; None where Django knows that there can be no answer."""
        shape = tuple((name, None if isinstance(value, str) else len(value)) for name, value in values.items())
        key = (connection.vendor, *shape)
        if key not in self._kept:
            compiled = self._compiled(shape)
            if any(length is not None and length > MOST for _, length in shape):
                return _with(compiled, values)
            self._kept[key] = compiled
        return _with(self._kept[key], values)

    def _compiled(self, shape: tuple) -> tuple[str, tuple] | None:
        marks = {
            name: f"{MARK}{name}" if length is None else [f"{MARK}{name}{MARK}{place}" for place in range(length)]
            for name, length in shape
        }
        try:
            return self._build(**marks).query.get_compiler(connection=connection).as_sql()
        except EmptyResultSet:
            return None


def _with(compiled: tuple[str, tuple] | None, values: dict[str, Value]) -> tuple[str, list[Any]] | None:
    if compiled is None:
        return None
    real: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, str):
            real[f"{MARK}{name}"] = value
        else:
            real |= {f"{MARK}{name}{MARK}{place}": one for place, one in enumerate(value)}
    sql, parameters = compiled
    return sql, [real.get(one, one) if isinstance(one, str) else one for one in parameters]
