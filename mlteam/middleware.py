"""What every request is given: a reference for reports of problems, and the headers that every page carries."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

from mlteam import reference

# Browsers that do not count a WebSocket to the page's own address as 'self' need its names.
_SOCKETS = " ".join(f"ws{origin.removeprefix('http')}" for origin in settings.WEBSOCKET_ORIGINS if "[" not in origin)
# A form that leads to a redirect is a form of that page too: the one that begins a sign-in with GitHub.
_FORMS = f"'self' {settings.GITHUB_URL}" if settings.GITHUB_CLIENT_ID else "'self'"
POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    f"frame-ancestors 'none'; form-action {_FORMS}; connect-src 'self' {_SOCKETS}"
)


class _Either:
    """Middleware that works for sync and async views: the answer is made `during` something, and then `finished`."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self.is_async:
            return self._later(request)
        with self.during(request):
            return self.finished(request, self.get_response(request))

    async def _later(self, request: HttpRequest) -> HttpResponse:
        with self.during(request):
            return self.finished(request, await self.get_response(request))

    def during(self, request: HttpRequest) -> AbstractContextManager[Any]:
        return nullcontext()

    def finished(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        return response


class Reference(_Either):
    """Gives the request a reference, for its error page and the log; the outermost, so that all that fails has one."""

    @contextmanager
    def during(self, request: HttpRequest) -> Iterator[None]:
        with reference.given() as request.reference:  # type: ignore[attr-defined]
            yield

    def finished(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response.headers["X-Reference"] = request.reference  # type: ignore[attr-defined]
        return response


class ContentSecurityPolicy(_Either):
    """Sets the policy unless the view has set a stricter one of its own."""

    def finished(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


def no_null(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answers 400 to an address with a NUL in it: no page of ours has one, and PostgreSQL compares nothing with it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("There is a NUL in this address.")
        return get_response(request)

    return middleware
