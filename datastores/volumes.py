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
from datastores import blobs, listings, places, room
from datastores.errors import Impossible, TooMuch, Unfit
from datastores.kinds import Kind
from datastores.manifests import Entry
from datastores.models import Datastore, Upload
from datastores.uploads import full_said, waiting_of
from mlteam import state
from projects.models import Project
from runner import volumes as weighing

LARGEST: Final = 2**60  # bytes of a quota
SOON: Final = 0.5  # seconds for which somebody who waits has one measured
FEW: Final = 10_000  # files for which it is looked in any case whether something is in their way
COMPARED: Final = 10.0  # seconds for which what is there is compared with what somebody would send
STALE: Final = timedelta(days=1)  # after which one is measured again though nobody has said that it changed
FOLDER_SIZE: Final = 8192  # bytes that a new folder takes of the disk, at most
NAME_SIZE: Final = 512  # and a name in one
NO_ROOM: Final = "The server's disk has no room for this. Nothing of it is in the volume; what was sent is kept: go on when there is room."
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
    row = Datastore.objects.filter(pk=datastore.pk)
    datastore.measured_at = timezone.now()
    row.update(measured_at=datastore.measured_at)  # before: what is written from now on is noted by others
    try:
        found = weighing.weighed(str(place_of(datastore)), patience)
    except FileNotFoundError:
        found = (0, 0)
    except weighing.Unmeasurable:
        found = (datastore.quota or 0, 0)  # full: nothing more can be put into it
    if found is None:
        row.update(measured_at=None)
        return False
    datastore.used, datastore.files = found
    row.update(used=datastore.used, files=datastore.files)
    return True


def measure_changed() -> None:
    """Measures those that have changed, or may have: first those that have waited longest. Only one process does, the others leave it."""
    changed = Q(measured_at=None) | Q(measured_at__lt=timezone.now() - STALE)
    rows = Datastore.objects.present().filter(changed, kind=Kind.VOLUME)
    with state.alone(state.directory("volumes", 0o711) / ".measuring") as alone:
        for one in rows.order_by(F("measured_at").asc(nulls_first=True)) if alone else ():
            measure(one)


def note_quota(datastore: Datastore) -> Path:
    """Tells the runners of jobs what a volume may have now, in a file."""
    file = _beside(datastore.project_id, ".quotas") / datastore.pk
    state.write_atomically(file, str(datastore.quota or LARGEST))
    return file


def note_written(datastores: Any, *, older: timedelta = timedelta()) -> None:
    """Jobs have written there: these are measured soon, where the last time was not since. Takes a query of their ids."""
    before = timezone.now() - older
    Datastore.objects.filter(pk__in=datastores, measured_at__lte=before).update(measured_at=None)


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
    measure(datastore, SOON)
    used, quota = datastore.used or 0, datastore.quota or LARGEST
    much = used + upload.bytes > quota
    back = _replaced(upload) if much or upload.files <= FEW else 0
    if used - back + upload.bytes > quota:
        said = f"The volume has {room.said(used)} of the {room.said(quota)} that it may have"
        raise TooMuch(f"{said}; these are {room.said(upload.bytes)}. Remove what nobody needs, or raise its quota.")


def _replaced(upload: Upload) -> int:
    """How many bytes of the disk an upload gives back. Raises InTheWay."""
    root = place_of(upload.datastore)
    with listings.opened(places.upload_directory(upload.id) / "manifest") as listing, trees.Folders(root) as folders:
        return sum(changing.replaced(folders, entry.path) for entry in listing.entries(0, listing.files))


# What goes into it


def not_in_place(upload: Upload) -> Iterator[tuple[bytes, int]]:
    """What has to be sent: SHA-256 and size of content that is not in its place already, as far as that is found out in time."""
    until, root = time.monotonic() + COMPARED, place_of(upload.datastore)
    with listings.opened(places.upload_directory(upload.id) / "manifest") as listing, trees.Folders(root) as folders:
        for entry in listing.entries(0, listing.files):
            if time.monotonic() > until or not _is_in_place(folders, entry):
                yield bytes.fromhex(entry.sha256), entry.size


def _is_in_place(folders: trees.Folders, entry: Entry) -> bool:
    try:
        with folders.opened(entry.path) as file:
            found = os.fstat(file.fileno())
            if found.st_size != entry.size or bool(found.st_mode & stat.S_IXUSR) != (entry.mode == changing.PROGRAM):
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
    except trees.NotThere:
        return False


def prepare(upload: Upload) -> None:
    """Makes beside the volume what it takes to put an upload that is here whole into it, so that nothing is left to do but to rename.

    Raises Full; then nothing of it is in the volume, and nothing of what was made here is left.
    """
    drafts = _drafts_of(upload)
    changing.delete(drafts)  # of a server that was killed
    copies, above = list[tuple[Path, Path, int]](), {""}
    with listings.opened(places.upload_directory(upload.id) / "manifest") as listing:
        for entry, sent, ready in _ready(upload, listing):
            above.add(entry.path.rpartition("/")[0])
            if ready is not sent and sent.exists():
                copies.append((sent, ready, entry.size))
    folders = _new_folders(upload.datastore, above)
    needed = sum(size for _, _, size in copies) + folders * FOLDER_SIZE + upload.files * NAME_SIZE
    _check_takes(drafts.parent, needed, folders + len(copies))
    if not copies:
        return
    try:
        with blobs.full_said(NO_ROOM):
            drafts.mkdir(mode=0o700)
            for sent, ready, _ in copies:
                shutil.copyfile(sent, ready)
    except BaseException:
        changing.delete(drafts)
        raise
    os.sync()  # from here on they are taken for whole


def _drafts_of(upload: Upload) -> Path:
    """Where copies of what was sent wait, on the disk of the volume."""
    return _beside(upload.datastore.project_id, ".new") / upload.id


def _new_folders(datastore: Datastore, paths: set[str]) -> int:
    """How many of these folders, and of those above them, the volume does not have yet."""
    known = {""}
    for path in paths:
        while path not in known:
            known.add(path)
            path = path.rpartition("/")[0]
    return sum(not has_folder(datastore, one) for one in known)


def _check_takes(place: Path, needed: int, files: int) -> None:
    """Raises Full where a disk has not so many bytes, or no room for so many files and folders more."""
    found = os.statvfs(place)
    free = found.f_bavail * found.f_frsize
    if needed > free:
        raise blobs.Full(f"{NO_ROOM} It has {room.said(free)} left, and {room.said(needed)} more are needed.")
    if found.f_files and files > found.f_favail:
        raise blobs.Full(f"{NO_ROOM} It takes {found.f_favail:,} files and folders more, and {files:,} are needed.")


def lay_out(upload: Upload) -> Laid:
    """Puts the files of an upload into its volume, which was prepared. Killed in between, the same again goes on.

    Raises InTheWay, Full.
    """
    root = root_of(upload.datastore)
    manifest = places.upload_directory(upload.id) / "manifest"
    with full_said(), listings.opened(manifest) as listing, changing.Placing(root, owner()) as placing:
        for entry, _, ready in _ready(upload, listing):
            if ready.exists():  # it was not in place already, nor moved before the server was killed
                placing.place(entry.path, ready, entry.mode)
        changing.delete(_drafts_of(upload))
        return Laid(listing.files, upload.bytes)


def _ready(upload: Upload, listing: listings.Listing) -> Iterator[tuple[Entry, Path, Path]]:
    """Each file of an upload, where its content lies as it was sent, and where it lies ready to be moved: the same where nothing else is of
    that content, for a job writes into one of them alone."""
    sent, drafts = waiting_of(upload), _drafts_of(upload)
    sent.mkdir(mode=0o700, exist_ok=True)  # nothing had to be sent
    left, same_disk = _uses(listing), sent.stat().st_dev == drafts.parent.stat().st_dev
    for number, entry in enumerate(listing.entries(0, listing.files)):
        left[entry.sha256] -= 1
        one = sent / entry.sha256
        yield entry, one, drafts / str(number) if left[entry.sha256] or not same_disk else one


def _uses(listing: listings.Listing) -> dict[str, int]:
    found: dict[str, int] = {}
    for sha256, _ in listing.hashes():
        found[sha256.hex()] = found.get(sha256.hex(), 0) + 1
    return found


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
    """Deletes what was removed, and what killed servers have left. Only one process does, the others leave it."""
    top = state.directory("volumes", 0o711)
    with state.alone(top / ".deleting") as alone:
        for project in _directories(top) if alone else ():
            _delete_gone_of(project)


def _delete_gone_of(project: Path) -> None:
    if not Project.objects.filter(pk=project.name).exists():
        changing.delete(project)
        return
    # Never what has no row: the database may be an older one than the disk.
    here = [one.name for one in _directories(project) if not one.name.startswith(".")]
    removed = Datastore.objects.filter(project=project.name, pk__in=here).exclude(removed_at=None)
    for datastore_id in removed.values_list("pk", flat=True):
        remove(project.name, datastore_id)
    for tree in _directories(project / ".gone"):
        changing.delete(tree)
    for draft in _directories(project / ".new"):
        if not Upload.objects.filter(pk=draft.name.partition(".")[0]).exists():
            changing.delete(draft)


def _directories(place: Path) -> Iterator[Path]:
    """What is in a place of ours, but for our own marks at the top."""
    with suppress(FileNotFoundError):
        yield from [one for one in place.iterdir() if one.name not in {".measuring", ".deleting"}]


def check_is(datastore: Datastore) -> None:
    """Raises Impossible for what has versions instead of content of its own."""
    if datastore.kind != Kind.VOLUME:
        raise Impossible(
            f"A {datastore.kind} has versions, which never change. Only a volume's content can be changed in place."
        )
