"""A part of a file, as the body of a request."""

import io
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from datastores.remote.sources import CHUNK


class Slice:
    """So many bytes of a file from `start` on, read by themselves: several threads can have slices of one file.

    `add` is told of bytes that are read to be sent, once it is armed; before, whatever signs the request reads them too.
    """

    def __init__(self, file: BinaryIO, start: int, size: int, add: Callable[[int], None]) -> None:
        self._file, self._start, self._size, self._add = file.fileno(), start, size, add
        self._at, self.armed = 0, False

    def __len__(self) -> int:
        return self._size

    def read(self, size: int | None = -1) -> bytes:
        wanted = self._size - self._at if size is None or size < 0 else min(size, self._size - self._at)
        piece = os.pread(self._file, wanted, self._start + self._at) if wanted else b""
        self._at += len(piece)
        if self.armed:
            self._add(len(piece))
        return piece

    def seek(self, to: int, whence: int = io.SEEK_SET) -> int:
        at = to + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if self.armed and at < self._at:
            self._add(at - self._at)  # they are sent once more
        self._at = at
        return at

    def tell(self) -> int:
        return self._at


class Pieces:
    """A slice for requests, which take larger pieces of what they cannot `read`."""

    def __init__(self, file: BinaryIO, start: int, size: int, add: Callable[[int], None]) -> None:
        self._slice = Slice(file, start, size, add)

    def __len__(self) -> int:
        return len(self._slice)

    def __iter__(self) -> Iterator[bytes]:
        self._slice.armed = True
        self._slice.seek(0)
        while piece := self._slice.read(CHUNK):
            yield piece
