"""What a version of a dataset or model holds: for each path a checksum, a size and a mode; as text that has one form only."""

import json
import re
from collections.abc import Callable, Collection, Iterable
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple

from mlteam_sdk.errors import Damaged, MLTeamError

PLAIN: Final = 0o644
PROGRAM: Final = 0o755
LONGEST_NAME: Final = 255  # bytes of one component
LONGEST_PATH: Final = 1024  # bytes
_USUAL: Final = re.compile(r"(?:\w[\w. -]{0,60}/){0,15}\w[\w. -]{0,60}", re.ASCII)  # surely none of what is refused
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class BadPath(MLTeamError):
    """A path that no version can hold: absolute, with `..`, or not text."""


class Entry(NamedTuple):
    """A file of a version: its path with /, the checksum of its content in hex, bytes, and 0o644 or 0o755."""

    path: str
    sha256: str
    size: int
    mode: int


def clean(path: str) -> str:
    """The path, as it is. Raises BadPath with a sentence that says what is wrong."""
    if wrong := wrong_with(path):
        raise BadPath(wrong)
    return path


def wrong_with(path: str) -> str:
    """Why no version can hold it, in a sentence; "" when one can."""
    if _USUAL.fullmatch(path) or not (wrong := _wrong(path)):
        return ""
    shown = "".join(sign if sign.isprintable() else "�" for sign in path[:300])
    return f"“{shown}” {wrong}."


def are_plain(where: str, names: Collection[str]) -> bool:
    """Whether nothing can be wrong with the paths of files that a directory lists: none of their parts is empty or leads elsewhere."""
    signs = "".join(names) + where
    return signs.isascii() and signs.isprintable() and len(where) + max(map(len, names), default=0) <= LONGEST_NAME


def _wrong(path: str) -> str:
    if not path:
        return "is empty; it names no file"
    if _SURROGATES.search(path):
        return "is no UTF-8 text. Rename it"
    if _CONTROLS.search(path):
        return "has a control character in it. Rename it"
    parts = path.split("/")
    if path.startswith("/"):
        return "is absolute; paths begin at the top of the version, without /"
    if not {"", ".", ".."}.isdisjoint(parts):
        return "has an empty part, . or .. in it; write it without"
    if max(len(part.encode()) for part in parts) > LONGEST_NAME:
        return f"has a name of more than {LONGEST_NAME} bytes in it. Shorten it"
    return f"has more than {LONGEST_PATH} bytes" if len(path.encode()) > LONGEST_PATH else ""


def remote(path: str, clean: Callable[[str], str] = clean) -> str:
    """A path in a version as it is typed: `./part/` is part, and `.` all of it, which is "". Raises BadPath."""
    typed = path
    while typed.startswith("./"):
        typed = typed[2:].lstrip("/")
    typed = typed.rstrip("/") if path.strip("/") else path
    return "" if typed in {"", "."} and path else clean(typed)


def below(entries: Iterable[Entry], path: str) -> list[Entry]:
    """The file at this path, or those in the directory there; all for ""."""
    return [one for one in entries if not path or one.path == path or one.path.startswith(f"{path}/")]


def text(lines: Iterable[str]) -> bytes:
    """The manifest: the lines of its files, in the order of the paths' bytes, which is that of the paths as text."""
    return "\n".join([*lines, ""]).encode()


def line_of(path: str, sha256: str, size: int, mode: int) -> str:
    """That of a file: as JSON has it without spaces, for a manifest has one form only."""
    return f'{{"path":{encode_basestring(path)},"sha256":"{sha256}","size":{size},"mode":{mode}}}'


def sha256_in(line: str) -> str:
    """The checksum in a line that was made here, of thousands, without reading all of it; "" in one of a path that is gone."""
    return line.rpartition('","size":')[0][-64:]


def path_in(line: str) -> str:
    """The path in a line. Raises ValueError, KeyError or TypeError for what is none."""
    path: str = json.loads(line)["path"]
    return path


def parse(manifest: bytes) -> list[Entry]:
    """The files that a server says are in a version. Raises Damaged for what no server of mlteam says."""
    entries = [_entry(number, line) for number, line in enumerate(manifest.splitlines(), 1)]
    _check_tree(entries)
    return entries


def _entry(number: int, line: bytes) -> Entry:
    try:
        said: Any = json.loads(line)
        entry = Entry(clean(said["path"]), said["sha256"], said["size"], said["mode"])
        sound = isinstance(entry.sha256, str) and _SHA256.fullmatch(entry.sha256) and type(entry.size) is int
        if not sound or entry.size < 0 or entry.mode not in {PLAIN, PROGRAM}:
            raise ValueError
    except BadPath as error:
        raise Damaged(f"The server's list of files is wrong in line {number}: {error} Nothing was fetched.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Damaged(f"The server's list of files cannot be read in line {number}. Nothing was fetched.") from None
    return entry


def _check_tree(entries: list[Entry]) -> None:
    """Raises Damaged for a path that is there twice, or that is a file and a directory."""
    files = {one.path for one in entries}
    if len(files) != len(entries):
        raise Damaged("The server's list of files names one twice. Nothing was fetched.")
    known: set[str] = set()
    for path in files:
        above = path.rpartition("/")[0]
        while above and above not in known:
            if above in files:
                raise Damaged(f"“{above}” is a file and a directory in the server's list. Nothing was fetched.")
            known.add(above)
            above = above.rpartition("/")[0]


class Difference(NamedTuple):
    """What became of a path: added, removed or changed; sizes in bytes, None where it is not there."""

    path: str
    change: str
    old_size: int | None
    new_size: int | None


def differences(old: Iterable[Entry], new: Iterable[Entry]) -> list[Difference]:
    """What is different, in the order of the paths."""
    before, after = ({one.path: one for one in entries} for entries in (old, new))
    found = []
    for path in sorted(before.keys() | after.keys(), key=str.encode):
        was, is_now = before.get(path), after.get(path)
        if was != is_now:
            change = "added" if was is None else "removed" if is_now is None else "changed"
            found.append(Difference(path, change, was and was.size, is_now and is_now.size))
    return found
