"""Keys of roles: the tokens with which programs ask."""

from dataclasses import dataclass
from typing import Final

from access.models import RoleKey
from access.sources import ROLE
from accounts import bearer

PREFIX: Final = "mlr_"


@dataclass(frozen=True, slots=True)
class RoleHolder:
    """Who asks with a role's key: may do what the role's policies allow, and nothing else."""

    pk: str
    is_active: bool = True
    is_authenticated: bool = True


def holder_of(token: str) -> RoleHolder | None:
    """Who asks with this token; None when it is no role's key, or no longer. Notes the use, at most once a minute."""
    key: RoleKey | None = bearer.find(RoleKey.objects.filter(created_by__is_active=True), PREFIX, token)
    if key is None:
        return None
    bearer.note_use(key)
    return RoleHolder(f"{ROLE}{key.role_id}")
