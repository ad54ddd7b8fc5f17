"""Blobs as files in a directory of this host, or of a disk that several hosts share."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from datastores.blobs import CHUNK, Missing, full_said


class DiskStore:
    """`root/<key>`; what still arrives lies in `root/.incoming`, so that a key is never a part of something."""

    at_once = 1

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, file: Path) -> None:
        with full_said("The disk that keeps the content is full."):
            try:
                os.replace(file, f"{self.root}/{key}")  # noqa: PTH105 - a path of pathlib takes longer to make than the file to move
            except FileNotFoundError:
                place = self.root / key
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                file.replace(place)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._copy(file, self.root / key)

    def _copy(self, file: Path, place: Path) -> None:
        """From another disk."""
        incoming = self.root / ".incoming"
        incoming.mkdir(mode=0o700, exist_ok=True)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=incoming)
        os.close(handle)
        try:
            shutil.copyfile(file, name)
            Path(name).replace(place)
        finally:
            Path(name).unlink(missing_ok=True)
        file.unlink()

    def settle(self) -> None:
        os.sync()  # once for all of them: a call for each file would take milliseconds each

    def size(self, key: str) -> int | None:
        try:
            return (self.root / key).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        try:
            file = (self.root / key).open("rb", buffering=0)
        except FileNotFoundError:
            raise Missing(key) from None
        with file:
            file.seek(start)
            left = CHUNK if length is None else length
            while left and (piece := file.read(min(CHUNK, left))):
                yield piece
                left = CHUNK if length is None else left - len(piece)

    def delete(self, key: str) -> None:
        (self.root / key).unlink(missing_ok=True)

    def keys(self, prefix: str) -> Iterator[tuple[str, int]]:
        yield from _below(self.root, "", prefix)


def _below(directory: Path, path: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Files below a directory whose `path` is relative to the root, in the order of their keys."""
    with suppress(FileNotFoundError):
        for entry in sorted(os.scandir(directory), key=_in_order):
            key = path + entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name != ".incoming" and (f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/")):
                    yield from _below(Path(entry.path), f"{key}/", prefix)
            elif key.startswith(prefix):
                with suppress(FileNotFoundError):
                    yield key, entry.stat(follow_symlinks=False).st_size


def _in_order(entry: os.DirEntry[str]) -> str:
    return entry.name + "/" * entry.is_dir(follow_symlinks=False)
