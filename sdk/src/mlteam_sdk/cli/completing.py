"""What a shell completes: names from the server, silently and within a second, or nothing."""

import signal
from collections.abc import Callable
from typing import Any, Final

import click

PATIENCE: Final = 1.0  # seconds
MOST: Final = 50


class TooLate(BaseException):
    """A second is over. Whatever is under way takes other exceptions for a reason to try again."""


Complete = Callable[[click.Context, click.Parameter, str], list[Any]]


def _from(address: str, name: str, said: str, **query: Any) -> Complete:
    """Completes from a list of the server: `name` is the field that is completed, `said` the one that explains it."""

    def complete(context: click.Context, option: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        try:
            things = _ask(context, address, query)
        except (
            Exception,
            TooLate,
        ):  # no server, no token, no such list: there is nothing to complete, and no place to say so
            return []
        fitting = (thing for thing in things if str(thing[name]).startswith(incomplete))
        return [
            CompletionItem(str(thing[name]), help=str(thing.get(said) or ""))
            for thing in fitting
            if _plain(str(thing[name]))
        ]

    return complete


def _ask(context: click.Context, address: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    from mlteam_sdk.cli.session import Session

    said = context.find_root().obj or {}
    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    session = Session(profile=said.get("profile"), url=said.get("url"))
    try:
        return session.some(address, MOST, **query)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        session.close()


def _too_late(number: int, frame: object) -> None:
    raise TooLate


def _plain(text: str) -> bool:
    """Whether a shell can take it: somebody else's name with a newline or an escape would be two, or obeyed."""
    return text.isprintable()


projects = _from("/projects", "full_name", "id")
users = _from("/users", "username", "name")
teams = _from("/teams", "name", "id")
jobs = _from("/jobs", "id", "name", mine=True, sort="-created_at")
active_jobs = _from("/jobs", "id", "name", mine=True, state=["queued", "preparing", "running"], sort="-created_at")
