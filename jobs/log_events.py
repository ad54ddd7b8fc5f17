"""A log as server-sent events (the WHATWG's): what there is from a byte on, then what is added, until the attempt is over.

Each event's id is the byte after what it brings: a reader who comes again with it, as `Last-Event-ID` or `?from=`, misses nothing
and gets nothing twice. Text is the bytes as UTF-8 with Python's surrogateescape: encoded the same way, it is the bytes again.
"""

import asyncio
import codecs
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, Final

from django.utils import timezone

from jobs import logs
from jobs.log_hub import ACCESS, GROWN, Watch, hub, in_database, in_files
from jobs.models import Attempt, Job
from mlteam import one_thread

FRAME: Final = 64 * 1024  # bytes of log in one event
LOOK_EVERY: Final = 1.0  # seconds after which a log is looked at without a hint
LOOK_AT_STATE_EVERY: Final = 5.0  # seconds after which a row is read again without an event
STILL_HERE_EVERY: Final = 15.0  # seconds of silence after which a comment says that the line is open
PACE: Final = 0.02  # seconds between two small events to one reader
STILL_HERE: Final = b": still here\n\n"

Gone = dict[str, str]  # {code, detail}: why somebody may not read on


class Follower:
    """One reader of one attempt's log. `refusal` asks the database whether they still may read, `until` when they may no longer."""

    def __init__(
        self, job_id: str, index: int, at: int, refusal: Callable[[], Gone | None], until: datetime | None = None
    ) -> None:
        self._job_id, self._index, self._at = job_id, index, at
        self._refusal, self._until = refusal, until
        self._path = logs.path_of(job_id, index)
        self._look = _Look(job_id, index)
        self._said = time.monotonic()

    async def events(self) -> AsyncIterator[bytes]:
        """All that the reader is sent."""
        await one_thread.leave()
        with hub().watch(f"log.{self._job_id}.{self._index}", f"job.{self._job_id}", ACCESS) as watch:
            async for event in self._events(watch):
                self._said = time.monotonic()
                yield event

    async def _events(self, watch: Watch) -> AsyncIterator[bytes]:
        """Subscribed already: look, send what there is, wait. In this order nothing can fall between."""
        self._at = min(self._at, await in_files(logs.size, self._path))
        notes, told = {ACCESS}, None
        while True:
            if gone := await self._gone(notes):
                yield self._event("gone", gone)
                return
            found = await self._look.now(notes)
            if found is None:
                yield self._event("gone", {"code": "not_found", "detail": "The job was removed."})
                return
            if found["state"] != told:
                told = found["state"]
                yield self._event("state", told)
            sent = 0
            if (event := await self._more(over=found["end"] is not None)) is not None:
                sent, data = event
                yield data
            elif found["end"] is not None:
                yield self._event("end", await self._ending(found["end"]))
                return
            elif time.monotonic() - self._said >= STILL_HERE_EVERY:
                yield STILL_HERE
            await asyncio.sleep(0 if sent >= FRAME else PACE)
            notes = await watch.wait(0 if sent else LOOK_EVERY)

    async def _gone(self, notes: set[str]) -> Gone | None:
        """Why the reader may not read on; asked of the database only when anybody's access may have been taken away."""
        if ACCESS in notes or (self._until and timezone.now() >= self._until):
            return await in_database(self._refusal)
        return None

    async def _more(self, *, over: bool) -> tuple[int, bytes] | None:
        """The next bytes as an event, and how many they are; None while there are none. A character is not cut in two while the
        rest of it may come."""
        data = await in_files(logs.read, self._path, self._at, FRAME)
        text, used = codecs.utf_8_decode(data, "surrogateescape", over and len(data) < FRAME)
        if not used:
            return None
        before, self._at = self._at, self._at + used
        return used, self._event("log", {"offset": before, "text": text})

    async def _ending(self, end: dict[str, Any]) -> dict[str, Any]:
        size = await in_files(logs.size, self._path)
        lines = end["lines"] if end["lines"] is not None else await in_files(logs.lines, self._path)
        complete = end["complete_size"] is not None and size >= end["complete_size"]
        return {**{key: end[key] for key in _SAID}, "size": size, "lines": lines, "complete": complete}

    def _event(self, kind: str, data: Any) -> bytes:
        return f"id: {self._at}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


_SAID: Final = ("state", "reason", "sentence", "exit_status", "verified", "gaps", "next_attempt")


class _Look:
    """What the database says of a job and an attempt; asked when there is a reason to, else seldom."""

    def __init__(self, job_id: str, index: int) -> None:
        self._job_id, self._index = job_id, index
        self._asked = float("-inf")
        self._found: dict[str, Any] | None = None

    async def now(self, notes: set[str]) -> dict[str, Any] | None:
        """{state: {state, reason, sentence}, end: what is said at the end or None}; None when the job is gone."""
        if notes - {GROWN, ACCESS} or time.monotonic() - self._asked > LOOK_AT_STATE_EVERY:
            self._asked = time.monotonic()
            self._found = await in_database(_found, self._job_id, self._index)
        return self._found


def _found(job_id: str, index: int) -> dict[str, Any] | None:
    # The attempts first: a job that ends between the two questions has ended with its attempt, and goes on nowhere.
    attempts = {one.index: one for one in Attempt.objects.filter(job=job_id, index__in=[index, index + 1])}
    job = Job.objects.filter(pk=job_id).defer("spec", "files").first()
    if job is None:
        return None
    state = {"state": job.state, "reason": job.reason, "sentence": job.sentence}
    return {"state": state, "end": _end(job, attempts.get(index), index, following=index + 1 in attempts)}


def _end(job: Job, attempt: Attempt | None, index: int, *, following: bool) -> dict[str, Any] | None:
    """What is said at the end; None while the attempt runs or may still come."""
    if attempt is None:
        return _never_began(job) if job.final else None
    if attempt.ended_at is None:
        return None
    return {
        "state": job.state,
        "reason": attempt.reason,
        "sentence": attempt.sentence,
        "exit_status": attempt.exit_status,
        "verified": attempt.log_verified,
        "gaps": attempt.log_gaps,
        "lines": attempt.log_lines,
        "complete_size": attempt.log_size,
        "next_attempt": index + 1 if following or not job.final else None,
    }


def _never_began(job: Job) -> dict[str, Any]:
    why = {"state": job.state, "reason": job.reason, "sentence": job.sentence, "exit_status": None}
    return {**why, "verified": None, "gaps": [], "lines": 0, "complete_size": 0, "next_attempt": None}
