"""How Django answers under ASGI: each request in one thread, from the first middleware to the answer; files that pages load in none."""

import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Final

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.db import close_old_connections, connections
from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware
from servestatic.middleware import ServeStaticMiddleware

from mlteam.middleware import ContentSecurityPolicy

KEPT: Final = 8  # threads that wait for the next request

log = logging.getLogger(__name__)


class BrokenOff(Exception):
    """Raised, with the reason, while an answer is on its way: the connection breaks, so that nobody takes what came for all of it."""


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
        borrowed = Borrowed(self)
        before = _borrowed.set(borrowed)
        try:
            async with ThreadSensitiveContext(executor=borrowed):
                yield
        finally:
            _borrowed.reset(before)
            borrowed.give_back()

    def take(self) -> ThreadPoolExecutor:
        """One that nobody has."""
        return self._idle.pop() if self._idle else ThreadPoolExecutor(1, thread_name_prefix="answers")

    def back(self, thread: ThreadPoolExecutor) -> None:
        """Called in a thread with which its request is done."""
        if len(self._idle) < KEPT:
            self._idle.append(thread)
        else:
            connections.close_all()
            thread.shutdown(wait=False)


class Borrowed(Executor):
    """The thread of one request, from when something is first to be run in it: who only sends a body slowly has none."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._thread: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        if self._thread is None:
            self._thread = self._threads.take()
        return self._thread.submit(work, *args, **kwargs)

    def give_back(self) -> None:
        """Others may have it, after what may still run in it for somebody who has gone."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.submit(self._threads.back, thread)


_borrowed: ContextVar[Borrowed | None] = ContextVar("borrowed", default=None)


async def leave() -> None:
    """Gives back the thread of this request, with its connection to the database: for one that is open for hours both would be kept
    for nothing. Where it needs a thread again, it gets another.
    """
    if (borrowed := _borrowed.get()) is not None:
        await sync_to_async(close_old_connections)()
        borrowed.give_back()


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

    async def send_response(self, response: Any, send: Any) -> None:
        try:
            await super().send_response(response, send)
        except BrokenOff as why:
            log.warning("broke off an answer: %s", why)

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)
        chain: Any = sync_to_async(self._middleware_chain, thread_sensitive=True)  # type: ignore[has-type]
        self._middleware_chain = convert_exception_to_response(StaticFiles(chain))
