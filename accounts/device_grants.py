"""Signing in a program that has no browser (RFC 8628): it shows a short code, and somebody approves it on a page.

What was approved becomes an ordinary personal token at the poll that fetches it: nothing that opens anything lies in the table.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from allauth.core.internal.ratelimit import truncate_ip
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from access.prepared import Prepared
from accounts import bearer, second_step, tokens
from accounts.errors import Impossible
from accounts.models import DeviceGrant, User

State = DeviceGrant.State
PREFIX: Final = "mld_"
ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628, 6.1: no vowels, so that no code is a word
LENGTH: Final = 8
LASTS: Final = timedelta(minutes=10)
KEPT: Final = timedelta(minutes=10)  # after its end, so that a program which comes late hears why it gets nothing
INTERVAL: Final = 5  # seconds between two polls
SLOWER: Final = 5  # seconds that are added when a program polls faster
SLOWEST: Final = int(LASTS.total_seconds())
MOST_OPEN: Final = 20  # that wait at once from one address
LONGEST_NAME: Final = 50  # characters of a machine's name
NAMELESS: Final = "a machine without a name"
GRANTS: "Final[Prepared[DeviceGrant]]" = Prepared(
    lambda digest: DeviceGrant.objects.filter(digest=digest).select_related("approved_by")
)
ANSWERED: Final = "This code has been answered already, or it is too old. Start mlteam login again for a new one."


class TooManyOpen(Exception):
    """So many programs wait at this address already that no more are taken in."""


class Refusal(StrEnum):
    """Why a poll gets no token, in the words of RFC 8628 and RFC 6749."""

    PENDING = "authorization_pending"
    TOO_FAST = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"
    UNKNOWN = "invalid_grant"  # no such code, or its token was fetched


@dataclass(frozen=True, slots=True)
class Begun:
    """What the program is told. `expires_in`, `interval`: seconds."""

    device_code: str
    user_code: str
    expires_in: int
    interval: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """A new personal token and whose it is; `days` that it lasts."""

    text: str
    user: User
    scope: str
    days: int


def begin(*, machine: str, scope: str, address: str) -> Begun:
    """Takes in a program on a machine of this name. Raises ValidationError by field, or TooManyOpen."""
    network = truncate_ip(address)[:45]
    _check_room(network)
    device_code = bearer.new(PREFIX)
    grant = DeviceGrant(
        digest=bearer.digest(device_code),
        machine=_short(machine.strip() or NAMELESS),
        scope=scope,
        address=address[:45],
        network=network,
        interval=INTERVAL,
        expires_at=timezone.now() + LASTS,
    )
    grant.clean_fields(exclude=["user_digest"])
    return Begun(device_code, _with_new_code(grant), int(LASTS.total_seconds()), INTERVAL)


def _check_room(network: str) -> None:
    open_here = DeviceGrant.objects.filter(network=network, state=State.PENDING, expires_at__gt=timezone.now())
    if open_here.count() >= MOST_OPEN:
        raise TooManyOpen


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _with_new_code(grant: DeviceGrant) -> str:
    """Stores the row with a user code that no other has; answers the code as people see it."""
    while True:
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        grant.user_digest = _user_digest(code)
        try:
            with transaction.atomic():
                grant.save(force_insert=True)
            return shown(code)
        except IntegrityError:  # of 25,600,000,000 codes the one that another has
            continue


def shown(code: str) -> str:
    """ABCD-EFGH"""
    return f"{code[:4]}-{code[4:]}"


def typed(text: str) -> str:
    """The eight letters that somebody typed, however they wrote them; "" when this can be no code."""
    letters = "".join(one for one in text.upper() if one.isalnum())
    return letters if len(letters) == LENGTH and set(letters) <= set(ALPHABET) else ""


def _user_digest(code: str) -> str:
    """What is stored of a user code. It is so short that a hash without a key could be turned around by trying all."""
    return salted_hmac("accounts.device_grants", code, algorithm="sha256").hexdigest()


def waiting(user_code: str) -> DeviceGrant | None:
    """The program that shows this code, while it waits for an answer. Whoever asks limits how often somebody guesses."""
    code = typed(user_code)
    rows = DeviceGrant.objects.filter(state=State.PENDING, expires_at__gt=timezone.now())
    return rows.filter(user_digest=_user_digest(code)).first() if code else None


@transaction.atomic
def approve(*, grant: DeviceGrant, by: User) -> None:
    """The program gets a personal token of this account when it next asks. Raises Impossible."""
    if reason := tokens.objection(by):
        raise Impossible(reason)
    _answer(grant, state=State.APPROVED, approved_by=by)


@transaction.atomic
def deny(*, grant: DeviceGrant) -> None:
    """The program gets nothing, and hears so. Raises Impossible."""
    _answer(grant, state=State.DENIED)


def _answer(grant: DeviceGrant, **answer: object) -> None:
    """Compare-and-set: the first answer holds."""
    rows = DeviceGrant.objects.filter(pk=grant.pk, state=State.PENDING, expires_at__gt=timezone.now())
    if not rows.update(**answer):
        raise Impossible(ANSWERED)


@transaction.atomic
def poll(device_code: str) -> Fetched | Refusal:
    """What the program gets that has this code: a token, once, or why there is none."""
    grant = bearer.find(GRANTS, PREFIX, device_code)
    if grant is None or grant.state == State.FETCHED:
        return Refusal.UNKNOWN
    if grant.state == State.DENIED:
        return Refusal.DENIED
    if grant.expired:
        return Refusal.EXPIRED
    return _fetch(grant) if grant.state == State.APPROVED else _wait(grant)


def _wait(grant: DeviceGrant) -> Refusal:
    """Nobody has answered yet. A program that asks too often has to wait longer between two polls from now on."""
    now, row = timezone.now(), DeviceGrant.objects.filter(pk=grant.pk)
    if row.filter(next_poll_at__lte=now).update(next_poll_at=now + timedelta(seconds=grant.interval)):
        return Refusal.PENDING
    slower = min(grant.interval + SLOWER, SLOWEST)
    row.update(interval=slower, next_poll_at=now + timedelta(seconds=slower))
    return Refusal.TOO_FAST


def _fetch(grant: DeviceGrant) -> Fetched | Refusal:
    """Makes the token. Compare-and-set: of two polls at once, one gets it."""
    if not DeviceGrant.objects.filter(pk=grant.pk, state=State.APPROVED).update(state=State.FETCHED):
        return Refusal.UNKNOWN
    user, days = grant.approved_by, tokens.usual_lifetime()
    if user and user.is_active and not second_step.is_missing(user):
        try:
            text = tokens.make(user=user, name=f"mlteam on {grant.machine}", scope=grant.scope, days=days)
            return Fetched(text, user, grant.scope, days)
        except ValidationError:  # the account has as many as it may have
            pass
    DeviceGrant.objects.filter(pk=grant.pk).update(state=State.DENIED)
    return Refusal.DENIED


def withdraw(*, user: User) -> None:
    """What the account approved and nobody has fetched yet is denied now."""
    DeviceGrant.objects.filter(approved_by=user, state=State.APPROVED).update(state=State.DENIED, approved_by=None)


def forget_old() -> int:
    """Removes the rows of programs that nobody waits for any more; how many."""
    return DeviceGrant.objects.filter(expires_at__lte=timezone.now() - KEPT).delete()[0]
