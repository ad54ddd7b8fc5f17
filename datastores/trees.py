"""Versions as directories of this host, from which jobs read: laid out once, never changed, and shared by all jobs.

A tree stands under its manifest's digest, whole or not at all. Its files are those of the store where that is a disk of this host,
by a second name, so that no job has a copy of its own; jobs see a tree only bound read-only.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from datastores import blobs, listings
from datastores.blobs import Missing, key_of
from datastores.contents import Lost
from datastores.disk import DiskStore
from datastores.manifests import Entry
from datastores.models import Version
from datastores.uploads import full_said
from mlteam import state

PLAIN, PROGRAM = 0o444, 0o555


def place_of(version: Version) -> Path:
    """Where the version stands, or would."""
    return state.directory(f"trees/{version.datastore.project_id}") / version.digest


def stands(version: Version) -> bool:
    """Whether the version is laid out on this host."""
    return place_of(version).is_dir()


def lay_out(version: Version, check: Callable[[], None] = lambda: None) -> bool:
    """Lays the version out, unless it is; False while another process does. `check` is asked before, and often while, in any thread: what
    it raises ends that. Raises Missing, Full, blobs.Unavailable."""
    place = place_of(version)
    if place.is_dir():
        return True
    with _alone(place) as alone:
        if not alone:
            return False
        if not place.is_dir():
            _lay_out(version, place, check)
    return True


def find(version: Version, sub: str) -> Path | None:
    """A file or directory of a version that is laid out, by its path in it, or the whole for ""; None where there is none."""
    found = place_of(version) / sub
    return found if found.exists() else None


def has(version: Version, sub: str) -> bool:
    """Whether the version has such a file or directory; "" is everything. Raises Missing."""
    with listings.opened(listings.of(version)) as listing:
        start, end = listing.folder(sub)
        return start < end or listing.find(sub) is not None


def _alone(place: Path) -> AbstractContextManager[bool]:
    return state.alone(place.with_name(f".{place.name}.lock"))


def _lay_out(version: Version, place: Path, check: Callable[[], None]) -> None:
    draft = place.with_name(f".{place.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
    check()
    try:
        with full_said(), listings.opened(listings.of(version)) as listing:
            draft.mkdir(mode=0o755)
            project_id, entries = version.datastore.project_id, _with_folders(listing, draft)
            bring = partial(_bring, project_id, draft, check)
            for _ in blobs.beside_each_other(bring, entries):
                pass
            draft.rename(place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _with_folders(listing: listings.Listing, root: Path) -> Iterator[Entry]:
    """The files, each when its folder has been made."""
    made = {""}
    for entry in listing.entries(0, listing.files):
        folder = entry.path.rpartition("/")[0]
        if folder not in made:
            (root / folder).mkdir(mode=0o755, parents=True, exist_ok=True)
            made.add(folder)
        yield entry


def _bring(project_id: str, root: Path, check: Callable[[], None], entry: Entry) -> None:
    """Puts one file there: that of the store itself, or a copy of it, which is compared with its hash while it is written.

    Whether it may be executed is the file's, not the name's. Raises Lost for what is missing or damaged.
    """
    check()
    kept, key, target = blobs.store(), key_of(project_id, entry.sha256), root / entry.path
    if isinstance(kept, DiskStore) and entry.mode == 0o644 and _linked(kept.root / key, target, project_id, entry):
        return
    digest = sha256()
    try:
        with target.open("xb") as file:
            for piece in kept.read(key):
                check()
                digest.update(piece)
                file.write(piece)
    except Missing:
        raise Lost(project_id, entry) from None
    if digest.hexdigest() != entry.sha256:
        raise Lost(project_id, entry)
    target.chmod(PROGRAM if entry.mode == 0o755 else PLAIN)


def _linked(source: Path, target: Path, project_id: str, entry: Entry) -> bool:
    """Gives the file a second name, where the disk can."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise Lost(project_id, entry) from None
    except OSError:  # another disk, one that knows no links, or more names than a file can have
        return False
    if target.stat().st_size != entry.size:
        raise Lost(project_id, entry)
    target.chmod(PLAIN)
    return True


def mend(project_id: str, hashes: Iterable[str]) -> None:
    """Puts content that was damaged and has come again into the trees that have it: what jobs read is a second name of what was there
    before, or a copy of it."""
    wanted = {bytes.fromhex(sha256) for sha256 in hashes}
    versions = Version.objects.filter(datastore__project=project_id).select_related("datastore")
    for version in {one.digest: one for one in versions}.values():
        if stands(version):
            with listings.opened(listings.of(version)) as listing:
                found = (number for number, (sha256, _) in enumerate(listing.hashes()) if sha256 in wanted)
                for number in found:
                    _mend(project_id, place_of(version), listing.entry(number))


def _mend(project_id: str, place: Path, entry: Entry) -> None:
    draft = Path(mkdtemp(prefix=f".{place.name}.mended.", dir=place.parent))
    try:
        one = replace(entry, path="mended")
        _bring(project_id, draft, lambda: None, one)
        (draft / one.path).replace(place / entry.path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def tidy() -> None:
    """Takes away trees of versions that are no more."""
    for project in list(state.directory("trees", 0o711).iterdir()):
        known = set(Version.objects.filter(datastore__project=project.name).values_list("digest", flat=True))
        for tree in list(project.iterdir()):
            if tree.name.strip(".").partition(".")[0] not in known:
                shutil.rmtree(tree) if tree.is_dir() else tree.unlink(missing_ok=True)
        if not known:
            with suppress(OSError):
                project.rmdir()
