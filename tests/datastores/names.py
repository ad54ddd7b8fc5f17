"""Names that people's files have: each is kept as it is, byte for byte, whichever way it comes in."""

import os
from pathlib import Path
from typing import Final

LONGEST: Final = "ж" * 127 + "x"  # 255 bytes, as many as a disk takes
TOO_LONG: Final = "ж" * 150  # 300 bytes
LONGEST_PATH: Final = "/".join(["l" * 255] * 4)  # 1,023 bytes
DEEPEST: Final = "d/" * 511 + "dd"  # 1,024 bytes, as many as a path may have
NAMES: Final = (
    *("Grüße.txt", "Gru\u0308ße.txt"),  # one letter as one character, and as two
    *("README.md", "readme.md", "Readme/inside.txt", "readme/inside.txt"),
    *("猫/写真 1.png", "Ελληνικά/αρχείο.csv", "العربية/ملف.txt", "हिन्दी.txt", "👩\u200d🚀.txt"),
    *(" before and after ", "two  spaces/a  b.txt", "'quoted' \"name\".txt", "back\\slash", "<b>&amp;.txt"),
    *("100% #1?&=+;.txt", "%2e%2e%2f.txt", "-rf", "~", "$(x) `y`.txt", "[1]*.txt"),
    *(LONGEST, f"{LONGEST[:-1]}y/{LONGEST}"),
)


def content(name: str) -> bytes:
    return f"in {name}".encode()


def write_all(root: Path) -> dict[str, bytes]:
    """Makes a file of each name below a folder."""
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content(name))
    return {name: content(name) for name in NAMES}


# What no upload brings and a job can make: as it is told, and on the disk.
ODD: Final = {
    "line\\x0abreak.txt": b"line\nbreak.txt",
    "\\x0a": b"\n",
    "\\x0dcr \\x09tab\\x7f": b"\rcr \ttab\x7f",
    "\\x1b[31mred\\x07\\xc2\\x9b.txt": b"\x1b[31mred\x07\xc2\x9b.txt",
    "caf\\xe9.txt": b"caf\xe9.txt",
    "caf\\x5cxe9.txt": b"caf\\xe9.txt",
    "\\x5cx5c": b"\\x5c",
    "\\xe2\\x80\\xaetxt.exe\\xe2\\x80\\xa8": "\u202etxt.exe\u2028".encode(),
    "=1+1\\x0a,\"'": b"=1+1\n,\"'",
    "in\\x0a\\xff ?#%/\\xff\\xfe/\\x80 <b>&": b"in\n\xff ?#%/\xff\xfe/\x80 <b>&",
}


def write_odd(root: Path) -> dict[str, bytes]:
    """Makes a file of each such name below a folder; by what they are told as."""
    for name in ODD.values():
        file = Path(os.fsdecode(os.fsencode(root) + b"/" + name))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"in " + name)
    return {told: b"in " + name for told, name in ODD.items()}
