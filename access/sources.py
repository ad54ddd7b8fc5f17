"""Where rules come from. The apps above register theirs at start."""

from collections.abc import Collection, Iterable
from typing import Final, Protocol

from django.db.models import Q

from access.decisions import Grant, Target

Ids = Collection[str] | None
ANY: Final = None


class Source(Protocol):
    """One source of rules: ownership of projects, membership, and whatever is registered later."""

    name: str

    def grants(self, *, users: Ids, projects: Ids) -> Iterable[tuple[str, Grant]]:
        """What these users hold in these projects, as (user id, grant); a constant number of queries. ANY: all of them."""

    def holders(self, kind: str, verb: str, target: Target) -> Q:
        """The users who may do the verb to the target, as a condition on users."""

    def scope(self, user_id: str, kind: str, verb: str, *, project: str, created_by: str) -> Q:
        """The rows on which the user may do the verb, as a condition; `project` and `created_by` name the columns' lookups."""


_sources: list[Source] = []


def register(source: Source) -> None:
    """Adds a source of rules; called by an app when it is ready."""
    if source.name not in {known.name for known in _sources}:
        _sources.append(source)


def registered() -> tuple[Source, ...]:
    """All sources, in order of registration."""
    return tuple(_sources)
