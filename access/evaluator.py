"""The one evaluator. Only grants, no denials: a thing is allowed when one grant covers it."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from access.decisions import Decision, Grant, Resource, Target, expression, in_words, split_action
from access.sources import ANY, Holders, Places, registered
from access.urns import find_place


class Holder(Protocol):
    """Somebody who holds rules: a user, or nobody."""

    @property
    def pk(self) -> Any: ...

    @property
    def is_active(self) -> Any: ...

    @property
    def is_authenticated(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Abilities:
    """All that one user holds in one project; answers any number of questions without another query."""

    user_id: str | None
    project_id: str
    grants: tuple[Grant, ...]
    above: tuple[str, ...] = ()

    def decide(self, action: str, resource: Resource) -> Decision:
        """The answer for one resource of this project."""
        kind, verb = split_action(action)
        target = resource.access_target()
        if target.kind not in {kind, "project"}:
            raise ValueError(f"{action} asked about a {target.kind}")
        for grant in self.grants:
            if self.user_id and grant.kind == kind and grant.covers(self.user_id, verb, target):
                return Decision(True, action, "granted", f"allowed by {grant.source}")
        wanted = resource.urn if target.kind == kind else expression(target.project_id, kind, above=self.above)
        return replace(self._refusal(action, kind, verb, target), missing=f"{action}@{wanted}")

    def any(self, action: str) -> bool:
        """Whether the action is allowed on at least something here; for navigation."""
        kind, verb = split_action(action)
        return any(
            grant.kind == kind and verb in grant.actions and not (grant.resource or grant.nearest)
            for grant in self.grants
        )

    def _refusal(self, action: str, kind: str, verb: str, target: Target) -> Decision:
        if self.user_id is None:
            return Decision(False, action, "signed_out", "Sign in first.")
        if not self.grants:
            return Decision(False, action, "no_access", "You have no access to this project.")
        mine_only = any(grant.kind == kind and verb in grant.actions and grant.only_mine for grant in self.grants)
        if mine_only:
            return Decision(
                False,
                action,
                "not_yours",
                f"Your level allows {action} only on what you created, and this {kind} is another member's.",
            )
        if target.kind == "team":
            return Decision(
                False, action, "not_granted", f"You may not {in_words({verb})} this team ({action}). Its owners may."
            )
        held = {one for grant in self.grants if grant.kind == kind for one in grant.actions}
        may = f"Your level lets you {in_words(held)} {kind}s." if held and kind != "project" else ""
        asked = f"{in_words({verb})} {'this project' if kind == 'project' else f'{kind}s in this project'}"
        reason = f"You may not {asked} ({action}). {may} The project's owner can change your level."
        return Decision(False, action, "not_granted", reason.replace("  ", " "))


def _known(user: Holder) -> str | None:
    return user.pk if user.is_authenticated and user.is_active else None


_asked: ContextVar[dict[tuple[str | None, str], Abilities] | None] = ContextVar("asked", default=None)


@contextmanager
def asked_once() -> Iterator[None]:
    """While the block runs, which must change nobody's access, the sources are asked once for a user and a project."""
    token = _asked.set({})
    try:
        yield
    finally:
        _asked.reset(token)


@dataclass(frozen=True, slots=True)
class Seen:
    """That somebody looks at a project as another person sees it. The ids of both, and the project's."""

    by: str
    person: str
    project: str


_seen: ContextVar[Seen | None] = ContextVar("seen", default=None)


@contextmanager
def seen_as(seen: Seen) -> Iterator[None]:
    """While the block runs, which must change nothing, `by` holds in the project what `person` holds there, and no more."""
    token = _seen.set(seen)
    try:
        yield
    finally:
        _seen.reset(token)


def abilities(user: Holder, resource: Resource) -> Abilities:
    """What the user holds in the resource's project, asked freshly of all sources (within `asked_once`: the first time)."""
    target = resource.access_target()
    user_id, project_id = _known(user), target.project_id
    if (seen := _seen.get()) and (seen.by, seen.project) == (user_id, project_id):
        user_id = seen.person
    asked = _asked.get()
    if asked is not None and (found := asked.get((user_id, project_id))):
        return found
    above = resource.access_above()
    held = _held(target.kind, [user_id], {project_id: above}) if user_id else ()
    found = Abilities(user_id, project_id, tuple(grant for _, grant in held), above)
    if asked is not None:
        asked[user_id, project_id] = found
    return found


def abilities_in(user: Holder, projects: Iterable[Resource]) -> dict[str, Abilities]:
    """What the user holds in each of these projects, for pages that show some of them: project id -> abilities."""
    user_id, asked, seen = _known(user), _asked.get() or {}, _seen.get()
    found, rest = {}, {}
    for project in projects:
        place = project.access_target().project_id
        if (user_id, place) in asked or (seen and seen.project == place):
            found[place] = abilities(user, project)
        else:
            rest[place] = project
    for place, grants in rules(user, rest.values()).items() if rest else ():
        found[place] = Abilities(user_id, place, tuple(grants), rest[place].access_above())
    return found


def _held(kind: str, users: Sequence[str], places: Places) -> Iterable[tuple[str, Grant]]:
    sources = registered(kind, users[0] if len(users) == 1 else "")
    return (pair for source in sources for pair in source.grants(users=users, places=places))


def rules(user: Holder, projects: Iterable[Resource], *, kind: str = "project") -> dict[str, list[Grant]]:
    """What the user holds in each of these projects: project id -> grants, in the order of the sources. Of teams: `kind` "team"."""
    user_id, asked = _known(user), _asked.get()
    known = {} if asked is None or kind != "project" else asked
    places = {project.access_target().project_id: project.access_above() for project in projects}
    found = {place: list(known[user_id, place].grants) if (user_id, place) in known else [] for place in places}
    rest = {place: above for place, above in places.items() if (user_id, place) not in known}
    for _, grant in _held(kind, [user_id], rest) if user_id and rest else ():
        found[grant.project_id].append(grant)
    known |= {(user_id, place): Abilities(user_id, place, tuple(found[place]), above) for place, above in rest.items()}
    return found


def allowed(user: Holder, action: str, resource: Resource) -> Decision:
    """Whether the user may do the action to the resource, and why. For `X:new` the resource is the project."""
    return abilities(user, resource).decide(action, resource)


def scope(user: Holder, action: str, *, project: str = "project", created_by: str = "created_by") -> Q:
    """The rows on which the user may do the action, as a filter; the number of queries does not grow with anything."""
    condition = Q(pk__in=[])
    for way in scopes(user, action, project=project, created_by=created_by):
        condition |= way
    return condition


def scopes(user: Holder, action: str, *, project: str = "project", created_by: str = "created_by") -> list[Q]:
    """The same for each source by itself: for whoever wants only some of the rows, and none of the others looked at."""
    user_id = _known(user)
    return scopes_of(user_id, action, project=project, created_by=created_by) if user_id else []


def scopes_of(user_id: str, action: str, *, project: str = "project", created_by: str = "created_by") -> list[Q]:
    """The same for somebody active by their id, which may be a mark of `access.prepared`."""
    kind, verb = split_action(action)
    names = {"project": project, "created_by": created_by}
    return [source.scope(user_id, kind, verb, **names) for source in registered(kind, user_id)]


def holders(action: str, resource: Resource) -> QuerySet:
    """Everybody who may do the action to the resource, as users."""
    return in_any(_parts(action, resource)).filter(is_active=True)


def in_any(parts: Holders) -> QuerySet:
    """The users in any of the parts."""
    condition = Q(pk__in=[])
    for rows, column in parts:
        condition |= Q(pk__in=rows.values(column))
    return get_user_model().objects.filter(condition)


def _parts(action: str, resource: Resource) -> Holders:
    kind, verb = split_action(action)
    target, above = resource.access_target(), resource.access_above()
    if find_place(target.project_id) is None:
        return []
    return [part for source in registered(kind) for part in source.holders(kind, verb, target, above)]


def who_is_allowed(action: str, resource: Resource, users: Collection[str] | None = ANY) -> dict[str, str]:
    """Who of these users, or of all, may do the action to the resource: user id -> why."""
    chosen = holders(action, resource).filter(**({} if users is ANY else {"pk__in": users}))
    return why(action, resource, list(chosen.values_list("pk", flat=True)))


def why(action: str, resource: Resource, users: Sequence[str]) -> dict[str, str]:
    """What lets each of these users, who are active, do the action to the resource; whom nothing lets is left out."""
    kind, verb = split_action(action)
    target, found = resource.access_target(), dict[str, str]()
    for user_id, grant in _held(kind, users, {target.project_id: resource.access_above()}):
        if grant.kind == kind and grant.covers(user_id, verb, target):
            found.setdefault(user_id, grant.source)
    return found
