"""What arrives for a version that is not there yet, or for a volume: packs of small files, pieces of large ones. Nothing here asks who
sends it.

In an upload's directory lie `manifest` with its index, `wanted` (what the server lacked when it began) and `<sha256>.part` for each
file that has arrived in part. What is whole and has the right hash goes into the store, and gets its Blob; for a volume it waits in
`whole/` until all is here, and `laying` says that it was, and is being put into its place.
"""

import fcntl
import hashlib
import os
import shutil
import struct
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from datastores import blobs, hints, listings, places, questions
from datastores.errors import Impossible
from datastores.kinds import Kind
from datastores.manifests import BadManifest
from datastores.models import Blob, Upload

RECORD: Final = struct.Struct(">32sQ")  # of a pack before each content, and of `wanted`: SHA-256, size
PACK: Final = 8 * 2**20  # bytes of content in a pack
PACK_LIMIT: Final = PACK + 2**20  # bytes of a pack with its records
PIECE: Final = 16 * 2**20  # bytes of a piece of a large file
AT_ONCE: Final = 500  # hashes in one question to the database
TOUCHED_EVERY: Final = timedelta(minutes=1)
WHOLE: Final = "whole"
REMEMBERED: Final = 64  # files of which a process goes on hashing what arrives

Known = dict[bytes, int]  # SHA-256 -> size


class BadPack(ValueError):
    """What was sent is no pack for this upload; the sentence says why."""


class Damaged(Exception):
    """What has arrived is not what the manifest says: some files have changed on their way, or since they were looked at."""

    def __init__(self, hashes: Iterable[str]) -> None:
        self.hashes = list(hashes)
        super().__init__("The content is not what the manifest says: did the file change meanwhile? Send it again.")


class Gap(Exception):
    """The piece begins after the end of what is here; `received`: how much that is."""

    def __init__(self, received: int) -> None:
        super().__init__(f"{received} bytes of it are here. Go on from there.")
        self.received = received


class NotWanted(Exception):
    """The upload has no such file, or the server had it already."""


@dataclass(frozen=True, slots=True)
class Lack:
    """A blob that is not there; `received`: bytes of it that have arrived."""

    sha256: str
    size: int
    received: int


# What the server lacks


def note_wanted(upload: Upload, changed: Iterable[tuple[bytes, int]] | None = None) -> tuple[int, int]:
    """Writes down what the project lacks of the upload's manifest: how many blobs, and their bytes. Raises BadManifest.

    `changed`: SHA-256 and size of what the latest version, or the volume, has not at the same path, where that is known.
    """
    directory = places.upload_directory(upload.id)
    if laying_mark(upload).exists():
        return 0, 0
    if changed is not None and not _has_faults(upload):
        wanted = _distinct(changed)
    else:
        with listings.opened(directory / "manifest") as listing, closing(listing.hashes()) as hashes:
            wanted = _distinct(hashes)
        for sha256, size in _of_latest(upload):
            if wanted.get(sha256) == size:
                del wanted[sha256]
    for some in _in_parts(list(wanted)):
        for sha256, size in _present(upload, some):
            if wanted[sha256] != size:
                raise BadManifest(f"The content {sha256.hex()} has {size} bytes, not {wanted[sha256]}.")
            del wanted[sha256]
    draft = directory / "wanted.draft"
    draft.write_bytes(b"".join(RECORD.pack(*one) for one in sorted(wanted.items())))
    draft.replace(directory / "wanted")
    return len(wanted), sum(wanted.values())


def _distinct(hashes: Iterable[tuple[bytes, int]]) -> Known:
    known: Known = {}
    for number, (sha256, size) in enumerate(hashes, 1):
        if known.setdefault(sha256, size) != size:
            raise BadManifest(f"Line {number}: another line gives this sha256 another size.")
    return known


def _of_latest(upload: Upload) -> Iterator[tuple[bytes, int]]:
    """What the latest version has and no check has missed: nearly all of the next one, mostly, and need not be asked for."""
    latest = questions.latest(upload.datastore)
    if latest is None or _has_faults(upload):
        return
    with listings.opened(listings.of(latest)) as listing:
        yield from listing.hashes()


def _has_faults(upload: Upload) -> bool:
    """Whether a check has missed something of the project: then nothing counts as there because a version has it."""
    return bool(questions.FAULTS.rows(project=upload.datastore.project_id))


def _present(upload: Upload, hashes: list[bytes]) -> Iterator[tuple[bytes, int]]:
    """Which of some blobs the project has, or the upload where it is for a volume, and how large they are."""
    if upload.datastore.kind == Kind.VOLUME:
        return _waiting(upload, hashes)
    rows = questions.SOUND.rows(project=upload.datastore.project_id, hashes=[sha256.hex() for sha256 in hashes])
    return ((bytes.fromhex(sha256), size) for sha256, size in rows)


def _waiting(upload: Upload, hashes: list[bytes]) -> Iterator[tuple[bytes, int]]:
    whole = waiting_of(upload)
    for sha256 in hashes:
        with suppress(FileNotFoundError):
            yield sha256, (whole / sha256.hex()).stat().st_size


def waiting_of(upload: Upload) -> Path:
    """Where content that is whole waits, under its SHA-256, of an upload to a volume."""
    return places.upload_directory(upload.id) / WHOLE


def laying_mark(upload: Upload) -> Path:
    """A file that is there as soon as all of an upload to a volume was here, and some of it may be in its place."""
    return places.upload_directory(upload.id) / "laying"


def _in_parts(items: list[Any]) -> Iterator[list[Any]]:
    each = iter(items)
    while some := list(islice(each, AT_ONCE)):
        yield some


class Wanted:
    """What the server lacked of an upload when it began, in the order of the hashes."""

    def __init__(self, upload: Upload) -> None:
        try:
            self._content = (places.uploads() / upload.id / "wanted").read_bytes()
        except FileNotFoundError:
            raise Impossible("What has arrived of this upload is gone from the server. Begin it again.") from None
        self._count = len(self._content) // RECORD.size

    def __getitem__(self, number: int) -> tuple[bytes, int]:
        return RECORD.unpack_from(self._content, number * RECORD.size)

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        return RECORD.iter_unpack(self._content)  # type: ignore[return-value]

    def size_of(self, sha256: bytes) -> int:
        """Raises NotWanted."""
        number = bisect_left(range(self._count), sha256, key=lambda one: self[one][0])
        if number == self._count or self[number][0] != sha256:
            raise NotWanted(sha256.hex())
        return self[number][1]


def lacking(upload: Upload) -> Iterator[Lack]:
    """What the server still lacks, and how much of each has arrived."""
    wanted, begun = Wanted(upload), _begun(places.upload_directory(upload.id))
    if laying_mark(upload).exists():
        return
    for some in _in_parts(list(wanted)):
        present = {sha256 for sha256, _ in _present(upload, [sha256 for sha256, _ in some])}
        for sha256, size in some:
            if sha256 not in present:
                yield Lack(sha256.hex(), size, _counts(begun.get(f"{sha256.hex()}.part", 0), size))


def _begun(directory: Path) -> dict[str, int]:
    """What has arrived in part: names of files and their bytes."""
    with os.scandir(directory) as entries:
        names = [one.name for one in entries if one.name.endswith(".part")]
    return {name: _size(directory / name) for name in names}


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def keep_manifest(upload: Upload) -> None:
    """The manifest becomes a blob as what it names: under its hash, which is the version's digest."""
    project_id = upload.datastore.project_id
    source, place = places.upload_directory(upload.id) / "manifest", listings.place_of(project_id, upload.digest)
    drafts = [places.upload_directory(upload.id) / f"{os.urandom(8).hex()}.manifest" for _ in range(2)]
    with full_said():
        for draft in drafts:
            _twice(source, draft)
        _twice(listings.index_of(source), listings.index_of(drafts[0]))
        listings.move(drafts[0], place)
        size = drafts[1].stat().st_size
        _keep(upload, upload.digest, drafts[1])
    _note_kept(upload, {bytes.fromhex(upload.digest): size})


def _twice(file: Path, other: Path) -> None:
    """The same file by another name too: nobody writes into it any more. A copy where the file system has no such names."""
    try:
        other.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, other)


# Packs


def receive_pack(upload: Upload, pack: bytes, *, spare: bool = False) -> int:
    """Keeps the files of a pack, all or none; how many there were. Raises BadPack, Damaged, blobs.Full.

    `spare`: there may be others in it, which nobody lacks; they are left.
    """
    wanted, contents = Wanted(upload), dict(_unpacked(pack))
    if spare:
        hashes = {sha256 for sha256, _ in wanted}
        contents = {sha256: content for sha256, content in contents.items() if sha256 in hashes}
    try:
        wrong = [sha256 for sha256, content in contents.items() if wanted.size_of(sha256) != len(content)]
    except NotWanted as error:
        raise BadPack(f"The manifest has no {error}, or the server has it already.") from None
    wrong += [sha256 for sha256, content in contents.items() if hashlib.sha256(content).digest() != sha256]
    if wrong:
        raise Damaged(sha256.hex() for sha256 in dict.fromkeys(wrong))
    directory = places.upload_directory(upload.id)

    def keep(sha256: bytes) -> None:
        _keep(upload, sha256.hex(), _written(directory, contents[sha256]))

    with full_said():
        for _ in blobs.beside_each_other(keep, contents):
            pass
    _note_kept(upload, {sha256: len(content) for sha256, content in contents.items()})
    return len(contents)


def _unpacked(pack: bytes) -> Iterator[tuple[bytes, memoryview]]:
    at, view = 0, memoryview(pack)
    while at < len(pack):
        if at + RECORD.size > len(pack):
            raise BadPack("The pack ends in the middle of a record.")
        sha256, size = RECORD.unpack_from(pack, at)
        at += RECORD.size
        if at + size > len(pack):
            raise BadPack("The pack ends in the middle of a file.")
        yield sha256, view[at : at + size]
        at += size


def _written(directory: Path, content: memoryview) -> Path:
    file = directory / f"{os.urandom(8).hex()}.whole"
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        while content:
            content = content[os.write(handle, content) :]
    finally:
        os.close(handle)
    return file


def _keep(upload: Upload, sha256: str, file: Path) -> None:
    """Takes a file in the upload's directory."""
    if upload.datastore.kind != Kind.VOLUME:
        blobs.store().put(blobs.key_of(upload.datastore.project_id, sha256), file)
        return
    try:
        os.replace(file, f"{file.parent}/{WHOLE}/{sha256}")  # noqa: PTH105 - as in datastores.disk
    except FileNotFoundError:
        place = file.with_name(WHOLE) / sha256
        place.parent.mkdir(mode=0o700, exist_ok=True)
        file.replace(place)


def _note_kept(upload: Upload, kept: Known) -> None:
    """Rows after bytes: what has a row is there."""
    if upload.datastore.kind == Kind.VOLUME:
        touch(upload)
        return
    healed = _faulty(upload, kept)
    project_id, now = upload.datastore.project_id, connection.ops.adapt_datetimefield_value(timezone.now())
    # Not by the model, which takes longer over each row than the disk over its file.
    columns = "INSERT INTO datastores_blob (project_id, sha256, size, checked_at, fault) VALUES (%s, %s, %s, %s, '')"
    again = "ON CONFLICT (project_id, sha256) DO UPDATE SET fault = '', checked_at = excluded.checked_at"
    with transaction.atomic(), connection.cursor() as cursor:
        rows = [(project_id, sha256.hex(), size, now) for sha256, size in kept.items()]
        cursor.executemany(f"{columns} {again}", rows)
    if healed:
        transaction.on_commit(lambda: hints.mend(project_id, healed))
    touch(upload)


def _faulty(upload: Upload, kept: Known) -> list[str]:
    """Which of these a check has missed, or found damaged."""
    if not _has_faults(upload):
        return []
    hashes = [sha256.hex() for sha256 in kept]
    rows = Blob.objects.filter(project=upload.datastore.project_id, sha256__in=hashes).exclude(fault="")
    return list(rows.values_list("sha256", flat=True))


def touch(upload: Upload) -> None:
    """Something has arrived: the upload is not forgotten yet."""
    now = timezone.now()
    if upload.touched_at < now - TOUCHED_EVERY:
        Upload.objects.filter(pk=upload.pk).update(touched_at=now)


def full_said() -> AbstractContextManager[None]:
    """Raises blobs.Full where the disk takes no more."""
    return blobs.full_said("The server's disk is full. Nothing is lost: go on when there is room.")


def receive_files(upload: Upload, files: Mapping[str, Path]) -> None:
    """Keeps whole files of this host, by their SHA-256, which whoever gives them has just found; they are taken away."""
    known = {}
    for sha256, file in files.items():
        known[bytes.fromhex(sha256)] = file.stat().st_size
        with full_said():
            _keep(upload, sha256, file)
    _note_kept(upload, known)


# Pieces


def received(upload: Upload, sha256: str) -> tuple[int, int]:
    """How many bytes of a large file are here, of how many. Raises NotWanted."""
    size = Wanted(upload).size_of(bytes.fromhex(sha256))
    part = _size(_part(upload, sha256))
    return (_counts(part, size) if part or not _is_kept(upload, sha256) else size), size


def _counts(part: int, size: int) -> int:
    """How much of what has arrived counts: never all of it. Where the end was not kept, by a full disk or a server that was killed, it is
    kept with its last byte, which comes once more."""
    return min(part, max(size - 1, 0))


def receive_piece(upload: Upload, sha256: str, size: int, offset: int, data: bytes | memoryview) -> int:
    """Appends what is new of a piece that begins at `offset`; how much is here then. With the last one the file is whole, and kept.

    `size`: of the whole file. Raises Gap, Damaged (then it begins anew), blobs.Full.
    """
    with _part_of(upload, sha256) as file:
        if file is None:
            return size
        here = os.fstat(file).st_size
        if offset > here:
            raise Gap(here)
        new = memoryview(data)[here - offset :]
        if here + len(new) > size:
            _forget(upload, sha256)
            raise Damaged([sha256])
        _append(upload, sha256, file, here, new)
        if here + len(new) == size:
            _finish(upload, sha256, file, size)
        return here + len(new)


def _part(upload: Upload, sha256: str) -> Path:
    return places.upload_directory(upload.id) / f"{sha256}.part"


def _is_kept(upload: Upload, sha256: str) -> bool:
    return any(_present(upload, [bytes.fromhex(sha256)]))


@contextmanager
def _part_of(upload: Upload, sha256: str) -> Iterator[int | None]:
    """The file of what has arrived, to oneself; None where it is whole and kept already."""
    path = _part(upload, sha256)
    # Locked by a file of its own: the part itself goes into the store, where nothing may be appended any more.
    with full_said(), path.with_suffix(".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists() and _is_kept(upload, sha256):
            yield None
            return
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            yield file
        finally:
            os.close(file)


def _append(upload: Upload, sha256: str, file: int, here: int, data: memoryview) -> None:
    written = 0
    while written < len(data):
        written += os.write(file, data[written:])
    _hashers.add((upload.id, sha256), here, data)


def _finish(upload: Upload, sha256: str, file: int, size: int) -> None:
    found = _hashers.digest((upload.id, sha256), size) or _hash_of(_part(upload, sha256))
    if found != sha256:
        _forget(upload, sha256)
        raise Damaged([sha256])
    _keep(upload, sha256, _part(upload, sha256))
    _note_kept(upload, {bytes.fromhex(sha256): size})


def _forget(upload: Upload, sha256: str) -> None:
    _part(upload, sha256).unlink(missing_ok=True)


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Hashers:
    """Hashes of files as they arrive, so that a large one is not read again at its end; as long as one process gets all of it."""

    def __init__(self) -> None:
        self._begun: OrderedDict[tuple[str, str], tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, key: tuple[str, str], here: int, data: memoryview) -> None:
        """These bytes follow on so many that have arrived."""
        with self._lock:
            hasher, at = self._begun.pop(key, (hashlib.sha256(), 0))
        if at != here:
            if here:
                return  # another process has had a part of it
            hasher = hashlib.sha256()
        hasher.update(data)
        with self._lock:
            self._begun[key] = hasher, here + len(data)
            while len(self._begun) > REMEMBERED:
                self._begun.popitem(last=False)

    def digest(self, key: tuple[str, str], size: int) -> str:
        """Of all bytes of the file; "" where some were not seen here."""
        with self._lock:
            hasher, at = self._begun.pop(key, (None, 0))
        return hasher.hexdigest() if hasher and at == size else ""


_hashers = _Hashers()
