"""Putting the files of a version into a directory here: never outside of it, never under their name before they are whole.

What a pull that was interrupted has of a large file stays, under its checksum and with a record of how far each range of it had come,
in a directory of its own; the next pull into the same directory goes on there. The checksum of all of it is compared in any case. A
large file of a volume, of which no checksum is known, stays with the ETag under which it came.
"""

import hashlib
import os
import re
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from unicodedata import normalize

from mlteam_sdk.errors import Damaged, MLTeamError
from mlteam_sdk.folders import UNFINISHED, State, state_of
from mlteam_sdk.landing import UnsafePath, inside
from mlteam_sdk.manifests import PROGRAM, Entry

if TYPE_CHECKING:
    from typing_extensions import Self

try:
    import fcntl
except ImportError:  # there a pull that was interrupted begins anew
    fcntl = None  # type: ignore[assignment]

ROOM: Final = 16 << 20  # bytes that are to stay free on a disk
KEPT: Final = f"{UNFINISHED}parts"  # the directory with which the next pull goes on
LARGE: Final = re.compile(r"[0-9a-f]{64}(\.ranges)?")  # the names there of a part of a large file, and of its record
NOTED: Final = 8 << 20  # bytes of a range after which it is noted how far it is


class Target:
    """A directory that receives files. Within a `with`, what is not whole yet lies in a directory of its own in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.over = False
        self.made: set[str] = {""}
        self._lock = threading.Lock()

    def __enter__(self) -> "Self":
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._claim = _claimed(self.root / KEPT)
            self.parts = self.root / KEPT
            if self._claim is None:  # another pull into the same directory has it now
                self.parts = Path(tempfile.mkdtemp(dir=self.root, prefix=UNFINISHED))
            self._tidy()
        except OSError as error:
            raise self.failed(self.root, error) from None
        self.real, self._count = self.root.resolve(), 0
        mask = os.umask(0o077)
        os.umask(mask)
        self.mask = mask
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over = True
        if error is None or self._claim is None:
            shutil.rmtree(self.parts, ignore_errors=True)
        else:
            self._tidy()
            with suppress(OSError):  # something is kept
                self.parts.rmdir()
        if self._claim is not None:
            os.close(self._claim)

    def _tidy(self) -> None:
        """Takes away what no pull goes on with: all but large files of which something is here."""
        for one in list(self.parts.iterdir()):
            ranges = one if one.suffix else one.with_suffix(".ranges")
            mode = one.lstat().st_mode
            if not (LARGE.fullmatch(one.name) and stat.S_ISREG(mode) and ranges.exists()):
                shutil.rmtree(one) if stat.S_ISDIR(mode) else one.unlink()

    @staticmethod
    def failed(place: Path, error: OSError) -> MLTeamError:
        """What to say of a place that cannot be written."""
        return MLTeamError(f"{place} cannot be written ({error.strerror}).")

    # What is to be done

    def there(self, entries: Iterable[Entry]) -> dict[str, State]:
        """Of these, the files that are here with the same size, and their states."""
        found = {}
        inside_too: dict[str, bool] = {}
        for one in entries:
            above = one.path.rpartition("/")[0]
            if above not in inside_too:
                inside_too[above] = (self.root / above).resolve().is_relative_to(self.real)
            with suppress(OSError):
                seen = (self.root / one.path).lstat()
                if inside_too[above] and stat.S_ISREG(seen.st_mode) and seen.st_size == one.size:
                    found[one.path] = state_of(seen)
        return found

    def here_of(self, entry: Entry, range_size: int) -> dict[int, int]:
        """Of a large file that was begun, by where a range begins how far it is here. Never all of it: then nothing would end it."""
        found: dict[int, int] = {}
        with suppress(OSError, ValueError):
            there = (self.parts / entry.sha256).stat().st_size
            for line in (self.parts / f"{entry.sha256}.ranges").read_text("ascii").splitlines():
                begin, at = map(int, line.split())
                if begin % range_size == 0 and begin <= at <= min(begin + range_size, entry.size, there):
                    found[begin] = max(at, found.get(begin, begin))
        if sum(at - begin for begin, at in found.items()) == entry.size:
            found.pop(max(found))
        return found

    def check(self, entries: Sequence[Entry], fetched: int) -> None:
        """Raises MLTeamError when they do not fit here: no room, or two names that are one on this file system."""
        free = shutil.disk_usage(self.parts).free
        if fetched and fetched + ROOM > free:
            raise MLTeamError(f"{self.root} has {free:,} bytes free, and {fetched:,} are to be fetched.")
        seen: dict[str, str] = {}
        for one in entries:
            like = normalize("NFC", one.path.casefold()).casefold()
            if seen.setdefault(like, one.path) != one.path and self._takes_for_one(seen[like], one.path):
                raise MLTeamError(
                    f"“{seen[like]}” and “{one.path}” are one file on this file system. Pull only a part, or elsewhere."
                )

    def _takes_for_one(self, one: str, other: str) -> bool:
        """Whether this file system does not tell these paths apart."""
        probe = self.parts / "probe"
        probe.mkdir()
        try:
            for a, b in zip(one.split("/"), other.split("/"), strict=False):
                (probe / a).touch()
                if a != b and not (probe / b).exists():
                    return False
                (probe / a).unlink()
            return True
        finally:
            shutil.rmtree(probe)

    # Writing

    def part(self) -> Path:
        """A name for something that is not whole yet."""
        with self._lock:
            self._count += 1
            return self.parts / str(self._count)

    def place(self, path: str) -> Path:
        """Where a file goes; the directories above it are there then. Raises UnsafePath when a link leads out."""
        above = path.rpartition("/")[0]
        if above not in self.made:
            self._make(above)
        if os.name == "nt":  # where more than / leads elsewhere
            inside(self.root, path)
        return self.root / path

    def _make(self, directory: str) -> None:
        inside(self.root, f"{directory}/x")
        made = self.root
        for name in directory.split("/"):
            made = made / name
            try:
                made.mkdir(exist_ok=True)
            except FileExistsError:
                raise MLTeamError(f"{made} is a file here and a directory in what is fetched. Move it away.") from None
            except OSError as error:
                raise self.failed(made, error) from None
            if not made.resolve().is_relative_to(self.real):
                raise UnsafePath(f"{made} is a link that leads out of {self.root}. Nothing is written there.")
        self.made.add(directory)

    def write(self, content: Any, entries: Sequence[Entry]) -> None:
        """Puts a content, which has been checked, at each of these paths."""
        for one in entries:
            part = self.part()
            try:
                part.write_bytes(content)
            except OSError as error:
                raise self.failed(self.root / one.path, error) from None
            self.land(part, one)

    def land(self, part: Path, entry: Entry) -> None:
        """Gives a file that is whole its name."""
        place = self.place(entry.path)
        try:
            part.chmod(self._mode(entry))
            part.replace(place)
        except IsADirectoryError:
            raise MLTeamError(f"{place} is a directory here and a file in what is fetched. Move it away.") from None
        except OSError as error:
            raise self.failed(place, error) from None

    def set_modes(self, entries: Iterable[Entry]) -> None:
        """Makes files that are here programs, or not."""
        for one in entries:
            with suppress(OSError):
                place = self.root / one.path
                is_program = bool(place.lstat().st_mode & stat.S_IXUSR)
                if is_program != (one.mode == PROGRAM):
                    place.chmod(self._mode(one))

    def _mode(self, entry: Entry) -> int:
        return (0o777 if entry.mode == PROGRAM else 0o666) & ~self.mask

    def copies(self, whole: Path, entries: Sequence[Entry]) -> list[Path]:
        """As many files of this content as there are paths; the first is the one given."""
        made = [whole]
        for one in entries[1:]:
            made.append(self.part())
            try:
                shutil.copyfile(whole, made[-1])
            except OSError as error:
                raise self.failed(self.root / one.path, error) from None
        return made


def _claimed(directory: Path) -> int | None:
    """A handle by which the directory, which is made, is this process's alone until it is closed; None where it cannot be."""
    if fcntl is None:
        return None
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), directory.lstat()):  # or who had it has taken it away
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


class Growing:
    """A file of a volume that arrives from its beginning on. What is here of it when that ends early stays, with the ETag under which it
    came (`tag`; `at`: its bytes), until the file has another at the server. Raises MLTeamError when the disk takes no more."""

    def __init__(self, target: Target, name: str, path: str) -> None:
        """`name`: tells it from files of other volumes."""
        self.target, self.path = target, path
        self.part = target.parts / hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
        self._tag = self.part.with_suffix(".ranges")
        self._file: BinaryIO | None = None
        self.tag: str | None = None
        self.at = self.came = 0
        with suppress(OSError, ValueError):
            at, tag = self.part.stat().st_size, self._tag.read_text("ascii")
            self.at, self.tag = (at, tag) if at and tag else (0, None)

    def begin(self, offset: int, tag: str | None) -> None:
        """What comes now begins there: at its end, or at 0 where what is here is not that file's. `tag`: its ETag, where that tells two
        states of it apart."""
        self._check_goes_on()
        try:
            if not offset:
                self.drop()
                if tag:
                    self._tag.write_text(tag, "ascii", errors="replace")
            self._file = self.part.open("r+b" if offset else "wb")
            self._file.seek(offset)
        except OSError as error:
            raise self._failed(error) from None
        self.at = offset

    def write(self, piece: bytes) -> None:
        """Adds to it."""
        assert self._file is not None
        self._check_goes_on()
        try:
            self._file.write(piece)
        except OSError as error:
            raise self._failed(error) from None
        self.at, self.came = self.at + len(piece), self.came + len(piece)

    def drop(self) -> None:
        """Nothing goes on with it."""
        self._check_goes_on()
        for left in (self.part, self._tag):
            with suppress(OSError):
                left.unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of it. Raises MLTeamError, for some of it is written only now."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError as error:
                raise self._failed(error) from None

    def _check_goes_on(self) -> None:
        """A thread that did not hear that the pull was stopped touches nothing with which the next one goes on."""
        if self.target.over:
            raise MLTeamError("The pull was stopped.")

    def _failed(self, error: OSError) -> MLTeamError:
        return self.target.failed(self.target.root / self.path, error)


class Pieces:
    """A large file that arrives in ranges, in any order, or of which some are here (`here`: see Target.here_of). Raises MLTeamError when
    the disk takes no more."""

    def __init__(self, target: Target, entries: Sequence[Entry], here: dict[int, int]) -> None:
        self.target, self.entries, self.here = target, entries, here
        self.part = target.parts / entries[0].sha256
        self.left = entries[0].size - sum(at - begin for begin, at in here.items())
        self._ranges = self.part.with_suffix(".ranges")
        self._lock = threading.Lock()
        try:
            if not here:
                for left in (self.part, self._ranges):
                    left.unlink(missing_ok=True)
            self._file = self.part.open("r+b" if here else "x+b", buffering=0)
        except OSError as error:
            raise target.failed(self.part, error) from None

    def note(self, begin: int, at: int) -> None:
        """The range that begins there has come so far. It is only a help: where it cannot be written, more is fetched again."""
        with suppress(OSError), self._lock, self._ranges.open("a") as file:
            file.write(f"{begin} {at}\n")

    def write(self, offset: int, piece: bytes) -> None:
        try:
            with self._lock:
                self._file.seek(offset)
                view = memoryview(piece)
                while view:
                    view = view[self._file.write(view) :]
                self.left -= len(piece)
        except OSError as error:
            raise self.target.failed(self.target.root / self.entries[0].path, error) from None

    def finish(self) -> bool:
        """Gives it its names, when all of it is here and right. Raises Damaged."""
        with self._lock:
            if self.left or self._file.closed:
                return False
            digest, at = hashlib.sha256(), 0
            self._file.seek(0)
            while piece := self._file.read(1 << 20):
                digest.update(piece)
                at += len(piece)
            self._file.close()
        self._ranges.unlink(missing_ok=True)  # what is damaged comes anew
        first = self.entries[0]
        if (at, digest.hexdigest()) != (first.size, first.sha256):
            raise Damaged(f"{first.path} arrived damaged. Try again; if it stays so, tell who runs the server.")
        for part, entry in zip(self.target.copies(self.part, self.entries), self.entries, strict=True):
            self.target.land(part, entry)
        return True

    def close(self) -> None:
        """Lets go of it."""
        self._file.close()
