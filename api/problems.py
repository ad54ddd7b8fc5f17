"""What went wrong, for programs and for the people who read their output: problem documents (RFC 9457).

`code` is stable and what a program looks at; `detail` is a sentence that says what to do.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, TooManyFilesSent, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import Schema
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as BadInput

from access import Refused
from access.statements import BadStatement
from accounts.errors import Impossible, InvalidInvitation, OtherAccount

log = logging.getLogger(__name__)

TYPE: Final = "application/problem+json"
ROOT: Final = "/api/"
NOTHING: Final = "There is nothing here, or nothing that you may see."
# Codes of answers that no operation makes itself.
CODES: Final = {400: "bad_request", 401: "not_signed_in", 403: "not_granted", 404: "not_found", 405: "method_not_allowed",
                413: "too_large", 429: "too_many_requests", 500: "failed"}  # fmt: skip


class FieldProblem(Schema):
    """What is wrong with one field: its path with dots, and a sentence."""

    field: str
    message: str


class ProblemOut(Schema):
    """A problem document."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    reference: str = ""
    errors: list[FieldProblem] = []
    action: str = ""
    missing: str = ""


class Problem(Exception):
    """An answer that says what is wrong; raise it anywhere in an operation."""

    def __init__(self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any):
        super().__init__(detail)
        self.status, self.code, self.detail, self.more, self.headers = status, code, detail, more, headers or {}


Reading = Callable[[Any], Problem]
_readings: dict[type[Exception], Reading] = {}


def register(kind: type[Exception], read: Reading) -> None:
    """How an app's exception becomes a problem."""
    _readings[kind] = read


def invalid(errors: Iterable[tuple[str, str]], detail: str = "") -> Problem:
    """Some fields are wrong: (path, sentence) of each."""
    found = [{"field": field, "message": message} for field, message in errors]
    said = detail or "; ".join(f"{one['field']}: {one['message']}" if one["field"] else one["message"] for one in found)
    return Problem(422, "invalid", said[:1000], errors=found)


def conflict(error: Exception) -> Problem:
    """The thing cannot be done as things stand."""
    return Problem(409, "conflict", str(error))


def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The problem as a response."""
    said = document(problem, getattr(request, "reference", ""))
    return JsonResponse(said, status=problem.status, content_type=TYPE, headers=dict(problem.headers))


def document(problem: Problem, reference: str = "") -> dict[str, Any]:
    """What is said of a problem."""
    return {
        "type": f"{settings.MLTEAM_URL}{ROOT}v1/docs#problem-{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "reference": reference,
        **problem.more,
    }


def of(request: HttpRequest, error: Exception) -> HttpResponse:
    """The answer to whatever an operation raised. What nobody foresaw is a bug: it goes to the log, with its reference."""
    return answer(request, read(error) or _bug(request, error))


def read(error: Exception) -> Problem | None:
    """The problem that an exception is; None for a bug."""
    for kind in type(error).__mro__:
        if kind in _readings:
            return _readings[kind](error)
    return None


def _bug(request: HttpRequest, error: Exception) -> Problem:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return Problem(500, "failed", "Something is broken here. Try again; if it stays, report it with this reference.")


def plain(request: HttpRequest, status: int, detail: str = "", code: str = "") -> HttpResponse:
    """For an answer that Django or a middleware made: a problem in its place."""
    code = code or CODES.get(status, "bad_request")
    return answer(request, Problem(status, code, detail or f"{HTTPStatus(status).phrase}."))


def is_api(request: HttpRequest) -> bool:
    """Whether problems are answered with documents here, not with pages."""
    return request.path.startswith(ROOT)


# What the house raises


def _refused(error: Refused) -> Problem:
    decision = error.decision
    return Problem(403, decision.code, decision.reason, action=decision.action, missing=decision.missing)


def _bad_input(error: BadInput) -> Problem:
    return invalid((_path(one.get("loc", ())), _sentence(one)) for one in error.errors)


def _path(loc: Iterable[Any]) -> str:
    """The path to a field: without where it came from, and without the name that our code gives a body."""
    source, *rest = [str(part) for part in loc] or [""]
    return ".".join(rest[1:] if source in {"body", "form", "file"} and len(rest) > 1 else rest)


def _sentence(one: Mapping[str, Any]) -> str:
    return str(one.get("msg", "is wrong")).removeprefix("Value error, ")


def _validation(error: ValidationError) -> Problem:
    fields = getattr(error, "error_dict", None) or {"": [error]}
    pairs = ((name, said) for name, errors in fields.items() for one in errors for said in one.messages)
    return invalid(("" if name == "__all__" else name, said) for name, said in pairs)


def _http(error: HttpError) -> Problem:
    code = "csrf" if error.status_code == 403 else CODES.get(error.status_code, "bad_request")
    said = "Send the header X-CSRFToken with the session, or a token instead of it." if code == "csrf" else str(error)
    return Problem(error.status_code, code, said)


def _signed_out(error: AuthenticationError) -> Problem:
    said = "Send a token: `Authorization: Bearer mlt_…`. `mlteam login` gets one, or the page Tokens of your profile."
    return Problem(401, "not_signed_in", said, headers={"WWW-Authenticate": 'Bearer realm="mlteam"'})


def _denied(error: PermissionDenied) -> Problem:
    return Problem(403, "not_granted", str(error) or "You may not do this.")


_readings |= {
    Problem: lambda error: error,
    Refused: _refused,
    PermissionDenied: _denied,
    Http404: lambda error: Problem(404, "not_found", NOTHING),
    BadRequest: lambda error: Problem(400, "bad_request", str(error)),
    RequestDataTooBig: lambda error: Problem(413, "too_large", "This is more than the server takes."),
    TooManyFilesSent: lambda error: Problem(413, "too_large", "These are more files than the server takes at once."),
    BadInput: _bad_input,
    ValidationError: _validation,
    BadStatement: lambda error: invalid([("text", str(error))]),
    AuthenticationError: _signed_out,
    HttpError: _http,
    Impossible: conflict,
    InvalidInvitation: lambda error: Problem(404, "not_found", "This invitation opens nothing, or nothing any more."),
    OtherAccount: lambda error: Problem(403, "other_account", "This invitation is for another address than yours."),
}
