"""What a version consists of, for whoever reads it: single files, packs, archives. Files come from the store as they are sent."""

import stat
import tarfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from accounts.downloads import Sink
from datastores import blobs, hints, listings
from datastores.blobs import Missing, key_of, store
from datastores.manifests import Entry
from datastores.models import Version
from datastores.uploads import RECORD

BLOCK: Final = 512  # bytes of which a tar consists
SMALL: Final = 2**20  # bytes of a file that may wait in memory until it is its turn
GATHERED: Final = 256 * 1024  # bytes of small files that are sent at once
FORMATS: Final = {"tar": "application/x-tar", "zip": "application/zip"}


class Lost(Missing):
    """A file of a version whose content is missing or damaged; its text is the path. A worker is asked to look at it, and note that."""

    def __init__(self, project_id: str, entry: Entry) -> None:
        super().__init__(entry.path)
        hints.compare(project_id, entry.sha256)


def check_there(project_id: str, entry: Entry) -> None:
    """Raises Lost before an answer begins that could not be ended."""
    if store().size(key_of(project_id, entry.sha256)) != entry.size:
        raise Lost(project_id, entry)


def read(project_id: str, entry: Entry, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes of a file from one to another (exclusive)."""
    return store().read(key_of(project_id, entry.sha256), start, (entry.size if end is None else end) - start)


def whole(project_id: str, entry: Entry, start: int = 0, *, compared: bool = True) -> Iterator[bytes]:
    """All of a file from a byte on. Raises Lost where it has not the size that was announced, for the rest would be taken for something
    else, or not its hash; and that before its last piece, so that nobody has all of it then. `compared`: else whoever gets it does that."""
    length, digest, last = 0, sha256(), b""
    for piece in read(project_id, entry):
        if last:
            yield last
        if compared:
            digest.update(piece)
        last = piece[max(0, start - length) :]
        length += len(piece)
    if length != entry.size or (compared and digest.hexdigest() != entry.sha256):
        raise Lost(project_id, entry)
    if last:
        yield last


def _contents(
    project_id: str, entries: Iterable[Entry], *, compared: bool = True
) -> Iterator[tuple[Entry, Iterable[bytes]]]:
    """Each file with its content; out of a bucket, small ones arrive beside each other."""

    def begun(entry: Entry) -> tuple[Entry, Iterable[bytes]]:
        content = whole(project_id, entry, compared=compared)
        return entry, list(content) if entry.size <= SMALL else content

    return blobs.beside_each_other(begun, entries)


def gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces."""
    parts: list[bytes] = []
    length = 0
    for piece in pieces:
        parts.append(piece)
        length += len(piece)
        if length >= GATHERED:
            yield b"".join(parts)
            parts, length = [], 0
    if parts:
        yield b"".join(parts)


def packed(project_id: str, entries: list[Entry]) -> Iterator[bytes]:
    """A pack: before the content of each file its SHA-256 and size, by which whoever gets it knows what is damaged, and the rest is not."""
    for entry, content in _contents(project_id, entries, compared=False):
        yield RECORD.pack(bytes.fromhex(entry.sha256), entry.size)
        yield from content


def manifest(version: Version) -> Iterator[bytes]:
    """The canonical manifest."""
    with listings.of(version).open("rb") as file:
        while piece := file.read(blobs.CHUNK):
            yield piece


# Archives


def archived(version: Version, folder: str, kind: str) -> Iterator[bytes]:
    """All that is below a folder of a version, as an archive in which paths begin in that folder."""
    make = _tarred if kind == "tar" else _zipped
    with listings.opened(listings.of(version)) as listing:
        prefix = f"{folder}/" if folder else ""
        entries = listing.entries(*listing.folder(folder))
        yield from gathered(make(version.datastore.project_id, entries, prefix, version.created_at))


def _tarred(project_id: str, entries: Iterator[Entry], prefix: str, at: datetime) -> Iterator[bytes]:
    for entry, content in _contents(project_id, entries):
        info = tarfile.TarInfo(entry.path.removeprefix(prefix))
        info.size, info.mode, info.mtime = entry.size, entry.mode, int(at.timestamp())
        yield info.tobuf(tarfile.PAX_FORMAT)
        yield from content
        yield bytes(-entry.size % BLOCK)
    yield bytes(2 * BLOCK)


def _zipped(project_id: str, entries: Iterator[Entry], prefix: str, at: datetime) -> Iterator[bytes]:
    sink, moment = Sink(), time.gmtime(at.timestamp())[:6]
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for entry, content in _contents(project_id, entries):
            # A backslash leads into directories on another system, and perhaps out of where the archive is unpacked.
            info = zipfile.ZipInfo(entry.path.removeprefix(prefix).replace("\\", "_"), moment)
            info.external_attr = (stat.S_IFREG | entry.mode) << 16
            info.file_size = entry.size
            with archive.open(info, "w", force_zip64=entry.size > zipfile.ZIP64_LIMIT // 2) as target:
                for piece in content:
                    target.write(piece)
                    yield sink.empty()
        yield sink.empty()
    yield sink.empty()


def file_name(version: Version, folder: str, kind: str) -> str:
    """What an archive is called."""
    last = f"-{Path(folder).name}" if folder else ""
    return f"{version.datastore.name}-{version.number}{last}.{kind}"
