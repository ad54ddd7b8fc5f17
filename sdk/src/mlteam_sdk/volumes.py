"""What a server says is in a volume: files, folders and whatever else jobs have made there.

Its names are a line of text each: a byte that is no UTF-8, or of a character that controls or turns the text, is `\\x` and two digits,
as in `\\xe9` and `\\x0a`; so is a backslash before what would read as one of these, `\\x5c`.
"""

import json
import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from mlteam_sdk import manifests
from mlteam_sdk.errors import Damaged
from mlteam_sdk.manifests import PLAIN, PROGRAM, BadPath, Difference, Entry
from mlteam_sdk.models import Content

FILE: Final = "file"
FOLDER: Final = "directory"
SECOND: Final = 10**9  # nanoseconds
STEP: Final = 100  # ns; some file systems keep no less, and two states that a server tells of a file are further apart
APART: Final = 4  # seconds; no file system rounds as much
LATEST: Final = 253_402_300_800 * SECOND  # the end of the year 9999
KINDS: Final = frozenset({FILE, FOLDER, "link", "other"})
_CODES: Final = "x(?:[01][0-9a-f]|7f|5c|[89a-f][0-9a-f])"
_CODE: Final = re.compile(rf"\\{_CODES}".encode())
_NO_TEXT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\udc80-\udcff]")
_CODED: Final = re.compile(rf"\\(?={_CODES})|{_NO_TEXT.pattern}")
_HALF: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")


class Found(NamedTuple):
    """Something in a volume, `path` as the server tells it; `size` (bytes) and `mode` (0o644 or 0o755) are a file's. `modified`: seconds
    since 1970. `modified_ns`: the same exactly, by which a file is known again; None where it cannot be, for it was being written."""

    path: str
    kind: str
    size: int
    mode: int
    modified: int
    modified_ns: int | None = None


def told(path: str) -> str:
    """A path as a disk has it (`os.fsdecode`), as the server tells it."""
    return _CODED.sub(_code, path)


def named(path: str) -> str:
    """A path that a server tells, as a disk has it: with lone surrogates for what is no UTF-8."""
    raw = path.encode(errors="surrogatepass")
    return _CODE.sub(lambda found: bytes([int(found[0][2:], 16)]), raw).decode(errors="surrogateescape")


def remote(path: str) -> str:
    """A path in a volume as it is typed, as the server tells it; "" for `.`, which is all of it. What is no text may be typed as it is.

    Raises BadPath.
    """
    return manifests.remote(path, _clean)


def _clean(path: str) -> str:
    wrong = ""
    if path.startswith("/"):
        wrong = "is absolute; paths begin at the top of the volume, without /"
    elif not {"", ".", ".."}.isdisjoint(path.split("/")):
        wrong = "has an empty part, . or .. in it; write it without"
    elif _HALF.search(path):
        wrong = "is no text: it has half a character"
    found = _NO_TEXT.sub(_code, path)
    if wrong:
        raise BadPath(f"“{_HALF.sub('�', found)}” {wrong}.")
    return found


def _code(found: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in found[0].encode(errors="surrogateescape"))


def parse(listing: bytes) -> list[Found]:
    """What a server lists, by path. Raises Damaged for what no server of mlteam says."""
    every = [_found(number, line) for number, line in enumerate(listing.split(b"\n"), 1) if line]
    return sorted(every, key=lambda one: one.path.encode(errors="surrogatepass"))


def _found(number: int, line: bytes) -> Found:
    try:
        said: Any = json.loads(line)
        modified = datetime.fromisoformat(said["modified"].replace("Z", "+00:00"))
        mode = PLAIN if said["mode"] is None else said["mode"]
        exactly = said.get("modified_ns")
        one = Found(said["path"], said["kind"], said["size"], mode, int(modified.timestamp()), exactly)
        sound = isinstance(one.path, str) and one.path and one.kind in KINDS and type(one.size) is int
        sound = sound and (exactly is None or (type(exactly) is int and 0 <= exactly < LATEST))
        if not sound or one.size < 0 or mode not in {PLAIN, PROGRAM}:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged(f"The server's list of files cannot be read in line {number}.") from None
    return one


def found(path: str, told: Content) -> Found:
    """What a server says of one thing in a folder; `path` is where that is."""
    modified = told.modified.timestamp() if told.modified else 0
    return Found(path, told.kind, told.size, told.mode or PLAIN, int(modified), told.modified_ns)


def why_not(one: Found) -> str:
    """Why something, its path as a disk has it, does not come here; "" when it does."""
    if one.kind not in {FILE, FOLDER}:
        return "it is a link" if one.kind == "link" else "it is no file"
    try:
        manifests.clean(one.path)
    except BadPath as error:
        return f"its path {str(error).rpartition('” ')[2].rstrip('.')}"
    return ""


def is_here(root: Path, one: Found) -> bool:
    """Whether the same file is here already, by its size and time. Where the file system here has not kept the time, it is not."""
    if one.modified_ns is None:
        return False
    try:
        seen = (root / one.path).lstat()
    except OSError:
        return False
    same_time = seen.st_mtime_ns // STEP == one.modified_ns // STEP
    return same_time and stat.S_ISREG(seen.st_mode) and seen.st_size == one.size


def mark(file: Path, one: Found) -> None:
    """Gives a file the time by which it is known the next time; one that cannot be known gets one that it never had at the server."""
    time = one.modified_ns if one.modified_ns is not None else (one.modified - APART) * SECOND
    with suppress(OSError, OverflowError):  # not known then, and fetched anew
        os.utime(file, ns=(time, time))


def differences(there: Iterable[Found], entries: Iterable[Entry]) -> list[Difference]:
    """What a push would add, and what it would replace by something of another size. Contents are compared when they are sent."""
    known = {named(one.path): one for one in there}
    different = []
    for entry in sorted(entries, key=lambda one: one.path.encode()):
        was = known.get(entry.path)
        if was is None or was.kind != FILE:
            different.append(Difference(entry.path, "added", None, entry.size))
        elif (was.size, was.mode) != (entry.size, entry.mode):
            different.append(Difference(entry.path, "changed", was.size, entry.size))
    return different
