"""Where an account is signed in, and the end of it.

allauth keeps a row for each session with the account, the address and the browser of its beginning; when and from where it was
last seen is in the session itself, which every page reads anyway.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user, get_user_model
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare

import access
from accounts import devices, second_step
from accounts.backends import SessionStore

if TYPE_CHECKING:
    from django.http import HttpRequest

    from accounts.models import User

SEEN: Final = "accounts.seen"
NOTE_EVERY: Final = 300  # seconds between two notes of when a session was seen


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser in which somebody is signed in. `address`: the one that it was last seen at."""

    id: int
    browser: str
    address: str
    since: datetime
    seen_at: datetime
    is_this: bool


def note(request: "HttpRequest", *, first: bool = False) -> None:
    """Writes into the session that it was seen now, at most every few minutes; `first`: at the sign-in."""
    seen = request.session.get(SEEN)
    if first or (seen and time.time() - seen["at"] >= NOTE_EVERY):
        request.session[SEEN] = {"at": int(time.time()), "from": get_adapter().get_client_ip(request)}


def signed_in(key: str | None) -> "User | None":
    """Who is signed in by the session with this key: nobody after a sign-out or with another password."""
    user = get_user(cast(Any, SimpleNamespace(session=SessionStore(key)))) if key else None
    return user if isinstance(user, get_user_model()) and not second_step.is_missing(user) else None


def of(user: "User", *, this: str | None) -> list[SignedIn]:
    """The account's sessions that still hold, the last seen first; `this`: the key of the one that asks."""
    rows = {row.session_key: row for row in UserSession.objects.filter(user=user)}
    stored = Session.objects.filter(session_key__in=rows, expire_date__gt=timezone.now())
    held = [_shown(rows[one.session_key], one.get_decoded(), this) for one in stored if _holds(one, user)]
    return sorted(held, key=lambda one: (not one.is_this, -one.seen_at.timestamp()))


def _holds(stored: Session, user: "User") -> bool:
    """Whether the session is still this account's: it ends with the password that it began with."""
    data = stored.get_decoded()
    same = constant_time_compare(data.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash())
    return same and data.get(SESSION_KEY) == user.pk


def _shown(row: UserSession, data: dict, this: str | None) -> SignedIn:
    seen = data.get(SEEN)
    return SignedIn(
        id=row.pk,
        browser=devices.in_words(row.user_agent),
        address=seen["from"] if seen else row.ip,
        since=row.created_at,
        seen_at=datetime.fromtimestamp(seen["at"], UTC) if seen else row.last_seen_at,
        is_this=row.session_key == this,
    )


def forget_ended() -> None:
    """Removes sessions whose time is over, and what is left of those that were ended."""
    SessionStore.clear_expired()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()


@transaction.atomic
def end(*, session: UserSession) -> None:
    """Ends a session, within a second also in what it has open."""
    session.end()
    access.bump()


@transaction.atomic
def end_others(*, user: "User", this: str | None) -> int:
    """Ends all sessions of the account but one; how many."""
    others = UserSession.objects.filter(user=user).exclude(session_key=this or "")
    ended = [session.end() for session in others]
    access.bump()
    return len(ended)
