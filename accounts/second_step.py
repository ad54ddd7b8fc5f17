"""The second step at sign-in: authenticator apps, passkeys, and recovery codes for whoever has lost both.

allauth asks for the step and keeps passkeys and recovery codes. It knows one authenticator app for each account: its one row
stands here for all of them, and each app is a row of AuthenticatorApp with the newest step whose code it has used up.
"""

import base64
import time
from typing import TYPE_CHECKING, Final, cast

from allauth.account import app_settings as account_settings
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.internal.flows import delete_dangling_recovery_codes
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.models import AuthenticatorApp, User

if TYPE_CHECKING:
    from django.http import HttpRequest

Type = Authenticator.Type
ASKED: Final = (Type.TOTP, Type.WEBAUTHN)  # with either of them a sign-in has a second step
PENDING: Final = "accounts.pending_secret"  # in the session: the secret that is shown and not yet confirmed
WANTED: Final = "accounts.wanted"  # in the session: the page that somebody wanted who had yet to set up a second step
MOST_APPS: Final = 10


class LastOne(Exception):
    """The installation requires a second step, and this is the only one that the account has."""


def is_on(user: User) -> bool:
    """Whether a sign-in of this account has a second step."""
    return Authenticator.objects.filter(user=user, type__in=ASKED).exists()


def is_missing(user: User) -> bool:
    """Whether the installation requires a second step that this account has not set up: then it may do nothing else."""
    return settings.REQUIRE_MFA and not is_on(user)


def apps_of(user: User) -> list[AuthenticatorApp]:
    """The account's authenticator apps, oldest first."""
    return list(AuthenticatorApp.objects.filter(authenticator__user=user).order_by("created_at", "pk"))


def passkeys_of(user: User) -> list[Authenticator]:
    """The account's passkeys and security keys, oldest first; each says its name as text."""
    return list(Authenticator.objects.filter(user=user, type=Type.WEBAUTHN).order_by("created_at", "pk"))


def codes_left(user: User) -> int:
    """How many recovery codes still work."""
    row = Authenticator.objects.filter(user=user, type=Type.RECOVERY_CODES).first()
    return len(row.wrap().get_unused_codes()) if row else 0


def confirmed_by_sign_in(request: "HttpRequest") -> bool:
    """Whether a first second step needs no password now, because the sign-in with it was a moment ago."""
    user = request.user
    return user.is_authenticated and not is_on(cast(User, user)) and has_just_signed_in(request)


def has_just_signed_in(request: "HttpRequest") -> bool:
    """Whether who is signed in has typed the password here a few minutes ago."""
    user = cast(User, request.user)
    records = [one for one in get_authentication_records(request, user) if one["method"] == "password"]
    return bool(records) and time.time() - records[-1]["at"] < account_settings.REAUTHENTICATION_TIMEOUT


def new_secret(request: "HttpRequest") -> str:
    """A secret to show; confirming it within this session makes it an app. One that was shown before is forgotten."""
    secret = request.session[PENDING] = generate_totp_secret()
    return secret


def pending_secret(request: "HttpRequest") -> str:
    """The secret that was shown last, or a new one: then a code that was typed for another one is wrong."""
    return request.session.get(PENDING) or new_secret(request)


def picture_of(user: User, secret: str) -> str:
    """The secret as a QR code: an SVG as the address of an image."""
    adapter = get_adapter()
    svg = adapter.build_totp_svg(adapter.build_totp_url(user, secret))
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


@transaction.atomic
def add_app(*, user: User, name: str, secret: str, code: str) -> list[str]:
    """Adds an app that has shown a right code; answers the recovery codes when they are new with it, else none.

    Raises ValidationError by field. The code is used up.
    """
    step = _step_of(secret, code)
    if step is None:
        raise ValidationError({"code": "This code is not right. Look at the clock of the device, and take the newest."})
    _one_at_a_time(user)
    row, _ = Authenticator.objects.get_or_create(user=user, type=Type.TOTP, defaults={"data": {}})
    if row.apps.count() >= MOST_APPS:
        raise ValidationError({"name": f"An account has at most {MOST_APPS} apps. Remove one first."})
    app = AuthenticatorApp(authenticator=row, name=name, secret=get_adapter().encrypt(secret), last_step=step)
    app.full_clean()
    app.save()
    return first_codes(user)


def first_codes(user: User) -> list[str]:
    """Recovery codes for an account that has none yet; nothing when it has some."""
    if Authenticator.objects.filter(user=user, type=Type.RECOVERY_CODES).exists():
        return []
    return RecoveryCodes.activate(user).generate_codes()


@transaction.atomic
def new_codes(*, user: User) -> list[str]:
    """Recovery codes in place of all older ones. They cannot be asked for again."""
    _one_at_a_time(user)
    Authenticator.objects.filter(user=user, type=Type.RECOVERY_CODES).delete()
    return RecoveryCodes.activate(user).generate_codes()


def _one_at_a_time(user: User) -> None:
    """Within a transaction: of two who set up something at once, one waits for the other."""
    User.objects.select_for_update().get(pk=user.pk)


def use_code(user: User, code: str) -> Authenticator | None:
    """Uses up a code of an app or a recovery code, and answers whose it was; None when it is wrong or was used before."""
    for app in AuthenticatorApp.objects.filter(authenticator__user=user).select_related("authenticator"):
        step = _step_of(get_adapter().decrypt(app.secret), code)
        if step is not None and _use_up(app, step):
            return app.authenticator
    row = Authenticator.objects.filter(user=user, type=Type.RECOVERY_CODES).first()
    return row if row and row.wrap().validate_code(code) else None


def _step_of(secret: str, code: str) -> int | None:
    """The 30-second step in which the secret shows this code, when it is about now."""
    for step in yield_hotp_counters_from_time():
        if compare_user_code(actual=code, expected=format_hotp_value(hotp_value(secret, step))):
            return step
    return None


def _use_up(app: AuthenticatorApp, step: int) -> bool:
    """Compare-and-set: of two who come with the same code, one gets in."""
    row = AuthenticatorApp.objects.filter(pk=app.pk, last_step__lt=step)
    return bool(row.update(last_step=step, last_used_at=timezone.now()))


@transaction.atomic
def remove_app(*, app: AuthenticatorApp) -> None:
    """Takes an app away; with the last of all second steps the recovery codes go too. Raises LastOne."""
    row = app.authenticator
    _one_at_a_time(row.user)
    _check_not_last(row.user, but=row if row.apps.count() == 1 else None)
    app.delete()
    if not row.apps.exists():
        row.delete()
        delete_dangling_recovery_codes(row.user)


@transaction.atomic
def remove_passkey(*, passkey: Authenticator) -> None:
    """Takes a passkey away; with the last of all second steps the recovery codes go too. Raises LastOne."""
    user = passkey.user
    _one_at_a_time(user)
    _check_not_last(user, but=passkey)
    passkey.delete()
    delete_dangling_recovery_codes(user)


@transaction.atomic
def forget_all(*, user: User) -> int:
    """Takes all second steps away, for somebody who has lost them; how many there were."""
    rows = Authenticator.objects.filter(user=user)
    number = AuthenticatorApp.objects.filter(authenticator__in=rows).count() + rows.filter(type=Type.WEBAUTHN).count()
    rows.delete()
    return number


def _check_not_last(user: User, but: Authenticator | None) -> None:
    others = Authenticator.objects.filter(user=user, type__in=ASKED).exclude(pk=but.pk if but else None)
    if settings.REQUIRE_MFA and not others.exists():
        raise LastOne
