"""Sources of rules: ownership of projects, and membership, by oneself or by a team."""

from collections.abc import Collection, Iterable
from functools import cache
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db.models import CharField, Exists, Expression, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat

from access import ACTIONS, Grant, Target
from access.decisions import FARTHEST
from access.models import Nested
from access.prepared import Prepared
from access.sources import Holders, Places
from projects.levels import KINDS, VERBS, VIEW, levels_of, permission
from projects.models import Project, ProjectGroupPermission, ProjectUserPermission

READ: Final = {"job": {"get", "connect"}, "dataset": {"get"}, "model": {"get"}, "volume": {"get"}}
CREATED: Final = frozenset({"set", "stop", "rm", "exec"})

Rules = dict[str, frozenset[str]]  # kind -> actions
OWNERS: Final[Rules] = {kind: ACTIONS[kind] for kind in (*KINDS, "project", "key")}
# The Personal project is never shared or removed and has no children.
PERSONAL: Final[Rules] = OWNERS | {"project": frozenset({"get", "set"})}
# Until the address is proven it can only be looked at: see projects.actions.
UNPROVEN: Final[Rules] = {kind: frozenset({"get"}) for kind in (*KINDS, "project")}


def actions_of(kind: str, level: str) -> tuple[frozenset[str], frozenset[str]]:
    """What a level allows on a kind: (on anything, only on what the member created). From the table of levels."""
    every = ACTIONS[kind]
    if level == "none":
        return frozenset(), frozenset()
    if level == "read":
        return frozenset(READ[kind]), frozenset()
    if level == "own":
        return frozenset(READ[kind] | {"new"}), CREATED & every
    return every, frozenset()


def owner_proven() -> Exists:
    """Whether the owner of a project has proven their address; for filters and annotations of projects."""
    return Exists(EmailAddress.objects.filter(user=OuterRef("owner"), email=OuterRef("owner__email"), verified=True))


class Ownership:
    """The owner of a project may do everything in it. What is in it has the same owner: projects.actions sees to that."""

    name = "ownership"
    place = "project"

    def grants(self, *, users: Collection[str], places: Places) -> Iterable[tuple[str, Grant]]:
        for project_id, owner_id, active, personal, proven in OWNERSHIP.rows(projects=list(places)):
            if active and owner_id in users:
                rules = OWNERS if not personal else PERSONAL if proven else UNPROVEN
                yield from ((owner_id, grant) for grant in _everything(project_id, rules))

    def holders(self, kind: str, verb: str, target: Target, above: tuple[str, ...]) -> Holders:
        owned = Project.objects.present().filter(allowing(kind, verb), pk=target.project_id)
        return [(get_user_model().objects.filter(pk__in=owned.values("owner")), "pk")]

    def scope(self, user_id: str, kind: str, verb: str, *, project: str, created_by: str) -> Q:
        if project == "pk":  # of projects themselves: each says by itself whose it is
            return Q(allowing(kind, verb), removed_at=None, owner=user_id)
        return _owned(kind, verb).among(project, user=user_id)


def _everything(project_id: str, rules: Rules) -> Iterable[Grant]:
    for kind, actions in rules.items():
        yield Grant(project_id, kind, actions, "ownership of the project", farthest=FARTHEST)


def allowing(kind: str, verb: str) -> Q:
    """The projects in which being the owner is enough, as a condition on projects."""
    allowed = Q(pk__in=[])
    if verb in OWNERS.get(kind, ()):
        allowed |= Q(personal=False)
    if verb in UNPROVEN.get(kind, ()):  # then the proof need not be looked for
        allowed |= Q(personal=True)
    elif verb in PERSONAL.get(kind, ()):
        allowed |= Q(owner_proven(), personal=True)
    return allowed


def _owners_of(projects: list[str]) -> QuerySet:
    columns = ("pk", "owner_id", "owner__is_active", "personal", "proven")
    return Project.objects.present().filter(pk__in=projects).annotate(proven=owner_proven()).values_list(*columns)


OWNERSHIP: Final = Prepared(_owners_of)


@cache
def _owned(kind: str, verb: str) -> Prepared:
    """The ids of the projects in which a user may do this as the owner."""
    owned = Project.objects.present().filter(allowing(kind, verb))
    return Prepared(lambda user: owned.filter(owner_id=user).values("pk"))


class Membership:
    """A member, or whoever belongs to a team that is one, holds what the levels say, also in all projects in that one.

    Levels are guardian permissions.
    """

    name = "membership"
    place = "project"

    def grants(self, *, users: Collection[str], places: Places) -> Iterable[tuple[str, Grant]]:
        chains = {place: (place, *above) for place, above in places.items()}
        named = list(dict.fromkeys(one for chain in chains.values() for one in chain))
        held: dict[str, dict[tuple[str, str], set[str]]] = {}
        names = {}
        for user_id, project_id, label, codename in _held_in(list(users), named):
            if user_id is None:
                names[project_id] = label
            else:
                held.setdefault(project_id, {}).setdefault((user_id, label), set()).add(codename)
        for place, chain in chains.items():
            for one in chain if place in names else ():
                where = "" if one == place else f" of {names.get(one)}, which it is in"
                yield from _held_here(place, held.get(one, {}) if one in names else {}, where)

    def holders(self, kind: str, verb: str, target: Target, above: tuple[str, ...]) -> Holders:
        anything, own = _codenames(kind, verb)
        ways: list[tuple[str, dict[str, str]]] = [(anything, {})] if anything else []
        ways += [(own, {"user": target.created_by_id})] if own and target.created_by_id else []
        belonging = get_user_model().groups.through.objects
        parts: Holders = []
        for place in (target.project_id, *above):
            for codename, whose in ways:
                here = {"content_object_id": place, "permission": _permission(codename)}
                parts.append((ProjectUserPermission.objects.filter(**here, **whose), "user"))
                groups = ProjectGroupPermission.objects.filter(**here).values("group")
                parts.append((belonging.filter(group__in=groups, **whose), "user"))
        return parts

    def scope(self, user_id: str, kind: str, verb: str, *, project: str, created_by: str) -> Q:
        anything, own = _codenames(kind, verb)
        of_projects = project == "pk"  # then each row is looked at for whether it is there, which asks much less
        condition = Q(pk__in=[])
        if anything:
            condition = _shared(anything, present=not of_projects).among(project, user=user_id)
        if own:
            mine = _shared(own, present=not of_projects).among(project, user=user_id)
            condition |= Q(**{created_by: user_id}) & mine
        return condition & Q(removed_at=None) if of_projects else condition


def _held_here(place: str, held: dict[tuple[str, str], set[str]], where: str) -> Iterable[tuple[str, Grant]]:
    """What the permissions of one project, by holder and label, are worth in a place: itself, or one in it (`where` says so)."""
    known: dict[tuple[str, frozenset[str]], list[Grant]] = {}  # many members of a project hold the same
    for (user_id, label), codenames in held.items():
        key = label, frozenset(codenames)
        if key not in known:
            known[key] = list(_compiled(place, codenames, f"{label}{where}"))
        yield from ((user_id, grant) for grant in known[key])


def _permission(codename: str) -> QuerySet:
    """Its id, asked for by itself and not joined: then a planner knows how many rows to expect."""
    named = Permission.objects.filter(content_type__app_label="projects", codename=codename)
    return named.order_by().values("pk")[:1]


# Each table of permissions, the way from a row to who holds it, and what the source is called.
TABLES: Final[tuple[tuple[Any, str, Expression], ...]] = (
    (ProjectUserPermission, "user", Value("membership")),
    (ProjectGroupPermission, "group__user", Concat(Value("team "), "group__team__name")),
)


COLUMNS: Final = ("holder", "content_object_id", "label", "permission__codename")


def _held_by(users: list[str], projects: list[str]) -> QuerySet:
    """(user, project, source, codename) of all permissions that these users hold in these projects, also in removed ones; and of
    each of these that is there, as nobody's, its name."""
    held = [
        table.objects.filter(content_object__in=projects, **{f"{user}__in": users}).annotate(
            holder=F(user), label=label
        )
        for table, user, label in TABLES
    ]
    return _with_names(projects, held)


def _held_by_one(user: str, project: str) -> QuerySet:
    """The same of one user in one project, from which no plan begins with all that is held in the project by a team, or anywhere by
    the user's teams."""
    groups = get_user_model().groups.through.objects.filter(user=user).values("group").distinct()
    ways: tuple[dict[str, Any], ...] = ({"user": user}, {"group__in": groups})
    held = [
        table.objects.filter(content_object=project, **whose).annotate(holder=_text(user), label=label)
        for (table, _, label), whose in zip(TABLES, ways, strict=True)
    ]
    return _with_names([project], held)


def _with_names(projects: list[str], held: list[QuerySet]) -> QuerySet:
    present = Project.objects.present().filter(pk__in=projects).annotate(nobody=_text(None), nothing=Value(""))
    named = present.order_by().values_list("nobody", "pk", "name", "nothing")
    return named.union(*(rows.order_by().values_list(*COLUMNS) for rows in held), all=True)


def _text(value: str | None) -> Value:
    return Value(value, output_field=CharField())


# One of ten thousand members, or the member of ten thousand projects: of several, only who knows which plans well.
OF_SEVERAL: Final = Prepared(_held_by, planned="anew")
OF_ONE: Final = Prepared(_held_by_one)


def _held_in(users: list[str], projects: list[str]) -> list[tuple]:
    if len(users) == len(projects) == 1:
        return OF_ONE.rows(user=users[0], project=projects[0])
    return OF_SEVERAL.rows(users=users, projects=projects)


@cache
def _shared(codename: str, *, present: bool = True) -> Prepared:
    """The ids of the projects in which a user holds a permission, there or by one above; `present`: without removed ones."""

    def ids(user: str) -> QuerySet:
        parts: list[QuerySet] = []
        there = {"content_object__removed_at": None} if present else {}
        groups = get_user_model().groups.through.objects.filter(user=user).values("group")
        for table, whose in ((ProjectUserPermission, {"user": user}), (ProjectGroupPermission, {"group__in": groups})):
            rows = table.objects.filter(permission__codename=codename, **whose).order_by().values("content_object_id")
            inside = Project.objects.present() if present else Project.objects.all()
            nested = Nested.objects.filter(above__in=rows).values("place")
            parts += [rows.filter(**there), inside.filter(pk__in=nested).order_by().values("pk")]
        return parts[0].union(*parts[1:], all=True)

    return Prepared(ids)


def _codenames(kind: str, verb: str) -> tuple[str, str]:
    """The permissions that allow a verb: (on anything of the kind, only on what the member created); "" for none.

    A level is stored with all below it: the lowest that allows something is enough.
    """
    if kind == "project":
        return (VIEW, "") if verb == "get" else ("", "")
    if kind == "key":
        return (permission("job", "own"), "") if verb == "use" else ("", "")
    anything, own = "", ""
    for level in VERBS if kind in KINDS else ():
        allowed = actions_of(kind, level)
        anything = anything or (permission(kind, level) if verb in allowed[0] else "")
        own = own or (permission(kind, level) if verb in allowed[1] else "")
    return anything, own


def _compiled(project_id: str, codenames: set[str], label: str) -> Iterable[Grant]:
    """The rules that the permissions of a member, or of a team, stand for; `label` says whose."""
    if VIEW in codenames:
        yield Grant(project_id, "project", frozenset({"get"}), label, farthest=FARTHEST)
    for kind, level in levels_of(codenames).items():
        anything, own = actions_of(kind, level)
        source = f"{label}: level {level} on {kind}s"
        if anything:
            yield Grant(project_id, kind, anything, source, farthest=FARTHEST)
        if own:
            yield Grant(project_id, kind, own, source, only_mine=True, farthest=FARTHEST)
        if kind == "job" and level in {"own", "all"}:
            yield Grant(project_id, "key", frozenset({"use"}), source, farthest=FARTHEST)
