"""What is in a volume, for whoever reads it while jobs may write: the listing of all, archives, single files.

Paths are as the disk has them; a listing and a zip have them as they are told.
"""

import hashlib
import json
import os
import stat
import tarfile
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from accounts.downloads import Sink
from compute import trees
from compute.trees import Entry, NotThere
from datastores import paths, previews, volumes
from datastores.contents import BLOCK, gathered
from datastores.models import Datastore
from datastores.uploads import RECORD

CHUNK: Final = 256 * 1024
PACKED: Final = 2**20  # bytes of a file that comes in a pack
NOT_PACKED: Final = RECORD.pack(bytes(32), 2**64 - 1)
EARLIEST, LATEST = 315_532_800, 4_354_819_198  # seconds since 1970 that a zip can name: 1980 to 2107
LAST: Final = 253_402_300_799  # seconds since 1970 at the end of the year 9999
SECOND: Final = 10**9  # nanoseconds
TICK: Final = 100_000_000  # ns in which a file may change once more without getting another time
COARSE_TICK: Final = 2 * SECOND  # where the disk keeps whole seconds
PLAIN, PROGRAM = 0o644, 0o755

_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # made once for all lines


def shown(entry: Entry) -> dict[str, Any]:
    """What is told of one thing; `mode` as in manifests and `modified_ns` of files alone."""
    file = entry.kind == "file"
    mode = (PROGRAM if entry.mode & stat.S_IXUSR else PLAIN) if file else None
    size = entry.size if file else 0
    exactly = _known_by(entry.modified_ns) if file else None
    return {"kind": entry.kind, "size": size, "mode": mode, "modified": _moment(entry.modified), "modified_ns": exactly}


def _known_by(modified_ns: int) -> int | None:
    """The time by which a file is known again: none while what is written next may get the same, and none that not every system has."""
    return modified_ns if 0 <= modified_ns < LAST * SECOND and is_settled(modified_ns) else None


def is_settled(changed_ns: int) -> bool:
    """Whether what is written from now on into a file that was last changed then gives it another time."""
    return changed_ns < time.time_ns() - (TICK if changed_ns % SECOND else COARSE_TICK)


def tag_of(found: os.stat_result) -> str:
    """The ETag of a file: another one as soon as a job has written there; a weak one, by which nobody goes on, while that is not so yet."""
    tag = f'"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"'
    return tag if is_settled(found.st_ctime_ns) else f"W/{tag}"


def seen(path: str, opened: BinaryIO) -> previews.File:
    """An open file, for a look at it; what a job cuts off meanwhile is not there."""
    handle = opened.fileno()
    return previews.File(path, os.fstat(handle).st_size, lambda start, length: os.pread(handle, length, start))


def _moment(seconds: float) -> datetime:
    """A file's time; a job can set it to any."""
    return datetime.fromtimestamp(int(min(max(seconds, 0), LAST)), UTC)


def listing(datastore: Datastore, path: str) -> Iterator[bytes]:
    """All that is below a folder, "" is the whole: a line of JSON each, in no order."""
    for entry in trees.everything(volumes.place_of(datastore), path):
        told = shown(entry)
        told["modified"] = told["modified"].isoformat().replace("+00:00", "Z")
        line = {"path": paths.told(f"{path}/{entry.path}" if path else entry.path)} | told
        yield _written(line).encode() + b"\n"


def packed(datastore: Datastore, wanted: list[str]) -> Iterator[bytes]:
    """Small files, in the order asked for: before the content of each its SHA-256 and size; NOT_PACKED for what is no small file now."""
    root = volumes.place_of(datastore)
    for path in wanted:
        content = _small(root, path)
        yield NOT_PACKED if content is None else RECORD.pack(hashlib.sha256(content).digest(), len(content)) + content


def _small(root: Path, path: str) -> bytes | None:
    try:
        with trees.opened(root, path) as file:
            before = os.fstat(file.fileno())
            content = file.read(PACKED + 1)
            anew = is_written_anew(before, os.fstat(file.fileno()))
    except (NotThere, OSError):  # a job took it away since it was listed
        return None
    return None if anew or len(content) > PACKED else content


def is_written_anew(before: os.stat_result, now: os.stat_result) -> bool:
    """Whether a job wrote into an open file meanwhile, otherwise than to add to its end."""
    return now.st_size <= before.st_size and now.st_mtime_ns != before.st_mtime_ns


def archived(datastore: Datastore, path: str, kind: str) -> Iterator[bytes]:
    """All files below a folder as an archive in which paths begin there; links and whatever is no file are left out."""
    root = volumes.place_of(datastore)
    return gathered((_tarred if kind == "tar" else _zipped)(root, path))


def _files(root: Path, path: str) -> Iterator[tuple[Entry, BinaryIO, int]]:
    """Each file that is there when it is its turn, open, with its size at that moment."""
    for entry in trees.everything(root, path):
        if entry.kind != "file":
            continue
        try:
            with trees.opened(root, f"{path}/{entry.path}" if path else entry.path) as file:
                yield entry, file, os.fstat(file.fileno()).st_size
        except NotThere:  # a job took it away since it was listed
            continue


def _tarred(root: Path, path: str) -> Iterator[bytes]:
    for entry, file, size in _files(root, path):
        info = tarfile.TarInfo(entry.path)
        info.size, info.mtime = size, int(min(max(entry.modified, 0), LAST))
        info.mode = PROGRAM if entry.mode & stat.S_IXUSR else PLAIN
        yield info.tobuf(tarfile.PAX_FORMAT)
        left = size
        while left and (piece := file.read(min(CHUNK, left))):
            left -= len(piece)
            yield piece
        # What a job has cut off meanwhile is zeros, as with tar itself: the size was said before.
        while left > CHUNK:
            left -= CHUNK
            yield bytes(CHUNK)
        yield bytes(left + -size % BLOCK)
    yield bytes(2 * BLOCK)


def _zipped(root: Path, path: str) -> Iterator[bytes]:
    sink = Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for entry, file, size in _files(root, path):
            # A backslash leads into directories on another system, and perhaps out of where the archive is unpacked.
            moment = time.gmtime(min(max(entry.modified, EARLIEST), LATEST))[:6]
            info = zipfile.ZipInfo(paths.told(entry.path).replace("\\", "_"), moment)
            info.external_attr = (stat.S_IFREG | (PROGRAM if entry.mode & stat.S_IXUSR else PLAIN)) << 16
            left = size
            with archive.open(info, "w", force_zip64=True) as target:
                while left and (piece := file.read(min(CHUNK, left))):
                    left -= len(piece)
                    target.write(piece)
                    yield sink.empty()
        yield sink.empty()
    yield sink.empty()


def file_name(datastore: Datastore, path: str, kind: str) -> str:
    """What an archive is called."""
    last = f"-{paths.told(Path(path).name)}" if path else ""
    return f"{datastore.name}{last}.{kind}"
