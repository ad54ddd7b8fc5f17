"""Sends requests, again where that is safe, and hands on what was answered."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from mlteam_sdk import asking
from mlteam_sdk.aio import driver
from mlteam_sdk.asking import Ask, File
from mlteam_sdk.settings import Settings

PATIENCE = 60.0  # seconds for which a server that was there may be away, while it is started anew say
MOST = 200  # items on a page


class Transport:
    """Connections to one server; `get("/projects", q="x")` and so on answer with what JSON says."""

    def __init__(self, settings: Settings, patience: float = PATIENCE) -> None:
        self.settings, self.patience = settings, patience
        self._client: httpx.AsyncClient | None = None
        self._place: Any = None
        self._reached = False
        self.on_wait: Callable[[float], None] | None = (
            None  # is told for how many seconds the server wants to be left alone
        )

    def __repr__(self) -> str:
        return f"<mlteam at {self.settings.url}>"

    async def close(self) -> None:
        """Ends the connections. The next request makes new ones."""
        client, self._client = self._client, None
        if client is not None and self._place == driver.place():
            await client.aclose()

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None or self._place != driver.place():
            self._client, self._place = driver.connect(self.settings), driver.place()
        return self._client

    async def get(self, path: str, /, **params: Any) -> Any:
        return await self.ask(Ask("GET", path, params))

    async def post(
        self,
        path: str,
        /,
        data: Any = None,
        *,
        form: dict[str, Any] | None = None,
        files: tuple[File, ...] = (),
        idempotency_key: str | None = None,
        **params: Any,
    ) -> Any:
        """Sends JSON (`data`) or a form. It is done once, however often it has to be sent."""
        headers = asking.post_headers(idempotency_key)
        return await self.ask(Ask("POST", path, params, data, form, files, headers))

    async def put(self, path: str, /, data: Any = None, *, if_match: str | None = None, **params: Any) -> Any:
        return await self.ask(Ask("PUT", path, params, data, headers=_match(if_match)))

    async def patch(self, path: str, /, data: Any = None, *, if_match: str | None = None, **params: Any) -> Any:
        return await self.ask(Ask("PATCH", path, params, data, headers=_match(if_match)))

    async def delete(self, path: str, /, data: Any = None, *, if_match: str | None = None, **params: Any) -> Any:
        return await self.ask(Ask("DELETE", path, params, data, headers=_match(if_match)))

    async def pages(self, path: str, /, *, most: int | None = None, **params: Any) -> AsyncGenerator[Any, None]:
        """The items of a list, page after page; at most so many."""
        left = most
        while left is None or left > 0:
            limit = MOST if left is None else min(MOST, left)
            page = await self.get(path, **{**params, "limit": limit})
            for item in page["items"][:left]:
                yield item
            left = None if left is None else left - len(page["items"])
            if not page.get("next"):
                return
            params["cursor"] = page["next"]

    async def ask(self, ask: Ask) -> Any:
        """What JSON says in the answer to this request. Raises ApiError, ConnectionFailed."""
        return asking.answer(await self.response(ask))

    async def response(self, ask: Ask) -> httpx.Response:
        """The whole answer to this request, with its headers. Raises ApiError, ConnectionFailed."""
        return await self._send(ask, _timeout(ask, events=False))

    @asynccontextmanager
    async def stream(self, ask: Ask, *, events: bool = False) -> AsyncGenerator[httpx.Response, None]:
        """An answer whose body is read bit by bit; while it is, an httpx.TransportError may come."""
        response = await self._send(ask, _timeout(ask, events), whole=False)
        try:
            yield response
        finally:
            await response.aclose()

    async def _send(self, ask: Ask, timeout: httpx.Timeout, whole: bool = True) -> httpx.Response:
        """The answer to a request that the server agreed to, tried again as long as there is hope."""
        patience = asking.Patience(self.patience, time.monotonic, self._reached)
        while True:
            try:
                response = await self._once(ask, timeout, whole)
            except httpx.TransportError as error:
                wait = patience.after_error(ask, error)
                if wait is None:
                    raise asking.broken(error, self.settings) from error
            else:
                wait = patience.after_answer(ask, response)
                if wait is None:
                    return patience.counted(ask, response)
                if response.status_code == 429 and self.on_wait:
                    self.on_wait(wait)
            await driver.sleep(wait)

    async def _once(self, ask: Ask, timeout: httpx.Timeout, whole: bool) -> httpx.Response:
        """One answer, with its body when it is wanted whole or says no."""
        client = self._connected()
        with asking.request(client, ask, self.settings, timeout) as request:
            response = await client.send(request, stream=True)
        done = 0
        while True:
            try:
                if whole or not response.is_success:
                    await response.aread()
                target = asking.elsewhere(response, done)
            except BaseException:
                await response.aclose()
                raise
            if target is None:
                self._reached = True
                return response
            done += 1
            again = client.build_request(ask.method, target, headers=request.headers, timeout=timeout)
            response = await client.send(again, stream=True)


def _timeout(ask: Ask, events: bool) -> httpx.Timeout:
    if events:
        return asking.STREAM_TIMEOUT
    return asking.SLOW_TIMEOUT if ask.slow else asking.TIMEOUT


def _match(tag: str | None) -> dict[str, str]:
    return {"If-Match": tag} if tag else {}
