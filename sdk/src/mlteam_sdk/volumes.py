"""What a server says is in a volume: files, folders and whatever else jobs have made there.

Its names are a line of text each: a byte that is no UTF-8, or of a character that controls or turns the text, is `\\x` and two digits,
as in `\\xe9` and `\\x0a`; so is a backslash before what would read as one of these, `\\x5c`.
"""

import json
import re
import stat
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from mlteam_sdk import manifests
from mlteam_sdk.errors import Damaged
from mlteam_sdk.manifests import PLAIN, PROGRAM, BadPath, Difference, Entry
from mlteam_sdk.models import Content

FILE: Final = "file"
FOLDER: Final = "directory"
KINDS: Final = frozenset({FILE, FOLDER, "link", "other"})
_CODES: Final = "x(?:[01][0-9a-f]|7f|5c|[89a-f][0-9a-f])"
_CODE: Final = re.compile(rf"\\{_CODES}".encode())
_NO_TEXT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\udc80-\udcff]")
_CODED: Final = re.compile(rf"\\(?={_CODES})|{_NO_TEXT.pattern}")
_HALF: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")


class Found(NamedTuple):
    """Something in a volume, `path` as the server tells it; `size` (bytes) and `mode` (0o644 or 0o755) are a file's. `modified`: seconds
    since 1970."""

    path: str
    kind: str
    size: int
    mode: int
    modified: int


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
        one = Found(said["path"], said["kind"], said["size"], mode, int(modified.timestamp()))
        sound = isinstance(one.path, str) and one.path and one.kind in KINDS and type(one.size) is int
        if not sound or one.size < 0 or mode not in {PLAIN, PROGRAM}:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged(f"The server's list of files cannot be read in line {number}.") from None
    return one


def found(path: str, told: Content) -> Found:
    """What a server says of one thing in a folder; `path` is where that is."""
    modified = told.modified.timestamp() if told.modified else 0
    return Found(path, told.kind, told.size, told.mode or PLAIN, int(modified))


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
    """Whether the same file is here already, by its size and time."""
    try:
        seen = (root / one.path).lstat()
    except OSError:
        return False
    return stat.S_ISREG(seen.st_mode) and (seen.st_size, int(seen.st_mtime)) == (one.size, one.modified)


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
