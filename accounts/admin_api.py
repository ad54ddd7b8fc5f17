"""The installation's two predefined roles, for programs: `admin`, who run it, and `user`, whom everybody is."""

from typing import Any, Literal

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Status

import access
from accounts import admins
from accounts.api import user_named
from accounts.models import User
from api import lists
from api.callers import ApiRequest, person
from api.lists import ByUsername, In, Listed, Named, Out
from api.problems import invalid

router = Router(tags=["roles"])

ADMIN, USER = "admin", "user"


class AdminIn(In):
    """A user, by id or username; no team runs an installation."""

    user: Named | None = None
    team: Named | None = None


class RoleHolderOut(Out):
    """Who has one of these roles: a user, by username."""

    id: str
    name: str
    type: Literal["user"] = "user"
    member_id: str
    mine: bool


def holders(name: str) -> QuerySet[User]:
    """Who has one of these roles."""
    return admins.all_of_them() if name == ADMIN else User.objects.filter(is_active=True)


def show(name: str, place: dict[str, str], by: User) -> dict[str, Any]:
    """One of these roles, as roles are shown."""
    mine = name == USER or by.is_superuser
    known = {"id": name, "urn": access.urn("role", name), "name": name, "place": place}
    return known | {"predefined": True, "people": holders(name).count(), "mine": mine}


def _show_holder(user: User, by: User) -> dict[str, Any]:
    return {"id": user.pk, "name": user.username, "type": "user", "member_id": user.pk, "mine": user.pk == by.pk}


def _list(request: ApiRequest, name: str, paging: ByUsername) -> dict[str, Any]:
    by = person(request)
    return lists.page(holders(name), paging, lambda user: _show_holder(user, by), order=paging.by("username"))


@router.get(f"/roles/{ADMIN}/members", response=Listed[RoleHolderOut])
@access.route("role:get")
def list_admins(request: ApiRequest, paging: Query[ByUsername]) -> dict[str, Any]:
    """The installation's admins."""
    return _list(request, ADMIN, paging)


@router.get(f"/roles/{USER}/members", response=Listed[RoleHolderOut])
@access.route("role:get")
def list_everybody(request: ApiRequest, paging: Query[ByUsername]) -> dict[str, Any]:
    """Everybody who has an account."""
    return _list(request, USER, paging)


@router.post(f"/roles/{ADMIN}/members", response={201: RoleHolderOut})
@access.route("role:set")
def new_admin(request: ApiRequest, data: AdminIn) -> Status:
    """Makes a user an admin of the installation, as its admins may."""
    by = person(request)
    admins.check(by)
    user = user_named(data.user) if data.user else None
    if user is None:
        said = "Only people run an installation." if data.team else "Nobody here has this id or username."
        raise invalid([("team" if data.team else "user", said)])
    admins.add(user=user, by=by)
    return Status(201, _show_holder(user, by))


@router.delete(f"/roles/{ADMIN}/members/{{member}}", response={204: None})
@access.route("role:set")
def remove_admin(request: ApiRequest, member: str) -> Status:
    """Makes an admin a user like others; one is left always."""
    by = person(request)
    admins.check(by)
    admins.remove(user=get_object_or_404(admins.all_of_them(), pk=member), by=by)
    return Status(204, None)
