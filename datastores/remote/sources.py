"""What is to be read or written elsewhere, whichever service has it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, Protocol

from datastores.remote.addresses import Address
from datastores.remote.errors import Denied, NotThere

CHUNK: Final = 2**20  # bytes of a piece that is read, at most


@dataclass(frozen=True, slots=True)
class Item:
    """A file elsewhere. `path`: below the address, and clean. `size`: in bytes, None where the service does not say.

    `version`: what tells it from what is there later, "" where nothing does: then it cannot be gone on with. `parts`: whether parts of it
    can be read beside each other. `sums`: checksums that the service has, by name: hexadecimal md5, crc32c, crc32, sha256; `etag` of an
    object in S3 that was sent in parts. `name`: what the service calls it, where that is not what stands below the address.
    """

    path: str
    size: int | None
    version: str
    parts: bool = True
    sums: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


class Source(Protocol):
    """Something to read from. Called from threads, several at once. All raise errors.Trouble; Unavailable is worth another try."""

    at_once: int  # requests that are better made beside each other
    shown: str  # its address, for people

    def items(self) -> Iterator[Item]:
        """What is there. Raises NotThere where that is nothing."""

    def read(self, item: Item, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Its bytes from `start` on, to before `stop` or the end, in pieces of at most CHUNK. One request. Raises Changed."""

    def looked_up(self, item: Item) -> Item:
        """The same with what only a question about this one tells: checksums of a large one."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Sendable:
    """A file to be written. `path`: below the address. `open`: gives it for reading, each time anew."""

    path: str
    size: int
    open: Callable[[], AbstractContextManager[BinaryIO]]


def below_or_alone(below: Iterator[Item], alone: Callable[[], Item | None], address: Address) -> Iterator[Item]:
    """What lies below an address in a bucket, or where nothing does the one object that is called so, though it may not be listed.

    Raises Denied, NotThere.
    """
    denied: Denied | None = None
    some = False
    try:
        for item in below:
            some = True
            yield item
    except Denied as error:
        denied = error
    if some:
        return
    if address.path and not address.folder and (one := alone()):
        yield one
        return
    raise denied or NotThere(f"There is nothing at {address.shown}. Look at how it is written.")


class Notes(Protocol):
    """What a target writes down while it sends one large file, so that it goes on after a restart."""

    def note(self, **said: str | int) -> None: ...

    def noted(self) -> list[dict[str, Any]]: ...

    def forget(self) -> None: ...


class Target(Protocol):
    """Something to write to. It only ever makes what is not there: nothing is overwritten, deleted or moved.

    Called from threads, several at once. All raise errors.Trouble; Unavailable is worth another try.
    """

    at_once: int
    shown: str

    def check_name(self, path: str) -> None:
        """Raises Refused where nothing can be called this there."""

    def existing(self) -> Iterator[Item]:
        """What is there already, also nothing. Raises Denied where it may not be listed."""

    def put(self, file: Sendable, notes: Notes, add: Callable[[int], None], *, ours: bool) -> None:
        """Writes it, whole or not at all, its checksum compared. `add` is told of bytes on their way.

        `ours`: we may have sent it before; then it is no error that it is there with these very bytes. Raises Exists.
        """

    def abandon(self, path: str, notes: Notes) -> None:
        """Lets go of what has arrived of a large file that is not sent any further, where it may."""

    def close(self) -> None: ...
