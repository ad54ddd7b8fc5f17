"""What a job wrote to $MLTEAM_OUTPUT: listed, read and packed through compute.trees, because the job may still be writing there."""

import json
import mimetypes
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from accounts.downloads import Sink
from compute import trees
from jobs import places
from jobs.models import Job

LISTED: Final = 2000
CHUNK: Final = 256 * 1024
JSON_SHOWN: Final = 64 * 1024  # bytes of a JSON file that the page shows
JSON_INDENTED: Final = 4 * JSON_SHOWN  # characters: deep nesting makes indented text a thousand times longer
EARLIEST, LATEST = 315_532_800, 4_354_819_198  # seconds since 1970 that a zip can name: 1980 to 2107
IMAGES: Final = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}


def kind_of(entry: trees.Entry) -> str:
    """How the page shows it: image, json, link or other."""
    if entry.kind == "link":
        return "link"
    if entry.kind != "file" or "\n" in entry.path:  # no address has a line break; it is in the archive
        return "special"
    guessed = mimetypes.guess_type(entry.path)[0]
    if guessed in IMAGES:
        return "image"
    return "json" if guessed == "application/json" else "other"


def listed(job: Job) -> tuple[list[trees.Entry], bool]:
    """The artifacts, at most LISTED, and whether there are more."""
    entries = list(trees.walk(places.output_directory(job.id), limit=LISTED + 1))
    return entries[:LISTED], len(entries) > LISTED


def json_text(job: Job, path: str) -> str:
    """A JSON file made readable; as it is where it is no JSON or too long."""
    with trees.opened(places.output_directory(job.id), path) as file:
        data = file.read(JSON_SHOWN + 1)
    text = data[:JSON_SHOWN].decode(errors="replace")
    if len(data) > JSON_SHOWN:
        return f"{text}\n…"
    return _indented(text) or text


def _indented(text: str) -> str:
    """The JSON with a line for each value; "" where it is no JSON, has text that is no UTF-8, or becomes too long."""
    try:
        parts, length = [], 0
        for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(json.loads(text)):
            parts.append(part)
            length += len(part)
            if length > JSON_INDENTED:
                return ""
        return "".join(parts).encode().decode()
    except (ValueError, RecursionError):
        return ""


def image_type(path: str, head: bytes) -> str | None:
    """The media type of a file that may be shown as an image: by its name and its first bytes."""
    guessed = mimetypes.guess_type(path)[0]
    return guessed if guessed in IMAGES and head.startswith(IMAGES[guessed]) else None


def zipped(root: Path) -> Iterator[bytes]:
    """All regular files below root as a zip, piece by piece in constant memory."""
    sink = Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for entry in trees.walk(root, limit=1_000_000):
            if entry.kind == "file":
                yield from _pack(archive, sink, root, entry)
    yield sink.empty()


def _pack(archive: zipfile.ZipFile, sink: Sink, root: Path, entry: trees.Entry) -> Iterator[bytes]:
    # A backslash leads into directories on another system, and perhaps out of where the archive is unpacked.
    name = entry.path.replace("\\", "_")
    info = zipfile.ZipInfo(name, time.gmtime(min(max(entry.modified, EARLIEST), LATEST))[:6])
    info.external_attr = 0o644 << 16
    try:
        with trees.opened(root, entry.path) as source, archive.open(info, "w", force_zip64=True) as target:
            while chunk := source.read(CHUNK):
                target.write(chunk)
                yield sink.empty()
    except trees.NotThere:  # the job took it away since it was listed
        return
