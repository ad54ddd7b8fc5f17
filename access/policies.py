"""Policies: what attaches and detaches them, what makes them lapse, and the source of rules that they are.

Nobody grants what they do not hold: whoever attaches a policy must be allowed to share every project that it reaches, and hold
each of its statements. When they no longer do, the policy goes.
"""

from collections.abc import Collection, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat

from access import evaluator, signals, statements, urns
from access.decisions import FARTHEST, Decision, Grant, Refused, Target
from access.generation import bump
from access.models import Nested, Policy, Role, RoleKey, RoleMember, Statement
from access.prepared import Prepared
from access.sources import POLICIES, ROLE, Holders, Places
from access.statements import Compiled, Reach

if TYPE_CHECKING:
    from django.contrib.auth.models import Group

    from access.decisions import Resource
    from accounts.models import User

# The ways from a statement or its policy to the users who hold it, and what the source is called: texts and, as plain strings, columns.
HOLDERS: Final[tuple[tuple[str, tuple[Any, ...]], ...]] = (
    ("user", (Value("a policy of your own"),)),
    ("group__user", (Value("a policy of team "), "group__team__name")),
    ("role__members__user", (Value("role "), "role__name")),
    (
        "role__members__group__user",
        (Value("role "), "role__name", Value(" of team "), "role__members__group__team__name"),
    ),
)


@transaction.atomic
def attach(
    *, text: str, by: "User", user: "User | None" = None, group: "Group | None" = None, role: Role | None = None
) -> Policy:
    """Gives its one holder what the text says. The caller has checked that `by` may change the holder.

    Raises BadStatement for a text that is wrong, Refused for one that `by` may not grant.
    """
    text = text.strip()
    read = statements.read(text)
    check_covered(by, read.rows, read.places)
    policy = Policy.objects.create(user=user, group=group, role=role, text=text, granted_by=by)
    compile_into(policy, read.rows)
    _tell(policy, by, "policy:new", after={"policy": policy.text})
    return policy


def compile_into(policy: Policy, rows: Iterable[Compiled]) -> None:
    """Writes the compiled form of a policy."""
    Statement.objects.bulk_create(
        Statement(
            policy=policy,
            user=policy.user,
            group=policy.group,
            role=policy.role,
            place=row.reach.place,
            kind=row.reach.kind,
            verb=row.verb,
            resource=row.reach.resource,
            nearest=row.reach.nearest,
            farthest=row.reach.farthest,
        )
        for row in rows
    )


@transaction.atomic
def detach(*, policy: Policy, by: "User | None") -> None:
    """Takes away what a policy gives. The caller has checked that `by` may change its holder."""
    users = holders_of(policy)
    _detach(policy, by)
    lapse(users, by=by)


def _detach(policy: Policy, by: "User | None", **details: object) -> None:
    _tell(policy, by, "policy:rm", before={"policy": policy.text}, **details)
    bump()
    policy.delete()


def _tell(
    policy: Policy, by: "User | None", action: str, *, before: object = None, after: object = None, **details: object
) -> None:
    holder = {"role": policy.role.name} if policy.role else {}
    holder |= {"user": policy.user.username} if policy.user else {}
    places = set(policy.statements.values_list("place", flat=True))
    signals.rules_changed.send(
        sender=Policy, places=places, by=by, action=action, before=before, after=after, details=holder | details
    )


# Who may grant


def check_covered(by: "User", rows: Iterable[Compiled], places: dict[str, "Resource"]) -> None:
    """Raises Refused unless `by` may share all that the rows reach, and holds each of them."""
    held = _held(by, places.values())
    for row in rows:
        reach = row.reach
        sharing = ("team", "set") if reach.kind == "team" else ("project", "share")
        wide = Reach(reach.place, sharing[0], "", reach.nearest, reach.farthest)
        for kind, verb, asked in ((*sharing, wide), (reach.kind, row.verb, reach)):
            if not any(_covers(grant, kind, verb, asked) for grant in held.get(reach.place, ())):
                raise Refused(_not_held(f"{kind}:{verb}", places[reach.place]))


def _not_held(action: str, place: "Resource") -> Decision:
    name = place.access_target().kind
    reason = f"You cannot grant what you do not hold: this needs {action} in all of the {name} that it reaches."
    return Decision(False, action, "not_held", reason, missing=f"{action}@{place.urn}")


def _covers(grant: Grant, kind: str, verb: str, reach: Reach) -> bool:
    return (
        grant.kind == kind
        and verb in grant.actions
        and not grant.only_mine
        and grant.resource in {"", reach.resource}
        and grant.nearest <= reach.nearest
        and grant.farthest >= reach.farthest
    )


def _held(by: "User", places: Iterable["Resource"]) -> dict[str, list[Grant]]:
    """What `by` holds in these places: place id -> grants."""
    return {place.access_target().project_id: list(evaluator.abilities(by, place).grants) for place in places}


def holds_all(by: "User", rows: Collection[Statement]) -> bool:
    """Whether `by` may still grant what these statements say."""
    places = {row.place: urns.find_place(row.place) for row in rows}
    known = {key: place for key, place in places.items() if place is not None}
    compiled = [
        Compiled(Reach(row.place, row.kind, row.resource, row.nearest, row.farthest), row.verb)
        for row in rows
        if row.place in known
    ]
    try:
        check_covered(by, compiled, known)
    except Refused:
        return False
    return len(known) == len(places)


# What lapses


def holders_of(policy: Policy) -> set[str]:
    """The users who hold a policy, by whichever way."""
    rows = Policy.objects.filter(pk=policy.pk)
    return {user for way, _ in HOLDERS for user in rows.values_list(way, flat=True) if user}


@transaction.atomic
def lapse(user_ids: Collection[str], *, by: "User | None") -> None:
    """These users may hold less than before: what they granted and no longer hold goes, and so on with whoever held that.

    Call it wherever somebody loses something, in the transaction of the loss. The apps above hear of all whom it concerns.
    `by`: whose doing the loss is.
    """
    lost, ahead = set(user_ids), set(user_ids)
    while granters := _granters(ahead):
        ahead = set().union(*(_take_back(user) for user in granters))
        lost |= ahead
    if lost:
        signals.may_hold_less.send(sender=Policy, users=lost, by=by)


def _granters(user_ids: set[str]) -> "list[User]":
    """Those of the users who have granted anything."""
    tables = ((Policy, "granted_by"), (RoleMember, "added_by"), (RoleKey, "created_by"))
    granted = [table.objects.filter(**{f"{column}__in": user_ids}).values(column) for table, column in tables]
    return list(get_user_model().objects.filter(pk__in=granted[0].union(*granted[1:]))) if user_ids else []


def _take_back(user: "User") -> set[str]:
    """Ends what somebody granted and no longer holds; who loses something by that."""
    losers: set[str] = set()
    for policy in Policy.objects.filter(granted_by=user).select_related("user", "role"):
        if not holds_all(user, policy.statements.all()):
            losers |= holders_of(policy)
            _detach(policy, None, granted_by=user.username)
    for member in RoleMember.objects.filter(added_by=user).select_related("role"):
        if not holds_all(user, statements_of(member.role)):
            losers |= set(users_of(member))
            end_membership(member, None, added_by=user.username)
    for key in RoleKey.objects.filter(created_by=user).select_related("role"):
        if not holds_all(user, statements_of(key.role)):
            end_key(key, None, created_by=user.username)
    return losers


def statements_of(role: Role) -> list[Statement]:
    """All that a role's policies say."""
    return list(Statement.objects.filter(role=role))


def users_of(member: RoleMember) -> list[str]:
    """The users who assume a role by this membership."""
    return list(member.group.user_set.values_list("pk", flat=True)) if member.group else [member.user_id or ""]


def end_membership(member: RoleMember, by: "User | None", **details: object) -> None:
    """Takes a role from a member, without asking."""
    tell_of_role(member.role, by, "role:member:rm", before=name_of(member), **details)
    bump()
    member.delete()


def end_key(key: RoleKey, by: "User | None", **details: object) -> None:
    """Makes a role's key worthless, without asking."""
    tell_of_role(key.role, by, "role:key:rm", before={"key": key.name}, **details)
    bump()
    key.delete()


def name_of(member: RoleMember) -> dict[str, str]:
    """Who the member is, for the audit trail."""
    return {"team": member.group.team.slug} if member.group else {"user": member.user.username if member.user else ""}


def tell_of_role(
    role: Role, by: "User | None", action: str, *, before: object = None, after: object = None, **details: object
) -> None:
    """Tells the projects that a role reaches, and its own, that something about it has changed."""
    places = {row.place for row in statements_of(role)} | {role.place_id}
    said = {"role": role.name, **details}
    signals.rules_changed.send(
        sender=Policy, places=places, by=by, action=action, before=before, after=after, details=said
    )


@transaction.atomic
def leave(place: str, *, user: "User", by: "User | None") -> None:
    """Whoever is put out of a place keeps none of its roles, and no policy of their own about it alone."""
    for member in RoleMember.objects.filter(role__place_id=place, user=user).select_related("role", "user"):
        end_membership(member, by)
    elsewhere = Statement.objects.exclude(place=place)
    about_it = Policy.objects.filter(user=user, statements__place=place).exclude(statements__in=elsewhere).distinct()
    for policy in about_it.select_related("user", "role"):
        _detach(policy, by)


@transaction.atomic
def forget(place: str, *, by: "User | None") -> None:
    """A place goes: its roles go, with what they gave elsewhere too, and what policies say about it."""
    roles = Role.objects.filter(place_id=place)
    users = {user for member in RoleMember.objects.filter(role__in=roles) for user in users_of(member)}
    for policy in Policy.objects.filter(role__in=roles).exclude(statements__place=place).distinct():
        _detach(policy, by)
    bump()
    roles.delete()
    about = Statement.objects.filter(place=place)
    users |= {user for way, _ in HOLDERS for user in about.values_list(way, flat=True) if user}
    about.delete()
    Policy.objects.filter(statements=None).delete()
    lapse(users, by=by)


@transaction.atomic
def end_all_of(group: "Group", *, by: "User | None") -> None:
    """A team goes: takes its roles and policies from all who are in it."""
    users = set(group.user_set.values_list("pk", flat=True))
    for member in RoleMember.objects.filter(group=group).select_related("role", "group__team", "user"):
        end_membership(member, by)
    for policy in Policy.objects.filter(group=group).select_related("role", "user"):
        _detach(policy, by)
    lapse(users, by=by)


@transaction.atomic
def hand_over(place: str, *, former: "User", to: "User") -> None:
    """What the former owner of a place granted in it alone is the new owner's now."""
    elsewhere = Statement.objects.exclude(place=place)
    mine = Policy.objects.filter(granted_by=former, statements__place=place)
    mine.exclude(statements__in=elsewhere).update(granted_by=to)
    for rows, field in ((RoleMember.objects, "added_by"), (RoleKey.objects, "created_by")):
        rows.filter(role__place_id=place, **{field: former}).update(**{field: to})


# The source


class Policies:
    """What policies say: one's own, one's teams', and those of the roles that one may assume."""

    name = POLICIES

    def __init__(self, place: str) -> None:
        self.place = place

    def grants(self, *, users: Collection[str], places: Places) -> Iterable[tuple[str, Grant]]:
        chains = {place: (place, *above) for place, above in places.items()}
        named = list(dict.fromkeys(one for chain in chains.values() for one in chain))
        roles = [user[len(ROLE) :] for user in users if user.startswith(ROLE)]
        rows = OF_ROLES.rows(places=named, roles=roles) if roles else OF_USERS.rows(places=named, users=list(users))
        held: dict[tuple, set[str]] = {}
        for *key, verb in rows:
            held.setdefault(tuple(key), set()).add(verb)
        for (user_id, source, stands, kind, resource, nearest, farthest), verbs in held.items():
            for place, chain in chains.items():
                steps = chain.index(stands) if stands in chain else FARTHEST
                if steps <= farthest and steps != FARTHEST:
                    reach = {"nearest": max(0, nearest - steps), "farthest": _less(farthest, steps)}
                    yield user_id, Grant(place, kind, frozenset(verbs), source, resource=resource, **reach)

    def holders(self, kind: str, verb: str, target: Target, above: tuple[str, ...]) -> Holders:
        reaches = Q(pk__in=[])
        for steps, place in enumerate((target.project_id, *above)):
            reaches |= Q(place=place, nearest__lte=steps, farthest__gte=steps)
        rows = Statement.objects.filter(reaches, kind=kind, verb=verb, resource__in=["", target.id])
        members = RoleMember.objects.filter(role__in=rows.values("role"))
        belonging = get_user_model().groups.through.objects
        return [
            (rows.filter(user__isnull=False), "user"),
            (belonging.filter(group__in=rows.values("group")), "user"),
            (members.filter(user__isnull=False), "user"),
            (belonging.filter(group__in=members.values("group")), "user"),
        ]

    def scope(self, user_id: str, kind: str, verb: str, *, project: str, created_by: str) -> Q:
        whose, role = _split(user_id)
        places = _reached(kind, verb, role=role).among(project, whose=whose)
        if kind in {"project", "team"}:
            return places
        single = _single(kind, verb, role=role)
        here = single["place"].among(project, whose=whose)
        return places | (single["resource"].among("pk", whose=whose) & here)


COLUMNS: Final = ("holder", "source", "place", "kind", "resource", "nearest", "farthest", "verb")


def _of_users(places: list[str], users: list[str]) -> QuerySet:
    """COLUMNS of each statement about these places that these users hold."""
    parts = []
    for way, said in HOLDERS:
        rows = Statement.objects.filter(place__in=places, **{f"{way}__in": users})
        parts.append(rows.annotate(holder=F(way), source=_text(said)).order_by().values_list(*COLUMNS))
    return parts[0].union(*parts[1:])


def _of_roles(places: list[str], roles: list[str]) -> QuerySet:
    """The same for the keys of these roles."""
    rows = Statement.objects.filter(place__in=places, role__in=roles)
    holder = Concat(Value(ROLE), "role_id", output_field=CharField())
    return rows.annotate(holder=holder, source=Value("the role of this key")).order_by().values_list(*COLUMNS)


OF_USERS: Final = Prepared(_of_users)
OF_ROLES: Final = Prepared(_of_roles)


def _text(said: tuple[Any, ...]) -> Any:
    """What a source is called."""
    return Concat(*said, output_field=CharField()) if len(said) > 1 else said[0]


def named_for(user_id: str, column: str) -> Q:
    """That a column is a project or team that a policy names of which somebody, or a role's key, holds anything."""
    whose, role = _split(user_id)
    return _named(role=role).among(column, whose=whose)


@cache
def _named(*, role: bool) -> Prepared:
    return Prepared(lambda whose: _those_of(Statement.objects.all(), whose, role=role).values("place"))


def _split(user_id: str) -> tuple[str, bool]:
    """Whose id it is, and whether it is that of a role, whose key asks."""
    return user_id.removeprefix(ROLE), user_id.startswith(ROLE)


def _held_by(whose: str, kind: str, verb: str, *, role: bool) -> QuerySet:
    """The statements of one verb that a user, or a role's key, holds."""
    return _those_of(Statement.objects.filter(kind=kind, verb=verb), whose, role=role)


def _those_of(rows: QuerySet, whose: str, *, role: bool) -> QuerySet:
    """Those of these statements that a user, or a role's key, holds. Each table more to join is one more to plan for."""
    if role:
        return rows.filter(role=whose)
    groups = get_user_model().groups.through.objects.filter(user=whose).values("group")
    ways = [
        Q(user=whose),
        Q(group__in=groups),
        Q(role__in=RoleMember.objects.filter(user=whose).values("role")),
        Q(role__in=RoleMember.objects.filter(group__in=groups).values("role")),
    ]
    parts = [rows.filter(way).order_by().values("pk") for way in ways]
    return Statement.objects.filter(pk__in=parts[0].union(*parts[1:]))


@cache
def _reached(kind: str, verb: str, *, role: bool) -> Prepared:
    """The ids of the places in which somebody may do this to anything, by what is said of them or of a place above."""

    def ids(whose: str) -> QuerySet:
        rows = _held_by(whose, kind, verb, role=role).filter(resource="")
        depth = OuterRef("depth")
        deep = rows.filter(place=OuterRef("above"), nearest__lte=depth, farthest__gte=depth)
        below = Nested.objects.filter(Exists(deep)).values("place")
        return rows.filter(nearest=0).values("place").union(below)

    return Prepared(ids)


@cache
def _single(kind: str, verb: str, *, role: bool) -> dict[str, Prepared]:
    """The ids of the single resources to which somebody may do this, and of their places."""

    def column(name: str) -> Prepared:
        return Prepared(
            lambda whose: _held_by(whose, kind, verb, role=role).exclude(resource="").filter(nearest=0).values(name)
        )

    return {name: column(name) for name in ("resource", "place")}


def _less(farthest: int, steps: int) -> int:
    return FARTHEST if farthest == FARTHEST else farthest - steps
