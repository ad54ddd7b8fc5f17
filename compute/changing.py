"""The only way in which the server changes directory trees that jobs write at the same time.

As in compute.trees, every component is opened relative to its parent's descriptor and no link is followed. Nothing is written where
a job can see it: a file is made whole elsewhere on the same disk and moved to its place in one step, and what is to go is moved out in
one step before it is deleted.
"""

import errno
import os
import secrets
import stat
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from compute.trees import Folders, NotThere, entered, parts_of

FOLDER, PLAIN, PROGRAM = 0o755, 0o644, 0o755  # modes
MOVED_AT_ONCE: Final = 1000
ROUNDS: Final = 10_000  # in which all of a tree is moved out, though jobs make more
ROUNDS_IN_VAIN: Final = 10  # in which a folder is entered that is taken away again
FOLDER_THERE: Final = "There is a folder called “{}”. Remove it first, or choose another name."

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class InTheWay(Exception):
    """Something of another kind has the name already; the sentence says what to do."""


def make_root(root: Path, owner: int | None) -> None:
    """The tree itself, where it is not there yet; all of it belongs to `owner`, None is whoever the server is."""
    with suppress(FileExistsError):
        root.mkdir(mode=FOLDER)
        root.chmod(FOLDER)
        if owner is not None:
            os.chown(root, owner, owner)


def make_folder(root: Path, path: str, owner: int | None) -> None:
    """A directory with those above it; no error where it is there. Raises InTheWay, NotThere."""
    os.close(_entered(root, parts_of(path), owner))


def _entered(root: Path, parts: Sequence[str], owner: int | None) -> int:
    """A descriptor of a directory, which is made with those above it where it is not there."""
    with entered(root, "") as top:
        here = os.dup(top)
    try:
        for depth, name in enumerate(parts, 1):
            below = _below(here, name, "/".join(parts[:depth]), owner)
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here


def _below(directory: int, name: str, path: str, owner: int | None) -> int:
    for _ in range(ROUNDS_IN_VAIN):
        try:
            return os.open(name, _DIRECTORY, dir_fd=directory)
        except FileNotFoundError:
            _make(directory, name, owner)
        except OSError as error:
            raise _said(error, path) from None
    raise NotThere(path)  # taken away again and again


def _make(directory: int, name: str, owner: int | None) -> None:
    """A new directory. Swapped for another before it is opened, it belongs to the right one anyway."""
    try:
        os.mkdir(name, FOLDER, dir_fd=directory)
        below = os.open(name, _DIRECTORY, dir_fd=directory)
    except FileExistsError:
        return
    except FileNotFoundError:  # the one above it has gone
        raise NotThere(name) from None
    except OSError as error:
        raise _said(error, name) from None
    try:
        if owner is not None:
            os.fchown(below, owner, owner)
            os.fchmod(below, FOLDER)
    finally:
        os.close(below)


def _said(error: OSError, path: str) -> Exception:
    if error.errno in (errno.ENOTDIR, errno.ELOOP):
        return InTheWay(
            f"There is something called “{path}” that is no folder. Remove it first, or choose another name."
        )
    if error.errno == errno.ENAMETOOLONG:
        return InTheWay(f"The name “{path[:80]}” is too long for the server's disk.")
    return error


class Placing:
    """Puts files into a tree; quickest in the order of their paths, for a folder is entered once for all that follow in it."""

    def __init__(self, root: Path, owner: int | None) -> None:
        self._owner = owner
        self._folders = Folders(root, lambda top, parents: _entered(top, parents, owner))

    def __enter__(self) -> "Placing":
        return self

    def __exit__(self, *_: object) -> None:
        self._folders.leave()

    def place(self, path: str, source: Path, mode: int = PLAIN) -> None:
        """Moves a finished file of the same disk, which nobody else can reach, to its place, in the stead of any file or link there.

        Raises InTheWay where a directory is, NotThere where those above it go meanwhile.
        """
        source.chmod(mode)
        if self._owner is not None:
            os.chown(source, self._owner, self._owner)
        for _ in range(ROUNDS_IN_VAIN):
            if self._move(path, source):
                return
            self._folders.leave()
        raise NotThere(path)

    def _move(self, path: str, source: Path) -> bool:
        """Whether the folder was still there."""
        directory, name = self._folders.above(path)
        try:
            os.rename(source, name, dst_dir_fd=directory)
        except IsADirectoryError:
            raise InTheWay(FOLDER_THERE.format(path)) from None
        except FileNotFoundError:
            if not source.exists():
                raise
            return False
        except OSError as error:
            raise _said(error, path) from None
        return True


def replaced(folders: Folders, path: str) -> int:
    """How many bytes of the disk come back when a file is put there: 0 where there is none. Raises InTheWay where a directory is."""
    try:
        directory, name = folders.above(path)
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except (NotThere, OSError):
        return 0
    if stat.S_ISDIR(found.st_mode):
        raise InTheWay(FOLDER_THERE.format(path))
    return found.st_blocks * 512


def take_away(root: Path, path: str, gone: Path) -> None:
    """Moves a file, a link or a directory with all in it into the directory `gone`, of the same disk. Raises NotThere."""
    *parents, name = parts_of(path)
    with entered(root, "/".join(parents)) as directory:
        if not _move(directory, name, gone):
            raise NotThere(path)


def take_all_away(root: Path, gone: Path) -> None:
    """Moves all that is in a tree; what jobs make meanwhile, too, within reason."""
    with entered(root, "") as directory:
        for _ in range(ROUNDS):
            with os.scandir(directory) as entries:
                names = [entry.name for entry, _ in zip(entries, range(MOVED_AT_ONCE), strict=False)]
            if not names:
                return
            for name in names:
                _move(directory, name, gone)


def _move(directory: int, name: str, gone: Path) -> bool:
    """Whether there was something to move."""
    target = gone / secrets.token_hex(10)
    try:
        os.rename(name, target, src_dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:  # a directory of one's own that one may not write in cannot be moved
        _open_up(directory, name)
        os.rename(name, target, src_dir_fd=directory)
    return True


def _open_up(directory: int, name: str) -> None:
    below = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        Path(f"/proc/self/fd/{below}").chmod(0o700)
    finally:
        os.close(below)


def delete(tree: Path) -> None:
    """Deletes what was taken away, if it is there, however deep, following no link; what cannot be deleted stays."""
    if not os.path.lexists(tree):
        return
    if os.geteuid():
        subprocess.run(["chmod", "-R", "u+rwX", "--", tree], check=False, capture_output=True)
    subprocess.run(["rm", "-rf", "--one-file-system", "--", tree], check=False, capture_output=True)
