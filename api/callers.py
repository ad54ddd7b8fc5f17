"""Who asks: a person by a token of theirs or by their browser's session, or a program with a role's key."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.http import HttpRequest
from ninja.errors import AuthenticationError
from ninja.security import HttpBearer
from ninja.security.apikey import APIKeyCookie

from access import keys, refused
from access.keys import RoleHolder
from accounts import second_step, sessions, tokens
from accounts.models import PersonalToken, User
from api.problems import Problem

if TYPE_CHECKING:
    from api.limits import Rate

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
LOGOUT: Final = "/me/tokens/current"  # what also a token that may only read does: end itself

ASKS: Final = ("/pack", "/doubts")  # how the addresses end that are asked about files by their paths


class ApiRequest(HttpRequest):
    """A request to an operation; for types. Who asks may be a role's key: `person` is for what only people do."""

    user: Any  # User | RoleHolder
    auth: "Caller"
    rate: "Rate"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and by what. `id` names the account or role, for limits and for requests that are made twice."""

    holder: User | RoleHolder
    id: str
    token: PersonalToken | None = None


def person(request: Any) -> User:
    """The person who asks. Raises Refused for a role's key: what it did would be nobody's."""
    if isinstance(request.user, User):
        return request.user
    raise refused("user:get", "person_needed", "A role's key cannot do this. Use a personal token.")


def of_session(user: User) -> Caller:
    return Caller(user, f"user:{user.pk}")


def of_token(text: str) -> Caller | None:
    """Whoever this text stands for; None when it is worth nothing."""
    if text.startswith(keys.PREFIX):
        role = keys.holder_of(text)
        return Caller(role, role.pk) if role else None
    token = tokens.find(text)
    return Caller(token.user, f"user:{token.user_id}", token) if token else None


def again(request: Any) -> User | RoleHolder | None:
    """Who asks, as it is now: for answers that last. None where the token or session is worth nothing any more."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme:
        caller = of_token(text.strip())
        return caller.holder if caller else None
    return sessions.signed_in(request.session.session_key)


def _known(request: Any) -> Caller | None:
    """Whom the door has let in: ninja asks once more."""
    return getattr(request, "auth", None)


class Token(HttpBearer):
    """`Authorization: Bearer mlt_…` or `mlr_…`. One that is worth nothing is an error, also beside a session."""

    def __call__(self, request: HttpRequest) -> Caller | None:
        if known := _known(request):
            return known
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        return self.authenticate(request, text.strip() if scheme.lower() == "bearer" else "")

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        caller = of_token(token)
        if caller is None:
            raise AuthenticationError
        _check_scope(request, caller)
        request.user = caller.holder  # type: ignore[assignment]
        return caller


def _check_scope(request: HttpRequest, caller: Caller) -> None:
    reads = caller.token is not None and caller.token.scope == PersonalToken.Scope.READ
    if reads and request.method not in SAFE and not request.path.endswith(LOGOUT) and not _only_asks(request):
        raise Problem(403, "read_only_token", "This token only reads. Make one that may do everything that you may.")


def _only_asks(request: HttpRequest) -> bool:
    """Whether it reads though it is a POST, because what is asked for is too long for an address."""
    return request.method == "POST" and request.path.endswith(ASKS)


class Browser(APIKeyCookie):
    """The session of a browser, for our own pages: what changes something needs the CSRF token."""

    param_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Caller | None:
        if known := _known(request):
            return known
        if "Authorization" in request.headers or not request.user.is_authenticated:
            return None
        return super().__call__(request)

    def authenticate(self, request: HttpRequest, key: str | None) -> Caller | None:
        user = request.user
        if not isinstance(user, User) or second_step.is_missing(user):
            raise Problem(403, "second_step_required", "Set up a second step first, on the page Security.")
        return of_session(user)
