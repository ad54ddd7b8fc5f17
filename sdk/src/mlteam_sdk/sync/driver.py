"""What differs between asking with and without await; `aio.driver` is its twin."""

import os
import time
from typing import Any

import httpx

from mlteam_sdk import asking
from mlteam_sdk.settings import Settings


def connect(settings: Settings) -> httpx.Client:
    return asking.client(httpx.Client, settings)


def place() -> Any:
    """What connections belong to: this process, not one that is forked from it."""
    return os.getpid()


sleep = time.sleep
