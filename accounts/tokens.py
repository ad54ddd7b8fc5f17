"""Personal tokens: texts that a program shows in place of a sign-in, as their owner."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

import access
from access.prepared import Prepared
from accounts import bearer, second_step
from accounts.models import PersonalToken, User

if TYPE_CHECKING:
    from django.db.models import QuerySet

PREFIX: Final = "mlt_"
MOST: Final = 50  # tokens of an account
LIFETIMES: Final = (7, 30, 90, 180, 365)  # days that are offered
USUAL: Final = 90  # days

GOOD: "Final[Prepared[PersonalToken]]" = Prepared(
    lambda digest: PersonalToken.objects.filter(digest=digest, user__is_active=True).select_related("user")
)


def lifetimes() -> list[tuple[str, str]]:
    """What the form offers, as the installation allows: days and words; 0 is for ever."""
    longest = settings.TOKEN_MAX_DAYS
    days = [one for one in LIFETIMES if not longest or one < longest] + ([longest] if longest else [])
    return [(str(one), f"{one} day{'s' if one != 1 else ''}") for one in days] + (
        [] if longest else [("0", "For ever")]
    )


def usual_lifetime() -> int:
    """Days that are chosen unless somebody chooses others."""
    return min(USUAL, settings.TOKEN_MAX_DAYS or USUAL)


def objection(user: User) -> str:
    """Why the account gets no more tokens now; "" when it does."""
    full = PersonalToken.objects.filter(user=user).count() >= MOST
    return f"An account has at most {MOST} tokens. Revoke one first." if full else ""


@transaction.atomic
def make(*, user: User, name: str, scope: str, days: int | None) -> str:
    """A new token's text, which is told only here; `days` until it expires, None for never. Raises ValidationError by field."""
    longest = settings.TOKEN_MAX_DAYS
    if (days is not None and days < 1) or (longest and (days is None or days > longest)):
        raise ValidationError({"days": f"Tokens last at most {longest} days here."})
    if reason := objection(user):
        raise ValidationError({"name": reason})
    text = bearer.new(PREFIX)
    ends = timezone.now() + timedelta(days=days) if days else None
    token = PersonalToken(
        user=user, name=name, scope=scope, digest=bearer.digest(text), ending=text[-4:], expires_at=ends
    )
    token.full_clean()
    token.save()
    return text


def of(user: User) -> "QuerySet[PersonalToken]":
    """The account's tokens, the newest first; expired ones too."""
    return PersonalToken.objects.filter(user=user).order_by("-created_at", "pk")


@transaction.atomic
def revoke(*, token: PersonalToken) -> None:
    """From now on it is worth nothing; what it has open is closed."""
    access.bump()
    token.delete()


def find(text: str) -> PersonalToken | None:
    """The token with its user, when it is good for anything: not expired, its account open and as safe as it has to be.

    A new password does not end it: programs go on. Whoever asks looks at its scope.
    """
    token = bearer.find(GOOD, PREFIX, text)
    if token is None or token.expired or second_step.is_missing(token.user):
        return None
    bearer.note_use(token)
    return token
