"""Volumes on this host: `var/volumes/<project>/<id>/`, plain directories that jobs write while we look.

Everything here goes through compute.trees and compute.changing. Beside a project's volumes lie `.new`, where files are made that are
not in their place yet, and `.gone`, where what was removed waits to be deleted. Nothing here asks who wants it.
"""

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from compute import changing, trees
from datastores import listings, places, room
from datastores.errors import Impossible, TooMuch, Unfit
from datastores.kinds import Kind
from datastores.manifests import Entry
from datastores.models import Datastore, Upload
from datastores.uploads import content_of, full_said
from mlteam import state
from runner import volumes as weighing

LARGEST: Final = 2**60  # bytes of a quota
SOON: Final = 0.5  # seconds for which somebody who waits has one measured
COMPARED: Final = 10.0  # seconds for which what is there is compared with what somebody would send
STALE: Final = timedelta(minutes=10)  # after which one is measured again, in case a job has written
NO_FOLDER: Final = "There is no such file or folder in the volume."


@dataclass(frozen=True, slots=True)
class Laid:
    """What an upload put into a volume."""

    files: int
    bytes: int


def owner() -> int | None:
    """The user to whom all of a volume belongs on the disk; None where that is whoever the server is."""
    return settings.MLTEAM_UID_BASE - 1 if os.geteuid() == 0 else None


def place_of(datastore: Datastore) -> Path:
    """Where a volume is, or would be."""
    return _of_project(datastore.project_id) / datastore.pk


def root_of(datastore: Datastore) -> Path:
    """Where a volume is; made where it is not there yet."""
    place = place_of(datastore)
    changing.make_root(place, owner())
    return place


def _of_project(project_id: str) -> Path:
    return state.directory(f"volumes/{project_id}")


def _beside(project_id: str, name: str) -> Path:
    place = _of_project(project_id) / name
    place.mkdir(mode=0o700, exist_ok=True)
    return place


# How much is in it


def quota_of(wanted: int | None) -> int:
    """The quota of a volume for which one was asked, or none. Raises Unfit."""
    most = settings.MLTEAM_VOLUME_QUOTA_MOST or LARGEST
    if wanted is None:
        return min(int(settings.MLTEAM_VOLUME_QUOTA), most)
    if not 0 < wanted <= most:
        raise Unfit("quota", f"Choose a number of bytes, at most {room.said(most)}.")
    return wanted


def measure(datastore: Datastore, patience: float | None = None) -> bool:
    """Finds out how much is in a volume and writes it down; False where that took longer than so many seconds."""
    try:
        found = weighing.weighed(str(place_of(datastore)), patience)
    except FileNotFoundError:
        found = (0, 0)
    except weighing.Unmeasurable:
        found = (datastore.quota or 0, 0)  # full: nothing more can be put into it
    used, files = found or (datastore.used, datastore.files)
    datastore.used, datastore.files = used, files
    datastore.measured_at = timezone.now() if found else None
    _note(datastore)
    return found is not None


def _note(datastore: Datastore) -> None:
    """Writes down what was measured, or that it has to be."""
    measured = {"used": datastore.used, "files": datastore.files, "measured_at": datastore.measured_at}
    Datastore.objects.filter(pk=datastore.pk).update(**measured)


def measure_stale() -> None:
    """Measures those that have changed, or may have: first those that have waited longest."""
    rows = Datastore.objects.present().filter(kind=Kind.VOLUME)
    stale = Q(measured_at=None) | Q(measured_at__lt=timezone.now() - STALE)
    for one in rows.filter(stale).order_by(F("measured_at").asc(nulls_first=True)):
        measure(one)


def note_quota(datastore: Datastore) -> Path:
    """Tells the runners of jobs what a volume may have now, in a file."""
    file = _beside(datastore.project_id, ".quotas") / datastore.pk
    state.write_atomically(file, str(datastore.quota or LARGEST))
    return file


def note_written(datastores: Any) -> None:
    """Jobs have written there: these are measured soon. Takes a query of their ids."""
    Datastore.objects.filter(pk__in=datastores).update(measured_at=None)


def is_full(datastore: Datastore) -> bool:
    """Whether it has, as last measured, all that it may have."""
    return (datastore.used or 0) >= (datastore.quota or LARGEST)


def has_folder(datastore: Datastore, path: str) -> bool:
    """Whether there is such a folder now."""
    try:
        with trees.entered(place_of(datastore), path):
            return True
    except trees.NotThere:
        return False


def check_room(datastore: Datastore, upload: Upload) -> None:
    """Whether an upload fits into its volume. Raises TooMuch, Full; InTheWay where a folder is in the place of a file."""
    root, back = place_of(datastore), 0
    with listings.opened(places.upload_directory(upload.id) / "manifest") as listing:
        for entry in listing.entries(0, listing.files):
            back += changing.replaced(root, entry.path)
    measure(datastore, SOON)
    used, quota = datastore.used or 0, datastore.quota or LARGEST
    if used - back + upload.bytes > quota:
        said = f"The volume has {room.said(used)} of the {room.said(quota)} that it may have"
        raise TooMuch(f"{said}; these are {room.said(upload.bytes)}. Remove what nobody needs, or raise its quota.")


# What goes into it


def not_in_place(upload: Upload) -> Iterator[tuple[bytes, int]]:
    """What has to be sent: SHA-256 and size of content that is not in its place already, as far as that is found out in time."""
    until, root = time.monotonic() + COMPARED, place_of(upload.datastore)
    with listings.opened(places.upload_directory(upload.id) / "manifest") as listing:
        for entry in listing.entries(0, listing.files):
            if time.monotonic() > until or not _is_in_place(root, entry):
                yield bytes.fromhex(entry.sha256), entry.size


def _is_in_place(root: Path, entry: Entry) -> bool:
    try:
        with trees.opened(root, entry.path) as file:
            found = os.fstat(file.fileno())
            if found.st_size != entry.size or bool(found.st_mode & stat.S_IXUSR) != (entry.mode == changing.PROGRAM):
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
    except trees.NotThere:
        return False


def lay_out(upload: Upload) -> Laid:
    """Puts the files of an upload that is here whole into its volume. Killed in between, the same again goes on.

    Raises InTheWay, Full.
    """
    root = root_of(upload.datastore)
    directory = places.upload_directory(upload.id)
    with full_said(), listings.opened(directory / "manifest") as listing:
        left = _uses(listing)
        for entry in listing.entries(0, listing.files):
            left[entry.sha256] -= 1
            source = content_of(upload, entry.sha256)
            if source.exists():  # else it was in place already, or was moved before the server was killed
                ready = _ready(upload, source, copy=bool(left[entry.sha256]))
                changing.place(root, entry.path, ready, owner(), entry.mode)
        return Laid(listing.files, upload.bytes)


def _uses(listing: listings.Listing) -> dict[str, int]:
    found: dict[str, int] = {}
    for sha256, _ in listing.hashes():
        found[sha256.hex()] = found.get(sha256.hex(), 0) + 1
    return found


def _ready(upload: Upload, source: Path, *, copy: bool) -> Path:
    """The content as a file on the volume's disk: itself, or a copy where it is needed once more."""
    beside = _beside(upload.datastore.project_id, ".new")
    if not copy and source.stat().st_dev == beside.stat().st_dev:
        return source
    return Path(shutil.copyfile(source, beside / f"{upload.id}.{os.urandom(8).hex()}"))


def make_folder(datastore: Datastore, path: str) -> None:
    """A folder with those above it; no error where it is there. Raises InTheWay."""
    with full_said():
        changing.make_folder(root_of(datastore), path, owner())


# What goes out of it


def take_away(datastore: Datastore, path: str) -> None:
    """Removes a file, or a folder with all in it, or with "" all content, at once; the disk gets its room back a little later.

    Raises trees.NotThere.
    """
    gone = _beside(datastore.project_id, ".gone")
    root = root_of(datastore)
    if path:
        changing.take_away(root, path, gone)
    else:
        changing.take_all_away(root, gone)


def remove(project_id: str, datastore_id: str) -> None:
    """A volume that is no more goes, with all that is in it."""
    (_beside(project_id, ".quotas") / datastore_id).unlink(missing_ok=True)
    with suppress(trees.NotThere):
        changing.take_away(_of_project(project_id), datastore_id, _beside(project_id, ".gone"))


def remove_all_of(project_id: str) -> None:
    """All volumes of a project that is gone."""
    changing.delete(_of_project(project_id))


def delete_gone() -> None:
    """Deletes what was removed, and what uploads have left that were killed."""
    projects = list(_directories(state.directory("volumes", 0o711)))
    left = [draft for project in projects for draft in _directories(project / ".new")]
    left += [tree for project in projects for tree in _directories(project) if not tree.name.startswith(".")]
    # Asked afterwards: what has a row by now is not taken for something that was left.
    known = set(Upload.objects.values_list("pk", flat=True)) | set(_present_ids())
    for tree in left:
        if tree.name.partition(".")[0] not in known:
            changing.delete(tree)
    for project in projects:
        for tree in _directories(project / ".gone"):
            changing.delete(tree)


def _present_ids() -> Iterator[str]:
    rows = Datastore.objects.filter(kind=Kind.VOLUME, removed_at=None)
    return rows.values_list("pk", flat=True).iterator()


def _directories(place: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from list(place.iterdir())


def check_is(datastore: Datastore) -> None:
    """Raises Impossible for what has versions instead of content of its own."""
    if datastore.kind != Kind.VOLUME:
        raise Impossible(
            f"A {datastore.kind} has versions, which never change. Only a volume's content can be changed in place."
        )
