"""Signing in with GitHub, where the installation has keys for it.

GitHub says who somebody is there and which addresses they have proven there. The first time, an account is found by an address
that is proven on both sides; from then on by GitHub's own number, which nobody else gets. It makes no accounts: those come by
invitation. Whatever GitHub says stands for the password only: a second step is asked for as ever.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts.models import GitHubLink, User
from accounts.names import fold_email

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

PENDING: Final = "accounts.github"  # in the session: what was asked of GitHub, until it answers
SCOPE: Final = "read:user user:email"
PATIENCE: Final = 10  # seconds
MOST: Final = 2**20  # bytes of an answer

NO_ANSWER = "GitHub did not answer as it should. Try again, or sign in with your password."
NOT_ASKED = "This answer from GitHub is not for this browser, or it is too old. Begin again."
REFUSED = "GitHub was told not to sign you in here."
UNKNOWN = (
    "No account here has an address that you have confirmed at GitHub. Sign in with your password, or ask for an "
    "invitation to an address that you have there."
)
SEVERAL = "Your GitHub account could be several accounts here. Sign in with the password of the one that you want."
TAKEN = (
    "Your account here is connected with another GitHub account. Sign in with your password and disconnect that first."
)


class Failed(Exception):
    """It came to no sign-in; the message is for the person."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at GitHub. `emails`: those that they have proven there, folded."""

    id: int
    login: str
    emails: frozenset[str]


def is_on() -> bool:
    """Whether this installation offers it."""
    return bool(settings.GITHUB_CLIENT_ID and settings.GITHUB_CLIENT_SECRET)


def ask(request: "HttpRequest", *, then: str) -> str:
    """Where to send the browser, so that GitHub asks its person; `then`: a path of ours for after the sign-in, or ""."""
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    request.session[PENDING] = {"state": state, "verifier": verifier, "then": then}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "client_id": settings.GITHUB_CLIENT_ID,
        "redirect_uri": _callback(),
        "scope": SCOPE,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{settings.GITHUB_URL}/login/oauth/authorize?{urlencode(query)}"


def answered(request: "HttpRequest", answer: "Mapping[str, str]") -> tuple[Person, str]:
    """Who GitHub says it is, and where they wanted to go. What was asked is used up, whatever comes of it. Raises Failed."""
    asked = request.session.pop(PENDING, None)
    if not asked or not constant_time_compare(asked["state"], answer.get("state", "")):
        raise Failed(NOT_ASKED)
    if "code" not in answer:
        raise Failed(REFUSED)
    return _person(_token(answer["code"], asked["verifier"])), asked["then"]


def account_of(person: Person) -> tuple[User, bool]:
    """The account of somebody at GitHub, and whether the two were connected just now. Raises Failed."""
    linked = GitHubLink.objects.filter(github_id=person.id).select_related("user").first()
    if linked:
        GitHubLink.objects.filter(pk=linked.pk).update(login=person.login, last_used_at=timezone.now())
        return linked.user, False
    return _connect(person), True


def _connect(person: Person) -> User:
    proven = EmailAddress.objects.filter(verified=True, primary=True, email__in=person.emails, user__is_active=True)
    users = [one.user for one in proven.select_related("user") if one.email == one.user.email]
    if len(users) != 1:
        raise Failed(SEVERAL if users else UNKNOWN)
    now = timezone.now()
    try:
        with transaction.atomic():
            GitHubLink.objects.create(user=users[0], github_id=person.id, login=person.login, last_used_at=now)
    except IntegrityError:
        raise Failed(TAKEN) from None
    return users[0]


def link_of(user: User) -> GitHubLink | None:
    """The GitHub account that signs this one in."""
    return GitHubLink.objects.filter(user=user).first()


def disconnect(*, user: User) -> bool:
    """Forgets the GitHub account; whether there was one."""
    return bool(GitHubLink.objects.filter(user=user).delete()[0])


def _callback() -> str:
    return settings.MLTEAM_URL + reverse("github_answer")


def _token(code: str, verifier: str) -> str:
    fields = {
        "client_id": settings.GITHUB_CLIENT_ID,
        "client_secret": settings.GITHUB_CLIENT_SECRET,
        "code": code,
        "redirect_uri": _callback(),
        "code_verifier": verifier,
    }
    got = _fetch(f"{settings.GITHUB_URL}/login/oauth/access_token", fields=fields)
    return _part(got, "access_token", str)


def _person(token: str) -> Person:
    user = _fetch(f"{settings.GITHUB_API_URL}/user", token=token)
    addresses = _fetch(f"{settings.GITHUB_API_URL}/user/emails", token=token)
    if not isinstance(addresses, list):
        raise Failed(NO_ANSWER)
    proven = (_part(one, "email", str) for one in addresses if _part(one, "verified", bool))
    # Others could look, folded, like an address that is somebody else's: the Kelvin sign becomes a k.
    emails = frozenset(fold_email(email) for email in proven if email.isascii())
    return Person(_part(user, "id", int), _part(user, "login", str)[:39], emails)


def _fetch(address: str, *, fields: "Mapping[str, str] | None" = None, token: str = "") -> Any:
    """What GitHub answers, parsed; `fields` are posted. The address is the installation's setting. Raises Failed."""
    headers = {"Accept": "application/json", "User-Agent": "mlteam"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = Request(address, urlencode(fields).encode() if fields else None, headers)  # noqa: S310
    try:
        with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            return json.loads(answer.read(MOST))
    except (URLError, OSError, ValueError):
        raise Failed(NO_ANSWER) from None


def _part(found: Any, name: str, kind: type) -> Any:
    """A field of what GitHub said. Raises Failed when it is missing, or of another kind."""
    if not isinstance(found, dict) or type(found.get(name)) is not kind:
        raise Failed(NO_ANSWER)
    return found[name]
