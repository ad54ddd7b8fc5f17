"""How tests make versions, by the ways that a program has."""

import hashlib
import json
from typing import Any

from datastores import actions, places, uploads
from datastores.models import Datastore, Version


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def line(path: str, content: bytes, mode: int = 420) -> bytes:
    return json.dumps({"path": path, "sha256": hash_of(content), "size": len(content), "mode": mode}).encode() + b"\n"


def manifest(files: dict[str, bytes]) -> bytes:
    return b"".join(line(path, content) for path, content in files.items())


def packed(*contents: bytes) -> bytes:
    records = ((hashlib.sha256(content).digest(), len(content), content) for content in contents)
    return b"".join(uploads.RECORD.pack(digest, size) + content for digest, size, content in records)


def begin(datastore: Datastore, lines: bytes, by: Any, base: str = "") -> actions.Begun:
    file = places.uploads() / f"{hash_of(lines)}.manifest"
    file.write_bytes(lines)
    return actions.begin(datastore=datastore, manifest=file, by=by, base=base)


def push(datastore: Datastore, files: dict[str, bytes], by: Any, note: str = "") -> Version:
    """A version of these files, by the ways that a program has."""
    begun = begin(datastore, manifest(files), by)
    lacking = {one.sha256 for one in uploads.lacking(begun.upload)}
    contents = {content for content in files.values() if hash_of(content) in lacking}
    if contents:
        uploads.receive_pack(begun.upload, packed(*contents))
    return actions.commit(upload=begun.upload, note=note, by=by)[0]


def fill(volume: Datastore, files: dict[str, bytes], by: Any, lines: bytes = b"") -> None:
    """Puts these files into a volume, by the ways that a program has; `lines`: a manifest with modes of its own."""
    begun = begin(volume, lines or manifest(files), by)
    lacking = {one.sha256 for one in uploads.lacking(begun.upload)}
    if contents := {content for content in files.values() if hash_of(content) in lacking}:
        uploads.receive_pack(begun.upload, packed(*contents))
    actions.lay_out(upload=begun.upload, by=by)
