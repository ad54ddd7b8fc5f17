"""Which browsers an account has been signed in with, so that a sign-in from another one can be told to its owner.

A browser is known by a cookie with a fingerprint for each account. It hangs on the password: after a change of it every
browser is new again, also the one of somebody who should never have been there.
"""

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from accounts.models import User

AGE: Final = 400 * 24 * 3600  # seconds; browsers keep no cookie longer
MOST: Final = 10  # accounts of one browser
BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrom", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS: Final = (
    ("iPhone", "an iPhone"),
    ("iPad", "an iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "a Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def is_known(request: "HttpRequest", user: "User") -> bool:
    """Whether this browser has been signed in to the account since its password was set."""
    wanted = fingerprint(user)
    return any(constant_time_compare(one, wanted) for one in _carried(request))


def remember(request: "HttpRequest", response: "HttpResponse", user: "User") -> None:
    """Makes the browser known to the account."""
    wanted = fingerprint(user)
    carried = [wanted, *(one for one in _carried(request) if one != wanted)][:MOST]
    response.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        ".".join(carried),
        max_age=AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def in_words(user_agent: str) -> str:
    """ "Firefox on Linux": only words of ours, whatever a browser says of itself."""
    browser = next((name for sign, name in BROWSERS if sign in user_agent), "Another program")
    system = next((name for sign, name in SYSTEMS if sign in user_agent), "")
    return f"{browser} on {system}" if system else browser


def fingerprint(user: "User") -> str:
    """Stands for the account with the password that it has now."""
    return salted_hmac("accounts.devices", f"{user.pk} {user.password}", algorithm="sha256").hexdigest()


def _carried(request: "HttpRequest") -> list[str]:
    return [one for one in request.COOKIES.get(settings.DEVICE_COOKIE_NAME, "").split(".") if one][:MOST]
