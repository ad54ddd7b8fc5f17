"""The server's log of an attempt: one append-only file of bytes, in which the offset is the only truth.

Beside `<index>.log` lies `<index>.lines`, a sparse index: record k (8 bytes, little-endian) is the number of newlines
in the first (k + 1) × 64 KiB. It follows from the bytes alone: who finds it short extends it, and it may be deleted.

Lines are counted from 1, as people see them: line n begins after newline n - 1.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import struct
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

BLOCK = 64 * 1024  # bytes between two records of the line index
STEP = 1024 * 1024  # bytes read at once by whatever walks through a log
USUAL_LINE = 150  # bytes; a page of lines like this is read at once
PAGE_BYTES = 1024 * 1024  # a page never holds more, however long its lines
RECORD = struct.Struct("<Q")
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class LogError(Exception):
    """An append was refused and changed nothing; `size` is the log's size in bytes, to go on from."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the log has {size} bytes")
        self.size = size


class LogGap(LogError):
    """The bytes begin after the log's end."""


class LogDiffers(LogError):
    """The bytes overlap the log and are not the same."""


class LogDiskFull(LogError):
    """No space for the bytes; the same append may succeed later."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines: `data` begins at byte `offset`, in line `line`; the log goes on at `next` and has `size` bytes."""

    offset: int
    line: int
    data: bytes
    size: int

    @property
    def next(self) -> int:
        return self.offset + len(self.data)


@dataclass(frozen=True, slots=True)
class Match:
    """A line that matches: its number, and the byte at which its first match begins."""

    line: int
    offset: int


@dataclass(slots=True)
class Found:
    """Matching lines in order. `next` is the byte to go on from; `done` says that nothing was left there."""

    matches: list[Match] = field(default_factory=list)
    next: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a log adds up to: size in bytes, SHA-256 in hexadecimal, number of lines (an unfinished last one counts)."""

    size: int
    sha256: str
    lines: int


def path_of(job_id: str, index: int) -> Path:
    """Where the log of an attempt lies."""
    return Path(settings.VAR) / "logs" / job_id / f"{index}.log"


# Appending


def append(path: Path, offset: int, data: bytes) -> int:
    """Puts bytes at an offset of the log, which is made when missing, and answers its size.

    Bytes that the log already has are acknowledged: an append may be repeated and may overlap, every byte lands once.
    Raises LogGap, LogDiffers, LogDiskFull. A process that dies in the middle leaves a shorter log of right bytes.
    """
    with _locked(path) as log:
        size = os.fstat(log).st_size
        if offset > size:
            raise LogGap(size)
        overlap = min(size - offset, len(data))
        if overlap and os.pread(log, overlap, offset) != data[:overlap]:
            raise LogDiffers(size)
        if overlap == len(data):
            return size
        _write(log, size, memoryview(data)[overlap:])
        end = offset + len(data)
        if end // BLOCK != size // BLOCK:
            _extend_index(path, log, end, trusted=size)
        return end


def _write(log: int, size: int, data: memoryview) -> None:
    """Writes at the end, whole or not at all."""
    position = size
    try:
        while data:
            written = os.pwrite(log, data, position)
            data, position = data[written:], position + written
    except OSError as error:
        os.ftruncate(log, size)
        if error.errno in FULL:
            raise LogDiskFull(size) from error
        raise


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The log's descriptor, with the lock under which alone the log and its index change."""
    log = _open_for_append(path)
    try:
        fcntl.flock(log, fcntl.LOCK_EX)
        yield log
    finally:
        os.close(log)


def _open_for_append(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        for directory in (path.parent.parent, path.parent):
            directory.mkdir(exist_ok=True, mode=0o700)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


# Reading


def size(path: Path) -> int:
    """The log's size in bytes; 0 when there is none yet."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def read(path: Path, offset: int, limit: int) -> bytes:
    """At most `limit` bytes from an offset; empty at the end."""
    with _reading(path) as log:
        return os.pread(log, limit, offset) if log is not None else b""


def tail(path: Path, limit: int) -> int:
    """The offset from which at most `limit` bytes are left: the start of a line, or mid-line in a longer one."""
    with _reading(path) as log:
        end = _size(log)
        start = max(0, end - limit)
        if start == 0 or log is None:
            return 0
        # One byte earlier, so that a line which begins right at `start` is found.
        newline = os.pread(log, end - start + 1, start - 1).find(b"\n")
        found = start + newline
        return found if newline >= 0 and found < end else start


def lines(path: Path) -> int:
    """The number of lines; an unfinished last one counts."""
    with _reading(path) as log:
        end = _size(log)
        if log is None or end == 0:
            return 0
        return _newlines(path, log, end) + (os.pread(log, 1, end - 1) != b"\n")


def line_at(path: Path, offset: int) -> int:
    """The number, from 1, of the line in which the byte at `offset` lies."""
    with _reading(path) as log:
        return 1 if log is None else _newlines(path, log, min(offset, _size(log))) + 1


def offset_of_line(path: Path, line: int) -> int:
    """The byte at which a line, counted from 1, begins; the log's end when it has fewer."""
    with _reading(path) as log:
        return 0 if log is None else _start_of(path, log, line)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[int | None]:
    """A descriptor to read from, or None when there is no log yet."""
    try:
        log = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield log
    finally:
        os.close(log)


def _size(log: int | None) -> int:
    return 0 if log is None else os.fstat(log).st_size


# Pages


def page_of_line(path: Path, line: int, count: int, limit: int = PAGE_BYTES) -> Page:
    """`count` lines from the line with that number on."""
    return page_from(path, offset_of_line(path, line), count, limit)


def page_from(path: Path, offset: int, count: int, limit: int = PAGE_BYTES) -> Page:
    """`count` lines from a byte on: whole ones, unless the log ends or one line is longer than `limit` bytes."""
    with _reading(path) as log:
        end = _size(log)
        offset = min(max(0, offset), end)
        if log is None:
            return Page(0, 1, b"", 0)
        data = os.pread(log, min(limit, count * USUAL_LINE), offset)
        if data.count(b"\n") < count:  # longer lines than usual
            data += os.pread(log, limit - len(data), offset + len(data))
        length = _whole_lines(data, count, at_end=offset + len(data) >= end)
        return Page(offset, _newlines(path, log, offset) + 1, data[:length], end)


def page_before(path: Path, before: int, count: int, limit: int = PAGE_BYTES) -> Page:
    """The `count` lines that end at byte `before`, fewer when they are longer than `limit` bytes in all.

    One line longer than that is answered by its first `limit` bytes: then the page's `next` lies before `before`.
    """
    with _reading(path) as log:
        end = _size(log)
        before = min(max(0, before), end)
        if log is None or before == 0:
            return Page(0, 1, b"", end)
        line = _newlines(path, log, before - 1) + 1  # of the last byte before
        start = _start_of(path, log, max(1, line - count + 1))
        if before - start > limit:
            start = _first_line_within(path, log, before, limit, line)
        data = os.pread(log, min(limit, before - start), start)
        return Page(start, _newlines(path, log, start) + 1, data, end)


def _first_line_within(path: Path, log: int, before: int, limit: int, line: int) -> int:
    """Where the first line begins that lies wholly in the `limit` bytes before; else the start of the last, `line`."""
    # A line begins after a newline; the one right before `before` ends the last line.
    newline = os.pread(log, limit, before - limit - 1).find(b"\n")
    return before - limit + newline if newline >= 0 else _start_of(path, log, line)


def _whole_lines(data: bytes, count: int, at_end: bool) -> int:
    """The length of the first `count` lines of data, all of it when not even one ends in it."""
    if data.count(b"\n") >= count:
        return _after_newlines(data, count)
    return len(data) if at_end else data.rfind(b"\n") + 1 or len(data)


def _after_newlines(data: bytes, count: int) -> int:
    """The position after the newline number `count` of data."""
    return len(data) - len(data.split(b"\n", count)[-1])


# The line index


def _index_path(path: Path) -> Path:
    return path.with_suffix(".lines")


def _newlines(path: Path, log: int, offset: int) -> int:
    """The number of newlines before a byte."""
    with _index(path, log) as records:
        known = min(offset // BLOCK, len(records))
        count = records[known - 1] if known else 0
    return count + sum(data.count(b"\n") for data in _walk(log, known * BLOCK, offset))


def _start_of(path: Path, log: int, line: int) -> int:
    """The byte at which a line begins, or the log's end."""
    if line <= 1:
        return 0
    with _index(path, log) as records:
        block = bisect_left(records, line - 1)
        missing = line - 1 - (records[block - 1] if block else 0)
        indexed = block < len(records)
    position, end = block * BLOCK, _size(log)
    for data in _walk(log, position, position + BLOCK if indexed else end):
        held = data.count(b"\n")
        if held >= missing:
            return position + _after_newlines(data, missing)
        missing -= held
        position += len(data)
    return end


def _walk(log: int, start: int, end: int) -> Iterator[bytes]:
    """The bytes from start to end, in steps."""
    while start < end:
        data = os.pread(log, min(STEP, end - start), start)
        if not data:
            return
        yield data
        start += len(data)


class _Records:
    """The index as a sequence of counts."""

    def __init__(self, index: int | None, count: int) -> None:
        self._index, self._count = index, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> int:
        if self._index is None or not 0 <= number < self._count:
            raise IndexError(number)
        return int(RECORD.unpack(os.pread(self._index, RECORD.size, number * RECORD.size))[0])


@contextlib.contextmanager
def _index(path: Path, log: int) -> Iterator[_Records]:
    """The records for all whole blocks of the log; fewer where they could not be written (a full disk)."""
    blocks = _size(log) // BLOCK
    if blocks and size(_index_path(path)) // RECORD.size < blocks:
        with contextlib.suppress(OSError), _locked(path) as writable:
            _extend_index(path, writable, _size(writable), trusted=_size(writable))
    try:
        index = os.open(_index_path(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield _Records(None, 0)
        return
    try:
        yield _Records(index, min(blocks, os.fstat(index).st_size // RECORD.size))
    finally:
        os.close(index)


def _extend_index(path: Path, log: int, end: int, trusted: int) -> None:
    """Adds the records that are missing up to byte `end`, under the lock; a full disk leaves it short, for later.

    Records for bytes beyond `trusted`, and half records, were left by a crash of the host and are written anew.
    """
    index = os.open(_index_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        have = min(os.fstat(index).st_size // RECORD.size, trusted // BLOCK)
        os.ftruncate(index, have * RECORD.size)
        count = RECORD.unpack(os.pread(index, RECORD.size, (have - 1) * RECORD.size))[0] if have else 0
        records = bytearray()
        for block in range(have, end // BLOCK):
            count += os.pread(log, BLOCK, block * BLOCK).count(b"\n")
            records += RECORD.pack(count)
        with contextlib.suppress(OSError):
            os.pwrite(index, records, have * RECORD.size)
    finally:
        os.close(index)


# The whole log


def search(
    path: Path,
    query: bytes,
    start: int = 0,
    limit: int = 1000,
    seconds: float = 0.25,
    cancelled: Callable[[], bool] = lambda: False,
) -> Found:
    """Lines from byte `start` on that hold the query (no newline in it), at most `limit`, in at most about `seconds`.

    ASCII letters match whatever their case, unless the query has a capital. A line counts once.
    """
    found = Found(next=start, done=True)
    deadline = time.monotonic() + seconds
    with _reading(path) as log:
        if log is None or not query:
            return found
        scan = _Scan(path, log, query, start)
        while scan.position < _size(log):
            if len(found.matches) >= limit or time.monotonic() > deadline or cancelled():
                found.done = False
                break
            scan.step(found.matches, limit)
        found.next = scan.position
    return found


class _Scan:
    """A walk through a log that collects matching lines, in steps of whole lines where lines are short enough."""

    def __init__(self, path: Path, log: int, query: bytes, start: int) -> None:
        self.log, self.position = log, start
        self.exact = query != query.lower()
        self.query = query if self.exact else query.lower()
        self.line = _newlines(path, log, min(start, _size(log))) + 1
        self._matched = 0  # the last line that matched

    def step(self, matches: list[Match], limit: int) -> None:
        """Looks at the next bytes and moves on."""
        data, used = self._next()
        shown = data if self.exact else data.lower()
        counted, hit = 0, shown.find(self.query)
        while hit >= 0:
            self.line += data.count(b"\n", counted, hit)
            if self.line != self._matched:
                matches.append(Match(self.line, self.position + hit))
                self._matched = self.line
            counted = hit
            newline = data.find(b"\n", hit)
            if len(matches) >= limit and newline >= 0:
                used = newline + 1
                break
            hit = shown.find(self.query, newline) if newline >= 0 else -1
        self.line += data.count(b"\n", counted, used)
        self.position += used

    def _next(self) -> tuple[bytes, int]:
        """The bytes to look at, and how many need no second look: whole lines, or all but what may begin a match."""
        size = STEP + len(self.query)
        data = os.pread(self.log, size, self.position)
        if len(data) < size:
            return data, len(data)
        whole = data.rfind(b"\n") + 1
        return (data[:whole], whole) if whole else (data, size - len(self.query) + 1)


def checksum(path: Path) -> Checksum:
    """Reads the whole log and puts it on the disk for good; for a thread (1 GB takes about a second)."""
    digest, newlines, end, last = hashlib.sha256(), 0, 0, b"\n"
    with _reading(path) as log:
        for data in _walk(log, 0, _size(log)) if log is not None else ():
            digest.update(data)
            newlines += data.count(b"\n")
            end, last = end + len(data), data[-1:]
        if log is not None:
            os.fsync(log)
            if newlines != _newlines(path, log, end):  # the host crashed and took back a part of the index
                _index_path(path).unlink(missing_ok=True)
    return Checksum(size=end, sha256=digest.hexdigest(), lines=newlines + (last != b"\n"))
