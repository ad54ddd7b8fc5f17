"""From where something is done: a page, the API, the admin, a command or the server itself; the audit trail says it.

It is kept for the time of a request in a context variable, so that no action has to hand it on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest

from accounts.requests import client_address

PAGE, API, ADMIN, COMMAND, SERVER = "page", "api", "admin", "command", "server"
SITES: Final = {"admin": ADMIN, "ninja": API}  # application namespaces of addresses -> what they are


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an action came from. `address`: the network address, "" where there is none."""

    kind: str
    address: str = ""


_process = Origin(SERVER)
_request: ContextVar[Callable[[], Origin] | None] = ContextVar("origin", default=None)


def here() -> Origin:
    """From where the code that runs now was asked to."""
    asked = _request.get()
    return asked() if asked else _process


def is_command() -> None:
    """Says that this process does what somebody typed on the server; for manage.py."""
    global _process
    _process = Origin(COMMAND)


@contextmanager
def noted(asked: Callable[[], Origin]) -> Iterator[None]:
    """While the block runs, it is asked for by this origin; found out only when somebody wants to know."""
    token = _request.set(asked)
    try:
        yield
    finally:
        _request.reset(token)


def of(request: HttpRequest) -> Origin:
    """The origin of a request: which kind of site it is at, and the address that it came from."""
    match = request.resolver_match
    sites = (SITES[name] for name in (match.app_names if match else ()) if name in SITES)
    return Origin(next(sites, PAGE), client_address(request))
