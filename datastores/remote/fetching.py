"""Fetches all that is at an address into a folder: beside each other, large files in parts, and on where it was killed.

Beside the folder stands `<folder>.arriving` while it is under way: the `listing` of what there is, with the version of each; the `journal`
of what has arrived; `<number>.part` for each file that has arrived in part. A file gets its name when it is whole.
"""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Final

from datastores import blobs, paths, room
from datastores.blobs import Full
from datastores.manifests import FILES
from datastores.remote.beside import Watched, Work, run
from datastores.remote.errors import Changed, Damaged, Refused, TooLarge, Unavailable
from datastores.remote.journals import Journal
from datastores.remote.progress import Progress, check
from datastores.remote.retrying import Tries, again
from datastores.remote.sources import Item, Source
from datastores.remote.sums import POLYNOMIALS, Sum, crc, together
from mlteam import state

PART: Final = 32 * 2**20  # bytes of a part of a large file, of which several come at once
LISTING: Final = 3600.0  # seconds in which it is found out what there is


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a folder has got."""

    files: int
    bytes: int


def look(source: Source, to: Path, progress: Progress, *, most: int | None = None) -> int:
    """How many files there are; `progress` is told of their bytes, too. `fetch` goes by what was found. Raises what that raises."""
    with _alone(source, to, progress, most) as work:
        return work.look()


def was_looked_at(to: Path) -> bool:
    """Whether it is known what is to come into this folder."""
    return _listing(scratch_of(to)).exists()


def _listing(scratch: Path) -> Path:
    return scratch / "listing"


def fetch(source: Source, to: Path, progress: Progress, *, most: int | None = None) -> Fetched:
    """Everything at the address, below the folder `to`, which is made. Asked again after it was killed or stopped, it goes on.

    `most`: bytes that are taken. Raises errors.Trouble (after Unavailable it goes on when it is asked again; after Changed it begins
    anew), errors.Stopped, blobs.Full.
    """
    with _alone(source, to, progress, most) as work:
        fetched = work.run()
        shutil.rmtree(work.scratch)
    return fetched


@contextmanager
def _alone(source: Source, to: Path, progress: Progress, most: int | None) -> "Iterator[_Fetch]":
    scratch = scratch_of(to)
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    with state.alone(scratch / "lock") as alone:
        if not alone:
            raise Unavailable(f"{source.shown} is being fetched already.")
        work = _Fetch(source, to, scratch, progress, most)
        try:
            with full_said(), work.progress.cutting():
                yield work
        except (Changed, Refused, TooLarge):
            forget(to)
            raise


def scratch_of(to: Path) -> Path:
    """Where the parts are of what comes into this folder."""
    return to.with_name(f"{to.name}.arriving")


def forget(to: Path) -> None:
    """Takes away what has arrived in a folder, and all that a fetch into it would go on with."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.rmtree(scratch_of(to), ignore_errors=True)


def full_said() -> AbstractContextManager[None]:
    """Raises Full where the disk takes no more."""
    return blobs.full_said("The server's disk is full.")


class _Fetch:
    def __init__(self, source: Source, to: Path, scratch: Path, progress: Progress, most: int | None) -> None:
        self.source, self.to, self.scratch, self.most = source, to, scratch, most
        self.progress = Watched(progress)
        self.done = bytearray()  # of each number in the listing
        self.parts: dict[int, set[int]] = {}  # of large files that have arrived in part
        self.made: set[Path] = set()
        self.journal: Journal

    def look(self) -> int:
        """How many files there are."""
        files, size, unknown = self._look()
        self.progress.total(files, None if unknown else size)
        if self.most is not None and size > self.most:
            raise TooLarge(f"{self.source.shown} has {room.said(size)}; at most {room.said(self.most)} are taken.")
        return files

    def run(self) -> Fetched:
        files = self.look()
        self.to.mkdir(parents=True, exist_ok=True)
        self.done = bytearray(files)
        self.journal = Journal(self.scratch / "journal")
        try:
            self._recall()
            self._check_room()
            run(self._works(), self.source.at_once, self.progress)
        finally:
            self.journal.close()
        return Fetched(files, sum(item.size or self._place(item).stat().st_size for _, item in self._items()))

    # What there is

    @property
    def listing(self) -> Path:
        return _listing(self.scratch)

    def _look(self) -> tuple[int, int, bool]:
        """Files, bytes, and whether some do not say how many. What was looked up stays so until all is here."""
        if not self.listing.exists():
            forget(self.to)
            self.scratch.mkdir(mode=0o700, parents=True)
            limit = threading.Timer(LISTING, self.progress.cut.end)
            limit.daemon = True
            limit.start()
            try:
                again(self._list, self.progress)
            finally:
                limit.cancel()
        files, size, unknown = 0, 0, False
        for number, item in self._items():
            files, size, unknown = number + 1, size + (item.size or 0), unknown or item.size is None
        return files, size, unknown

    def _list(self) -> None:
        draft = self.scratch / "listing.draft"
        with draft.open("w", encoding="utf-8") as lines:
            for number, item in enumerate(self.source.items()):
                check(self.progress)
                if number >= FILES:
                    raise TooLarge(f"{self.source.shown} has more than {FILES:,} files.")
                self._check_path(item)
                lines.write(json.dumps(asdict(item), separators=(",", ":")) + "\n")
        draft.replace(self.listing)

    def _check_path(self, item: Item) -> None:
        try:
            paths.clean(item.path)
        except paths.BadPath as error:
            raise Refused(f"{self.source.shown} has a file that cannot be kept here: {error}") from None

    def _items(self) -> Iterator[tuple[int, Item]]:
        with self.listing.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                yield number, Item(**json.loads(line))

    # What has arrived before

    def _recall(self) -> None:
        for line in self.journal.lines():
            file, _, part = line.partition(" ")
            if part == "-":
                self.parts.pop(int(file), None)
            elif part:
                self.parts.setdefault(int(file), set()).add(int(part))
            else:
                self.done[int(file)] = 1
        for number, item in self._items():
            if self.done[number]:
                self._recall_one(number, item)

    def _recall_one(self, number: int, item: Item) -> None:
        size = _size_of(self._place(item))
        self.done[number] = size is not None and item.size in (None, size)  # the power may have failed meanwhile
        if self.done[number]:
            self.progress.add(size or 0)
            self.progress.file_done()

    def _check_room(self) -> None:
        wanted = sum(item.size or 0 for number, item in self._items() if not self.done[number])
        here = sum(found.stat().st_blocks * 512 for found in self.scratch.glob("*.part"))
        free = shutil.disk_usage(self.scratch).free
        if wanted - here + room.LEFT > free:
            left = room.said(max(free - room.LEFT, 0))
            raise Full(f"The server's disk has {left} left; {self.source.shown} needs {room.said(wanted - here)}.")

    # What arrives

    def _works(self) -> Iterator[Work]:
        for number, item in self._items():
            if self.done[number]:
                continue
            if item.parts and item.size and item.size > 2 * PART:
                large = _Large(self, number, again(partial(self.source.looked_up, item), self.progress))
                yield from large.works()
            else:
                yield partial(self._whole, number, item)

    def _whole(self, number: int, item: Item) -> None:
        """One file in one piece."""
        part = self.part_of(number)
        for last in (False, True):
            if self._arrived(item, part):
                return self.keep(number, item, part)
            self.drop(part)
            if last:
                raise Unavailable(f"What {self.source.shown} gave is not what it keeps: {paths.shown(item.path)}.")
        return None

    def _arrived(self, item: Item, part: Path) -> bool:
        """Whether all of it is here, and right."""
        if not item.version:
            part.unlink(missing_ok=True)
        tries = Tries(self.progress)
        with part.open("ab", buffering=0) as file:
            arriving = _Arriving(self, item, part, file)
            while True:
                try:
                    arriving.go_on(tries)
                    tries.well()
                    return arriving.is_right()
                except Damaged:
                    return False
                except Unavailable as error:
                    tries.wait(error)
                    if not item.version:
                        arriving.begin_anew()  # nobody knows whether it is still the same

    def check_most(self, size: int) -> None:
        if self.most is not None and size > self.most:
            raise TooLarge(f"{self.source.shown} has more than {room.said(self.most)}, which is what is taken at most.")

    def drop(self, part: Path) -> None:
        """It has to come once more."""
        self.progress.add(-(_size_of(part) or 0))
        part.unlink(missing_ok=True)

    def part_of(self, number: int) -> Path:
        return self.scratch / f"{number}.part"

    def _place(self, item: Item) -> Path:
        return self.to / item.path

    def keep(self, number: int, item: Item, part: Path) -> None:
        """Gives it its name."""
        place = self._place(item)
        try:
            if place.parent not in self.made:
                place.parent.mkdir(parents=True, exist_ok=True)
                self.made.add(place.parent)
            part.chmod(0o644)
            part.replace(place)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            said = f"“{paths.shown(item.path)}” is a file, and a folder of another file"
            raise Refused(f"{self.source.shown} cannot be kept here: {said}.") from None
        self.journal.note(f"{number}")
        self.progress.file_done()


class _Arriving:
    """A file that comes from its beginning to its end, behind what is here of it."""

    def __init__(self, fetch: _Fetch, item: Item, part: Path, file: FileIO) -> None:
        self.fetch, self.item, self.part, self.file, self.at = fetch, item, part, file, file.tell()
        self.sum, self.at_once = Sum(item), True
        fetch.progress.add(self.at)

    def go_on(self, tries: Tries) -> None:
        """Asks for the rest. Raises Unavailable where it breaks off."""
        size, source = self.item.size, self.fetch.source
        self.at_once = self.at_once and not self.at
        if size and self.at == size:
            return
        for piece in source.read(self.item, self.at):
            check(self.fetch.progress)
            write(self.file, piece)
            self.sum.update(piece)
            self.at += len(piece)
            self.fetch.progress.add(len(piece))
            self.fetch.check_most(self.at)
            if self.item.version:
                tries.well()
        check(self.fetch.progress)  # a connection that was cut off ends as one that was read to its end
        if size is not None and self.at < size:
            raise Unavailable(f"{source.shown} broke off. Try again later.")

    def begin_anew(self) -> None:
        self.file.truncate(0)
        self.fetch.progress.add(-self.at)
        self.at, self.sum, self.at_once = 0, Sum(self.item), True

    def is_right(self) -> bool:
        if not self.at_once:  # what came of it by itself nobody has compared yet
            self.sum = Sum(self.fetch.source.looked_up(self.item))
            self.sum.read(self.part)
        return self.item.size in (None, self.at) and not self.sum.differs()


class _Large:
    """A file that comes in parts. Each part is written down when it is here."""

    def __init__(self, fetch: _Fetch, number: int, item: Item) -> None:
        self.fetch, self.number, self.item = fetch, number, item
        self.file = fetch.part_of(number)
        self.size: int = item.size or 0
        self.sums: dict[int, int] = {}  # part -> its CRC, where it came in this process
        self.count = -(-self.size // PART)
        self.here = fetch.parts.get(number, set()) if _size_of(self.file) == self.size else set()
        self.sum_name = Sum(item).name
        self._lock = threading.Lock()

    def works(self) -> Iterator[Work]:
        if not self.here:
            with self.file.open("wb") as file:
                file.truncate(self.size)
        for part in self.here:
            self.fetch.progress.add(self._end(part) - part * PART)
        missing = [part for part in range(self.count) if part not in self.here]
        if not missing:
            yield self._finish
        for part in missing:
            yield partial(self._part, part)

    def _end(self, part: int) -> int:
        return min((part + 1) * PART, self.size)

    def _part(self, part: int) -> None:
        fetch, at, end, tries = self.fetch, part * PART, self._end(part), Tries(self.fetch.progress)
        summed = crc(self.sum_name) if self.sum_name in POLYNOMIALS else None
        found = 0
        with self.file.open("r+b", buffering=0) as file:
            file.seek(at)
            while at < end:
                try:
                    for piece in fetch.source.read(self.item, at, end):
                        check(fetch.progress)
                        write(file, piece)
                        found = summed(piece, found) if summed else 0
                        at += len(piece)
                        fetch.progress.add(len(piece))
                        tries.well()
                except Unavailable as error:
                    tries.wait(error)
        tries.well()
        fetch.journal.note(f"{self.number} {part}")
        with self._lock:
            self.sums[part] = found
            self.here.add(part)
            last = len(self.here) == self.count
        if last:
            self._finish()

    def _finish(self) -> None:
        if self._differs():
            self.fetch.journal.note(f"{self.number} -")
            self.fetch.drop(self.file)
            return self.fetch._whole(self.number, self.item)
        return self.fetch.keep(self.number, self.item, self.file)

    def _differs(self) -> bool:
        if self.sum_name in POLYNOMIALS and len(self.sums) == self.count:
            parts = [(self.sums[part], self._end(part) - part * PART) for part in range(self.count)]
            return together(self.sum_name, parts) != self.item.sums[self.sum_name]
        found = Sum(self.item)
        found.read(self.file)
        return found.differs()


def write(file: FileIO, piece: bytes) -> None:
    """All of it: a disk that fills up takes less at first."""
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]


def _size_of(path: Path) -> int | None:
    with suppress(OSError):
        return path.stat().st_size
    return None
