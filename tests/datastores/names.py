"""Names that people's files have: each is kept as it is, byte for byte, whichever way it comes in."""

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
