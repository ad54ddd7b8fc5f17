"""Checksums that services have of what they keep, compared with what has arrived."""

import hashlib
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from datastores.remote.sources import CHUNK, Item

KNOWN: Final = ("crc32c", "crc32", "sha256", "md5", "etag")  # the quick ones first
POLYNOMIALS: Final = {"crc32c": 0x82F63B78, "crc32": 0xEDB88320}  # of those that can be put together from parts


def _crc32c(data: bytes, before: int) -> int:
    import google_crc32c

    return int(google_crc32c.extend(before, data))


def crc(name: str) -> Callable[[bytes, int], int]:
    """What goes on with a CRC over more bytes."""
    return _crc32c if name == "crc32c" else zlib.crc32


class Sum:
    """The checksum of a file as its bytes come; of the kind that the service has of it, if it has any."""

    def __init__(self, item: Item) -> None:
        self.name = next((name for name in KNOWN if name in item.sums), "")
        self._expected, self._crc = item.sums.get(self.name, ""), 0
        self._hash: Any = None
        if self.name in {"md5", "sha256"}:
            self._hash = hashlib.new(self.name, usedforsecurity=False)
        elif self.name == "etag":
            self._hash = OfParts(int(item.sums["part"]))

    def update(self, data: bytes) -> None:
        if self._hash:
            self._hash.update(data)
        elif self.name:
            self._crc = crc(self.name)(data, self._crc)

    def read(self, file: Path) -> None:
        """Goes on with all of a file."""
        if self.name:
            with file.open("rb", buffering=0) as content:
                while piece := content.read(CHUNK):
                    self.update(piece)

    def differs(self) -> bool:
        """Whether it is another than the service has."""
        found = self._hash.hexdigest() if self._hash else f"{self._crc:08x}"
        return bool(self.name) and found != self._expected


class OfParts:
    """As S3 sums up what was sent in parts of one size: the MD5 of their MD5s, and how many they were."""

    def __init__(self, size: int) -> None:
        self._size, self._left = size, size
        self._done: list[bytes] = []
        self._part = hashlib.md5(usedforsecurity=False)

    def update(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            some, view = view[: self._left], view[self._left :]
            self._part.update(some)
            self._left -= len(some)
            if not self._left:
                self._close()

    def _close(self) -> None:
        self._done.append(self._part.digest())
        self._part, self._left = hashlib.md5(usedforsecurity=False), self._size

    def hexdigest(self) -> str:
        if self._left < self._size:
            self._close()
        return f"{hashlib.md5(b''.join(self._done), usedforsecurity=False).hexdigest()}-{len(self._done)}"


def together(name: str, parts: Iterable[tuple[int, int]]) -> str:
    """The CRC of a whole from those of its parts in their order, (CRC, bytes) each; as eight hexadecimal digits."""
    found = 0
    for one, size in parts:
        found = _moved(POLYNOMIALS[name], found, size) ^ one
    return f"{found:08x}"


def _moved(polynomial: int, value: int, size: int) -> int:
    """What a CRC becomes when so many zero bytes follow: each doubling of them is a matrix over bits, multiplied with itself."""
    matrix = [polynomial, *(1 << bit for bit in range(31))]  # for one zero bit
    for _ in range(3):
        matrix = [_times(matrix, row) for row in matrix]  # for one zero byte
    while size:
        if size & 1:
            value = _times(matrix, value)
        matrix = [_times(matrix, row) for row in matrix]
        size >>= 1
    return value


def _times(matrix: list[int], vector: int) -> int:
    found, row = 0, 0
    while vector:
        if vector & 1:
            found ^= matrix[row]
        vector, row = vector >> 1, row + 1
    return found
