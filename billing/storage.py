"""What projects store, for the ledger: looked at now and then, and charged by the last look until the next one.

`Stored` says how far a project's storage is in the ledger. Each step, at most to the end of an hour, moves that by compare-and-set
in the transaction that writes the row: told twice, or by two at once, it counts once; killed in between, the next look goes on where
this one ended. While nobody looks, because the server is down, what was last seen is what is stored.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from billing import ledger
from billing.ledger import Use
from billing.models import STORED_NAME, Source, Stored
from billing.prices import HOUR, floor_hour
from projects.models import Project

log = logging.getLogger(__name__)


def look(weights: Mapping[str, int]) -> int:
    """Projects store so many bytes now (by id; those that are not named store nothing). The number of projects looked at."""
    now, seen = _now(), {key: size for key, size in weights.items() if size}
    marks = {mark.project_id: mark for mark in Stored.objects.all()}
    stored = {key for key, mark in marks.items() if mark.bytes}
    projects = Project.objects.present().select_related("owner").in_bulk([*stored, *seen])
    for key, project in projects.items():
        try:
            _look_at(project, marks.get(key), seen.get(key, 0), now)
        except Exception:  # one that cannot be charged must not keep the others from it
            log.exception("what project %s stores was not charged", key)
    return len(projects)


def settle(project: Project) -> None:
    """Brings the ledger up to now, by the last look: the project is about to change hands or to go."""
    mark = Stored.objects.filter(project=project).first()
    if mark:
        _bring(project, mark, mark.bytes, _now())


def _now() -> datetime:
    """Now, to a millisecond: what the ledger counts in."""
    now = timezone.now()
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _look_at(project: Project, mark: Stored | None, size: int, now: datetime) -> None:
    if mark:
        _bring(project, mark, size, now)
    else:
        _begin(project, size, now)


def _begin(project: Project, size: int, now: datetime) -> None:
    """What it stores is charged from here on; nothing to do where somebody else has looked at it first."""
    with suppress(IntegrityError), transaction.atomic():
        Stored.objects.create(project=project, bytes=size, at=now)


def _bring(project: Project, mark: Stored, size: int, now: datetime) -> None:
    """Charges what was stored since the last look, an hour at a time, and notes what is now."""
    while mark.at < now:
        until = min(floor_hour(mark.at) + HOUR, now) if mark.bytes else now
        if not _step(project, mark, until, size if until == now else mark.bytes):
            return  # somebody else is at it
        mark.at = until


@transaction.atomic
def _step(project: Project, mark: Stored, until: datetime, size: int) -> bool:
    if not Stored.objects.filter(project=project, at=mark.at).update(at=until, bytes=size):
        return False
    if mark.bytes:
        ledger.add(_use(project, mark, until))
    return True


def _use(project: Project, mark: Stored, until: datetime) -> Use:
    return Use(
        source=Source.STORAGE,
        source_id=project.pk,
        subject_id="",
        subject_name=STORED_NAME,
        project=project,
        member=None,
        start=mark.at,
        until=until,
        over=False,
        storage_bytes=mark.bytes,
    )
