"""Reads a job's log to its end, and waits for jobs."""

import re
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from mlteam_sdk.cli import meter
from mlteam_sdk.cli.names import ENDED
from mlteam_sdk.cli.texts import copy_log, note
from mlteam_sdk.logparts import Piece

if TYPE_CHECKING:
    from mlteam_sdk.cli.session import Session

Job = dict[str, Any]
SOONEST: Final = 0.5  # seconds between two looks at a job, at first
SLOWEST: Final = 5.0
_NUMBERS: Final = re.compile(r"[\d.,]+| [KMGT]?i?B\b")
INTERRUPTED: Final = 130  # the exit status after Ctrl-C, as shells have it


def status_of(job: Job) -> int:
    """The job's own exit status; 1 for one that was stopped or never started. 0 only for one that ended well."""
    if job["state"] == "succeeded":
        return 0
    status = job.get("exit_status")
    if job["state"] == "failed" and isinstance(status, int) and 0 < status < 256:
        return status
    return 1


def wait(session: "Session", job: Job) -> Job:
    """The job once it has ended. Ctrl-C leaves it running and says so."""
    pause, say = SOONEST, _Say()
    with _leaving_it(job):
        while True:
            now = session.get(f"/jobs/{job['id']}")
            if now["state"] in ENDED:
                return dict(now)
            if sys.stderr.isatty():
                say(f"{now['state']}: {_why(now)}".rstrip(": "))
            time.sleep(pause)
            pause = min(SLOWEST, pause * 1.3)


def _why(job: Job) -> str:
    """Why it is in its state; of an output that is sent, how far that is."""
    sent = [one for one in job.get("transfers", ()) if one["direction"] == "out" and one["state"] == "running"]
    if job["state"] == "uploading" and sent:
        one = sent[0]
        return f"{meter.size(one['bytes'])} of {meter.size(one['all_bytes'] or 0)} to {one['address']}"
    return str(job.get("waiting_for") or job.get("sentence") or "")


def follow(session: "Session", job: Job) -> Job:
    """Prints what the job writes, attempt after attempt, until it ends; answers the job as it is then."""
    with _leaving_it(job):
        copy_log(_pieces(session, job))
        return dict(session.get(f"/jobs/{job['id']}"))


def _pieces(session: "Session", job: Job) -> Iterator[bytes]:
    attempt = _first_attempt(session, job)
    if attempt is None:
        return
    for one in session.follow(job["id"], attempt):
        if one.attempt != attempt:
            attempt = one.attempt
            note(f"Attempt {attempt} begins.")
        if isinstance(one, Piece):
            yield one.data
        elif one.name == "end" and not one.data.get("complete", True):
            note(f"The log of attempt {attempt} is not complete: {_missing(one.data)}")


def _missing(end: Job) -> str:
    """What is not there, in words."""
    gaps = end.get("gaps") or []
    return f"{len(gaps)} gaps, where lines past the largest size were left out" if gaps else "its end did not arrive"


def _first_attempt(session: "Session", job: Job) -> int | None:
    """The newest attempt's index, once there is one; None for a job that ended without."""
    say = _Say()
    while True:
        now = session.get(f"/jobs/{job['id']}")
        if now["attempts"]:
            return int(now["attempts"][-1]["index"])
        if now["state"] in ENDED:
            return None
        say(now.get("waiting_for") or "It waits in the queue.")
        time.sleep(SOONEST)


class _Say:
    """Says what is new at once, and where only its numbers are new now and then."""

    def __init__(self) -> None:
        self._text, self._at = "", 0.0

    def __call__(self, text: str) -> None:
        shape, before = (_NUMBERS.sub("", one) for one in (text, self._text))
        if text != self._text and (shape != before or time.monotonic() - self._at > meter.EVERY):
            self._text, self._at = text, time.monotonic()
            note(text)


class _leaving_it:
    """Within it Ctrl-C ends the command and not the job, and says so."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            note(
                f"\nThe job runs on. Watch it again: mlteam job logs -f {self.job['id']}; stop it: mlteam job kill {self.job['id']}"
            )
            raise click.exceptions.Exit(INTERRUPTED) from None


def say_end(job: Job) -> None:
    """How the job ended, for who sits there."""
    note(f"{job['name']} ({job['id']}) {job['state']}: {job.get('sentence') or ''}".rstrip(": "))
