"""Keys of roles: the tokens with which programs ask."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils import timezone

from access.models import RoleKey
from access.sources import ROLE

PREFIX: Final = "mlr_"  # so that people and scanners know what they have found
NOTED_EVERY: Final = timedelta(minutes=1)  # how exactly the last use is known


@dataclass(frozen=True, slots=True)
class RoleHolder:
    """Who asks with a role's key: may do what the role's policies allow, and nothing else."""

    pk: str
    is_active: bool = True
    is_authenticated: bool = True


def new_token() -> str:
    """A token of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is stored of a token. It is random and long: a plain hash cannot be turned around."""
    return hashlib.sha256(token.encode()).hexdigest()


def holder_of(token: str) -> RoleHolder | None:
    """Who asks with this token; None when it is no role's key, or no longer. Notes the use, at most once a minute."""
    if not token.startswith(PREFIX):
        return None
    key = RoleKey.objects.filter(digest=digest(token), created_by__is_active=True).first()
    if key is None:
        return None
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at >= NOTED_EVERY:
        RoleKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return RoleHolder(f"{ROLE}{key.role_id}")
