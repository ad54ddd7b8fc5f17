"""What a version consists of: a line of JSON for each file, in the order of their paths' bytes in UTF-8.

    {"path":"train/a.png","sha256":"64 lower-case hexadecimal digits","size":1234,"mode":420}

In just this form a manifest is canonical; its SHA-256 is the version's digest.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from datastores.paths import BadPath, clean, shown

FILES: Final = 1_000_000  # in a version
LONGEST: Final = 512 * 2**20  # bytes of a manifest
LINE: Final = 32_768  # bytes; a path may be escaped
LARGEST: Final = 2**50  # bytes of a version
MODES: Final = (0o644, 0o755)
FIELDS: Final = {"path", "sha256", "size", "mode"}
_PATH_AT: Final = len('{"path":"')
_AFTER_PATH: Final = b'","sha256":"'

# Most lines: canonical, with a path of which there is nothing to ask. They are read at a glance, for there are many.
_usual = re.compile(
    rb'\{"path":"((?:\w[\w. -]{0,60}/){0,20}\w[\w. -]{0,60})","sha256":"([0-9a-f]{64})",'
    rb'"size":(0|[1-9][0-9]{0,12}),"mode":(420|493)\}\n?'
)
_hash = re.compile(r"[0-9a-f]{64}")
_quoted = json.JSONEncoder(ensure_ascii=False).encode


class BadManifest(ValueError):
    """It is no manifest that can be kept; the sentence names the line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a version; `mode` is 0o644, or 0o755 for what may be executed."""

    path: str
    sha256: str
    size: int
    mode: int = 0o644

    @property
    def line(self) -> bytes:
        """Its canonical line, with the line break."""
        path = _quoted(self.path)
        return f'{{"path":{path},"sha256":"{self.sha256}","size":{self.size},"mode":{self.mode}}}\n'.encode()


Numbered = tuple[int, Entry]  # an entry with the number of its line, from 1


def is_hash(text: str) -> bool:
    """Whether it is a SHA-256 as it is written here."""
    return bool(_hash.fullmatch(text))


def read(line: bytes) -> Entry:
    """The entry of a canonical line."""
    return Entry(**json.loads(line))


def path_in(line: bytes) -> bytes:
    """The path in a canonical line, in UTF-8: of most without reading all of it, for many are looked at to find one."""
    quoted = line[_PATH_AT : line.rindex(_AFTER_PATH)]
    return read(line).path.encode() if b"\\" in quoted else quoted


def parsed(lines: Iterable[bytes], first: int = 1) -> Iterator[Numbered]:
    """The entries of lines in any order, each checked by itself. Raises BadManifest. `first`: the number of the first line."""
    total = length = files = 0
    for number, line in enumerate(lines, first):
        length += len(line)
        if length > LONGEST:
            raise BadManifest(f"Line {number}: the manifest is longer than {LONGEST // 2**20} MiB.")
        if not line.strip():
            continue
        entry = _entry(number, line)
        total, files = total + entry.size, files + 1
        if files > FILES:
            raise BadManifest(f"Line {number}: a version has at most {FILES:,} files.")
        if total > LARGEST:
            raise BadManifest(f"Line {number}: these are more bytes than a version may have.")
        yield number, entry


def in_order(numbered: Iterable[Numbered]) -> list[Numbered]:
    """The same in the order in which they are kept."""
    return sorted(numbered, key=lambda one: one[1].path.encode())


def checked(numbered: Iterable[Numbered]) -> Iterator[Entry]:
    """Entries that are in order, as long as they can lie beside each other in a folder. Raises BadManifest."""
    above: list[str] = []  # paths that this one begins with, each of which begins with those before it
    for number, entry in numbered:
        while above and not entry.path.startswith(above[-1]):
            above.pop()
        # Had one before the last its slash here, the last would have been refused.
        if above and (rest := entry.path[len(above[-1]) :])[:1] in ("", "/"):
            twice = "is there twice" if not rest else "is a file, and a folder of another file"
            raise BadManifest(f"Line {number}: “{shown(above[-1])}” {twice}.")
        above.append(entry.path)
        yield entry


def _entry(number: int, line: bytes) -> Entry:
    if usual := _usual.fullmatch(line):
        path, sha256, size, mode = usual.groups()
        return Entry(path.decode(), sha256.decode(), int(size), int(mode))
    if len(line) > LINE:
        raise BadManifest(f"Line {number}: it is longer than {LINE // 1024} KiB.")
    try:
        said = json.loads(line.decode())
    except (ValueError, RecursionError):
        raise BadManifest(f"Line {number}: this is no JSON in UTF-8.") from None
    if not isinstance(said, dict) or set(said) != FIELDS:
        raise BadManifest(f"Line {number}: expected an object with path, sha256, size and mode, and nothing else.")
    if wrong := _wrong(said):
        raise BadManifest(f"Line {number}: {wrong}")
    return Entry(**said)


def _wrong(said: dict[str, Any]) -> str:
    path, sha256, size, mode = said["path"], said["sha256"], said["size"], said["mode"]
    if not isinstance(path, str):
        return "path is a text."
    try:
        clean(path)
    except BadPath as error:
        return str(error)
    if not isinstance(sha256, str) or not is_hash(sha256):
        return "sha256 is 64 lower-case hexadecimal digits."
    if type(size) is not int or not 0 <= size <= LARGEST:
        return "size is a number of bytes, 0 or more."
    if type(mode) is not int or mode not in MODES:
        return "mode is 420 (0644) or 493 (0755)."
    return ""
