"""What differs between asking with and without await; `sync.driver` is its twin."""

import asyncio
from typing import Any

import httpx

from mlteam_sdk import asking
from mlteam_sdk.settings import Settings


def connect(settings: Settings) -> httpx.AsyncClient:
    return asking.client(httpx.AsyncClient, settings)


def place() -> Any:
    """What connections belong to: the event loop that runs."""
    return asyncio.get_running_loop()


sleep = asyncio.sleep
