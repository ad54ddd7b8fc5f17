"""Unpacks archives that somebody else has made: tar, however compressed, and zip. They may say and do anything.

Only regular files come out, below one folder, under names that a version may have. Links, devices and the like are left out and counted.
What an archive says of its sizes is looked at before, and what really comes out while it does.
"""

import bz2
import errno
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from datastores import paths, room
from datastores.blobs import Full
from datastores.manifests import FILES

TARS: Final = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
RENAME: Final = "Rename it or leave it out, and pack the archive again."
CHUNK: Final = 2**20
HEADER: Final = 2**20  # bytes of what a tar says of one file
DIRECTORY: Final = 128 * 2**20  # bytes of a zip's list of files
PACKED: Final[dict[bytes, Callable[[Path], Any]]] = {  # how a file begins that is packed, and what unpacks it
    b"\x1f\x8b\x08": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"\x5d\x00\x00\x80": lzma.open,
}
CUT: Final = "it is cut, its end is missing"


class BadArchive(Exception):
    """It cannot be unpacked; the sentence says why."""


@dataclass(slots=True)
class Unpacked:
    """What came out, and what was left out: kind -> how many."""

    files: int = 0
    bytes: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def said(self) -> str:
        """What was left out, in a sentence; "" for nothing."""
        many = [f"{count:,} {kind}{'' if count == 1 else 's'}" for kind, count in self.left_out.items()]
        return f"Left out of the archive: {' and '.join(many)}." if many else ""


def is_archive(name: str) -> bool:
    """Whether a file of this name is to be unpacked."""
    return name.lower().endswith((*TARS, ".zip"))


def unpack(archive: Path, to: Path, *, most: int, note: Callable[[int], None]) -> Unpacked:
    """All regular files of it, below the new folder `to`. `note` is told of bytes as they come out, and may raise.

    `most`: bytes that may come out. Raises BadArchive, blobs.Full.
    """
    to.mkdir(mode=0o700)
    target = _Target(to, most, note)
    try:
        if archive.name.lower().endswith(".zip"):
            _zip(archive, target)
        else:
            _tar(archive, target)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, UnicodeError) as error:
        raise BadArchive(f"{paths.shown(archive.name)} is no such archive, or is damaged: {_plain(error)}.") from error
    except (NotImplementedError, RuntimeError) as error:
        raise BadArchive(
            f"{paths.shown(archive.name)} is packed in a way that is not known here: {_plain(error)}."
        ) from error
    if not target.done.files:
        raise BadArchive(f"{paths.shown(archive.name)} has no files in it.")
    return target.done


def _plain(error: BaseException) -> str:
    return paths.shown(str(error)).rstrip(".") or type(error).__name__


class _Target:
    """The folder that files come into."""

    def __init__(self, root: Path, most: int, note: Callable[[int], None]) -> None:
        self.root, self.most, self.note, self.done = root, most, note, Unpacked()

    def check(self, name: str, size: int) -> Path:
        """Where a file goes that says to be so large."""
        try:
            path = paths.clean(name)
        except paths.BadPath as error:
            raise BadArchive(f"The archive has a file that cannot be kept: {error} {RENAME}") from None
        self.done.files += 1
        if self.done.files > FILES:
            raise BadArchive(f"The archive has more than {FILES:,} files.")
        self.check_size(size)
        free = shutil.disk_usage(self.root).free
        if size + room.LEFT > free:
            raise Full(
                f"The server's disk has {room.said(max(free - room.LEFT, 0))} left; “{paths.shown(path)}” needs {room.said(size)}."
            )
        return self.root / path

    def check_size(self, more: int) -> None:
        if self.done.bytes + more > self.most:
            raise BadArchive(
                f"The archive unpacks to more than {room.said(self.most)}, which is what is taken at most."
            )

    def write(self, name: str, size: int, content: IO[bytes], *, executable: bool) -> None:
        """`size`: what the archive says. No more comes out."""
        place = self.check(name, size)
        written = 0
        try:
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with place.open("wb") as file:
                while piece := content.read(CHUNK):
                    written += len(piece)
                    if written > size:
                        raise BadArchive(f"“{paths.shown(name)}” is larger than the archive says.")
                    self.check_size(len(piece))
                    self.done.bytes += len(piece)
                    file.write(piece)
                    self.note(len(piece))
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise BadArchive(f"“{paths.shown(name)}” is a file in it, and a folder of another file.") from None
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise BadArchive(f"The path “{paths.shown(name)}” is too long for the server's disk. {RENAME}") from None
        if written != size:
            raise BadArchive(f"“{paths.shown(name)}” ends before its end.")
        place.chmod(0o755 if executable else 0o644)


# Tar


class _Careful(tarfile.TarInfo):
    """What a tar says of one file: read only as far as that is of a sane size."""

    def _proc_member(self, archive: Any) -> Any:
        described = (
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        )
        if self.type in described and self.size > HEADER:
            raise BadArchive("The archive says more about one of its files than anybody reads.")
        if self.size < 0:
            raise BadArchive("The archive has a file of less than nothing.")
        return super()._proc_member(archive)  # type: ignore[misc]

    @classmethod
    def fromtarfile(cls, archive: Any) -> Any:
        """The next file. Python takes what is wrong after the first one for the end: then files would be missing without a word."""
        try:
            return super().fromtarfile(archive)
        except (tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(CUT) from error
        except tarfile.InvalidHeaderError as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"what a file begins with is damaged at byte {archive.offset:,}") from error

    def _sparse(self, *_: Any) -> Any:
        raise BadArchive("The archive has a file with holes (sparse), which is not known here.")

    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _sparse


def _tar(path: Path, target: _Target) -> None:
    with (
        _plainly(path) as content,
        tarfile.open(fileobj=content, mode="r|", tarinfo=_Careful, bufsize=CHUNK) as archive,
    ):
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # or it remembers them all
            if member.isreg():
                content = archive.extractfile(member)
                assert content
                target.write(_named(member.name), member.size, content, executable=bool(member.mode & 0o100))
            elif member.issym() or member.islnk():
                target.done.left_out["link"] += 1
            elif not member.isdir():
                target.done.left_out["device"] += 1
        _check_end(archive.fileobj, target)


class _Plain:
    """What a packed file was before. Its end is checked, too: a decompressor compares its sums when it is read to there."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except EOFError as error:
            raise tarfile.ReadError(CUT) from error
        except (zlib.error, lzma.LZMAError, OSError) as error:
            if getattr(error, "errno", None):  # the disk's
                raise
            raise tarfile.ReadError(f"its compression is damaged ({_plain(error)})") from error


@contextmanager
def _plainly(path: Path) -> Iterator[Any]:
    """The tar itself, however its file is called."""
    with path.open("rb") as file:
        begins = file.read(8)
    opened = next((opened for magic, opened in PACKED.items() if begins.startswith(magic)), None)
    with opened(path) if opened else path.open("rb") as file:
        yield _Plain(file)


def _check_end(content: Any, target: _Target) -> None:
    """Looks at what comes after the zero block that has ended the list of files. Raises tarfile.ReadError.

    A second one has to follow, and after it nothing but zeros: of two archives one after the other the files of the second would be
    missing, and of one with a hole those behind it. Where the archive ends with the first, nothing is missing: GNU tar takes that, too.
    """
    read, after = 0, content.read(tarfile.BLOCKSIZE)
    if after and len(after) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError(CUT)
    while after:
        if after.count(0) != len(after):
            raise tarfile.ReadError("there is more after its end")
        read += len(after)
        target.check_size(read)
        target.note(0)
        after = content.read(CHUNK)


def _named(name: str) -> str:
    """Many tars are made of `.`: then all names begin with that."""
    return name.removeprefix("./")


# Zip


def _zip(path: Path, target: _Target) -> None:
    _check_directory(path)
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir():
                continue
            if stat.S_ISLNK(kind):
                target.done.left_out["link"] += 1
            elif kind and not stat.S_ISREG(kind):
                target.done.left_out["device"] += 1
            elif info.flag_bits & 1:
                raise BadArchive("The archive is encrypted. Pack it without a password.")
            else:
                with archive.open(info) as content:
                    executable = bool(info.external_attr >> 16 & 0o100)
                    target.write(_named(info.filename), info.file_size, content, executable=executable)


def _check_directory(path: Path) -> None:
    """What a zip says of its files is read into memory at once."""
    with path.open("rb") as file:
        end: Any = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end is None:
        raise zipfile.BadZipFile("its end is missing")
    if end[5] > min(DIRECTORY, path.stat().st_size):
        raise BadArchive(
            f"The archive's list of files has {room.said(end[5])}, of {room.said(DIRECTORY)} that are read."
        )
