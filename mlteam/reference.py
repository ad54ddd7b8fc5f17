"""The reference of a request: a random word that its error page shows and that the server's log says on its lines.

Whoever reports a problem names it, and whoever runs the installation finds the lines. It says nothing about anybody.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import urlencode

from django.conf import settings

from accounts.ids import new_id

LENGTH = 10  # characters of base32: 50 bits

_reference: ContextVar[str] = ContextVar("reference", default="")


@contextmanager
def given() -> Iterator[str]:
    """While the block runs, what happens has this reference."""
    token = _reference.set(new_id()[:LENGTH])
    try:
        yield _reference.get()
    finally:
        _reference.reset(token)


def current() -> str:
    """The reference of the request that is answered now; "" outside of one."""
    return _reference.get()


def contact() -> str:
    """Where problems are reported, as a link, with the reference in a mail's subject; "" where MLTEAM_CONTACT is not set."""
    known = settings.MLTEAM_CONTACT
    if not known or known.startswith(("http://", "https://")):
        return known
    about = f"Problem with mlteam (reference {current()})" if current() else "Problem with mlteam"
    return f"mailto:{known}?{urlencode({'subject': about}).replace('+', '%20')}"


class InLog(logging.Filter):
    """Gives each line of the log its `reference`, in brackets."""

    def filter(self, record: logging.LogRecord) -> bool:
        # Django says of a request that it was not found when all of it is over; the line has the request with it.
        given = current() or getattr(getattr(record, "request", None), "reference", "")
        record.reference = f" [reference {given}]" if given else ""
        return True


class Refusals(logging.Filter):
    """Says of a request that was refused in one line that it was: where in the program that was decided is nobody's question."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = None
        return True
