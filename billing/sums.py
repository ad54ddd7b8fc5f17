"""Sums that grow: one statement makes a sum or adds to it, and names anew what it is of."""

from functools import cache
from typing import Any

from django.db import connection, models

Sum = type[models.Model]


def add(sums: Sum, more: dict[str, Any], of: dict[str, Any], names: dict[str, str] | None = None) -> None:
    """Adds to the sum that is `of` something; makes it where this is the first. A constraint of the table says that it is the only one.

    Call in the transaction that writes what is summed up: nobody else can add to the same sum until that ends.
    """
    said = {**of, **(names or {}), **more}
    sql, fields = _statement(sums, tuple(said), tuple(of), tuple(more))
    values = [field.get_db_prep_save(said[name], connection) for name, field in fields.items()]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


@cache
def _statement(
    sums: Sum, said: tuple[str, ...], of: tuple[str, ...], more: tuple[str, ...]
) -> tuple[str, dict[str, Any]]:
    """The statement, and the fields whose values it takes."""
    quote: Any = connection.ops.quote_name
    fields: dict[str, Any] = {name: sums._meta.get_field(name) for name in said}
    columns = {name: quote(field.column) for name, field in fields.items()}
    table = quote(sums._meta.db_table)
    change = [
        f"{columns[name]} = {f'{table}.{columns[name]} + ' if name in more else ''}excluded.{columns[name]}"
        for name in said
        if name not in of
    ]
    into, alone = ", ".join(columns.values()), ", ".join(columns[name] for name in of)
    values = ", ".join(["%s"] * len(said))
    sql = f"INSERT INTO {table} ({into}) VALUES ({values}) ON CONFLICT ({alone}) DO UPDATE SET {', '.join(change)}"  # noqa: S608 - names of our own
    return sql, fields
