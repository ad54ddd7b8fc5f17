"""How Django answers under ASGI: each request in one thread, from the first middleware to the answer; files that pages load in none."""

from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware
from servestatic.middleware import ServeStaticMiddleware

from mlteam.middleware import ContentSecurityPolicy


class StaticFiles(ServeStaticMiddleware):
    """The files that pages load, with the headers that pages have."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self._policy, self._security = ContentSecurityPolicy(_nothing), SecurityMiddleware(_nothing)

    async def aserve(self, static_file: Any, request: Any) -> Any:  # type: ignore[override]
        answer: Any = await super().aserve(static_file, request)
        return self._security.process_response(request, self._policy.finished(request, answer))


def _nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


class Handler(ASGIHandler):
    """Django's own goes back to the loop before each check of a view and before the view itself: half as many changes of thread again.

    A view that is a coroutine runs on the loop, as with Django's own, and what it streams is sent from there. So are static files: their
    middleware is a coroutine, and among the others it would cost each page two changes more.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)
        chain: Any = sync_to_async(self._middleware_chain, thread_sensitive=True)  # type: ignore[has-type]
        self._middleware_chain = convert_exception_to_response(StaticFiles(chain))
