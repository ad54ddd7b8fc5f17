"""What a job has of buckets and web servers: fetched to the host before it is placed, there for it to be read, taken away at its end."""

import os
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.conf import settings

from compute import trees
from datastores.blobs import Full
from datastores.remote.errors import Changed, Stopped, Trouble, Unavailable
from datastores.remote.progress import Counted
from datastores.remote.sources import Source
from jobs import places, transfers, transitions
from jobs.attached import Missing
from jobs.models import Job, Transfer, TransferState
from jobs.states import FINAL, WAITING, JobState, Reason
from mlteam import state

if TYPE_CHECKING:
    from datastores.remote.fetching import Fetched

OVER: Final = FINAL | {JobState.UPLOADING}  # a job in these reads nothing any more


def fetch(job: Job) -> bool:
    """Fetches what a waiting job lacks; whether all of it is here. What cannot be had fails the job."""
    rows = _lacking(job)
    if not rows:
        return True
    places.make_job_directory(job.id)
    with _alone(job.pk) as alone:
        if not alone:
            return False
        try:
            return all(_fetched(row) for row in _lacking(job))
        finally:
            if not Job.objects.filter(pk=job.pk).exists():  # removed meanwhile, with what was there then
                trees.remove(places.job_directory(job.id))


def _lacking(job: Job) -> list[Transfer]:
    rows = list(job.transfers.filter(outward=False).exclude(state=TransferState.DONE))
    for row in rows:
        row.job = job
    return rows


def _alone(job_id: str) -> AbstractContextManager[bool]:
    return state.alone(places.job_directory(job_id) / "inputs.lock")


def _fetched(row: Transfer) -> bool:
    from datastores.remote import opening

    if transfers.rests(row):
        return False
    Transfer.objects.filter(pk=row.pk).update(here=True)
    try:
        source = opening.open_source(row.address, transfers.opener(row))
        try:
            found = transfers.carry(row, partial(_bring, source, _place(row)), wanted=partial(_waits, row.job))
        finally:
            source.close()
    except Stopped:
        transfers.wait_again(row)
    except Missing as error:
        _fail(row, Reason.KEY, str(error))
    except (Unavailable, Changed) as error:
        if not transfers.later(row, error):
            _fail(row, Reason.INPUT, str(error))
    except (Trouble, Full, transfers.Slow) as error:
        _fail(row, Reason.INPUT, str(error))
    except FileNotFoundError:  # the job was removed meanwhile, with its directory
        if _waits(row.job):
            raise
    else:
        transfers.done(row, found.files, found.bytes)
        return True
    return False


def _bring(source: Source, place: Path, progress: Counted) -> "Fetched":
    """Fetches it, and lets the job's own user read it, whatever the server's umask is."""
    from datastores.remote import fetching

    found = fetching.fetch(source, place, progress, most=settings.MLTEAM_INPUT_CAP or None)
    place.parent.chmod(0o711)
    for folder, _, _ in os.walk(place):
        Path(folder).chmod(0o755)
    return found


def _waits(job: Job) -> bool:
    return bool(Job.objects.queued().filter(pk=job.pk).exists())


def _fail(row: Transfer, reason: Reason, sentence: str) -> None:
    transfers.failed(row, sentence)
    said = f"Its input {transfers.shown(row.address)[:200]} could not be fetched. {sentence}"
    transitions.move(row.job, JobState.FAILED, reason=reason, sentence=said, only_from=WAITING)


def place_of(job_id: str, number: int) -> Path:
    """Where an input of a job lies on the host: the server's own, and for the job to be read."""
    return places.job_directory(job_id) / "inputs" / str(number)


def _place(row: Transfer) -> Path:
    return place_of(row.job_id, row.number)


class NotHere(Exception):
    """An input that was fetched is gone from the host."""


def mounts(job: Job) -> list[dict[str, str]]:
    """What the job sees where: host path and path inside. Raises NotHere."""
    rows = list(job.transfers.filter(outward=False))
    if any(row.state != TransferState.DONE or not _place(row).is_dir() for row in rows):
        raise NotHere("Some of its input is no longer on this host. Submit it again.")
    return [{"source": str(_place(row)), "target": row.path} for row in rows]


def tidy() -> None:
    """Takes inputs of jobs away that no longer read them."""
    here = Transfer.objects.filter(here=True, job__state__in=OVER)
    for job_id in here.order_by().values_list("job", flat=True).distinct():
        if _taken_away(job_id):
            Transfer.objects.filter(job=job_id).update(here=False)


def _taken_away(job_id: str) -> bool:
    """False while something still comes; then later."""
    directory = places.job_directory(job_id)
    if not directory.is_dir():
        return True
    with _alone(job_id) as alone:
        if alone:
            trees.remove(directory / "inputs")
        return alone
