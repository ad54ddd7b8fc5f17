"""What a shell completes: names from the server, silently and within a second, or nothing."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from mlteam_sdk.cli.session import Session

PATIENCE: Final = "1"  # seconds; MLTEAM_COMPLETION_SECONDS says otherwise
MOST: Final = 50

Thing = dict[str, Any]
Find = Callable[["Session", str], Iterator[tuple[str, str]]]
Complete = Callable[[click.Context, click.Parameter, str], list[Any]]


class TooLate(BaseException):
    """The time is over. Whatever is under way takes other exceptions for a reason to try again."""


def _completes(*finds: Find) -> Complete:
    """Completes with what these find: pairs of what is typed and what explains it."""

    def complete(context: click.Context, option: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        found: dict[str, str] = {}
        # No server, no token, no such list: there is nothing to complete, and no place to say so.
        with suppress(Exception, TooLate), _in_time(), context.scope(cleanup=False):
            for find in finds:
                for value, said in find(_session(), incomplete):
                    found.setdefault(value, said)
        return [CompletionItem(value, help=said) for value, said in found.items() if _plain(value)]

    return complete


def _session() -> "Session":
    from mlteam_sdk.cli.command import session

    found = session()
    found.quiet = True
    return found


@contextmanager
def _in_time() -> Iterator[None]:
    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, float(os.environ.get("MLTEAM_COMPLETION_SECONDS", PATIENCE)))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _too_late(number: int, frame: object) -> None:
    raise TooLate


def _plain(text: str) -> bool:
    """Whether a shell can take it: somebody else's name with a newline or an escape would be two, or obeyed."""
    return text.isprintable()


def _fitting(things: Iterable[Thing], fields: tuple[str, ...], said: str, incomplete: str) -> Iterator[tuple[str, str]]:
    """Of each thing the values that begin with what was typed, capitals aside if there is none; its name if nothing was typed."""
    for thing in things:
        values = [str(thing[name]) for name in fields if thing.get(name)]
        begun = [value for value in values if value.startswith(incomplete)]
        folded = [value for value in values if value.casefold().startswith(incomplete.casefold())]
        for value in (begun or folded[:1])[: None if incomplete else 1]:
            yield value, str(thing.get(said) or "")


def _from(address: str, *fields: str, said: str, **query: Any) -> Find:
    """Finds in a list of the server: `fields` are completed, `said` explains them. The newest or first of all, then those called so."""

    def find(session: "Session", incomplete: str) -> Iterator[tuple[str, str]]:
        listed = session.some(address, MOST, **query)
        yield from _fitting(listed, fields, said, incomplete)
        if incomplete and len(listed) == MOST:
            yield from _fitting(session.some(address, MOST, q=incomplete, **query), fields, said, incomplete)

    return find


def _jobs_of(**query: Any) -> Find:
    """Finds my jobs by name and id, and those of USER after `USER:`."""
    mine = _from("/jobs", "name", "id", said="state", mine=True, sort="-created_at", **query)

    def find(session: "Session", incomplete: str) -> Iterator[tuple[str, str]]:
        owner, colon, begun = incomplete.rpartition(":")
        if not colon:
            yield from mine(session, incomplete)
            return
        theirs = _from("/jobs", "name", said="id", user=owner, sort="-created_at", **query)
        yield from ((f"{owner}:{name}", said) for name, said in theirs(session, begun))

    return find


def _roles_at(place: Callable[[], str] | None = None) -> Find:
    """Finds roles at an address of the API (the active project), and those of PROJECT or TEAM after `PROJECT.`."""

    def find(session: "Session", incomplete: str) -> Iterator[tuple[str, str]]:
        from mlteam_sdk.cli.names import role_place

        where, dot, begun = incomplete.rpartition(".")
        at = role_place(session, where) if dot else place() if place else f"/projects/{session.project_id}"
        listed = _from(f"{at}/roles", "name", "id", said="id")(session, begun)
        yield from ((f"{where}{dot}{name}", said) for name, said in listed)

    return find


def _keys(session: "Session", incomplete: str) -> Iterator[tuple[str, str]]:
    """Finds third-party keys of the project."""
    yield from _from(f"/projects/{session.project_id}/keys", "name", "id", said="type")(session, incomplete)


def roles_at(place: Callable[[], str] | None) -> Complete:
    """Completes roles where `place` says, in words of the API."""
    return _completes(_roles_at(place))


_ACTIVE: Final = ["queued", "preparing", "running"]
_projects = _from("/projects", "full_name", "name", "id", said="id")
_users = _from("/users", "username", "id", said="name")
_teams = _from("/teams", "name", "id", said="id")

_datastores = _from("/datastores", "name", "id", said="kind")

projects = _completes(_projects)
users = _completes(_users)
teams = _completes(_teams)
jobs = _completes(_jobs_of())
active_jobs = _completes(_jobs_of(state=_ACTIVE))
roles = _completes(_roles_at())
keys = _completes(_keys)
key_types = _completes(_from("/key-types", "name", said="label"))
datastores = _completes(_datastores)
anything = _completes(_jobs_of(), _projects, _teams, _users, _roles_at())
