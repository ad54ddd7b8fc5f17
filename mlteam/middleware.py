"""Headers that every page carries."""

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse

POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'; connect-src 'self' ws: wss:"
)


class _PolicyMiddleware:
    """Sets the policy unless the view has set a stricter one of its own; works for sync and async views."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        if iscoroutinefunction(self):
            return self._async(request)
        return self._with_policy(self.get_response(request))  # type: ignore[arg-type]

    async def _async(self, request: HttpRequest) -> HttpResponse:
        return self._with_policy(await self.get_response(request))  # type: ignore[misc]

    @staticmethod
    def _with_policy(response: HttpResponse) -> HttpResponse:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


content_security_policy = _PolicyMiddleware
