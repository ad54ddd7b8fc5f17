"""Checksums of files here, several at once; of files that did not change since, from memory."""

import errno
import hashlib
import os
import stat
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from mlteam_sdk.errors import MLTeamError
from mlteam_sdk.folders import Source, State, state_of, uncollected
from mlteam_sdk.manifests import line_of
from mlteam_sdk.progress import Meter

PIECE: Final = 1 << 20
TRIES: Final = 3
BATCH: Final = 8 << 20  # bytes, and files, that one thread takes at a time
BATCH_FILES: Final = 200
SHARE: Final = 100  # of the files
WORTH_WAITING: Final = 0.0005  # seconds for a file
KEPT_DAYS: Final = 90
TICK: Final = 100_000_000  # ns; a file can change once more without getting another time
COARSE_TICK: Final = 2_000_000_000  # where times are whole seconds
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


_ANOTHER: Final = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}  # there was a file when the folder was read


class Changed(MLTeamError):
    """A file changed while it was read."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} changes while it is read. Try again when nothing writes to it.")
        self.path = path


def _unreadable(place: Path | str, error: OSError) -> MLTeamError:
    return MLTeamError(f"{place} cannot be read ({error.strerror}).")


@contextmanager
def opened(place: Path | str) -> Iterator[tuple[int, os.stat_result]]:
    """A file, never a link or a pipe that took its place, and what it is like. Raises Changed, MLTeamError."""
    try:
        handle = os.open(place, _FLAGS)
    except OSError as error:
        if error.errno in _ANOTHER:
            raise Changed(str(place)) from None
        raise _unreadable(place, error) from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise Changed(str(place))
        yield handle, found
    finally:
        os.close(handle)


def read_exactly(place: Path | str, state: State, offset: int, size: int) -> bytes:
    """These bytes of a file that is in this state. Raises Changed when it is in another."""
    with opened(place) as (handle, found):
        if state_of(found) != state:
            raise Changed(str(place))
        content = _read(place, handle, offset, size)
        if len(content) != size or state_of(os.fstat(handle)) != state:
            raise Changed(str(place))
        return content


def _read(place: Path | str, handle: int, offset: int, size: int) -> bytes:
    if offset:
        os.lseek(handle, offset, os.SEEK_SET)
    content = _some(place, handle, size)
    if len(content) == size or not content:
        return content
    parts = [content]  # a system hands out at most 2 GiB at once, and some file systems less
    left = size - len(content)
    while left and (more := _some(place, handle, left)):
        parts.append(more)
        left -= len(more)
    return b"".join(parts)


def _some(place: Path | str, handle: int, size: int) -> bytes:
    try:
        return os.read(handle, size)
    except OSError as error:
        raise _unreadable(place, error) from None


Row = tuple[State, str]  # the state that a file was in, and its line in a manifest then


class Stopped(Exception):
    """Nobody waits for the result any more."""


def checksum(place: Path | str, stop: threading.Event, count: Callable[[int], None]) -> tuple[State, str]:
    """SHA-256 of a file and the state in which it has it. Raises Changed when it does not hold still."""
    for _ in range(TRIES):
        with opened(place) as (handle, found):
            before, digest, size = state_of(found), hashlib.sha256(), 0
            while size < found.st_size and (piece := _some(place, handle, PIECE)):
                digest.update(piece)
                size += len(piece)
                count(len(piece))
                if stop.is_set():
                    raise Stopped
            if size == found.st_size and state_of(os.fstat(handle)) == before:
                return before, digest.hexdigest()
            count(-size)
    raise Changed(str(place))


def checksums(
    root: Path, files: Mapping[str, State], meter: Meter, memory: "Memory", stop: threading.Event
) -> dict[str, Row]:
    """The files, in the same order, each with the state in which it had its checksum, and its line in a manifest. Raises Changed,
    MLTeamError; ends soon after `stop` is set."""
    with uncollected():
        known = memory.load()
        unknown = [Source(path, state) for path, state in files.items() if known.get(path, _NO_ROW)[0] != state]
    meter.add(files=len(files) - len(unknown), size=meter.all_bytes - sum(source.size for source in unknown))

    above = f"{os.fspath(root)}{os.sep}"

    def one_batch(batch: list[Source]) -> list[tuple[Source, str, int]]:
        done: list[tuple[Source, str, int]] = []
        now = time.time_ns()
        told = batch[0].size > PIECE  # while it is read; small files after all of the batch
        for source in batch:
            state, digest = checksum(above + source.path, stop, partial(_count, meter) if told else _count_not)
            done.append((Source(source.path, state), digest, now))
        meter.add(files=len(batch), size=0 if told else sum(source.size for source in batch))
        return done

    large = [[source] for source in unknown if source.size > PIECE]
    small = (source for source in unknown if source.size <= PIECE)
    batches = list(grouped(small, lambda one: one.size, BATCH, BATCH_FILES))
    fresh = [*_in_threads(one_batch, large, stop), *_as_the_disk_is(one_batch, batches, stop)]
    read = {one.path: (one.state, line_of(one.path, digest, one.size, one.mode)) for one, digest, _ in fresh}
    if _is_worth_keeping(fresh, len(files)):
        settled = [one.path for one, _, now in fresh if _is_settled(one.state, now)]
        memory.save(known | {path: read[path] for path in settled})
    known |= read
    return {path: known[path] for path in files}


def _is_worth_keeping(fresh: list[tuple[Source, str, int]], files: int) -> bool:
    """Whether it takes longer to read these files once more than to write down all checksums anew."""
    return len(fresh) * SHARE > files or sum(source.size for source, _, _ in fresh) > BATCH


def _count(meter: Meter, size: int) -> None:
    meter.add(size=size)


def _count_not(size: int) -> None:
    pass


Item = TypeVar("Item")
Result = TypeVar("Result")


def _in_threads(
    work: Callable[[list[Source]], list[Result]], batches: Sequence[list[Source]], stop: threading.Event
) -> list[Result]:
    if len(batches) <= 1:
        return [one for batch in batches for one in work(batch)]
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as threads:
        try:
            return [one for done in threads.map(work, batches) for one in done]
        except BaseException:
            stop.set()
            threads.shutdown(cancel_futures=True)
            raise


def _as_the_disk_is(
    work: Callable[[list[Source]], list[Result]], batches: Sequence[list[Source]], stop: threading.Event
) -> list[Result]:
    """Small files: by one thread, for several only hinder each other, unless it mostly waits for the disk."""
    done: list[Result] = []
    for number, batch in enumerate(batches):
        begun, busy = time.perf_counter(), time.thread_time()
        done += work(batch)
        waited = time.perf_counter() - begun - (time.thread_time() - busy)
        if waited > WORTH_WAITING * len(batch):
            return done + _in_threads(work, batches[number + 1 :], stop)
    return done


def grouped(
    items: Iterable[Item], size: Callable[[Item], int], most_bytes: int, most_items: int
) -> Iterator[list[Item]]:
    """The items in groups, none of more bytes or items than that, unless one alone has more."""
    group: list[Item] = []
    filled = 0
    for item in items:
        if group and (len(group) == most_items or filled + size(item) > most_bytes):
            yield group
            group, filled = [], 0
        group.append(item)
        filled += size(item)
    if group:
        yield group


def _is_settled(state: State, read_at: int) -> bool:
    """Whether a change after it was read would have given it another time."""
    _, _, mtime, ctime, _ = state
    tick = TICK if mtime % 1_000_000_000 else COARSE_TICK
    return max(mtime, ctime) < read_at - tick


_STATE: Final = struct.Struct(">IQqqQ")
_NO_ROW: Final[Row] = (0, 0, 0, 0, 0), ""


class Memory:
    """The checksums of the files of one folder, kept in the cache directory of whoever runs this.

    They are trusted as long as mode, size, times and inode are the same. It is only a help: what cannot be read or kept is not there.
    The file has the checksum of all that follows, how many files there are, the state of each, their paths, and their lines in a
    manifest, as these have what the next push says of them.
    """

    def __init__(self, root: Path, directory: Path | None = None) -> None:
        name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:32]
        self.path = (directory or cache_directory()) / "checksums" / f"{name}"

    def load(self) -> dict[str, Row]:
        """Path -> what is known of the file there."""
        try:
            content = memoryview(self.path.read_bytes())
            if hashlib.sha256(content[32:]).digest() != content[:32]:
                return {}
            number = int.from_bytes(content[32:40], "big")
            end = 40 + number * _STATE.size
            texts = str(content[end:], "utf-8").split("\n")
            states: Iterator[Any] = _STATE.iter_unpack(content[40:end])
            return dict(zip(texts[:number], zip(states, texts[number:], strict=True), strict=True))
        except (OSError, ValueError, struct.error):
            return {}

    def save(self, rows: dict[str, Row]) -> None:
        """Keeps these and no others."""
        with suppress(struct.error):  # a system with larger numbers than others
            states = b"".join([_STATE.pack(*state) for state, _ in rows.values()])
            texts = "\n".join([*rows, *(line for _, line in rows.values())])
            content = len(rows).to_bytes(8, "big") + states + texts.encode()
            keep(self.path, hashlib.sha256(content).digest() + content)

    def forget(self) -> None:
        """Trusts none of them any more."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def cache_directory() -> Path:
    """Where programs of this person keep what they can make again."""
    if said := os.environ.get("XDG_CACHE_HOME"):
        return Path(said) / "mlteam"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "mlteam"
    if os.name == "nt" and (said := os.environ.get("LOCALAPPDATA")):
        return Path(said) / "mlteam" / "cache"
    return Path.home() / ".cache" / "mlteam"


def keep(path: Path, content: bytes) -> None:
    """Puts something into the cache directory, and forgets what lies beside it and nobody kept anew for a long time."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
        long_ago = time.time() - KEPT_DAYS * 86400
        for other in path.parent.iterdir():
            if other.stat().st_mtime < long_ago:
                other.unlink()
