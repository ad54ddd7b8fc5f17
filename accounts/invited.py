"""Who may sign up by invitation. The apps that invite register how to find an invitation; accounts know nothing of them."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from allauth.account.utils import get_next_redirect_url
from allauth.utils import get_request_param
from django.http import HttpRequest
from django.urls import Resolver404, ResolverMatch, resolve

from accounts import open_signup


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation that may make an account: for this address, proven or not by the link that was followed.

    With no project it is one's own: see accounts.open_signup.
    """

    email: str
    project_name: str
    inviter: str
    proves_address: bool


Finder = Callable[[ResolverMatch], Invited | None]
_finders: list[Finder] = []


def register(finder: Finder) -> None:
    """Adds a finder: given the page to which a sign-up will return, it says whether that page is an invitation."""
    if finder not in _finders:
        _finders.append(finder)


def find(request: HttpRequest) -> Invited | None:
    """The invitation to which this sign-up will return (`next`), while it is open.

    It travels in the address and not in the session, so that looking at an invitation stores nothing.
    """
    if not hasattr(request, "_invited"):
        request._invited = _find(request)  # type: ignore[attr-defined]
    return request._invited  # type: ignore[attr-defined]


def _find(request: HttpRequest) -> Invited | None:
    if address := open_signup.address_of(get_request_param(request, "address") or ""):
        return Invited(address, project_name="", inviter="", proves_address=True)
    url = get_next_redirect_url(request)
    if not url:
        return None
    try:
        match = resolve(urlsplit(url).path)
    except Resolver404:
        return None
    return next((found for finder in _finders if (found := finder(match))), None)
