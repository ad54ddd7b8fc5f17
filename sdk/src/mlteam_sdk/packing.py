"""Many small files in one body: for each its checksum (32 bytes), its size (8 bytes, the highest first) and its content."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from mlteam_sdk.errors import Damaged
from mlteam_sdk.folders import Source
from mlteam_sdk.hashing import grouped, read_exactly

HEAD: Final = 40  # bytes before each content
PACK: Final = 8 << 20  # bytes that one holds at most
PACK_FILES: Final = 1000
SMALL: Final = 1 << 20  # bytes; files up to that go into packs
PIECE: Final = 16 << 20  # bytes of a larger file in one request
RANGE: Final = 64 << 20  # bytes of a larger file that one connection fetches
AT_ONCE: Final = 4  # requests
NOT_THERE: Final = 2**64 - 1  # bytes that no file has


class Lacking(NamedTuple):
    """A content that the server does not have yet, the file here that has it, and the bytes of it that arrived before."""

    sha256: str
    source: Source
    received: int


def in_packs(files: Iterable[Lacking]) -> Iterator[list[Lacking]]:
    """The files in the order given, as many together as fit."""
    return grouped(files, lambda one: one.source.size + HEAD, PACK, PACK_FILES)


def packed(root: Path, files: Sequence[Lacking]) -> bytes:
    """The pack of these files. Raises Changed when one is not as it was."""
    parts, above = [], f"{os.fspath(root)}{os.sep}"
    for one in files:
        content = read_exactly(above + one.source.path, one.source.state, 0, one.source.size)
        parts += [bytes.fromhex(one.sha256), one.source.size.to_bytes(8, "big"), content]
    return b"".join(parts)


def records(pack: bytes, wanted: int) -> Iterator[memoryview | None]:
    """So many contents of a volume, in their order; None for one that is not there. Raises Damaged."""
    view, at = memoryview(pack), 0
    for _ in range(wanted):
        digest, size = bytes(view[at : at + 32]), int.from_bytes(view[at + 32 : at + HEAD], "big")
        at += HEAD
        if size == NOT_THERE and not any(digest):
            yield None
            continue
        content = view[at : at + size]
        at += size
        if at > len(view) or hashlib.sha256(content).digest() != digest:
            raise Damaged("What arrived is damaged. Try again; if it stays so, tell who runs the server.")
        yield content


def unpacked(pack: bytes) -> Iterator[tuple[str, memoryview]]:
    """Each checksum with its content, which has it. Raises Damaged."""
    view, at = memoryview(pack), 0
    while at < len(view):
        digest, size = bytes(view[at : at + 32]).hex(), int.from_bytes(view[at + 32 : at + HEAD], "big")
        content = view[at + HEAD : at + HEAD + size]
        at += HEAD + size
        if at > len(view) or hashlib.sha256(content).hexdigest() != digest:
            raise Damaged("What arrived is damaged. Try again; if it stays so, tell who runs the server.")
        yield digest, content
