"""What a path in a version may be, and how one in a volume is told. This is the one place where that is decided.

A job can give a file any name. Told, a name is a line of text, which an address, a form and a terminal can hold: each byte that is no
UTF-8, or of a character that controls or turns the text, is `\\x` and two digits, as in `\\xe9` and `\\x0a`; so is a backslash before
what would read as one of these, `\\x5c`. No two names are told alike. mlteam_sdk.volumes reads and writes the same.
"""

import re
from typing import Final

# As many as S3 and Google Cloud Storage take for a name; and with the folder in which a version is laid out, or seen by a job, no more than
# Linux takes, nor deeper than Python follows.
LONGEST: Final = 1024  # bytes in UTF-8
LONGEST_THERE: Final = 4096  # bytes, of what a job has made in a volume
LONGEST_TOLD: Final = LONGEST_THERE  # characters in which one is asked for: as many as an address holds
COMPONENT: Final = 255  # bytes in UTF-8, of what stands between two slashes
DOTS: Final = frozenset({".", ".."})
SHOWN: Final = 80  # characters of a path in a sentence
BYTES: Final = "surrogateescape"  # how Python has those of a name that are no UTF-8
HALF: Final = "is no text in UTF-8: it has half a character"

_CODES: Final = "x(?:[01][0-9a-f]|7f|5c|[89a-f][0-9a-f])"
_control = re.compile("[\x00-\x1f\x7f-\x9f]")
_job_made = re.compile("[\x01-\x1f\x7f-\x9f\udc80-\udcff]")
_code = re.compile(rf"\\{_CODES}".encode())
_no_text = re.compile(rf"\\(?={_CODES})|[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\udc80-\udcff]")


class BadPath(ValueError):
    """No file of a version can be called this; the sentence says why."""


def clean(path: str) -> str:
    """The path, just as it is: two that differ in case or in their Unicode form are two files. Raises BadPath."""
    if not path:
        raise BadPath("A path is empty.")
    if wrong := _wrong(path, LONGEST):
        raise BadPath(f"“{shown(path)}” {wrong}.")
    return path


def told(path: str) -> str:
    """A path in a volume, as the disk has it (`os.fsdecode`), in the words in which it is shown and asked for."""
    return _no_text.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in found[0].encode(errors=BYTES)), path)


def clean_there(path: str) -> str:
    """The path in a volume that is told so, as the disk has it: longer ones, too, and whatever a job may have made. Raises BadPath."""
    if not path:
        raise BadPath("A path is empty.")
    try:
        found = _code.sub(lambda code: bytes([int(code[0][2:], 16)]), path.encode()).decode(errors=BYTES)
    except UnicodeEncodeError:
        raise BadPath(f"“{shown(path)}” {HALF}.") from None
    if wrong := _wrong(_job_made.sub("_", found), LONGEST_THERE):
        raise BadPath(f"“{shown(path)}” {wrong}.")
    return found


def clean_folder(path: str) -> str:
    """The same for a folder, of which "" is the one with everything."""
    return clean(path) if path else ""


def shown(path: str) -> str:
    """A path in a sentence: short, and with nothing in it that a terminal would obey."""
    text = "".join(character if character.isprintable() else "�" for character in path[:SHOWN])
    return text + "…" * (len(path) > SHOWN)


def _wrong(path: str, longest: int) -> str:
    try:
        length = len(path) if path.isascii() else len(path.encode())
    except UnicodeEncodeError:
        return HALF
    if length > longest:
        return f"has {length} bytes, of {longest} that a path may have"
    if found := _control.search(path):
        return "has a NUL in it" if found[0] == "\0" else "has a control character in it: a line break, say"
    if path.startswith("/"):
        return "begins with /: paths begin in the folder that is kept"
    return _wrong_part(path.split("/"))


def _wrong_part(parts: list[str]) -> str:
    if "" in parts:
        return "has an empty name in it: two slashes, or one at its end"
    if not DOTS.isdisjoint(parts):
        return f"has “{max(DOTS.intersection(parts))}” in it"
    # A character has at most four bytes: most names need not be looked at more closely.
    if max(map(len, parts)) * 4 > COMPONENT and any(len(part.encode()) > COMPONENT for part in parts):
        return f"has a name of more than {COMPONENT} bytes in it"
    return ""


def is_clean(path: str) -> bool:
    """Whether a file of a version can be called this."""
    try:
        return bool(clean(path))
    except BadPath:
        return False
