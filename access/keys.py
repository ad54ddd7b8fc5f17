"""Keys of roles: the tokens with which programs ask."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from access.models import RoleKey
from access.prepared import Prepared
from access.sources import ROLE
from accounts import bearer

if TYPE_CHECKING:
    from accounts.models import User

PREFIX: Final = "mlr_"
GOOD: "Final[Prepared[RoleKey]]" = Prepared(
    lambda digest: RoleKey.objects.filter(digest=digest, created_by__is_active=True).select_related("role")
)


@dataclass(frozen=True, slots=True)
class RoleHolder:
    """Who asks with a role's key: may do what the role's policies allow, and nothing else. What it does is nobody's."""

    pk: str  # what access knows it by
    role_id: str
    name: str
    is_active: bool = True
    is_authenticated: bool = True

    @property
    def username(self) -> str:
        """As the audit trail and sentences name it."""
        return f"role {self.name}"


def person_of(by: "User | RoleHolder") -> "User | None":
    """The person who asks; None for a role's key: what it does is nobody's."""
    return None if isinstance(by, RoleHolder) else by


def holder_of(token: str) -> RoleHolder | None:
    """Who asks with this token; None when it is no role's key, or no longer. Notes the use, at most once a minute."""
    key = bearer.find(GOOD, PREFIX, token)
    if key is None:
        return None
    bearer.note_use(key)
    return RoleHolder(f"{ROLE}{key.role_id}", key.role_id, key.role.name)
