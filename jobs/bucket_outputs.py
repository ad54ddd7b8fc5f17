"""A job's output that goes to a bucket: only what is not there is made, and it goes on where it was interrupted."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from compute import trees
from datastores.manifests import FILES
from datastores.remote.errors import Stopped, Trouble, Unavailable
from jobs import places, transfers
from jobs.attached import Missing
from jobs.left_out import LeftOut
from jobs.models import Attempt, Job, Transfer, TransferState
from jobs.spec import Output
from jobs.states import JobState

# What is said to people, and waits for them to mend it.
UNDONE: Final = (Trouble, Missing, transfers.Slow, trees.NotThere, trees.TooMuch)


def send(job: Job, number: int, output: Output, attempt: Attempt) -> str:
    """Sends what the job has left to a bucket, unless that was done before; where it went, in words.

    Raises one of UNDONE, Unavailable where it is worth another try, Stopped.
    """
    row: Transfer = job.transfers.get(outward=True, number=number)
    row.job = job
    address = address_of(job, output, attempt)
    if transfers.rests(row):
        raise Unavailable(row.sentence)
    if row.state != TransferState.DONE:
        try:
            _send(row, address)
        except Stopped:
            transfers.wait_again(row)
            raise
        except Unavailable as error:
            if transfers.later(row, error):
                raise
            transfers.failed(row, str(error))
            raise Trouble(str(error)) from None
        except UNDONE as error:
            transfers.failed(row, str(error))
            raise
    files = "one file" if row.files == 1 else f"{row.files:,} files"
    became = f"{files} in {transfers.shown(address)}"
    return f"{became}, {row.sentence}" if row.sentence else became


def address_of(job: Job, output: Output, attempt: Attempt) -> str:
    """Below what the output of an attempt goes."""
    if output.existing == "new-prefix":
        return f"{output.to.rstrip('/')}/{job.id}/{attempt.index}/"
    return output.to


def _send(row: Transfer, address: str) -> None:
    from datastores.remote import opening, sending

    key, without = transfers.opener(row), LeftOut()
    if key is None:
        raise Missing("It needs a key that opens the bucket.")
    root = places.output_directory(row.job_id)
    target = opening.open_target(address, key)
    try:
        with _journal(row) as journal:
            entries = without.of(trees.walk(root, limit=FILES, whole=True))
            do = partial(sending.send, root, entries, target, journal=journal)
            try:
                sent = transfers.carry(row, do, wanted=partial(uploads, row.job))
            except Stopped:
                if not uploads(row.job):  # nobody goes on with it
                    sending.abandon(target, journal)
                raise
            transfers.done(row, sent.files, sent.bytes, without.said)
    finally:
        target.close()


@contextmanager
def _journal(row: Transfer) -> Iterator[Path]:
    """What says which objects are ours. It has a second name until the row says that all is there: its first goes a moment before."""
    journal = places.job_directory(row.job_id) / f"output.{row.number}.journal"
    kept = journal.with_suffix(".kept")
    if kept.exists() and not journal.exists():
        journal.hardlink_to(kept)
    elif not kept.exists():
        journal.touch(mode=0o600)
        kept.hardlink_to(journal)
    yield journal
    kept.unlink()


def uploads(job: Job) -> bool:
    """Whether its output is still wanted."""
    return Job.objects.filter(pk=job.pk, state=JobState.UPLOADING).exists()
