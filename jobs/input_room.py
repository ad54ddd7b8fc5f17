"""How much that jobs have fetched lies on the host at once for one owner of projects. Counted by rows: the disk is not walked.

A job has room for all of its inputs or for none, so that no two wait for each other. Who waits holds back later jobs of the same owner
that would take what it waits for, as in the queue. What nobody says the size of counts as little at first, and as twice as much whenever
that was too little.
"""

from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from accounts.models import User
from datastores.remote.errors import TooLarge
from datastores.room import said as sized
from jobs import events
from jobs.models import Job, Transfer
from jobs.querysets import JobQuerySet

UNSAID: Final = 2**30  # bytes


def most_of_one() -> int | None:
    """Bytes that one input may have; None for any number."""
    return settings.MLTEAM_INPUT_CAP or None


def most(row: Transfer) -> int | None:
    """Bytes that are taken of this input, for which its job has room; None for any number."""
    if not settings.MLTEAM_INPUTS_CAP or row.all_bytes is not None:
        return most_of_one()
    room = Job.objects.values_list("input_bytes", flat=True).get(pk=row.job_id)
    left = max(0, room - sum(size or 0 for size in _sizes(row.job)))
    return min(left, most_of_one() or left)


def grow(row: Transfer, most: int | None) -> bool:
    """Whether an input of which so much was taken, and which has more, waits for more room; else it has too much."""
    cap, job = settings.MLTEAM_INPUTS_CAP, row.job
    if not cap or row.all_bytes is not None or most == most_of_one():
        return False
    job.refresh_from_db(fields=["input_bytes"])
    if job.input_bytes >= cap:
        return False
    job.input_bytes, job.input_room = min(cap, 2 * job.input_bytes), False
    Job.objects.filter(pk=job.pk).update(input_bytes=job.input_bytes, input_room=False)
    return True


def take(job: Job) -> bool:
    """Whether there is room for all inputs of a job, which is then kept for it until `give_back`. Raises TooLarge where there never is."""
    cap = settings.MLTEAM_INPUTS_CAP
    if not cap:
        return True
    needed = _needed(job, cap)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=job.project.owner_id)  # one after the other
        before, fits = (job.input_bytes, job.input_room), needed <= cap - _taken_by_others(job)
        if fits or not job.input_room:
            job.input_bytes, job.input_room = needed, fits
            Job.objects.filter(pk=job.pk).update(input_bytes=needed, input_room=fits)
    if (job.input_bytes, job.input_room) != before:
        events.publish(job)
    return fits


def _needed(job: Job, cap: int) -> int:
    sizes = _sizes(job)
    known, unsaid = sum(size or 0 for size in sizes), sizes.count(None)
    if known > cap:
        raise TooLarge(
            f"Its inputs have {sized(known)} together; jobs of one owner may have {sized(cap)} on the host at once (MLTEAM_INPUTS_CAP)."
        )
    return min(cap, max(known + unsaid * UNSAID, job.input_bytes)) if unsaid else known


def _sizes(job: Job) -> list[int | None]:
    return list(job.transfers.filter(outward=False).values_list("all_bytes", flat=True))


def _taken_by_others(job: Job) -> int:
    others: JobQuerySet = Job.objects.filter(project__owner=job.project.owner_id).exclude(pk=job.pk)
    taken = _sum(others.filter(input_room=True))
    if job.input_room:
        return taken
    return taken + _sum(others.queued().filter(waits_for_data=True, input_room=False, queued_at__lt=job.queued_at))


def _sum(jobs: JobQuerySet) -> int:
    return jobs.aggregate(sum=Sum("input_bytes"))["sum"] or 0


def settle(job: Job) -> None:
    """All is here: nothing counts for more than it is."""
    size = sum(row.bytes for row in job.transfers.filter(outward=False))
    Job.objects.filter(pk=job.pk, input_room=True).update(input_bytes=size)


def give_back(job_id: str) -> None:
    """Nothing of it is here any more."""
    Job.objects.filter(pk=job_id).update(input_bytes=0, input_room=False)


def waits(job: Job) -> str:
    """That a job waits for room, in words; "" where it does not."""
    if not settings.MLTEAM_INPUTS_CAP or not job.input_bytes or job.input_room:
        return ""
    wanted = f"Waits for room for its input, {sized(job.input_bytes)}, until other jobs have ended"
    return f"{wanted}: on the host all jobs of one owner may have {sized(settings.MLTEAM_INPUTS_CAP)} of it at once (MLTEAM_INPUTS_CAP)."
