"""What programs ask about people: who they are themselves, and who there is."""

from datetime import datetime
from typing import Any

from ninja import Router

import access
from access.keys import RoleHolder
from accounts.models import User
from api.callers import ApiRequest
from api.lists import Out

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
    scope: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    mine: bool = True


class RoleRef(Out):
    """The role whose key asks."""

    id: str
    name: str


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
    muted: list[str] = []
    admin: bool = False
    gpu_approved: bool = False
    token: TokenOut | None = None
    role: RoleRef | None = None


def show_user(user: User, by: Any) -> dict[str, Any]:
    """A person, for an answer to `by`."""
    known = {"id": user.pk, "urn": access.urn("user", user.pk), "username": user.username, "name": user.name}
    return known | {"mine": user.pk == by.pk}


@router.get("/me", response=MeOut)
@access.route("self")
def me(request: ApiRequest) -> dict[str, Any]:
    """Who asks, and by what."""
    who = request.user
    if isinstance(who, RoleHolder):
        role = {"id": who.role_id, "name": who.name}
        return {"id": None, "urn": access.urn("role", who.role_id), "username": "", "name": who.name, "role": role}
    private = {
        name: getattr(who, name) for name in ("email", "verified", "time_zone", "theme", "muted", "gpu_approved")
    }
    return show_user(who, who) | private | {"admin": who.is_superuser, "token": request.auth.token}
