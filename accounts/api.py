"""What programs ask about people: who they are themselves, and who there is."""

from datetime import datetime
from typing import Any, Literal

from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Status

import access
from access.keys import RoleHolder
from accounts import actions, tokens, wishes
from accounts.models import User
from api import etags, lists
from api.callers import ApiRequest, person
from api.lists import ByUsername, In, Listed, Newest, Out
from api.problems import Problem

router = Router(tags=["people"])


class UserOut(Out):
    """Somebody, as everybody sees them. `mine`: it is who asks."""

    id: str
    urn: str
    username: str
    name: str
    mine: bool


class TokenOut(Out):
    """A personal token; its text is nowhere."""

    id: str
    name: str
    scope: Literal["read", "all"]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    mine: bool = True


class RoleRef(Out):
    """The role whose key asks."""

    id: str
    name: str


class Emails(In):
    """Which emails one wants; of what is left out nothing changes."""

    added: bool = Field(True, description=wishes.KINDS[wishes.ADDED])
    membership: bool = Field(True, description=wishes.KINDS[wishes.MEMBERSHIP])
    budget: bool = Field(True, description=wishes.KINDS[wishes.BUDGET])


class MeOut(Out):
    """Who asks: a person (`id` to `gpu_approved`), by a token or by their browser; or a role, by its key."""

    id: str | None
    urn: str
    username: str
    name: str
    mine: bool = True
    email: str | None = None
    verified: bool = False
    time_zone: str = "UTC"
    theme: str = ""
    emails: dict[str, bool] = Field({}, description="by kind, whether one wants them")
    admin: bool = False
    gpu_approved: bool = False
    token: TokenOut | None = None
    role: RoleRef | None = None


class MeEdit(In):
    """What one changes of one's own account; what is left out stays."""

    name: str = Field("", max_length=100)
    username: str = Field("", max_length=31)
    time_zone: str = Field("", max_length=64, description="of the IANA database: Europe/Vienna")
    theme: Literal["auto", "light", "dark"] = "auto"
    emails: Emails = Field(default_factory=lambda: Emails.model_validate({}), description="which one wants")


def show_user(user: User, by: Any) -> dict[str, Any]:
    """A person, for an answer to `by`."""
    known = {"id": user.pk, "urn": access.urn("user", user.pk), "username": user.username, "name": user.name}
    return known | {"mine": user.pk == by.pk}


def user_named(text: str, *, closed: bool = False) -> User | None:
    """The user with this id, or else with this username; one whose account is closed only where that is asked for."""
    found = User.objects.filter(Q(pk=text) | Q(username=text))
    return lists.meant(found if closed else found.filter(is_active=True), text)


def user_for(text: str, *, closed: bool = False) -> User:
    """The same; Http404 for none."""
    found = user_named(text, closed=closed)
    if found is None:
        raise Http404
    return found


def called(q: str) -> Q:
    """Of rows with a `user`: those in whose name or username the text occurs."""
    return Q(user__name__icontains=q) | Q(user__username__icontains=q) if q else Q()


@router.get("/me", response=MeOut)
@access.route("self")
def me(request: ApiRequest, response: HttpResponse) -> dict[str, Any]:
    """Who asks, and by what."""
    who = request.user
    if isinstance(who, RoleHolder):
        role = {"id": who.role_id, "name": who.name}
        return {"id": None, "urn": access.urn("role", who.role_id), "username": "", "name": who.name, "role": role}
    return _shown(request, who, response)


def _shown(request: ApiRequest, who: User, response: HttpResponse) -> dict[str, Any]:
    etags.tell(response, _tag(who))
    private = {name: getattr(who, name) for name in ("email", "verified", "time_zone", "theme", "gpu_approved")}
    found = {"emails": wishes.of(who), "admin": who.is_superuser, "token": request.auth.token}
    return show_user(who, who) | private | found


def _tag(user: User) -> str:
    return etags.tag_of(user.name, user.username, user.time_zone, user.theme, user.muted)


@router.patch("/me", response=MeOut)
@access.route("self")
def set_me(request: ApiRequest, data: MeEdit, response: HttpResponse) -> dict[str, Any]:
    """Changes one's own account."""
    fields = data.dict(exclude_unset=True)
    emails = fields.pop("emails", None)
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=person(request).pk)
        etags.check(request, _tag(user))
        actions.change_profile(user=user, fields=fields)
        if emails:
            wishes.choose(user=user, wanted={kind for kind, wanted in (wishes.of(user) | emails).items() if wanted})
    return _shown(request, user, response)


@router.get("/me/tokens", response=Listed[TokenOut])
@access.route("self")
def list_tokens(request: ApiRequest, paging: Query[Newest]) -> dict[str, Any]:
    """One's personal tokens, the newest first; expired ones too."""
    return lists.page(tokens.of(person(request)), paging, lambda token: token, order=paging.by("created_at"))


@router.delete("/me/tokens/current", response={204: None})
@access.route("self")
def log_out(request: ApiRequest) -> Status:
    """Revokes the token that asks; also one that only reads may."""
    person(request)
    if request.auth.token is None:
        raise Problem(409, "conflict", "This was asked by a browser's session, not by a token: sign out on a page.")
    tokens.revoke(token=request.auth.token)
    return Status(204, None)


@router.delete("/me/tokens/{token}", response={204: None})
@access.route("self")
def revoke_token(request: ApiRequest, token: str) -> Status:
    """Revokes a personal token: from now on it is worth nothing."""
    tokens.revoke(token=get_object_or_404(tokens.of(person(request)), pk=token))
    return Status(204, None)


@router.get("/users", response=Listed[UserOut])
@access.route("user:get")
def list_users(
    request: ApiRequest,
    paging: Query[ByUsername],
    q: str = Query("", max_length=100, description="what occurs in the name or the username"),
    username: str | None = Query(None, max_length=31, description="exactly this one"),
) -> dict[str, Any]:
    """Who has an account here: names and usernames, which everybody who has one sees; never addresses."""
    by = person(request)
    found = User.objects.filter(is_active=True)
    if q:
        found = found.filter(Q(name__icontains=q) | Q(username__contains=q.lower()))
    if username is not None:
        found = found.filter(username=username)
    return lists.page(found, paging, lambda user: show_user(user, by), order=paging.by("username"))


@router.get("/users/{user}", response=UserOut)
@access.route("user:get")
def get_user(request: ApiRequest, user: str) -> dict[str, Any]:
    """Somebody, by id or username."""
    by = person(request)
    return show_user(user_for(user), by)
