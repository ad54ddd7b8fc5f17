"""What was last pushed to a datastore from here, so that the next push says only what is different from it."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Final

from mlteam_sdk.hashing import cache_directory, keep
from mlteam_sdk.manifests import path_in

WORTH: Final = 4  # times shorter than the whole, or the whole is sent


class Memory:
    """The manifest of the last version that was made from here, kept in the cache directory of whoever runs this.

    It is only a help: what cannot be read or kept is not there, and a server that has another latest version says so.
    """

    def __init__(self, datastore_id: str, directory: Path | None = None) -> None:
        self.path = (directory or cache_directory()) / "pushed" / f"{datastore_id}.jsonl"

    def load(self) -> bytes:
        """The manifest; nothing where there is none."""
        try:
            return self.path.read_bytes()
        except OSError:
            return b""

    def save(self, manifest: bytes) -> None:
        """Keeps this one."""
        keep(self.path, manifest)


def digest(manifest: bytes) -> str:
    """By which a server knows the manifest of a version."""
    return hashlib.sha256(manifest).hexdigest()


def changes(old: bytes, new: Collection[str]) -> list[str] | None:
    """What makes the old manifest one of these lines, a line for each path; None where it is hardly shorter than that."""
    if not old:
        return None
    try:
        before, after = old.decode().split("\n")[:-1], list(new)
        if len(before) == len(after):  # mostly the same paths, each in its place
            pairs = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
            before, after = [one for one, _ in pairs], [one for _, one in pairs]
        gone = set(before)
        added = [line for line in after if line not in gone]
        gone.difference_update(after)
        if (len(added) + len(gone)) * WORTH > len(new):
            return None
        paths = {path_in(line) for line in added}
        removed = sorted(path for path in map(path_in, gone) if path not in paths)
    except (ValueError, KeyError, TypeError):  # what is kept here is no manifest
        return None
    return [*added, *map(_removal, removed)]


def _removal(path: str) -> str:
    return json.dumps({"path": path, "removed": True}, ensure_ascii=False)
