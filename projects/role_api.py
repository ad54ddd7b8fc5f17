"""What programs ask and change about roles, policies and keys: of a project, of a team, of the installation, and one's own."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from django.conf import settings
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Status
from pydantic import model_validator

import access
from access import policies, roles, statements
from access.installation import INSTALLATION, Installation
from access.models import Policy, Role, RoleKey, RoleMember
from accounts import admin_api
from accounts.api import UserOut, show_user, user_for, user_named
from accounts.models import User
from api import etags, lists
from api.callers import ApiRequest, person
from api.lists import ByName, In, Listed, Named, Oldest, Out, Sorted
from api.problems import invalid
from projects import role_access
from projects.api import project_for
from projects.role_access import Place
from teams.api import team_named
from teams.models import Team

router = Router(tags=["roles"])


class PlaceOut(Out):
    """Where a role stands."""

    kind: Literal["installation", "project", "team"]
    id: str
    name: str


class RoleOut(Out):
    """A role. `people`: how many members it has, users and teams. `mine`: who asks has it, by themselves or by a team."""

    id: str
    urn: str
    name: str
    place: PlaceOut
    predefined: bool
    people: int
    mine: bool


class NewRoleIn(In):
    name: str = Field(max_length=60)


class HolderRef(Out):
    """Who holds a policy."""

    kind: Literal["user", "team", "role"]
    id: str
    name: str


class PolicyOut(Out):
    """A policy, as it was written. `granted_by` is null for one of a predefined role. `mine`: who asks granted it."""

    id: str
    text: str
    granted_by: UserOut | None
    created_at: datetime
    holder: HolderRef
    mine: bool


class PolicyIn(In):
    text: str = Field(max_length=statements.LONGEST, description="action[+action]@urn[+urn]")


class RoleMemberOut(Out):
    """Who has a role: a user, whose `name` is the username, or a team. `id` is theirs; `member_id` names the membership."""

    id: str
    name: str
    type: Literal["user", "team"]
    member_id: str
    mine: bool


class RoleMemberIn(In):
    """A user by id or username, or a team by id or address (`slug`)."""

    user: Named | None = None
    team: Named | None = None

    @model_validator(mode="after")
    def _one(self) -> "RoleMemberIn":
        if (self.user is None) == (self.team is None):
            raise ValueError("say either user or team")
        return self


class RoleKeyOut(Out):
    """A key of a role, with which a program may do what the role gives. `mine`: who asks made it."""

    id: str
    name: str
    created_by: UserOut
    created_at: datetime
    last_used_at: datetime | None
    mine: bool


class NewRoleKeyOut(RoleKeyOut):
    """The same with its text, which is told only here."""

    token: str


class RoleKeyIn(In):
    name: str = Field(max_length=60)


# Where roles stand


def _project(request: ApiRequest, project: str) -> Place:
    person(request)
    return project_for(request, project, "project:get")


def _team(by: User, team: str) -> Team:
    """The team, for those in it."""
    found = access.fetch(by, "team:get", Team.objects.select_related("group"), pk=team)
    role_access.check_in(by, found)
    return found


def _show_place(place: Place) -> dict[str, str]:
    target = place.access_target()
    name = settings.MLTEAM_ORGANIZATION if isinstance(place, Installation) else place.name
    return {"kind": target.kind, "id": target.project_id, "name": name}


def _show_roles(found: Iterable[Any], place: Place, by: User) -> list[dict[str, Any]]:
    held, stands = {role.pk for role in roles.roles_of(by)}, _show_place(place)
    return [
        {name: getattr(role, name) for name in ("id", "urn", "name", "predefined", "people")}
        | {"place": stands, "mine": role.pk in held}
        for role in found
    ]


def _list(request: ApiRequest, place: Place, paging: ByName, name: str | None) -> dict[str, Any]:
    by = person(request)
    found = role_access.seen(by, place)
    found = found if name is None else found.filter(name=name)
    return lists.page(
        found,
        paging,
        lambda shown: shown,
        order=paging.by("name"),
        read=lambda rows: rows.annotate(people=Count("members")),
        prepare=lambda rows: _show_roles(rows, place, by),
    )


def _create(request: ApiRequest, place: Place, data: NewRoleIn, response: HttpResponse) -> Status:
    role = roles.create(place=place, name=data.name, by=person(request))
    return Status(201, _shown(request, role, place, response))


def _shown(request: ApiRequest, role: Role, place: Place, response: HttpResponse) -> dict[str, Any]:
    etags.tell(response, _tag(role))
    found = roles.of_place(place).filter(pk=role.pk)
    return _show_roles(found, place, request.user)[0]


def _tag(role: Role) -> str:
    return etags.tag_of(role.pk, role.name)


Name = Query(None, max_length=60, description="exactly this name")


@router.get("/projects/{project}/roles", response=Listed[RoleOut])
@access.route("project:get")
def list_project_roles(
    request: ApiRequest, project: str, paging: Query[ByName], name: str | None = Name
) -> dict[str, Any]:
    """The roles of a project."""
    return _list(request, _project(request, project), paging, name)


@router.post("/projects/{project}/roles", response={201: RoleOut})
@access.route("project:share")
def new_project_role(request: ApiRequest, project: str, data: NewRoleIn, response: HttpResponse) -> Status:
    """Creates a role in a project; it gives nothing yet."""
    return _create(request, _project(request, project), data, response)


@router.get("/teams/{team}/roles", response=Listed[RoleOut])
@access.route("team:get")
def list_team_roles(request: ApiRequest, team: str, paging: Query[ByName], name: str | None = Name) -> dict[str, Any]:
    """The roles of a team; for those in it."""
    return _list(request, _team(person(request), team), paging, name)


@router.post("/teams/{team}/roles", response={201: RoleOut})
@access.route("team:set")
def new_team_role(request: ApiRequest, team: str, data: NewRoleIn, response: HttpResponse) -> Status:
    """Creates a role in a team; it gives nothing yet."""
    return _create(request, _team(person(request), team), data, response)


@router.get("/installation/roles", response=Listed[RoleOut])
@access.route("role:get")
def list_installation_roles(request: ApiRequest, paging: Query[ByName], name: str | None = Name) -> dict[str, Any]:
    """The installation's roles: first the predefined ones, then of its own for its admins all, for others those that they have."""
    found = _list(request, INSTALLATION, paging, name)
    if not paging.cursor:
        everybodys = [one for one in (admin_api.ADMIN, admin_api.USER) if name in {None, one}]
        place = _show_place(INSTALLATION)
        found["items"] = [*(admin_api.show(one, place, request.user) for one in everybodys), *found["items"]]
    return found


@router.post("/installation/roles", response={201: RoleOut})
@access.route("role:set")
def new_installation_role(request: ApiRequest, data: NewRoleIn, response: HttpResponse) -> Status:
    """Creates a role of the installation, as its admins may; it gives nothing yet."""
    return _create(request, INSTALLATION, data, response)


@router.get("/roles/{role}", response=RoleOut)
@access.route("role:get")
def get_role(request: ApiRequest, role: str, response: HttpResponse) -> dict[str, Any]:
    """A role."""
    return _shown(request, *role_access.role_for(person(request), role), response)


@router.delete("/roles/{role}", response={204: None})
@access.route("role:set")
def remove_role(request: ApiRequest, role: str) -> Status:
    """Removes a role, and with it what it gave."""
    found, _ = role_access.changed_by(person(request), role)
    etags.check(request, _tag(found))
    roles.remove(role=found, by=request.user)
    return Status(204, None)


# Policies


def _show_policy(policy: Policy, by: User) -> dict[str, Any]:
    granter = policy.granted_by
    return {
        "id": policy.pk,
        "text": policy.text,
        "granted_by": show_user(granter, by) if granter else None,
        "created_at": policy.created_at,
        "holder": _show_holder(policy),
        "mine": policy.granted_by_id == by.pk,
    }


def _show_holder(policy: Policy) -> dict[str, str]:
    if policy.role:
        return {"kind": "role", "id": policy.role.pk, "name": policy.role.name}
    if policy.group:
        return {"kind": "team", "id": policy.group.team.pk, "name": policy.group.team.name}
    assert policy.user
    return {"kind": "user", "id": policy.user.pk, "name": policy.user.username}


def _list_policies(rows: QuerySet[Policy], paging: Oldest, by: User) -> dict[str, Any]:
    return lists.page(
        rows,
        paging,
        lambda policy: _show_policy(policy, by),
        order=paging.by("created_at"),
        read=lambda found: found.select_related("user", "role", "group__team", "granted_by"),
    )


@router.get("/roles/{role}/policies", response=Listed[PolicyOut])
@access.route("role:get")
def list_role_policies(request: ApiRequest, role: str, paging: Query[Oldest]) -> dict[str, Any]:
    """What a role gives."""
    found, _ = role_access.role_for(person(request), role)
    return _list_policies(found.policies.all(), paging, request.user)


@router.post("/roles/{role}/policies", response={201: PolicyOut})
@access.route("role:set")
def new_role_policy(request: ApiRequest, role: str, data: PolicyIn) -> Status:
    """Gives a role what a policy says, which one must hold oneself."""
    by = person(request)
    found, _ = role_access.changed_by(by, role)
    return Status(201, _show_policy(roles.add_policy(role=found, text=data.text, by=by), by))


@router.get("/teams/{team}/policies", response=Listed[PolicyOut])
@access.route("team:get")
def list_team_policies(request: ApiRequest, team: str, paging: Query[Oldest]) -> dict[str, Any]:
    """What all in a team hold; for those in it."""
    found = _team(person(request), team)
    return _list_policies(found.group.policies.all(), paging, request.user)


@router.post("/teams/{team}/policies", response={201: PolicyOut})
@access.route("team:set")
def new_team_policy(request: ApiRequest, team: str, data: PolicyIn) -> Status:
    """Gives all in a team what a policy says, which one must hold oneself."""
    by = person(request)
    found = access.fetch(by, "team:set", Team.objects.select_related("group"), pk=team)
    return Status(201, _show_policy(policies.attach(text=data.text, by=by, group=found.group), by))


@router.get("/users/{user}/policies", response=Listed[PolicyOut])
@access.route("user:get")
def list_user_policies(request: ApiRequest, user: str, paging: Query[Oldest]) -> dict[str, Any]:
    """The policies of somebody: all of one's own; of others those that one has granted."""
    by = person(request)
    found = user_for(user)
    mine = Q() if found.pk == by.pk else Q(granted_by=by)
    return _list_policies(found.policies.filter(mine), paging, by)


@router.post("/users/{user}/policies", response={201: PolicyOut})
@access.route("user:set")
def new_user_policy(request: ApiRequest, user: str, data: PolicyIn) -> Status:
    """Gives somebody what a policy says, which one must hold oneself; for the installation's admins."""
    by = person(request)
    role_access.check_may_give_users(by)
    found = user_for(user)
    return Status(201, _show_policy(policies.attach(text=data.text, by=by, user=found), by))


@router.get("/policies/{policy}", response=PolicyOut)
@access.route("role:get")
def get_policy(request: ApiRequest, policy: str, response: HttpResponse) -> dict[str, Any]:
    """A policy."""
    found = role_access.policy_for(person(request), policy)
    etags.tell(response, etags.tag_of(found.pk, found.text))
    return _show_policy(found, request.user)


@router.delete("/policies/{policy}", response={204: None})
@access.route("role:set")
def remove_policy(request: ApiRequest, policy: str) -> Status:
    """Takes a policy away: from a role or team that one may change, from oneself, or whatever one has granted."""
    by = person(request)
    found = role_access.policy_for(by, policy)
    etags.check(request, etags.tag_of(found.pk, found.text))
    role_access.take_away(found, by=by, granted=True)
    return Status(204, None)


# Members


def _show_member(member: RoleMember, by: User) -> dict[str, Any]:
    if member.group:
        team = member.group.team
        who = {"id": team.pk, "name": team.name, "type": "team", "mine": False}
    else:
        assert member.user
        who = {"id": member.user.pk, "name": member.user.username, "type": "user", "mine": member.user_id == by.pk}
    return who | {"member_id": member.pk}


def _members(role: Role) -> QuerySet[RoleMember]:
    return RoleMember.objects.filter(role=role)


class ByAdding(Sorted):
    sort: Literal["added_at", "-added_at"] = "added_at"


@router.get("/roles/{role}/members", response=Listed[RoleMemberOut])
@access.route("role:get")
def list_role_members(request: ApiRequest, role: str, paging: Query[ByAdding]) -> dict[str, Any]:
    """Who has a role: users and teams."""
    by = person(request)
    found, _ = role_access.role_for(by, role)
    return lists.page(
        _members(found),
        paging,
        lambda member: _show_member(member, by),
        order=paging.by("added_at"),
        read=lambda rows: rows.select_related("user", "group__team"),
    )


@router.post("/roles/{role}/members", response={201: RoleMemberOut})
@access.route("role:set")
def new_role_member(request: ApiRequest, role: str, data: RoleMemberIn) -> Status:
    """Lets a user or a team assume a role, all of which one must hold oneself."""
    by = person(request)
    found, _ = role_access.changed_by(by, role)
    if data.team:
        member = roles.add_member(role=found, by=by, group=team_named(data.team).group)
    elif user := user_named(str(data.user)):
        member = roles.add_member(role=found, by=by, user=user)
    else:
        raise invalid([("user", "Nobody here has this id or username.")])
    return Status(201, _show_member(member, by))


@router.delete("/roles/{role}/members/{member}", response={204: None})
@access.route("role:set")
def remove_role_member(request: ApiRequest, role: str, member: str) -> Status:
    """Takes a role from a user or a team, by their id; one's own everybody may lay down."""
    by = person(request)
    found, _ = role_access.role_for(by, role)
    rows = _members(found).select_related("role", "user", "group__team")
    roles.remove_member(member=get_object_or_404(rows, Q(user=member) | Q(group__team=member)), by=by)
    return Status(204, None)


# Keys


def _show_key(key: RoleKey, by: User) -> dict[str, Any]:
    plain = {name: getattr(key, name) for name in ("id", "name", "created_at", "last_used_at")}
    return plain | {"created_by": show_user(key.created_by, by), "mine": key.created_by_id == by.pk}


@router.get("/roles/{role}/keys", response=Listed[RoleKeyOut])
@access.route("role:set")
def list_role_keys(request: ApiRequest, role: str, paging: Query[Oldest]) -> dict[str, Any]:
    """The keys of a role; for those who may change it."""
    by = person(request)
    found, _ = role_access.changed_by(by, role)
    rows = RoleKey.objects.filter(role=found)
    return lists.page(
        rows,
        paging,
        lambda key: _show_key(key, by),
        order=paging.by("created_at"),
        read=lambda some: some.select_related("created_by"),
    )


@router.post("/roles/{role}/keys", response={201: NewRoleKeyOut})
@access.route("role:set")
def new_role_key(request: ApiRequest, role: str, data: RoleKeyIn) -> Status:
    """Makes a key of a role; its text is in this answer and nowhere else."""
    by = person(request)
    found, _ = role_access.changed_by(by, role)
    key, token = roles.add_key(role=found, name=data.name, by=by)
    return Status(201, _show_key(key, by) | {"token": token})


@router.delete("/roles/{role}/keys/{key}", response={204: None})
@access.route("role:set")
def remove_role_key(request: ApiRequest, role: str, key: str) -> Status:
    """Makes a key worthless, at once."""
    found, _ = role_access.changed_by(person(request), role)
    rows = RoleKey.objects.filter(role=found).select_related("role")
    roles.remove_key(key=get_object_or_404(rows, pk=key), by=request.user)
    return Status(204, None)
