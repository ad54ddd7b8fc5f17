"""What a job has of buckets and web servers: fetched to the host before it is placed, there for it to be read, taken away at its end."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, TypeVar

from django.conf import settings

from compute import trees
from datastores.blobs import Full
from datastores.remote.errors import Changed, Stopped, TooLarge, Trouble, Unavailable
from datastores.remote.keys import Key
from datastores.remote.progress import Counted
from datastores.remote.sources import Source
from jobs import input_room, places, transfers, transitions
from jobs.attached import Missing
from jobs.models import Job, Transfer, TransferState
from jobs.spec import INPUT
from jobs.states import FINAL, WAITING, JobState, Reason
from mlteam import state

if TYPE_CHECKING:
    from datastores.remote.fetching import Fetched

Made = TypeVar("Made")

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
            return _all_fetched(job)
        finally:
            if not Job.objects.filter(pk=job.pk).exists():  # removed meanwhile, with what was there then
                trees.remove(places.job_directory(job.id))


def _all_fetched(job: Job) -> bool:
    rows, keys = _lacking(job), _Keys()
    looked_at = all(_looked_at(row, keys) for row in rows)
    if not (looked_at and _has_room(job) and all(_fetched(row, keys) for row in rows)):
        return False
    input_room.settle(job)
    return True


class _Keys:
    """Those that open inputs, each used once for looking and fetching."""

    def __init__(self) -> None:
        self._opened: dict[int, Key | None] = {}

    def of(self, row: Transfer) -> Key | None:
        """Raises Missing."""
        if row.number not in self._opened:
            self._opened[row.number] = transfers.opener(row)
        return self._opened[row.number]


def _has_room(job: Job) -> bool:
    try:
        return input_room.take(job)
    except TooLarge as error:
        transitions.move(job, JobState.FAILED, reason=Reason.INPUT, sentence=str(error), only_from=WAITING)
        return False


def _lacking(job: Job) -> list[Transfer]:
    rows = list(job.transfers.filter(outward=False).exclude(state=TransferState.DONE))
    for row in rows:
        row.job = job
    return rows


def _alone(job_id: str) -> AbstractContextManager[bool]:
    return state.alone(places.job_directory(job_id) / "inputs.lock")


def _looked_at(row: Transfer, keys: _Keys) -> bool:
    """Whether it is known how much it is, as far as anybody says so. Nothing is fetched before all that the job has fits."""
    from datastores.remote import fetching

    if not settings.MLTEAM_INPUTS_CAP or (row.all_files and fetching.was_looked_at(_place(row))):
        return True
    files = _carried(row, keys, fetching.look, input_room.most_of_one())
    if files is not None:
        transfers.wait_again(row)
    return files is not None


def _fetched(row: Transfer, keys: _Keys) -> bool:
    found = _carried(row, keys, _bring, input_room.most(row))
    if found is not None:
        transfers.done(row, found.files, found.bytes)
    return found is not None


def _carried(row: Transfer, keys: _Keys, do: Callable[..., Made], most: int | None) -> Made | None:
    """What comes of it; None where nothing does: then it is tried again later, or has failed. `most`: bytes that are taken."""
    from datastores.remote import opening

    if transfers.rests(row):
        return None
    Transfer.objects.filter(pk=row.pk).update(here=True)
    try:
        with closing(opening.open_source(row.address, keys.of(row))) as source:
            do = partial(do, source, _place(row), most=most)
            return transfers.carry(row, do, wanted=partial(waits, row.job))
    except Stopped:
        transfers.wait_again(row)
    except Missing as error:
        _fail(row, Reason.KEY, str(error))
    except (Unavailable, Changed) as error:
        if not transfers.later(row, error):
            _fail(row, Reason.INPUT, str(error))
    except TooLarge as error:
        if input_room.grow(row, most):
            transfers.wait_again(row)
            return None
        said = f"{error} Whoever runs the server can allow more (MLTEAM_INPUT_CAP, MLTEAM_INPUTS_CAP)."
        _fail(row, Reason.INPUT, said)
    except (Trouble, Full, transfers.Slow) as error:
        _fail(row, Reason.INPUT, str(error))
    except FileNotFoundError:  # the job was removed meanwhile, with its directory
        if waits(row.job):
            raise
    return None


def _bring(source: Source, place: Path, progress: Counted, *, most: int | None) -> "Fetched":
    """Fetches it, and lets the job's own user read it, whatever the server's umask is."""
    from datastores.remote import fetching

    found = fetching.fetch(source, place, progress, most=most)
    place.parent.chmod(0o711)
    for folder, _, _ in os.walk(place):
        Path(folder).chmod(0o755)
    return found


def waits(job: Job) -> bool:
    """Whether the job still waits to be placed."""
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
    """What the job sees where: host path and path inside; an empty directory where it has no input. Raises NotHere."""
    rows = list(job.transfers.filter(outward=False))
    if not rows:
        return _nothing(job)
    if any(row.state != TransferState.DONE or not _place(row).is_dir() for row in rows):
        raise NotHere("Some of its input is no longer on this host. Submit it again.")
    return [{"source": str(_place(row)), "target": row.path} for row in rows]


def _nothing(job: Job) -> list[dict[str, str]]:
    places.make_job_directory(job.id)
    place = place_of(job.id, 0)
    for path in (place.parent, place):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
    at = PurePosixPath(INPUT)
    taken = any(PurePosixPath(one.path).is_relative_to(at) for one in job.mounts.all())  # by data of its own
    return [] if taken else [{"source": str(place), "target": INPUT}]


def tidy() -> None:
    """Takes inputs of jobs away that no longer read them."""
    here = Transfer.objects.filter(here=True, job__state__in=OVER)
    for job_id in here.order_by().values_list("job", flat=True).distinct():
        if _taken_away(job_id):
            Transfer.objects.filter(job=job_id).update(here=False)
            input_room.give_back(job_id)


def _taken_away(job_id: str) -> bool:
    """False while something still comes; then later."""
    directory = places.job_directory(job_id)
    if not directory.is_dir():
        return True
    with _alone(job_id) as alone:
        if alone:
            trees.remove(directory / "inputs")
        return alone
