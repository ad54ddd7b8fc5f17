"""From where something is done: a page, the API, the admin, a command or the server itself; the audit trail says it.

It is kept for the time of a request in a context variable, so that no action has to hand it on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from django.http import HttpRequest

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


def of(request: "HttpRequest") -> Origin:
    """The origin of a request: which kind of site it is at, and the address that it came from."""
    match = request.resolver_match
    sites = (SITES[name] for name in (match.app_names if match else ()) if name in SITES)
    return Origin(next(sites, PAGE), address_of(request))


def address_of(request: "HttpRequest") -> str:
    """The client's address: as the proxies that the installation trusts say (MLTEAM_PROXIES), else that of the connection."""
    from django.conf import settings

    hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",")]
    proxies = settings.MLTEAM_PROXIES
    said = hops[-proxies] if 0 < proxies <= len(hops) else ""
    return _checked(said) or _checked(request.META.get("REMOTE_ADDR") or "")


def _checked(address: str) -> str:
    try:
        return str(ip_address(address))
    except ValueError:
        return ""
