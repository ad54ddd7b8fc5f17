"""How often a code may be wrong in a day, besides allauth's own limits of minutes.

Five in five minutes would let somebody who has a password guess for ever: three of a million codes are right at any time. The
count hangs on the password, so that its owner has a way out: with a new one it begins anew, and whoever guessed is out.
"""

from typing import TYPE_CHECKING, Final

from allauth.core.internal import ratelimit
from allauth.core.internal.ratelimit import RateLimitUsage

from accounts import devices

if TYPE_CHECKING:
    from django.http import HttpRequest

    from accounts.models import User

CODES_A_DAY: Final = {"code": "20/d/key"}
# Wrong codes of programs that wait to be signed in: there are 20^8 of them, and each waits ten minutes.
DEVICE_CODES: Final = {"device": "10/10m/user,60/d/user"}


class TooMany(Exception):
    """No more codes of this account are looked at for now."""


def begin_code(request: "HttpRequest", user: "User") -> RateLimitUsage:
    """Counts an attempt with a code; one that was right takes itself back. Raises TooMany."""
    key = devices.fingerprint(user)
    usage = ratelimit.consume(request, app="accounts", action="code", config=CODES_A_DAY, key=key)
    if usage is None:
        raise TooMany
    return usage


def begin_device_code(request: "HttpRequest") -> RateLimitUsage:
    """Counts an attempt of who is signed in with a program's code; one that was right takes itself back. Raises TooMany."""
    usage = ratelimit.consume(request, app="accounts", action="device", config=DEVICE_CODES)
    if usage is None:
        raise TooMany
    return usage
