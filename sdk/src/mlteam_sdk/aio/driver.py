"""What differs between asking with and without await; `sync.driver` is its twin."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import httpx

from mlteam_sdk import asking
from mlteam_sdk.settings import Settings

Item = TypeVar("Item")


def connect(settings: Settings) -> httpx.AsyncClient:
    return asking.client(httpx.AsyncClient, settings)


def place() -> Any:
    """What connections belong to: the event loop that runs."""
    return asyncio.get_running_loop()


sleep = asyncio.sleep
aside = asyncio.to_thread  # what reads and writes files does not hold up the loop


async def together(work: Callable[[Item], Awaitable[None]], items: Iterable[Item], most: int) -> None:
    """Does this work for all items, for so many at once. The first that fails ends all."""
    waiting = iter(items)

    async def one_after_the_other() -> None:
        for item in waiting:
            await work(item)

    tasks = [asyncio.ensure_future(one_after_the_other()) for _ in range(most)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
