"""Where rules come from. The apps above register theirs at start."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Protocol

from django.db.models import Q, QuerySet

from access.decisions import Grant, Target

ANY: Final = None
# Rows, each with a column that is a user: everybody in one of them holds what is asked for.
# The first of all is the longest, and has nobody twice.
Holders = list[tuple[QuerySet, str]]
Places = Mapping[str, tuple[str, ...]]  # id of a project or team -> ids of the projects that it is in, nearest first
POLICIES: Final = "policies"  # the name of the source that roles' keys hold
ROLE: Final = "role:"  # what the key of a role is called among users: "role:ID"


class Source(Protocol):
    """One source of rules: ownership of projects, membership, roles in teams, policies, and whatever is registered later.

    `place` says where its rules hold: in a "project", or in a "team".
    """

    name: str
    place: str

    def grants(self, *, users: Collection[str], places: Places) -> Iterable[tuple[str, Grant]]:
        """What these users, who are active, hold in these places, as (user id, grant); one query."""

    def holders(self, kind: str, verb: str, target: Target, above: tuple[str, ...]) -> Holders:
        """The users who may do the verb to the target, whose place is there; `above`: the projects that its project is in."""

    def scope(self, user_id: str, kind: str, verb: str, *, project: str, created_by: str) -> Q:
        """The rows on which the user may do the verb, as a condition; `project` (the place) and `created_by` name the columns' lookups."""


_sources: list[Source] = []


def register(source: Source) -> None:
    """Adds a source of rules; called by an app when it is ready."""
    if (source.name, source.place) not in {(known.name, known.place) for known in _sources}:
        _sources.append(source)


def registered(kind: str, user_id: str = "") -> list[Source]:
    """The sources of rules about this kind of resource in order of registration, policies last; a role's key holds these alone."""
    place = "team" if kind == "team" else "project"
    here = sorted((one for one in _sources if one.place == place), key=lambda one: one.name == POLICIES)
    return [one for one in here if one.name == POLICIES] if user_id.startswith(ROLE) else here
