"""The only way in which the server enters directory trees that a job can write.

A job may swap a directory for a link, or a file for a FIFO, between any two steps of ours. So every component is opened
relative to its parent's descriptor with O_NOFOLLOW, files with O_NONBLOCK, and only regular files are handed out; links are listed,
never followed.
"""

import heapq
import os
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from itertools import islice
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMES = 100_000  # of one directory that are read at most: a job can make millions
SHOWN = 200  # characters of a path in a sentence
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotThere(Exception):
    """There is no such regular file in the tree, or none that can be read; where that is known, the sentence says which and why."""


class TooMuch(Exception):
    """There is more in the tree than is read of one; the sentence says what."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a tree: `kind` is "file", "link" or "other" (FIFO, socket, device), and where directories are told too "directory".
    `mode` as stat has it; `modified_ns`: nanoseconds since 1970. `walk` calls anything "other" whose name is no UTF-8."""

    path: str
    kind: str
    size: int
    modified_ns: int
    mode: int = 0

    @property
    def modified(self) -> float:
        """Seconds since 1970."""
        return self.modified_ns / 1e9


def parts_of(path: str) -> tuple[str, ...]:
    """The components of a relative path. Raises NotThere for what could lead out of the tree."""
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if "\0" in path or path.startswith("/") or ".." in parts or not parts:
        raise NotThere(path)
    return parts


@contextmanager
def opened(root: Path, path: str) -> Iterator[BufferedReader]:
    """The regular file at a relative path, for reading. Raises NotThere for anything else."""
    with Folders(root) as folders, folders.opened(path) as stream:
        yield stream


class Folders:
    """The folders of a tree, for whoever goes through many paths in their order: a folder is entered once for all that follow in it.

    What a job does to a folder meanwhile it does to the one that was entered, wherever that is then: still within the tree.
    """

    def __init__(self, root: Path, enter: Callable[[Path, Sequence[str]], int] | None = None) -> None:
        self._root, self._enter = root, enter or _enter
        self._parents: Sequence[str] | None = None
        self._here: int | None = None

    def __enter__(self) -> "Folders":
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """The next path is entered anew, whichever it is."""
        if self._here is not None:
            os.close(self._here)
        self._parents = self._here = None

    def above(self, path: str) -> tuple[int, str]:
        """A descriptor of the folder of a path, which lasts until the next, and the name in it. Raises NotThere."""
        *parents, name = parts_of(path)
        if parents != self._parents:
            self.leave()
            with suppress(NotThere):  # for all that follow, too
                self._here = self._enter(self._root, parents)
            self._parents = parents
        if self._here is None:
            raise NotThere(path)
        return self._here, name

    @contextmanager
    def opened(self, path: str) -> Iterator[BufferedReader]:
        """The regular file at a relative path, for reading. Raises NotThere for anything else."""
        directory, name = self.above(path)
        with _opened(directory, name, path) as stream:
            yield stream


@contextmanager
def _opened(directory: int, name: str, path: str) -> Iterator[BufferedReader]:
    try:
        file = os.open(name, _FILE, dir_fd=directory)
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError:
        raise NotThere(path) from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise NotThere(path)
    with os.fdopen(file, "rb") as stream:
        yield stream


def _enter(root: Path, parents: Sequence[str]) -> int:
    """A descriptor of the directory below root. The root itself is ours and may be reached through links."""
    try:
        here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        raise NotThere(str(root)) from None
    for name in parents:
        try:
            below = os.open(name, _DIRECTORY, dir_fd=here)
        except (OSError, ValueError):
            raise NotThere("/".join(parents)) from None
        finally:
            os.close(here)
        here = below
    return here


def walk(root: Path, *, limit: int = 10_000, depth: int = 64, whole: bool = False) -> Iterator[Entry]:
    """All files, links and other things below root, sorted within each directory; to a bounded depth, and no more after
    `limit` of them, directories counted. `whole`: rather than leave something out raises TooMuch, where that is by these bounds, and
    NotThere for what cannot be read."""
    try:
        top = _enter(root, [])
    except NotThere:
        if whole and root.exists():
            raise NotThere("The folder with all of it cannot be read.") from None
        return
    try:
        yield from _walk(top, "", _Bounds(limit, whole), depth)
    finally:
        os.close(top)


@dataclass(slots=True)
class _Bounds:
    """How many things may still be told, and whether it is wrong to leave some out."""

    left: int
    whole: bool

    def leave_out(self, what: str) -> None:
        """Raises TooMuch."""
        if self.whole:
            raise TooMuch(what)

    def cannot(self, path: str, error: OSError) -> None:
        """Raises NotThere."""
        if self.whole:
            raise _unreadable(path, error) from None


def _unreadable(path: str, error: OSError) -> NotThere:
    shown = os.fsencode(path).decode(errors="replace")
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
    return NotThere(f"{shown} cannot be read: {error.strerror or error}.")


def _walk(directory: int, prefix: str, bounds: _Bounds, depth: int) -> Iterator[Entry]:
    for name in _names(directory, bounds):
        if bounds.left <= 0:
            return bounds.leave_out("There are too many files.")
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError as error:
            bounds.cannot(f"{prefix}{name}", error)
            continue
        bounds.left -= 1
        shown = os.fsencode(name).decode(errors="replace")
        if shown != name:  # no address and no archive can name it
            yield Entry(f"{prefix}{shown}", "other", found.st_size, found.st_mtime_ns)
        elif not stat.S_ISDIR(found.st_mode):
            yield Entry(f"{prefix}{name}", _kind(found.st_mode), found.st_size, found.st_mtime_ns)
        elif depth:
            yield from _below(directory, name, f"{prefix}{name}/", bounds, depth - 1)
        else:
            bounds.leave_out(f"Folders lie too deep in each other: {prefix[:80]}…")
    return None


def _names(directory: int, bounds: _Bounds) -> list[str]:
    with os.scandir(directory) as entries:
        names = [entry.name for entry in islice(entries, _NAMES + 1)]
    if len(names) > _NAMES:
        bounds.leave_out(f"One folder has more than {_NAMES:,} files.")
    return sorted(names[:_NAMES])


def _below(directory: int, name: str, prefix: str, bounds: _Bounds, depth: int) -> Iterator[Entry]:
    try:
        below = os.open(name, _DIRECTORY, dir_fd=directory)
    except OSError as error:  # swapped for something else, or not ours to read
        return bounds.cannot(prefix, error)
    try:
        yield from _walk(below, prefix, bounds, depth)
    finally:
        os.close(below)
    return None


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    return "link" if stat.S_ISLNK(mode) else "other"


# The same for trees that can be large; names that are no UTF-8 are here as `os.fsdecode` has them


def children(root: Path, path: str, *, after: bytes = b"", limit: int) -> tuple[list[Entry], bytes | None]:
    """What lies in a directory, "" is the root: so many at most, in the order of their names' bytes, after the one with that name. With
    the name after which there are more. Raises NotThere."""
    with entered(root, path) as directory:
        with os.scandir(directory) as entries:
            names = (os.fsencode(entry.name) for entry in entries)
            found = heapq.nsmallest(limit + 1, (name for name in names if name > after))
        shown = [entry for name in found[:limit] if (entry := _entry(directory, os.fsdecode(name), ""))]
    return shown, found[limit - 1] if len(found) > limit else None


@contextmanager
def entered(root: Path, path: str) -> Iterator[int]:
    """A descriptor of a directory, "" is the root. Raises NotThere."""
    directory = _enter(root, list(parts_of(path)) if path else [])
    try:
        yield directory
    finally:
        os.close(directory)


def everything(root: Path, path: str = "", *, depth: int = 64) -> Iterator[Entry]:
    """All below a directory, directories too, as the disk has them: in no order, however many there are. Raises NotThere."""
    with entered(root, path) as directory:
        yield from _everything(directory, "", depth)


def _everything(directory: int, prefix: str, depth: int) -> Iterator[Entry]:
    with os.scandir(directory) as entries:
        for one in entries:
            entry = _entry(directory, one.name, prefix)
            if entry is None:
                continue
            yield entry
            if entry.kind == "directory" and depth:
                try:
                    below = os.open(one.name, _DIRECTORY, dir_fd=directory)
                except OSError:  # swapped for something else, or not ours to read
                    continue
                try:
                    yield from _everything(below, f"{entry.path}/", depth - 1)
                finally:
                    os.close(below)


def _entry(directory: int, name: str, prefix: str) -> Entry | None:
    """What has this name now; None where nothing has."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return None
    kind = "directory" if stat.S_ISDIR(found.st_mode) else _kind(found.st_mode)
    return Entry(f"{prefix}{name}", kind, found.st_size, found.st_mtime_ns, found.st_mode)


def hand_over(root: Path, uid: int) -> None:
    """Makes everything below root belong to a job's uid; nothing of the job may be running. Links themselves, never their targets.

    By a program, because a job can nest directories deeper than Python can follow. Raises subprocess.CalledProcessError.
    """
    os.chown(root, uid, uid, follow_symlinks=False)
    with os.scandir(root) as entries:
        if next(entries, None) is None:
            return
    subprocess.run(["chown", "-RPh", f"{uid}:{uid}", "--", root], check=True, capture_output=True)


def remove(root: Path) -> None:
    """Removes a tree however deep, following no link; what cannot be removed stays."""
    subprocess.run(["rm", "-rf", "--one-file-system", "--", root], check=False, capture_output=True)
