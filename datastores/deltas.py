"""A manifest that is told as what is different from that of the latest version: of a million files mostly a few change.

Each line is one of a manifest, for a file that is new or not as it was, or `{"path": …, "removed": true}`, in any order.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from datastores import listings, manifests
from datastores.listings import Listing, Summary, Writer
from datastores.manifests import BadManifest, Entry
from datastores.paths import BadPath, clean, shown

Change = tuple[int, Entry | None]  # the number of its line, and what is at its path then
Changes = dict[str, Change]

REMOVAL: Final = {"path", "removed"}


class OtherBase(Exception):
    """The latest version is not the one from which this is different."""

    def __init__(self) -> None:
        super().__init__("The latest version is another one by now. Send all of the manifest.")


def write(base: Path, source: Path, target: Path) -> tuple[Summary, list[Entry]]:
    """Puts a manifest that `listings.write` has made, with the changes of a file, into canonical form, with an index.

    Also answers what has changed. Raises BadManifest.
    """
    changes = _read(listings.lines_of(source))
    new: list[tuple[str, int]] = []  # paths that the base has not, and the numbers of their lines
    with listings.opened(base) as before, Writer(target) as writer:
        at = 0
        for path in sorted(changes, key=str.encode):
            number, entry = changes[path]
            here = before.first(path.encode())
            writer.copy(before, at, here)
            found = here < before.files and before.entry(here).path == path
            if entry is None and not found:
                raise BadManifest(f"Line {number}: “{shown(path)}” is not in the latest version.")
            if entry:
                writer.add(entry)
                if not found:
                    new.append((path, number))
            at = here + found
        writer.copy(before, at, before.files)
    summary = writer.summary
    if not summary.files:
        raise BadManifest("There is no file in it.")
    if summary.files > manifests.FILES or summary.bytes > manifests.LARGEST or writer.length > manifests.LONGEST:
        raise BadManifest("These are more files or bytes than a version may have.")
    with listings.opened(target) as after:
        for path, number in new:  # no other can come to lie where something else does
            _check_place(after, path, number)
    return summary, [entry for _, entry in changes.values() if entry]


def _read(lines: Iterable[bytes]) -> Changes:
    changes: Changes = {}
    kept = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    for number, line in kept:
        path, entry = _change(number, line)
        if path in changes:
            raise BadManifest(f"Line {number}: “{shown(path)}” is there twice.")
        if len(changes) >= 2 * manifests.FILES:
            raise BadManifest(f"Line {number}: these are more changes than two versions can have between them.")
        changes[path] = number, entry
    return changes


def _change(number: int, line: bytes) -> tuple[str, Entry | None]:
    if b'"removed"' not in line:
        ((_, entry),) = manifests.parsed([line], first=number)
        return entry.path, entry
    try:
        said: Any = json.loads(line[: manifests.LINE].decode())
        if set(said) != REMOVAL or said["removed"] is not True or not isinstance(said["path"], str):
            raise ValueError
        return clean(said["path"]), None
    except BadPath as error:
        raise BadManifest(f"Line {number}: {error}") from None
    except (ValueError, TypeError, RecursionError):
        raise BadManifest(f"Line {number}: expected a line of a manifest, or a path that is removed.") from None


def _check_place(listing: Listing, path: str, number: int) -> None:
    """Raises BadManifest for a file in the place of a folder, or below one. `number`: of the line that says it."""
    start, end = listing.folder(path)
    if start < end:
        raise BadManifest(f"Line {number}: “{shown(path)}” is a file, and a folder of another file.")
    for above in PurePosixPath(path).parents:
        if above.name and listing.find(str(above)):
            raise BadManifest(f"Line {number}: “{shown(str(above))}” is a file, and a folder of another file.")


def known(entries: Iterable[Entry]) -> Iterator[tuple[bytes, int]]:
    """SHA-256 and size of each."""
    return ((bytes.fromhex(entry.sha256), entry.size) for entry in entries)
