"""The database's own guard over the audit trail: triggers that refuse to change, delete or empty it.

They are put up after every migration and not by one, because SQLite forgets a table's triggers when a migration makes
the table anew. A migration that must change entries takes them down itself (`take_down`).
"""

from typing import Any, Final

from django.db import connections

TABLE: Final = "projects_auditentry"
REFUSAL: Final = "the audit trail is neither changed nor deleted"

DOWN: Final = {
    "sqlite": [f"DROP TRIGGER IF EXISTS {TABLE}_{verb}" for verb in ("update", "delete")],
    "postgresql": [f"DROP TRIGGER IF EXISTS {TABLE}_kept ON {TABLE}"],
}
UP: Final = {
    "sqlite": [
        f"CREATE TRIGGER {TABLE}_{verb} BEFORE {verb} ON {TABLE} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        for verb in ("update", "delete")
    ],
    "postgresql": [
        f"""CREATE OR REPLACE FUNCTION {TABLE}_kept() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE integrity_constraint_violation USING MESSAGE = '{REFUSAL}'; END $$""",
        f"""CREATE TRIGGER {TABLE}_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE}
        FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_kept()""",
    ],
}


def put_up(sender: object = None, using: str = "default", **_: Any) -> None:
    """Puts the triggers up, whether they are there or not; called after each migration."""
    connection = connections[using]
    if TABLE in connection.introspection.table_names():
        _run(using, DOWN[connection.vendor] + UP[connection.vendor])


def take_down(using: str = "default") -> None:
    """Takes them down."""
    _run(using, DOWN[connections[using].vendor])


def _run(using: str, statements: list[str]) -> None:
    with connections[using].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
