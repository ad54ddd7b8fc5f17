"""What differs between asking with and without await; `aio.driver` is its twin."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
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
    waiting, failed = _Waiting(items), list[BaseException]()

    def one_after_the_other() -> None:
        try:
            for item in waiting:
                work(item)
        except BaseException as error:
            waiting.over = True
            failed.append(error)

    threads = [threading.Thread(target=one_after_the_other, daemon=True) for _ in range(most)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    finally:
        waiting.over = True  # after Ctrl-C nothing more is begun
    if failed:
        raise failed[0]


class _Waiting(Iterator[Item]):
    """Items that several threads take from, until it is over."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.items, self.over, self.lock = iter(items), False, threading.Lock()

    def __next__(self) -> Item:
        with self.lock:
            if self.over:
                raise StopIteration
            return next(self.items)
