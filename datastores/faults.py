"""Content of versions that is missing or damaged: who says so is believed nothing, the server looks itself; and where it is in versions.

What has a fault counts as not there: a push of a folder that has the same content brings it again.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from datastores import blobs, hints, listings
from datastores.blobs import key_of
from datastores.listings import Listing
from datastores.manifests import Entry
from datastores.models import Blob, Datastore, Version
from mlteam import state

AT_ONCE: Final = 2 * 2**30  # bytes that are compared while somebody waits for the answer
WHOLE, LATER = "whole", "later"
MANIFEST: Final = ""  # in the place of a path: the list of files itself

Fault = Blob.Fault


@dataclass(frozen=True, slots=True)
class Lost:
    """A file of a version whose content is not there, or not what it was."""

    version: Version
    path: str
    sha256: bytes
    fault: str

    @property
    def said(self) -> str:
        """What it is, for people."""
        return self.path or "its list of files"

    @property
    def url(self) -> str:
        """Of the version's page."""
        datastore = self.version.datastore
        return settings.MLTEAM_URL + reverse(
            "datastores:version", args=[datastore.project.slug, datastore.pk, self.version.number]
        )


# Looking


def compared(row: Blob) -> str:
    """Reads all of it and notes what is found: its fault, "" for none. Raises blobs.Unavailable."""
    digest = hashlib.sha256()
    try:
        for piece in blobs.store().read(key_of(row.project_id, row.sha256)):
            digest.update(piece)
    except blobs.Missing:
        return Fault.MISSING if _note(row, fault=Fault.MISSING) else ""
    fault = "" if digest.hexdigest() == row.sha256 else Fault.DAMAGED
    _note(row, fault=fault, checked_at=timezone.now())
    return fault


def measured(row: Blob) -> str:
    """Looks whether it is there with its size, and notes what is found: its fault, "" for none. Raises blobs.Unavailable."""
    size = blobs.store().size(key_of(row.project_id, row.sha256))
    fault = Fault.MISSING if size is None else Fault.DAMAGED if size != row.size else ""
    if fault and fault != row.fault:
        _note(row, fault=fault)
    return fault


def _note(row: Blob, **found: object) -> int:
    return Blob.objects.filter(pk=row.pk).update(**found)


def doubted(version: Version, entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
    """How each of these files is, about which somebody is in doubt: `whole`, a fault, or `later`.

    So much as may be read while somebody waits is compared at once, a larger file by a worker; never two at a time on this host.
    Raises blobs.Unavailable.
    """
    project_id, left = version.datastore.project_id, AT_ONCE
    with _alone() as alone:
        for entry in entries:
            row = Blob.objects.filter(project=project_id, sha256=entry.sha256).first()
            if row is None:
                yield entry, Fault.MISSING
            elif fault := measured(row) or row.fault:
                yield entry, fault
            elif alone and entry.size <= left:
                left -= entry.size
                yield entry, compared(row) or WHOLE
            else:
                hints.compare(project_id, entry.sha256)
                yield entry, LATER


def look(project_id: str, sha256: str) -> None:
    """Compares a blob that somebody found missing or damaged, unless another is being compared on this host: whoever reads it finds it so
    again."""
    with _alone() as alone:
        row = Blob.objects.filter(project=project_id, sha256=sha256, fault="").first() if alone else None
        if row and not measured(row):
            compared(row)


def _alone() -> AbstractContextManager[bool]:
    return state.alone(state.directory("blobs-compared") / "lock")


# Where it is


def of_project(project_id: str) -> dict[bytes, str]:
    """SHA-256 -> fault."""
    rows = Blob.objects.filter(project=project_id).exclude(fault="").values_list("sha256", "fault")
    return {bytes.fromhex(sha256): fault for sha256, fault in rows}


def in_version(version: Version, listing: Listing) -> Iterator[Lost]:
    """The files of a version that have a fault, by path. Nearly always no file is looked at: there is no fault in the whole project."""
    if found := of_project(version.datastore.project_id):
        yield from _in(version, listing, found)


def _in(version: Version, listing: Listing, found: dict[bytes, str]) -> Iterator[Lost]:
    if fault := found.get(bytes.fromhex(version.digest)):
        yield Lost(version, MANIFEST, bytes.fromhex(version.digest), fault)
    for number, (sha256, _) in enumerate(listing.hashes()):
        if fault := found.get(sha256):
            yield Lost(version, listing.entry(number).path, sha256, fault)


def everywhere() -> Iterator[Lost]:
    """All that is lost, of each dataset and model in the newest version that has it."""
    projects = Blob.objects.exclude(fault="").values("project")
    for datastore in Datastore.objects.present().filter(project__in=projects).select_related("project"):
        yield from _lost_of(datastore)


def _lost_of(datastore: Datastore) -> Iterator[Lost]:
    left = of_project(datastore.project_id)
    for version in datastore.versions.order_by("-number"):
        version.datastore = datastore
        try:
            with listings.opened(listings.of(version)) as listing:
                lost = list(_in(version, listing, left)) if left else []
        except blobs.Missing:
            lost = [Lost(version, MANIFEST, bytes.fromhex(version.digest), Fault.MISSING)]
        yield from lost
        for one in lost:
            left.pop(one.sha256, None)


def count() -> int:
    """How many blobs are missing or damaged."""
    return Blob.objects.exclude(fault="").count()
