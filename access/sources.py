"""Where rules come from. The apps above register theirs at start."""

from collections.abc import Iterable
from typing import Protocol

from django.db.models import Q

from access.decisions import Grant


class Source(Protocol):
    """One source of rules: ownership of projects, membership, and whatever is registered later."""

    name: str

    def grants(self, user_id: str, project_id: str) -> Iterable[Grant]:
        """What the user holds in a project; a constant number of queries."""

    def holders(self, project_id: str) -> Iterable[tuple[str, Grant]]:
        """Everybody who holds something in a project, as (user id, grant); a constant number of queries."""

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
