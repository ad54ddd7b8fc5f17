"""What differs between asking with and without await; `aio.driver` is its twin."""

import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import httpx

from mlteam_sdk import asking
from mlteam_sdk.settings import Settings

Item = TypeVar("Item")
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


def connect(settings: Settings) -> httpx.Client:
    return asking.client(httpx.Client, settings)


def place() -> Any:
    """What connections belong to: this process, not one that is forked from it."""
    return os.getpid()


sleep = time.sleep


def aside(work: Callable[Arguments, Result], *arguments: Arguments.args, **more: Arguments.kwargs) -> Result:
    """What reads and writes files."""
    return work(*arguments, **more)


def together(work: Callable[[Item], None], items: Iterable[Item], most: int) -> None:
    """Does this work for all items, for so many at once. The first that fails ends all."""
    waiting, over, lock = iter(items), threading.Event(), threading.Lock()
    failed: list[BaseException] = []

    def taken() -> Item | None:
        with lock:
            return None if over.is_set() else next(waiting, None)

    def one_after_the_other() -> None:
        try:
            for item in iter(taken, None):
                work(item)
        except BaseException as error:
            over.set()
            failed.append(error)

    threads = [threading.Thread(target=one_after_the_other, daemon=True) for _ in range(most)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    finally:
        over.set()  # after Ctrl-C nothing more is begun
    if failed:
        raise failed[0]
