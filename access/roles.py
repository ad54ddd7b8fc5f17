"""What changes roles: their policies, their members and their keys.

Who may share the role's project, or change its team, may; roles of the installation are its admins' to change.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Q

from access import installation, keys, policies, statements
from access.decisions import refused
from access.generation import bump
from access.models import Policy, Role, RoleKey, RoleMember
from access.prepared import Prepared
from access.routes import require
from access.urns import find_place
from accounts import admins, bearer
from accounts.errors import Impossible

if TYPE_CHECKING:
    from django.contrib.auth.models import Group
    from django.db.models import QuerySet

    from access.decisions import Resource
    from accounts.models import User

# What every project has: name -> the policy, about the project itself.
PREDEFINED: Final = {
    "admin": "project:get+project:set+project:share@{urn}",
    "user": "project:get@{urn}",
}
MOST_KEYS: Final = 50


def may_change(by: "User", place: "Resource") -> None:
    """Raises Refused or Http404 unless `by` may change the roles of a place."""
    kind = place.access_target().kind
    if kind == installation.KIND:
        admins.check(by)
    else:
        require(by, "team:set" if kind == "team" else "project:share", place)


def place_of(role: Role) -> "Resource":
    """The project or team of a role, or the installation. Raises Impossible when it is gone."""
    place = find_place(role.place_id)
    if place is None:
        raise Impossible("The project or team of this role is gone.")
    return place


def of_place(place: "Resource") -> "QuerySet[Role]":
    """The roles of a place by name, predefined ones first, each with `people`, how many members it has."""
    rows = Role.objects.filter(place_id=place.access_target().project_id).annotate(people=Count("members"))
    return rows.order_by("-predefined", "name")


@transaction.atomic
def set_up(project: "Resource") -> None:
    """Gives a new project the predefined roles."""
    for name, text in PREDEFINED.items():
        about = {"place_kind": "project", "place_id": project.access_target().project_id}
        role = Role.objects.create(**about, name=name, predefined=True)
        said = text.format(urn=project.urn)
        policies.compile_into(Policy.objects.create(role=role, text=said), statements.read(said).rows)


@transaction.atomic
def create(*, place: "Resource", name: str, by: "User") -> Role:
    """A new role, which gives nothing yet. Raises ValidationError for a name that is bad or taken."""
    may_change(by, place)
    target, taken = place.access_target(), ValidationError({"name": "There is a role of this name already."})
    if name.strip().casefold() in PREDEFINED:
        raise taken
    role = Role(name=name.strip(), place_kind=target.kind, place_id=target.project_id)
    role.full_clean(validate_constraints=False)
    try:
        with transaction.atomic():
            role.save(force_insert=True)
    except IntegrityError:
        raise taken from None
    policies.tell_of_role(role, by, "role:new", after={"name": role.name})
    return role


@transaction.atomic
def remove(*, role: Role, by: "User") -> None:
    """Takes a role away, and what it gave. Raises Refused for a predefined one."""
    may_change(by, place_of(role))
    _check_own(role)
    users = {user for member in role.members.all() for user in policies.users_of(member)}
    policies.tell_of_role(role, by, "role:rm", before={"name": role.name})
    bump()
    role.delete()
    policies.lapse(users, by=by)


@transaction.atomic
def add_policy(*, role: Role, text: str, by: "User") -> Policy:
    """Gives a role what the text says. Raises BadStatement, and Refused for what `by` may not grant."""
    may_change(by, place_of(role))
    _check_own(role)
    return policies.attach(text=text, by=by, role=role)


@transaction.atomic
def remove_policy(*, policy: Policy, by: "User") -> None:
    """Takes from a role what a policy gave it."""
    role = policy.role
    assert role
    may_change(by, place_of(role))
    _check_own(role)
    policies.detach(policy=policy, by=by)


def _check_own(role: Role) -> None:
    if role.predefined:
        raise refused("role:set", "predefined", "Every project has this role as it is. Create a role of your own.")


@transaction.atomic
def add_member(*, role: Role, by: "User", user: "User | None" = None, group: "Group | None" = None) -> RoleMember:
    """Lets a user, or a team by its group, assume a role. Raises Refused for a role that gives what `by` does not hold."""
    place = place_of(role)
    may_change(by, place)
    if user is not None and not user.is_active:
        raise Impossible("This account is not active.")
    _check_held(role, by, place)
    member, new = RoleMember.objects.get_or_create(role=role, user=user, group=group, defaults={"added_by": by})
    if not new:
        raise Impossible("They have this role already.")
    policies.tell_of_role(role, by, "role:member:new", after=policies.name_of(member))
    return member


@transaction.atomic
def remove_member(*, member: RoleMember, by: "User") -> None:
    """Takes a role from a user or a team; one's own everybody may lay down."""
    if member.user_id != by.pk:
        may_change(by, place_of(member.role))
    users: Collection[str] = policies.users_of(member)
    policies.end_membership(member, by)
    policies.lapse(users, by=by)


def _check_held(role: Role, by: "User", place: "Resource") -> None:
    """Nobody gives by a role what they do not hold."""
    rows = policies.statements_of(role)
    if not policies.holds_all(by, rows):
        raise refused("role:set", "not_held", "This role gives more than you hold, so you cannot give it to anybody.")


@transaction.atomic
def add_key(*, role: Role, name: str, by: "User") -> tuple[RoleKey, str]:
    """A key with which a program may do what the role's policies allow, and its token, which is shown only now."""
    place = place_of(role)
    may_change(by, place)
    _check_held(role, by, place)
    if role.keys.count() >= MOST_KEYS:
        raise Impossible(f"A role has at most {MOST_KEYS} keys. Revoke one first.")
    token = bearer.new(keys.PREFIX)
    key = RoleKey(role=role, name=name.strip(), digest=bearer.digest(token), created_by=by)
    key.clean_fields(exclude=["last_used_at"])
    key.save(force_insert=True)
    policies.tell_of_role(role, by, "role:key:new", after={"key": key.name})
    return key, token


@transaction.atomic
def remove_key(*, key: RoleKey, by: "User") -> None:
    """Makes a key worthless at once."""
    may_change(by, place_of(key.role))
    policies.end_key(key, by)


def roles_of(user: "User") -> list[Role]:
    """The roles that a user may assume, by themselves or by a team."""
    return ROLES.objects(user=user.pk)


ROLES: Final = Prepared(
    lambda user: Role.objects.filter(Q(members__user=user) | Q(members__group__user=user)).distinct().order_by("name"),
    planned="anew",
)
