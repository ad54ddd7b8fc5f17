"""The manifest of a version as a file of this host, with an index by which any folder of a million files is found at once.

Beside the lines lies a record for each: offset of the line, bytes of all files before it, SHA-256; and one for the end of all. So the
files and bytes of a folder are a subtraction, and hashes are compared without reading a line.
"""

import base64
import hashlib
import mmap
import os
import struct
from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from datastores import blobs, manifests
from datastores.manifests import BadManifest, Entry
from datastores.models import Version
from mlteam import state

RECORD: Final = struct.Struct("<QQ32s")
END: Final = bytes(32)  # in the place of a hash
AT_ONCE: Final = 10_000  # records that are copied
AFTER_FOLDER: Final = b"0"  # the byte after "/": what is in a folder ends before it


@dataclass(frozen=True, slots=True)
class Summary:
    """What a manifest comes to."""

    digest: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Child:
    """What lies in a folder: a file, or a folder with so many files and bytes below it. `key`: where it stands in the order."""

    name: str
    key: bytes
    files: int
    size: int
    entry: Entry | None = None


class Listing:
    """An open manifest."""

    def __init__(self, lines: mmap.mmap, index: mmap.mmap) -> None:
        self._lines, self._index = lines, index
        self.files = len(index) // RECORD.size - 1

    def line(self, number: int) -> bytes:
        """The line of a file, the first is 0."""
        return self._lines[self._record(number)[0] : self._record(number + 1)[0]]

    def lines(self, start: int, end: int) -> bytes:
        """The lines of the files from one number to another (exclusive)."""
        return self._lines[self._record(start)[0] : self._record(end)[0]]

    def index(self, start: int, end: int) -> bytes:
        """The records of the files from one number to another (exclusive)."""
        return self._index[start * RECORD.size : end * RECORD.size]

    def place(self, number: int) -> tuple[int, int]:
        """Where a file's line begins, and the bytes of all files before it."""
        return self._record(number)[:2]

    def entry(self, number: int) -> Entry:
        return manifests.read(self.line(number))

    def entries(self, start: int, end: int) -> Iterator[Entry]:
        """Those of the files from one number to another (exclusive)."""
        return (self.entry(number) for number in range(start, end))

    def find(self, path: str) -> Entry | None:
        """The file at a path."""
        number = self.first(path.encode())
        found = self.entry(number) if number < self.files else None
        return found if found and found.path == path else None

    def first(self, key: bytes) -> int:
        """The number of the first file whose path is not before these bytes."""
        return bisect_left(range(self.files), key, key=self._path)

    def folder(self, path: str) -> tuple[int, int]:
        """The numbers of what is below a folder, from and to (exclusive): the same where there is none. "" is everything."""
        if not path:
            return 0, self.files
        return self.first(path.encode() + b"/"), self.first(path.encode() + AFTER_FOLDER)

    def children(self, folder: str, *, after: bytes = b"") -> Iterator[Child]:
        """What lies in a folder, in the order of the paths; after the one with that key."""
        number, end = self.folder(folder)
        prefix = f"{folder}/" if folder else ""
        if after:
            number = max(number, self.first(_beyond(after)))
        while number < end:
            entry = self.entry(number)
            name, slash, _ = entry.path.removeprefix(prefix).partition("/")
            key = f"{prefix}{name}{slash}".encode()
            following = self.first(_beyond(key)) if slash else number + 1
            size = self._record(following)[1] - self._record(number)[1]
            yield Child(name, key, following - number, size, None if slash else entry)
            number = following

    def bytes_of(self, start: int, end: int) -> int:
        """How many bytes these files have."""
        return self._record(end)[1] - self._record(start)[1]

    def hashes(self) -> Generator[tuple[bytes, int]]:
        """SHA-256 and size of each file, in their order."""
        records = RECORD.iter_unpack(self._index)
        _, before, sha256 = next(records)
        for _, following, next_hash in records:
            yield sha256, following - before
            before, sha256 = following, next_hash

    def _record(self, number: int) -> tuple[int, int, bytes]:
        return RECORD.unpack_from(self._index, number * RECORD.size)

    def _path(self, number: int) -> bytes:
        return manifests.path_in(self.line(number))


def _beyond(key: bytes) -> bytes:
    """The first bytes that a path after this child can have."""
    return key[:-1] + AFTER_FOLDER if key.endswith(b"/") else key + b"\0"


def lines_of(file: Path) -> Iterator[bytes]:
    """The lines of a file that anybody may have written: one that is too long comes in parts, each longer than a manifest takes."""
    with file.open("rb") as source:
        while line := source.readline(manifests.LINE + 2):
            yield line


def write(source: Path, target: Path) -> Summary:
    """Puts the lines of a file, in any order, into their canonical form, with an index. Raises BadManifest."""
    try:
        summary = _indexed(_if_ordered(manifests.parsed(lines_of(source))), target)
    except _Unordered:  # then all of it has to be in memory
        summary = _indexed(manifests.in_order(manifests.parsed(lines_of(source))), target)
    if not summary.files:
        raise BadManifest("There is no file in it.")
    return summary


class _Unordered(Exception):
    """Lines are not in the order of their paths."""


def _if_ordered(numbered: Iterable[manifests.Numbered]) -> Iterator[manifests.Numbered]:
    last = b""
    for number, entry in numbered:
        path = entry.path.encode()
        if path < last:
            raise _Unordered
        last = path
        yield number, entry


def _indexed(numbered: Iterable[manifests.Numbered], target: Path) -> Summary:
    with Writer(target) as writer:
        for entry in manifests.checked(numbered):
            writer.add(entry)
    return writer.summary


class Writer:
    """Writes a manifest and its index as they grow."""

    def __init__(self, target: Path) -> None:
        self._target, self._digest = target, hashlib.sha256()
        self._lines: BinaryIO
        self._index: BinaryIO
        self._files = self.length = self._bytes = 0

    def __enter__(self) -> "Writer":
        self._lines = self._target.open("wb")
        self._index = index_of(self._target).open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._index.write(RECORD.pack(self.length, self._bytes, END))
        self._lines.close()
        self._index.close()

    @property
    def summary(self) -> Summary:
        return Summary(self._digest.hexdigest(), self._files, self._bytes)

    def add(self, entry: Entry) -> None:
        self._index.write(RECORD.pack(self.length, self._bytes, bytes.fromhex(entry.sha256)))
        self._write(entry.line, 1, entry.size)

    def copy(self, listing: Listing, start: int, end: int) -> None:
        """The files from one number to another (exclusive), as another manifest has them."""
        if start == end:
            return
        at, before = listing.place(start)
        for some in range(start, end, AT_ONCE):
            records = listing.index(some, min(some + AT_ONCE, end))
            self._index.write(_moved(records, self.length - at, self._bytes - before))
        self._write(listing.lines(start, end), end - start, listing.bytes_of(start, end))

    def _write(self, lines: bytes, files: int, size: int) -> None:
        self._lines.write(lines)
        self._digest.update(lines)
        self.length, self._files, self._bytes = self.length + len(lines), self._files + files, self._bytes + size


def _moved(records: bytes, place: int, size: int) -> bytes:
    """Records whose files stand so many bytes further in their manifest, and have so many more before them.

    All at once, as the digits of one number, to each of which the same is added: one by one it would be most of the work of a version
    in which little has changed. No digit overflows: what it comes to is a record again.
    """
    if not place and not size:
        return records
    ones = int.from_bytes(RECORD.pack(1, 0, END) * (len(records) // RECORD.size), "little")
    moved = int.from_bytes(records, "little") + ones * (place + (size << 64))
    return moved.to_bytes(len(records), "little")


def index_of(manifest: Path) -> Path:
    return manifest.with_name(f"{manifest.name}.index")


def cursor_of(key: bytes) -> str:
    """A place in the order of a manifest, for an address."""
    return base64.urlsafe_b64encode(key).decode()


def position(cursor: str) -> bytes:
    """The place that a cursor says. Raises ValueError for what is none."""
    return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)


@contextmanager
def opened(manifest: Path) -> Iterator[Listing]:
    """A manifest that `write` has made."""
    with manifest.open("rb") as lines, index_of(manifest).open("rb") as index:
        lines_map = mmap.mmap(lines.fileno(), 0, access=mmap.ACCESS_READ)
        with lines_map, mmap.mmap(index.fileno(), 0, access=mmap.ACCESS_READ) as index_map:
            yield Listing(lines_map, index_map)


def of(version: Version) -> Path:
    """The manifest of a version, which is brought here first where another host has kept it. Raises blobs.Missing."""
    project_id = version.datastore.project_id
    place = place_of(project_id, version.digest)
    if not index_of(place).exists():
        draft = place.with_name(f".{place.name}.{os.getpid()}.{os.urandom(4).hex()}")
        brought = draft.with_suffix(".brought")
        try:
            with brought.open("wb") as file:
                file.writelines(blobs.store().read(blobs.key_of(project_id, version.digest)))
            write(brought, draft)
            move(draft, place)
        finally:
            for left in (brought, draft, index_of(draft)):
                left.unlink(missing_ok=True)
    return place


def place_of(project_id: str, digest: str) -> Path:
    """Where the manifest with this digest lies on this host."""
    return state.directory(f"manifests/{project_id}") / digest


def move(manifest: Path, place: Path) -> None:
    """Takes it to its place; whoever sees the index there sees all of it."""
    manifest.replace(place)
    index_of(manifest).replace(index_of(place))


def forget(project_id: str, digest: str) -> None:
    """Takes a manifest away from this host, where it is one."""
    place = place_of(project_id, digest)
    index_of(place).unlink(missing_ok=True)
    place.unlink(missing_ok=True)
