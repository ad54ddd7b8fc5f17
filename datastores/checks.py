"""Looks each night whether all content is there and whole, and takes away what nothing needs any more.

That everything is there with its size, and what nothing needs, is looked for among all each time. To compare all bytes with their
hashes would take a large store longer than a night: of that AMOUNT is done, what has waited longest first. Whatever has a fault counts
as not there: who pushes it again heals it.
"""

import logging
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import Final

from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from accounts import admins, mail
from datastores import blobs, faults, listings, places, trees
from datastores.blobs import key_of, store
from datastores.models import Blob, Upload, Version
from mlteam import state
from projects.models import Project

log = logging.getLogger(__name__)

FORGOTTEN: Final = timedelta(days=7)  # after which an upload at which nothing arrived is ended
STRAY: Final = 24 * 3600  # seconds after which a directory of no upload is removed
AGAIN: Final = timedelta(days=30)  # after which content is compared with its hash once more
AMOUNT: Final = 20 * 2**30  # bytes of content that are compared in one night
AT_ONCE: Final = 2000  # rows that are read
NAMED: Final = 20  # files, in an email
COMPARED_AT_ONCE: Final = 50  # rows that are read
DELETED_AT_ONCE: Final = 50  # blobs for which a project is held up

Fault = Blob.Fault


@dataclass
class Report:
    """What was found, as keys of blobs. `deleted` are those that nothing needed; `uncertain`: projects of which a
    manifest is lost, where nothing is deleted."""

    blobs: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    healed: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    compared: int = 0
    uncertain: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.missing or self.damaged or self.uncertain)


def run(*, whole: bool = False) -> Report:
    """The check. `whole`: all content is compared with its hashes, not only what has waited longest for it."""
    report = Report()
    forget_uploads()
    seen = set()
    for project_id, keys in groupby(store().keys(""), key=lambda one: one[0].partition("/")[0]):
        seen.add(project_id)
        _check_project(project_id, keys, report)
    for project_id in set(Blob.objects.order_by().values_list("project", flat=True).distinct()) - seen:
        _check_project(project_id, (), report)
    _compare(report, whole=whole)
    for project_id in {key.partition("/")[0] for key in report.healed}:
        trees.mend(project_id, [key[-64:] for key in report.healed if key.startswith(f"{project_id}/")])
    if not report.good:
        log.error("content: %s missing, %s damaged", len(report.missing), len(report.damaged))
    return report


def _check_project(project_id: str, keys: Iterable[tuple[str, int]], report: Report) -> None:
    if not Project.objects.filter(pk=project_id).exists():
        delete_all_of(project_id)
        report.deleted += [key for key, _ in keys]
        return
    newest = _newest_version(project_id)
    try:
        needed = _needed(project_id)
    except blobs.Missing:
        report.uncertain.append(project_id)
        needed = None
    unneeded = []
    for key, row, size in _beside(project_id, keys):
        report.blobs, report.bytes = report.blobs + 1, report.bytes + (size or 0)
        if row:
            _look_at(key, row, size, report)
        if needed is not None and bytes.fromhex(key[-64:]) not in needed:
            unneeded.append(key)
    report.deleted += _delete(project_id, unneeded, newest)


def _beside(project_id: str, keys: Iterable[tuple[str, int]]) -> Iterator[tuple[str, Blob | None, int | None]]:
    """Keys with what the database and the store have under them: (key, row, bytes in the store)."""
    rows, kept = _rows(project_id), iter(keys)
    row, here = next(rows, None), next(kept, None)
    while row or here:
        key = key_of(project_id, row.sha256) if row else ""
        if row and (here is None or key < here[0]):
            yield key, row, None
            row = next(rows, None)
        elif here and (row is None or here[0] < key):
            yield here[0], None, here[1]
            here = next(kept, None)
        elif here:
            yield key, row, here[1]
            row, here = next(rows, None), next(kept, None)


def _rows(project_id: str) -> Iterator[Blob]:
    last = ""
    while some := list(Blob.objects.filter(project=project_id, sha256__gt=last).order_by("sha256")[:AT_ONCE]):
        yield from some
        last = some[-1].sha256


def _look_at(key: str, row: Blob, size: int | None, report: Report) -> None:
    """Finds out whether it is there with its size. Asked once more of what is not: it may have come while the others were looked at."""
    fault = faults.measured(row) if size != row.size else ""
    if fault == Fault.MISSING:
        report.missing.append(key)
    elif fault:
        report.damaged.append(key)
    elif row.fault:
        _compare_one(key, row, report)


def tell_admins() -> None:
    """Writes to the installation's admins while something is lost."""
    lost = list(faults.everywhere())
    if not lost:
        return
    body = render_to_string("datastores/lost.txt", {"lost": lost[:NAMED], "more": len(lost[NAMED:])})
    addresses = admins.all_of_them().exclude(email="").values_list("email", flat=True)
    mail.put_all(to=addresses, subject="Content of datasets or models is lost", body=body)


# Whether it is whole


def _compare(report: Report, *, whole: bool) -> None:
    begun, until = timezone.now(), timezone.now() - AGAIN
    waiting = Blob.objects.filter(fault="", checked_at__lt=begun if whole else until).order_by("checked_at")
    left = AMOUNT
    while some := list(waiting[:COMPARED_AT_ONCE]):
        for row in some:
            if left <= 0 and not whole:
                return
            _compare_one(key_of(row.project_id, row.sha256), row, report)
            left -= row.size


def _compare_one(key: str, row: Blob, report: Report) -> None:
    fault = faults.compared(row)
    if fault == Fault.MISSING:
        report.missing.append(key)
        return
    report.compared += 1
    if fault:
        report.damaged.append(key)
    elif row.fault:
        report.healed.append(key)


# What nothing needs


def _versions(project_id: str) -> "Iterable[Version]":
    return Version.objects.filter(datastore__project=project_id).select_related("datastore")


def _newest_version(project_id: str) -> int:
    newest = Version.objects.filter(datastore__project=project_id).order_by("-pk").values_list("pk", flat=True).first()
    return newest or 0


def _needed(project_id: str) -> set[bytes]:
    """The hashes of all that the project's versions consist of. Raises blobs.Missing where a manifest is lost."""
    needed: set[bytes] = set()
    for version in {version.digest: version for version in _versions(project_id)}.values():
        needed.add(bytes.fromhex(version.digest))
        with listings.opened(listings.of(version)) as listing:
            needed.update(sha256 for sha256, _ in listing.hashes())
    return needed


def _delete(project_id: str, keys: list[str], newest: int) -> list[str]:
    """Deletes what nothing needs, while no version is on its way and none has come; what was deleted."""
    gone: list[str] = []
    for start in range(0, len(keys), DELETED_AT_ONCE):
        some = keys[start : start + DELETED_AT_ONCE]
        with transaction.atomic():
            # Until these are gone nobody begins an upload, which would find them to be there.
            Project.objects.select_for_update(no_key=True).filter(pk=project_id).first()
            if _is_busy(project_id) or _newest_version(project_id) != newest:
                return gone
            Blob.objects.filter(project=project_id, sha256__in=[key[-64:] for key in some]).delete()
            for key in some:
                store().delete(key)
                listings.forget(project_id, key[-64:])
        gone += some
    return gone


def _is_busy(project_id: str) -> bool:
    return Upload.objects.filter(datastore__project=project_id).exists()


def delete_all_of(project_id: str) -> None:
    """All content of a project that is gone."""
    for key, _ in list(store().keys(f"{project_id}/")):
        store().delete(key)
    shutil.rmtree(state.directory("manifests", 0o711) / project_id, ignore_errors=True)


def forget_uploads() -> None:
    """Ends uploads at which nothing has arrived for a week, and removes what is left of those that ended badly."""
    old = Upload.objects.filter(touched_at__lt=timezone.now() - FORGOTTEN)
    for upload in old:
        if old.filter(pk=upload.pk).delete()[0]:
            places.remove_upload(upload.pk)
    for left in list(places.uploads().iterdir()):
        if left.stat().st_mtime < time.time() - STRAY and not Upload.objects.filter(pk=left.name).exists():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
