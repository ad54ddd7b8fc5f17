"""Where content is kept: blobs, each once per project under the key `<project id>/<first two hex>/<sha256>`.

A store knows nothing of projects or of who may read what; it keeps bytes under keys. Which one there is, the setting MLTEAM_BLOBS says.
"""

import errno
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final, Protocol, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

Thing = TypeVar("Thing")
Done = TypeVar("Done")

CHUNK: Final = 2**20  # bytes of one piece that is read, at most


class Missing(Exception):
    """The store has nothing under the key."""


class Full(Exception):
    """There is no room left for what was to be kept."""


@contextmanager
def full_said(said: str) -> Iterator[None]:
    """Raises Full, with this sentence, where a disk takes no more."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Full(said) from error
        raise


class Unavailable(Exception):
    """The store does not answer, or not to us; the sentence says why. What was asked may go well later."""


class Store(Protocol):
    """Keeps bytes under keys. Called from threads, several at once. All may raise Unavailable."""

    at_once: int  # calls that are better made beside each other than one after the other: a bucket is far away

    def put(self, key: str, file: Path) -> None:
        """Takes a finished file on local disk away and keeps its content: visible whole or not at all. The same key again is no error.

        Raises Full; then, and when it raises anything else, the file is still there.
        """

    def settle(self) -> None:
        """Returns when all that was put stays also where the power fails."""

    def size(self, key: str) -> int | None:
        """In bytes; None when it is not there."""

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The content from byte `start` on, `length` of it or all, in pieces of at most CHUNK bytes, none of them empty.

        Raises Missing when the first piece is asked for.
        """

    def delete(self, key: str) -> None:
        """No error when it is gone already."""

    def keys(self, prefix: str) -> Iterator[tuple[str, int]]:
        """(key, size) of all that begins with the prefix, in the order of the keys: a project is `<project id>/`."""


def key_of(project_id: str, sha256: str) -> str:
    """Where a blob of a project is kept; `sha256` is 64 lower-case hexadecimal digits."""
    return f"{project_id}/{sha256[:2]}/{sha256}"


def beside_each_other(do: Callable[[Thing], Done], things: Iterable[Thing]) -> Iterator[Done]:
    """What comes of each, in their order: done as many at once as suits the store, and not far ahead of who takes it."""
    at_once = store().at_once
    if at_once == 1:
        yield from map(do, things)
        return
    with ThreadPoolExecutor(at_once) as threads:
        begun: deque[Future[Done]] = deque()
        try:
            for thing in things:
                begun.append(threads.submit(do, thing))
                if len(begun) >= at_once:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            threads.shutdown(cancel_futures=True)


@cache
def store() -> Store:
    """The one of this installation."""
    where: str = settings.MLTEAM_BLOBS
    if not where:
        from datastores.disk import DiskStore
        from mlteam import state

        return DiskStore(state.directory("blobs"))
    scheme, _, rest = where.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme == "s3" and bucket:
        from datastores.s3 import S3Store

        return S3Store(bucket, prefix)
    if scheme == "gs" and bucket:
        from datastores.gcs import GCSStore

        return GCSStore(bucket, prefix)
    raise ImproperlyConfigured(
        "MLTEAM_BLOBS: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, or nothing: files under var/blobs."
    )
