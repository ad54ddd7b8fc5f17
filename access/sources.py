"""Where rules come from. The apps above register theirs at start."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Protocol

from django.db.models import Q

from access.decisions import Grant, Target

ANY: Final = None
Places = Mapping[str, tuple[str, ...]]  # id of a project or team -> ids of the projects that it is in, nearest first
ROLE: Final = "role:"  # what the key of a role is called among users: "role:ID"


class Source(Protocol):
    """One source of rules: ownership of projects, membership, roles in teams, policies, and whatever is registered later.

    `place` says where its rules hold: in a "project", or in a "team".
    """

    name: str
    place: str

    def grants(self, *, users: Collection[str], places: Places) -> Iterable[tuple[str, Grant]]:
        """What these users hold in these places, as (user id, grant); one query."""

    def holders(self, kind: str, verb: str, target: Target, above: tuple[str, ...]) -> Q:
        """The users who may do the verb to the target, as a condition on users; `above`: the projects that its project is in."""

    def scope(self, user_id: str, kind: str, verb: str, *, project: str, created_by: str) -> Q:
        """The rows on which the user may do the verb, as a condition; `project` (the place) and `created_by` name the columns' lookups."""


_sources: list[Source] = []


def register(source: Source) -> None:
    """Adds a source of rules; called by an app when it is ready."""
    if (source.name, source.place) not in {(known.name, known.place) for known in _sources}:
        _sources.append(source)


def registered(kind: str, user_id: str = "") -> list[Source]:
    """The sources of rules about this kind of resource, in order of registration; a role's key holds policies alone."""
    place = "team" if kind == "team" else "project"
    only = "policies" if user_id.startswith(ROLE) else ""
    return [source for source in _sources if source.place == place and source.name.startswith(only)]
