"""What is carried for a job between the host and elsewhere: which inputs and outputs that are, how far each is, and carrying them.

The row is the truth; whoever carries writes it anew each second and asks whether it is still wanted. Killed in between, it is carried
on by whoever is asked next: what is there already is looked at and counted from nothing, so that no byte counts twice.
"""

import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime
from time import monotonic
from typing import Any, Final, TypeVar

from django.conf import settings
from django.utils import timezone

from datastores import room
from datastores.blobs import Full
from datastores.remote.addresses import Address
from datastores.remote.keys import Key
from datastores.remote.progress import Counted
from datastores.room import said as sized
from jobs import attached, events, input_room
from jobs.models import Job, Transfer, TransferState
from jobs.spec import Spec
from jobs.states import JobState

Made = TypeVar("Made")

OFTEN: Final = 1.0  # seconds between two looks at how far it is
LATELY: Final = 10  # looks of which the rate is told
TRIES: Final = 5  # in a row that nothing came of
LEFT: Final = 4 * room.LEFT  # bytes of the disk that nothing fetched takes
REST: Final = 15.0  # seconds, twice as many before each further try
SLOWEST: Final = 2**20  # bytes that have to come in
PATIENCE: Final = 600.0  # seconds: who sends less keeps others waiting

ending = threading.Event()  # this process is to end: what it carries goes on elsewhere


class Slow(Exception):
    """Hardly anything comes; the sentence says so."""


def planned(job: Job, spec: Spec) -> list[Transfer]:
    """The rows of a job that is submitted: all its inputs, and all its outputs that do not stay where they are."""
    inputs = (
        Transfer(job=job, outward=False, number=number, address=one.source, path=one.to, key=one.key or "")
        for number, one in enumerate(spec.input)
    )
    outputs = (
        Transfer(job=job, outward=True, number=number, address=one.to, key=one.key or "")
        for number, one in enumerate(spec.output)
        if one.to != "artifacts"
    )
    return [*inputs, *outputs]


def shown(address: str) -> str:
    """An address for people: what follows a question mark may be a secret."""
    return Address.of(address).shown if "://" in address else address


def opener(row: Transfer) -> Key | None:
    """The key that opens its address, as it is now; None where it needs none. Raises attached.Missing."""
    what = {"output" if row.outward else "input": shown(row.address)}
    return attached.opener(row.job, row.key, **what) if row.key else None


def carry(row: Transfer, do: Callable[[Counted], Made], *, wanted: Callable[[], bool]) -> Made:
    """What comes of `do`, which runs in a thread of its own while its row is kept up to date; it is stopped when it is no longer wanted.

    Raises what it raises, Stopped, Slow, blobs.Full.
    """
    progress = Counted()
    watch, pace = _Watch(row, progress, wanted), _Pace()
    with ThreadPoolExecutor(1, "transfer") as thread:
        future = thread.submit(do, progress)
        try:
            while not wait([future], OFTEN).done:
                watch.look()
                if wrong := pace.broken(progress.bytes_done) or (None if row.outward else full()):
                    progress.stop()
                    wait([future])
                    raise wrong
            watch.note()
        finally:
            progress.stop()
    return future.result()


def carry_here(row: Transfer, do: Callable[[Counted], Made], *, wanted: Callable[[], bool]) -> Made:
    """The same for what works with the database, and so in this thread: `do` asks often whether it was stopped.

    Raises what it raises, Stopped.
    """
    progress = _Looking()
    progress.watch = watch = _Watch(row, progress, wanted)
    made = do(progress)
    watch.note()
    return made


class _Watch:
    """Keeps a row up to date, and stops what is no longer wanted."""

    def __init__(self, row: Transfer, progress: Counted, wanted: Callable[[], bool]) -> None:
        self._row, self._progress, self._wanted, self._lately = row, progress, wanted, _Rate()
        _begin(row)

    def look(self) -> None:
        self.note()
        if ending.is_set() or not self._wanted():
            self._progress.stop()

    def note(self) -> None:
        _note(self._row, self._progress, self._lately.of(self._progress.bytes_done))


class _Looking(Counted):
    """Looks by itself now and then, when it is asked whether it was stopped."""

    watch: _Watch

    def __init__(self) -> None:
        super().__init__()
        self._looked = monotonic()

    @property
    def stopped(self) -> bool:
        if monotonic() - self._looked >= OFTEN:
            self.watch.look()
            self._looked = monotonic()
        return super().stopped


def full() -> Full | None:
    """Why no more can come: the rest of the disk is for the database and the logs, however much is sent."""
    if shutil.disk_usage(settings.VAR).free >= LEFT:
        return None
    return Full(f"The server's disk has less than {sized(LEFT)} left.")


class _Rate:
    """Bytes in a second, over the last looks. What was there before the first counts for nothing."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=LATELY + 1)

    def of(self, size: int) -> float | None:
        self._seen.append((monotonic(), size))
        (since, before), (now, after) = self._seen[0], self._seen[-1]
        return max(0.0, (after - before) / (now - since)) if now > since else None


class _Pace:
    """Whether enough comes."""

    def __init__(self) -> None:
        self._since, self._before = monotonic(), 0

    def broken(self, size: int) -> Slow | None:
        if size - self._before >= SLOWEST:
            self._since, self._before = monotonic(), size
        if monotonic() - self._since < PATIENCE:
            return None
        return Slow(
            f"Less than {sized(SLOWEST)} came in {PATIENCE / 60:.0f} minutes, while others wait. Try again later."
        )


# The row


def _begin(row: Transfer) -> None:
    row.begun_at = row.begun_at or timezone.now()
    _write(row, state=TransferState.RUNNING, begun_at=row.begun_at, ended_at=None, sentence="", rate=None)


def _note(row: Transfer, progress: Counted, rate: float | None) -> None:
    """How far it is. As soon as it is further than ever before, earlier failures count no more."""
    done = max(0, progress.bytes_done)
    further = {"tries": 0} if done > row.bytes else {}
    # Where it only looks what there is, what was fetched before stays.
    counted = {"files": progress.files_done, "bytes": done} if done or progress.files_done else {}
    known = {"all_files": progress.files, "all_bytes": progress.bytes} if progress.files else {}
    _write(row, rate=rate, sentence=_tries_again(progress), **counted, **known, **further)


def _tries_again(progress: Counted) -> str:
    return f"Tries again: {progress.trouble}"[:500] if progress.trouble else ""


def done(row: Transfer, files: int, size: int, became: str = "") -> None:
    """It is whole: so many files and bytes, and what became of them, where that is not its address."""
    amounts = {"files": files, "bytes": size, "all_files": files, "all_bytes": size}
    _write(row, state=TransferState.DONE, ended_at=timezone.now(), rate=None, sentence=became, **amounts)


def failed(row: Transfer, sentence: str) -> None:
    """It cannot be carried."""
    _write(row, state=TransferState.FAILED, ended_at=timezone.now(), rate=None, sentence=sentence[:500])


def later(row: Transfer, why: Exception) -> bool:
    """Whether it is worth yet another try in a while, though nothing came of this one."""
    told = {"rate": None, "sentence": str(why)[:500], "ended_at": timezone.now()}
    _write(row, tries=row.tries + 1, state=TransferState.WAITING, **told)
    return row.tries < TRIES


def rests(row: Transfer) -> bool:
    """Whether it is too soon for the next try."""
    return too_soon(row.tries, row.ended_at)


def too_soon(tries: int, last: datetime | None) -> bool:
    """Whether it is, after so many tries in a row of which nothing came."""
    return bool(tries) and last is not None and (timezone.now() - last).total_seconds() < REST * 2**tries


def wait_again(row: Transfer) -> None:
    """It was interrupted, and goes on when a worker is free."""
    _write(row, state=TransferState.WAITING, rate=None, sentence="")


def _write(row: Transfer, **fields: Any) -> None:
    for field, value in fields.items():
        setattr(row, field, value)
    Transfer.objects.filter(pk=row.pk).update(**fields)
    events.publish(row.job)


# In words


def of(ids: Iterable[str]) -> dict[str, list[Transfer]]:
    """The inputs and outputs of the jobs of these ids: job id -> rows; one query, or none."""
    wanted = list(ids)
    found: dict[str, list[Transfer]] = {}
    for row in Transfer.objects.filter(job__in=wanted) if wanted else ():
        found.setdefault(row.job_id, []).append(row)
    return found


def _carries(job: Job) -> bool:
    return job.state == JobState.UPLOADING or (job.state == JobState.QUEUED and job.waits_for_data)


def under_way(jobs: Iterable[Job]) -> dict[str, str]:
    """Of jobs of a list, what is fetched or sent for them now, in words: job id -> words; one query, or none."""
    carried = {job.pk: job.state == JobState.UPLOADING for job in jobs if _carries(job)}
    found = {}
    for job_id, rows in of(carried).items():
        outward = carried[job_id]
        if any(row.state == TransferState.RUNNING for row in rows if row.outward == outward):
            words = in_words(row for row in rows if row.outward == outward)
            found[job_id] = f"{'Sends its output' if outward else 'Fetches its input'}{words and ': '}{words}"
    return found


def explained(jobs: Iterable[Job]) -> dict[str, str]:
    """What jobs whose inputs are not all here wait for, in words: job id -> sentence; one query, or none."""
    those = {job.pk: job for job in jobs}
    return {pk: _explained(those[pk], [row for row in rows if not row.outward]) for pk, rows in of(those).items()}


def _explained(job: Job, rows: list[Transfer]) -> str:
    lacking = [row for row in rows if row.state != TransferState.DONE]
    if not lacking:
        return ""
    if trouble := next((row for row in lacking if row.tries), None):
        return f"Tries again in a while to fetch {shown(trouble.address)[:200]}: {trouble.sentence}"
    if waits := input_room.waits(job):
        return waits
    words = in_words(rows)
    if any(row.state == TransferState.RUNNING for row in lacking):
        return f"Fetches its input: {words}." if words else "Looks what there is of its input."
    return (
        f"Waits for a worker that fetches its input: {words}."
        if words
        else "Waits for a worker that fetches its input."
    )


STOPPED: Final = "stopped"  # its job ended before it was done


def state_of(row: Transfer, job: Job) -> str:
    """Where it stands, as it is told."""
    return STOPPED if job.final and row.state in {TransferState.WAITING, TransferState.RUNNING} else row.state


def in_words(rows: Iterable[Transfer]) -> str:
    """How far several are together: “2 of 5 files, 1.2 of 3.4 GiB, 56.0 MiB/s, about 40 s left”; "" before anything is known."""
    those = list(rows)
    files, size = sum(row.files for row in those), sum(row.bytes for row in those)
    totals = [row.all_bytes for row in those]
    if not size and all(total is None for total in totals):
        return ""
    all_files = sum(row.all_files or 0 for row in those)
    known = None not in totals
    if known and size == sum(total or 0 for total in totals) and files == all_files:
        return f"{'one file' if files == 1 else f'{files:,} files'}, {sized(size)}"
    parts = [f"{files:,} of {all_files:,} files" if all_files != 1 else ""]
    parts.append(f"{sized(size)} of {sized(sum(total or 0 for total in totals))}" if known else sized(size))
    if rate := sum(row.rate or 0 for row in those):
        parts.append(f"{sized(int(rate))}/s")
    left = [row.left for row in those if row.left is not None]
    parts.append(f"about {_span(sum(left))} left" if known and left else "")
    return ", ".join(part for part in parts if part)


def _span(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
