"""Reading a folder here that is to become a version: which files are in it, and what is left out."""

import gc
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from pathlib import Path
from stat import S_IFDIR, S_IFMT, S_IFREG
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mlteam_sdk.errors import MLTeamError
from mlteam_sdk.manifests import PLAIN, PROGRAM, BadPath, are_plain, clean, wrong_with

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


State = tuple[int, int, int, int, int]  # what changes when a file does: its mode, bytes, mtime and ctime in ns, inode
state_of: Final[Callable[[os.stat_result], State]] = attrgetter(
    "st_mode", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino"
)
MODE: Final = 0  # in a state
SIZE: Final = 1


class Source(NamedTuple):
    """A file here: its path with /, and the state that it is in."""

    path: str
    state: State

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.state[SIZE]

    @property
    def mode(self) -> int:
        """0o644, or 0o755 for what its owner may run."""
        return PROGRAM if self.state[MODE] & stat.S_IXUSR else PLAIN


class LeftOut(NamedTuple):
    """Something that is no file, and why it is left out."""

    path: str
    why: str


@dataclass
class Folder:
    """The files below `root` by their paths, in the order of these; what `.mlteamignore` names is only counted, a directory as one."""

    root: Path
    files: dict[str, State] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    ignored: int = 0


def size_of(states: Iterable[State]) -> int:
    """The bytes of all these files."""
    return sum(map(itemgetter(SIZE), states))


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
            return Folder(path.absolute().parent, {clean(path.absolute().name): state_of(found)})
        if not stat.S_ISDIR(found.st_mode):
            raise MLTeamError(f"{path} is neither a folder nor a file.")
        folder, bad = Folder(path), list[str]()
        _walk(folder, "", (), bad)
    except OSError as error:
        raise MLTeamError(f"{error.filename or path} cannot be read ({error.strerror}). Nothing was sent.") from None
    if bad:
        more = f" So do {len(bad) - SHOWN} more." if len(bad) > SHOWN else ""
        raise BadPath(f"Some names cannot be kept: {' '.join(sorted(bad)[:SHOWN])}{more} Nothing was sent.")
    folder.files = dict(sorted(folder.files.items(), key=itemgetter(0)))
    folder.left_out.sort()
    return folder


Rules = tuple[tuple[str, "GitIgnoreSpec"], ...]  # of each directory that has some, from the top


def _walk(folder: Folder, where: str, rules: Rules, bad: list[str]) -> None:
    """Adds what is in a directory, and to `bad` what is wrong with names. `where` is "" or ends with /."""
    above = f"{os.fspath(folder.root)}{os.sep}{where}"
    names = sorted(os.listdir(above))  # noqa: PTH208 - of a Path, and of each of thousands of files, it would take twice as long
    if IGNORE in names and stat.S_ISREG(os.lstat(above + IGNORE).st_mode):
        rules = (*rules, (where, _rules(Path(above + IGNORE))))
    plain = are_plain(where, names)
    for name in names:
        path = where + name
        try:
            state = state_of(os.lstat(above + name))
        except OSError:
            if any(_is_ignored(one, rules) for one in (path, f"{path}/")):  # gone meanwhile, or not to be read
                folder.ignored += 1
                continue
            raise
        kind = S_IFMT(state[MODE])
        if rules and _is_ignored(path + "/" * (kind == S_IFDIR), rules):
            folder.ignored += 1
        elif kind == S_IFREG:
            if plain or not (wrong := wrong_with(path)):
                folder.files[path] = state
            else:
                bad.append(wrong)
        elif kind != S_IFDIR:
            folder.left_out.append(LeftOut(path, KINDS.get(kind, "no file")))
        elif name.startswith(UNFINISHED):
            folder.left_out.append(LeftOut(path, "what a pull keeps there until it is whole"))
        else:
            _walk(folder, f"{path}/", rules, bad)


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
