"""Laying out the datasets and models of a job that waits, with an eye on the disk and on whether the job is still wanted.

What could not be had for the moment is tried again, like inputs; the rows of what the job has say how often, and why.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

from django.utils import timezone

from datastores import trees
from datastores.blobs import Full, Unavailable
from datastores.models import Version
from datastores.remote.errors import Stopped
from datastores.remote.progress import Counted, check
from jobs import events, inputs, transfers
from jobs.models import Job, Mount


class Failed(Exception):
    """It cannot be laid out; the sentence says what and why."""


def laid_out(job: Job, mount: Mount) -> bool:
    """Whether what a mount has is here now, for which much may have to be copied. Otherwise it is asked again. Raises Failed, Missing."""
    if mount.version is None or trees.stands(mount.version):
        return True
    if transfers.too_soon(mount.tries, mount.tried_at):
        return False
    try:
        return _watched(job, mount.version)
    except Stopped:
        return False
    except Full as error:
        raise Failed(_said(mount, error)) from None
    except Unavailable as error:
        if not _later(job, mount, error):
            raise Failed(_said(mount, error)) from None
        return False


def _watched(job: Job, version: Version) -> bool:
    """Lays it out in a thread of its own, until the job does not wait for it any more. Raises Stopped, Full, Unavailable, Missing."""
    progress = Counted()
    with ThreadPoolExecutor(1, "laying") as thread:
        future = thread.submit(trees.lay_out, version, partial(_check, progress))
        try:
            while not wait([future], transfers.OFTEN).done:
                if transfers.ending.is_set() or not inputs.waits(job):
                    progress.stop()
        finally:
            progress.stop()
    return future.result()


def _check(progress: Counted) -> None:
    """Raises Stopped, and Full before the disk is."""
    check(progress)
    if full := transfers.full():
        raise full


def _said(mount: Mount, error: Exception) -> str:
    return f"{mount.version} could not be laid out on the host. {error}"


def _later(job: Job, mount: Mount, why: Exception) -> bool:
    """Whether it is worth yet another try in a while."""
    mount.tries += 1
    told = {"tries": mount.tries, "tried_at": timezone.now(), "sentence": str(why)[:500]}
    Mount.objects.filter(pk=mount.pk).update(**told)
    events.publish(job)
    return mount.tries < transfers.TRIES


def troubles(jobs: Iterable[Job]) -> dict[str, str]:
    """Why jobs wait whose datasets and models cannot be had for the moment: job id -> sentence; one query, or none."""
    ids = [job.pk for job in jobs if job.spec.get("data")]
    rows = Mount.objects.filter(job__in=ids, tries__gt=0).select_related("version__datastore") if ids else ()
    return {
        row.job_id: f"Tries again in a while to lay {row.version} out on the host: {row.sentence}"
        for row in rows
        if row.version and not trees.stands(row.version)
    }
