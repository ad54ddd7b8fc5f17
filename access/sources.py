"""Where rules come from. The apps above register theirs at start."""

from collections.abc import Collection, Iterable
from typing import Final, Protocol

from django.db.models import Q

from access.decisions import Grant, Target

Ids = Collection[str] | None
ANY: Final = None


class Source(Protocol):
    """One source of rules: ownership of projects, membership, roles in teams, and whatever is registered later.

    `place` says where its rules hold: in a "project", or in a "team".
    """

    name: str
    place: str

    def grants(self, *, users: Ids, places: Ids) -> Iterable[tuple[str, Grant]]:
        """What these users hold in these places (ids), as (user id, grant); a constant number of queries. ANY: all of them."""

    def holders(self, kind: str, verb: str, target: Target) -> Q:
        """The users who may do the verb to the target, as a condition on users."""

    def scope(self, user_id: str, kind: str, verb: str, *, project: str, created_by: str) -> Q:
        """The rows on which the user may do the verb, as a condition; `project` (the place) and `created_by` name the columns' lookups."""


_sources: list[Source] = []


def register(source: Source) -> None:
    """Adds a source of rules; called by an app when it is ready."""
    if source.name not in {known.name for known in _sources}:
        _sources.append(source)


def registered(kind: str) -> list[Source]:
    """The sources of rules about this kind of resource, in order of registration."""
    place = "team" if kind == "team" else "project"
    return [source for source in _sources if source.place == place]
