"""`mlteam job logs` and `mlteam logs`."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import click

from mlteam_sdk.cli import following
from mlteam_sdk.cli.command import Trouble, command, session
from mlteam_sdk.cli.jobs import chosen, one_job
from mlteam_sdk.cli.output import Output, prints
from mlteam_sdk.cli.texts import copy_log, note


@command("logs")
@one_job
@click.option("--follow", "-f", is_flag=True, help="Go on as the job writes, until it ends.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="The last N lines only.")
@click.option("--attempt", type=click.IntRange(min=0), metavar="N", help="That attempt; otherwise the newest.")
@click.option("--verify", is_flag=True, help="Instead of the log: fetch it whole and say whether every byte is there.")
@prints("index", "size", "lines", "verified", "fetched")
def logs(
    out: Output, job: str | None, last: bool, follow: bool, tail: int | None, attempt: int | None, verify: bool
) -> None:
    """Prints what a job wrote; without JOB, my newest job.

    Into a file or a pipe it writes the very bytes that the job wrote. On a terminal colours pass, and no other escape sequence.
    Ctrl-C while it follows leaves the job running. --verify ends with status 1 where a log is not complete.
    """
    said = session()
    found = said.get(f"/jobs/{chosen(job, last, or_last=True)['id']}")
    if verify:
        _verify(out, found)
    elif follow:
        _check_alone("--follow", tail=tail, attempt=attempt)
        following.say_end(following.follow(said, found))
    else:
        copy_log(_whole(found, attempt, tail))


def _check_alone(flag: str, **others: Any) -> None:
    if said := [name for name, value in others.items() if value is not None]:
        raise click.UsageError(f"{flag} goes without --{said[0]}.")


def _whole(job: dict[str, Any], attempt: int | None, tail: int | None) -> Iterable[bytes]:
    indexes = [one["index"] for one in job["attempts"]]
    if not indexes and attempt is not None:
        raise Trouble(f"There is no attempt {attempt}: the job has not started; it is {job['state']}.")
    if not indexes:
        note(job.get("waiting_for") or f"It has not started, so there is no log: it is {job['state']}.")
        return []
    if attempt is not None and attempt not in indexes:
        known = ", ".join(map(str, indexes))
        raise Trouble(
            f"There is no attempt {attempt}; {f'these are there: {known}' if indexes[1:] else f'its only one is {known}'}."
        )
    index = indexes[-1] if attempt is None else attempt
    path = _log(job, {"index": index})
    return session().bytes_of(path, grows=True) if tail is None else session().last_lines(path, tail)


def _verify(out: Output, job: dict[str, Any]) -> None:
    """Fetches every log, counts and sums it here, and compares with what the server says of it."""
    said = session()
    answers = said.get(f"/jobs/{job['id']}/verify")["attempts"]
    rows = [{**row, "fetched": _agrees(row, _counted(said.bytes_of(_log(job, row))))} for row in answers]
    out.rows(rows)
    for row in rows:
        note(f"Attempt {row['index']}: {_verdict(row)}")
    if not rows:
        note("It has not started, so there is no log.")
    if not all(row["verified"] and row["fetched"] for row in rows):
        raise click.exceptions.Exit(1)


def _log(job: dict[str, Any], row: dict[str, Any]) -> str:
    return f"/jobs/{job['id']}/attempts/{row['index']}/log"


def _counted(pieces: Iterator[bytes]) -> tuple[int, str]:
    """Size in bytes and SHA-256 of what was fetched."""
    size, digest = 0, hashlib.sha256()
    for piece in pieces:
        size += len(piece)
        digest.update(piece)
    return size, digest.hexdigest()


def _agrees(row: dict[str, Any], counted: tuple[int, str]) -> bool:
    size, digest = counted
    return row["size"] == size and row.get("sha256") in (None, digest)


def _verdict(row: dict[str, Any]) -> str:
    if not row["fetched"]:
        return "what arrived here is not what the server has. Try again."
    if row["verified"]:
        return f"complete, {row['lines']} lines"
    if row["verified"] is None:
        return "not checked yet: the job has not ended"
    return str(row.get("sentence") or "not complete")
