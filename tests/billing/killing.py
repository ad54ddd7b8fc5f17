"""A process that dies in the middle of what it writes."""

from collections.abc import Callable

from django.db import connection


class Killed(BaseException):
    pass


def killed_after(statements: int, act: Callable[[], object]) -> bool:
    """Does something in a process that makes so many statements and no more; whether that was all of it."""
    left = iter(range(statements))

    def die(execute, sql, params, many, context):
        if next(left, None) is None:
            raise Killed  # also what would take back the transaction: a dead process does nothing
        return execute(sql, params, many, context)

    try:
        with connection.execute_wrapper(die):
            act()
    except Killed:
        connection.in_atomic_block = False
        connection.close()
        return False
    return True
