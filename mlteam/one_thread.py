"""How Django answers under ASGI: each request in one thread, from the first middleware to the answer; files that pages load in none."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware
from servestatic.middleware import ServeStaticMiddleware

from mlteam.middleware import ContentSecurityPolicy

KEPT: Final = 32  # threads that wait for the next request


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


class Threads:
    """The threads that answer, a request at a time each. Django's own handler begins one for each request and another to end it, and
    with SQLite each opens the database anew: that takes longer than many an answer.
    """

    def __init__(self) -> None:
        self._idle: list[ThreadPoolExecutor] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Within the block all that is to run in one thread runs in one that nobody else has meanwhile."""
        thread = self._idle.pop() if self._idle else ThreadPoolExecutor(1, thread_name_prefix="answers")
        try:
            async with ThreadSensitiveContext(executor=thread):
                yield
        finally:
            thread.submit(self._back, thread)  # there, after what may still run for somebody who has gone

    def _back(self, thread: ThreadPoolExecutor) -> None:
        if len(self._idle) < KEPT:
            self._idle.append(thread)
        else:
            connections.close_all()
            thread.shutdown(wait=False)


class Handler(ASGIHandler):
    """Django's own goes back to the loop before each check of a view and before the view itself: half as many changes of thread again.

    A view that is a coroutine runs on the loop, as with Django's own, and what it streams is sent from there. So are static files: their
    middleware is a coroutine, and among the others it would cost each page two changes more.
    """

    def __init__(self) -> None:
        super().__init__()
        self._threads = Threads()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with self._threads.one():
            await self.handle(scope, receive, send)

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)
        chain: Any = sync_to_async(self._middleware_chain, thread_sensitive=True)  # type: ignore[has-type]
        self._middleware_chain = convert_exception_to_response(StaticFiles(chain))
