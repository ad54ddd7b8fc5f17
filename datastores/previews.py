"""What a file of a version is shown as: a table, an image, a text, or nothing. Files are whatever somebody uploaded: little of each is
looked at, and the reader of Parquet, which is not ours, works in a process of its own that ends."""

import csv
import json
import mimetypes
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from datastores import contents
from datastores.manifests import Entry
from datastores.parquet_head import CELL, COLUMNS, ROWS

SHOWN: Final = 64 * 1024  # bytes of a text
HEAD: Final = 256 * 1024  # bytes of a table that is text
IMAGES: Final = {  # first bytes of what is shown as an image. SVG is not: it is a document, which may act
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}
LARGEST_IMAGE: Final = 32 * 2**20  # bytes
SEPARATORS: Final = {".csv": ",;\t|", ".tsv": "\t"}
SECONDS: Final = 10.0  # until a reader that does not answer is ended
READ: Final = 64 * 2**20  # bytes that a reader may ask for
PATIENCE: Final = 5.0  # seconds that one waits until a reader is free

_readers = threading.Semaphore(2)

Ask = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Table:
    """The beginning of a table: names of columns and rows of texts; a cell that is None has no value. `kinds`: what each column holds,
    where the file says so."""

    columns: list[str]
    rows: list[list[str | None]]
    kinds: list[str]
    more_columns: bool = False
    more_rows: bool = False


class NoPreview(Exception):
    """Nothing can be shown; the sentence says why."""


@dataclass(frozen=True, slots=True)
class File:
    """What is looked at: its path, how many bytes it has, and `read(start, length)`, which gives some of them."""

    path: str
    size: int
    read: Ask


def of_version(project_id: str, entry: Entry) -> File:
    """A file of a version."""

    def read(start: int, length: int) -> bytes:
        end = min(entry.size, start + length)
        return b"".join(contents.read(project_id, entry, start, end)) if start < end else b""

    return File(entry.path, entry.size, read)


def preview(file: File, *, as_text: bool = False) -> dict[str, Any]:
    """How a file is shown, for a page: `image` (its media type), `table`, `text`, or `trouble`, which says why nothing is. `cut`: there
    is more of the text. Raises blobs.Missing."""
    found: dict[str, Any] = {
        "image": None,
        "table": None,
        "text": None,
        "trouble": "",
        "cut": False,
        "as_text": as_text,
    }
    try:
        found["image"] = image_type(file)
        found["table"] = None if found["image"] or as_text else table(file)
    except NoPreview as error:
        found["trouble"] = str(error)
    if not (found["image"] or found["table"] or found["trouble"]):
        found["text"] = text(file)
        found["cut"] = found["text"] is not None and file.size > SHOWN
    return found


def image_type(file: File) -> str | None:
    """The media type of a file that may be shown as an image: by its name, its first bytes and its size."""
    kind = mimetypes.guess_type(file.path)[0] or ""
    if kind not in IMAGES or file.size > LARGEST_IMAGE:
        return None
    return kind if file.read(0, 16).startswith(IMAGES[kind]) else None


def table(file: File) -> Table | None:
    """The beginning of a table; None for what is none by its name. Raises NoPreview, blobs.Missing."""
    suffix = Path(file.path).suffix.lower()
    if suffix in SEPARATORS and file.size:
        return _separated(file.read(0, HEAD), suffix, cut=file.size > HEAD)
    return parquet(file.size, file.read) if suffix in {".parquet", ".pq"} else None


# Text


def text(file: File) -> str | None:
    """The beginning of a file; None for what is no text."""
    data = file.read(0, SHOWN)
    for cut in range(4 if file.size > SHOWN else 1):  # the last character may be there in part
        try:
            found = data[: len(data) - cut].decode()
        except UnicodeDecodeError:
            continue
        return None if "\0" in found else found
    return None


def _separated(head: bytes, suffix: str, *, cut: bool) -> Table | None:
    text = head.decode("utf-8-sig", errors="replace")
    if "\0" in text or text.count("�") > len(text) // 20:
        return None
    lines = text.splitlines(keepends=True)
    lines = lines[:-1] if cut and len(lines) > 1 else lines
    if not lines:
        return None
    separator = max(SEPARATORS[suffix], key=lines[0].count)
    try:
        rows = list(islice((row for row in csv.reader(lines, delimiter=separator) if row), ROWS + 2))
    except csv.Error:
        return None
    return _shown(rows, more=cut) if rows else None


def _shown(rows: list[list[str]], *, more: bool) -> Table:
    width = max(map(len, rows))
    names = rows[0] + [""] * (width - len(rows[0]))
    kept: list[list[str | None]] = [
        [_short(cell) for cell in row[:COLUMNS]] + [None] * (min(width, COLUMNS) - len(row))
        for row in rows[1 : ROWS + 1]
    ]
    columns = [_short(name) for name in names[:COLUMNS]]
    return Table(columns, kept, [], width > COLUMNS, more or len(rows) > ROWS + 1)


def _short(text: str) -> str:
    return text[:CELL] + "…" * (len(text) > CELL)


# Parquet


def parquet(size: int, read: Ask) -> Table:
    """The first rows of a Parquet file of so many bytes, of which `read(start, length)` gives some. Raises NoPreview."""
    if not _readers.acquire(timeout=PATIENCE):
        raise NoPreview("Many files are being looked at just now. Reload the page in a moment.")
    try:
        with _reader() as process:
            said = _answered(process, size, read)
    finally:
        _readers.release()
    return Table(**said)


@contextmanager
def _reader() -> Iterator[subprocess.Popen[bytes]]:
    """A process that reads one file, with nothing of ours but what it is told."""
    command = [sys.executable, "-I", str(Path(__file__).with_name("parquet_head.py"))]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"RAYON_NUM_THREADS": "1"},
        cwd="/",
    )
    timer = threading.Timer(SECONDS, process.kill)
    timer.start()
    try:
        yield process
    finally:
        timer.cancel()
        process.kill()
        with process:
            pass


def _answered(process: subprocess.Popen[bytes], size: int, read: Ask) -> dict[str, Any]:
    """What the reader says in the end; until then it is given the parts of the file that it asks for."""
    assert process.stdin
    assert process.stdout
    left, until = READ, time.monotonic() + SECONDS
    try:
        _tell(process.stdin, f"{size}\n".encode())
        while line := process.stdout.readline(2**20 * 8):
            said = json.loads(line)
            if not isinstance(said, list):
                break
            start, length = map(int, said)
            left -= max(0, length)
            if left < 0 or time.monotonic() > until:
                break
            part = read(start, length)
            _tell(process.stdin, f"{len(part)}\n".encode() + part)
        else:
            said = {}
    except (OSError, ValueError, TypeError):
        said = {}
    if not isinstance(said, dict) or "columns" not in said:
        raise NoPreview("This is no Parquet file, or one that takes too long to look into. The download has all of it.")
    return said


def _tell(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(data)
    pipe.flush()
