"""Reading a folder here that is to become a version: which files are in it, and what is left out."""

import gc
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mlteam_sdk.errors import MLTeamError
from mlteam_sdk.manifests import PLAIN, PROGRAM, BadPath, clean, is_plain

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE: Final = ".mlteamignore"
UNFINISHED: Final = ".mlteam-pull-"  # begins the name of a directory in which a pull keeps what is not whole yet
KINDS: Final = {
    stat.S_IFLNK: "a link; links are not followed",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
SHOWN: Final = 5  # bad names that are told


State = tuple[int, int, int, int]  # what changes when a file does: its bytes, mtime and ctime in ns, inode


class Source(NamedTuple):
    """A file here: its path with /, 0o644 or 0o755, its bytes, and the state that it is in."""

    path: str
    mode: int
    size: int
    state: State


class LeftOut(NamedTuple):
    """Something that is no file, and why it is left out."""

    path: str
    why: str


@dataclass
class Folder:
    """The files below `root`; what `.mlteamignore` names is only counted, a directory as one."""

    root: Path
    files: list[Source] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    ignored: int = 0

    def place(self, source: Source) -> Path:
        """Where the file is."""
        return self.root / source.path


def state_of(found: os.stat_result) -> State:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def source_of(path: str, found: os.stat_result) -> Source:
    return Source(path, PROGRAM if found.st_mode & stat.S_IXUSR else PLAIN, found.st_size, state_of(found))


@contextmanager
def uncollected() -> Iterator[None]:
    """Meanwhile nobody looks for garbage: tens of thousands of tuples that are kept would make that happen again and again, and where
    a program has much in memory already, once takes longer than all that is done here."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@uncollected()
def read(path: Path) -> Folder:
    """The files of a folder, or the one file at this path. Raises MLTeamError, BadPath for names that no version can have."""
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            if path.is_symlink():
                raise MLTeamError(f"{path} is a link, and links are not followed. Give {path.resolve()}.")
            return Folder(path.absolute().parent, [source_of(clean(path.absolute().name), found)])
        if not stat.S_ISDIR(found.st_mode):
            raise MLTeamError(f"{path} is neither a folder nor a file.")
        folder, bad = Folder(path), list[str]()
        _walk(folder, "", (), bad)
    except OSError as error:
        raise MLTeamError(f"{error.filename or path} cannot be read ({error.strerror}). Nothing was sent.") from None
    if bad:
        more = f" So do {len(bad) - SHOWN} more." if len(bad) > SHOWN else ""
        raise BadPath(f"Some names cannot be kept: {' '.join(sorted(bad)[:SHOWN])}{more} Nothing was sent.")
    folder.left_out.sort()
    return folder


Rules = tuple[tuple[str, "GitIgnoreSpec"], ...]  # of each directory that has some, from the top


def _walk(folder: Folder, where: str, rules: Rules, bad: list[str]) -> None:
    """Adds what is in a directory, and to `bad` what is wrong with names. `where` is "" or ends with /."""
    with os.scandir(folder.root / where) as listing:
        found = list(listing)
    if any(one.name == IGNORE and one.is_file(follow_symlinks=False) for one in found):
        rules = (*rules, (where, _rules(folder.root / where / IGNORE)))
    for one in found:
        path, is_directory = where + one.name, one.is_dir(follow_symlinks=False)
        if rules and _is_ignored(path + "/" * is_directory, rules):
            folder.ignored += 1
        elif is_directory and one.name.startswith(UNFINISHED):
            folder.left_out.append(LeftOut(path, "what a pull keeps there until it is whole"))
        elif is_directory:
            _walk(folder, f"{path}/", rules, bad)
        elif one.is_file(follow_symlinks=False):
            try:
                sound = path if is_plain(path) else clean(path)
                folder.files.append(source_of(sound, one.stat(follow_symlinks=False)))
            except BadPath as error:
                bad.append(str(error))
        else:
            kind = stat.S_IFMT(one.stat(follow_symlinks=False).st_mode)
            folder.left_out.append(LeftOut(path, KINDS.get(kind, "no file")))


def _rules(path: Path) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(path.read_text("utf-8-sig").splitlines())
    except ValueError as error:  # no text, or no pattern
        raise MLTeamError(f"{path} cannot be understood: {error}") from None


def _is_ignored(path: str, rules: Rules) -> bool:
    """As git has it: the last line that fits decides, and those of a directory further down go before."""
    for where, spec in reversed(rules):
        said: Any = spec.check_file(path.removeprefix(where)).include
        if said is not None:
            return bool(said)
    return False
