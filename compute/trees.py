"""The only way in which the server enters directory trees that a job can write.

A job may swap a directory for a link, or a file for a FIFO, between any two steps of ours. So every component is opened
relative to its parent's descriptor with O_NOFOLLOW, files with O_NONBLOCK, and only regular files are handed out; links are listed,
never followed.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotThere(Exception):
    """There is no such regular file in the tree."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a tree: `kind` is "file", "link" or "other" (FIFO, socket, device)."""

    path: str
    kind: str
    size: int
    modified: float


def parts_of(path: str) -> tuple[str, ...]:
    """The components of a relative path. Raises NotThere for what could lead out of the tree."""
    pure = PurePosixPath(path)
    if "\0" in path or pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise NotThere(path)
    return pure.parts


@contextmanager
def opened(root: Path, path: str) -> Iterator[BinaryIO]:
    """The regular file at a relative path, for reading. Raises NotThere for anything else."""
    *parents, name = parts_of(path)
    directory = _enter(root, parents)
    try:
        file = os.open(name, _FILE, dir_fd=directory)
    except (OSError, ValueError):
        raise NotThere(path) from None
    finally:
        os.close(directory)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise NotThere(path)
    with os.fdopen(file, "rb") as stream:
        yield stream


def _enter(root: Path, parents: list[str]) -> int:
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


def walk(root: Path, *, limit: int = 10_000, depth: int = 64) -> Iterator[Entry]:
    """All files, links and other things below root, sorted within each directory; at most `limit`, to a bounded depth."""
    left = [limit]
    try:
        top = _enter(root, [])
    except NotThere:
        return
    try:
        yield from _walk(top, "", left, depth)
    finally:
        os.close(top)


def _walk(directory: int, prefix: str, left: list[int], depth: int) -> Iterator[Entry]:
    for name in sorted(os.listdir(directory)):
        if left[0] <= 0:
            return
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISDIR(found.st_mode):
            if depth:
                yield from _below(directory, name, f"{prefix}{name}/", left, depth - 1)
            continue
        left[0] -= 1
        yield Entry(f"{prefix}{name}", _kind(found.st_mode), found.st_size, found.st_mtime)


def _below(directory: int, name: str, prefix: str, left: list[int], depth: int) -> Iterator[Entry]:
    try:
        below = os.open(name, _DIRECTORY, dir_fd=directory)
    except OSError:  # swapped for something else, or not ours to read
        return
    try:
        yield from _walk(below, prefix, left, depth)
    finally:
        os.close(below)


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    return "link" if stat.S_ISLNK(mode) else "other"


def hand_over(root: Path, uid: int) -> None:
    """Makes everything below root belong to a job's uid; nothing of the job may be running. Links themselves, never their targets."""
    os.chown(root, uid, uid, follow_symlinks=False)
    for _, directories, files, here in os.fwalk(root, follow_symlinks=False):
        for name in (*directories, *files):
            os.chown(name, uid, uid, dir_fd=here, follow_symlinks=False)


def remove(root: Path) -> None:
    """Removes a tree, following no link."""
    import shutil

    shutil.rmtree(root, ignore_errors=True)  # descriptor-based and safe against swapped links on Linux
