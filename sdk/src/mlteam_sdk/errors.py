"""What can go wrong. The text of each is one sentence, or a few, that says what to do."""

from collections.abc import Mapping
from typing import Any


class MLTeamError(Exception):
    """Whatever mlteam could not do."""


class SettingsError(MLTeamError):
    """What is set on this machine cannot be used: the server's address, the token, the project."""


class ConnectionFailed(MLTeamError):
    """The server was not reached, or it broke off."""


class WaitedInVain(MLTeamError, TimeoutError):
    """What was waited for did not come in the time that was given."""


class Damaged(MLTeamError):
    """What arrived is not what the server says that it has."""


class ApiError(MLTeamError):
    """The server said no.

    code         stable; what a program looks at
    detail       what to do, for a person
    errors       [{"field": "spec.resources.cpu", "message": "…"}] where fields are wrong
    reference    names the request in the server's log
    missing      the rule that was lacking ("job:stop@URN"), or ""
    retry_after  seconds after which to try again, where the server says so
    problem      all that the server said
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code = str(problem.get("code") or "")
        self.detail = str(problem.get("detail") or problem.get("title") or f"The server answered {status}.")
        self.errors: list[dict[str, str]] = list(problem.get("errors") or ())
        self.reference = str(problem.get("reference") or "")
        self.action = str(problem.get("action") or "")
        self.missing = str(problem.get("missing") or "")
        self.retry_after: float | None = problem.get("retry_after")
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        if self.status < 500 or not self.reference:
            return self.detail
        return f"{self.detail} (reference {self.reference})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.status, self.problem)


class NotSignedIn(ApiError):
    """There is no token, or it is worth nothing any more."""


class Refused(ApiError):
    """It is there, but this account, role or token may not do it."""


class NotFound(ApiError):
    """There is nothing, or nothing that one may see."""


class Conflict(ApiError):
    """It cannot be done as things stand, or somebody else was faster."""


class Invalid(ApiError):
    """What was sent is wrong; `errors` says where."""


class TooManyRequests(ApiError):
    """Asked too often; `retry_after` says when to come again."""


KINDS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: NotSignedIn,
    403: Refused,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    422: Invalid,
    429: TooManyRequests,
}


def of(status: int, problem: Mapping[str, Any]) -> ApiError:
    """The exception for an answer with this status and problem document."""
    return KINDS.get(status, ApiError)(status, problem)
