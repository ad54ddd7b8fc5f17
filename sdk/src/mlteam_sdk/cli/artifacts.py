"""`mlteam job artifacts` and `mlteam artifacts`: the files that a job left."""

import os
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import click

from mlteam_sdk.cli.command import Trouble, command, session
from mlteam_sdk.cli.jobs import chosen, one_job
from mlteam_sdk.cli.output import Output, prints
from mlteam_sdk.cli.texts import clean, note


@command("artifacts")
@one_job
@click.option("--download", "-o", "directory", metavar="DIR", help="Fetch them into this directory.")
@prints("path", "size", "modified")
def job_artifacts(out: Output, job: str | None, last: bool, directory: str | None) -> None:
    """Lists the files that a job left; with --download fetches them."""
    found = chosen(job, last)
    files = _files(found)
    if directory is not None:
        fetch(found, files, Path(directory))
    else:
        out.rows(files)


@command("artifacts")
@one_job
@click.argument("directory", required=False, metavar="[DIR]")
@prints("path", "size", "modified")
def artifacts(out: Output, job: str | None, last: bool, directory: str | None) -> None:
    """Fetches the files that a job left, into DIR; otherwise into a new directory named after the job.

    The job is NAME, ID or USER:NAME. A file that is there with the same size is not fetched again.
    """
    found = chosen(job, last)
    files = _files(found)
    target = Path(directory or f"{_plain(found['name'])}-{found['id']}")
    fetch(found, files, target)
    out.rows(files)


def _files(job: dict[str, Any]) -> list[dict[str, Any]]:
    answer = session().get(f"/jobs/{job['id']}/artifacts")
    listed: list[dict[str, Any]] = answer["items"] if isinstance(answer, dict) else answer
    return listed


def _plain(name: str) -> str:
    """A job's name as that of a directory."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip("-.") or "job"


def fetch(job: dict[str, Any], files: list[dict[str, Any]], target: Path) -> None:
    """Fetches the files that are not there yet. Raises Trouble for a name that leads out of the directory."""
    wanted = [(file, _inside(target, file["path"])) for file in files if file.get("kind", "file") == "file"]
    if not wanted:
        note("It left no files.")
        return
    fetched = 0
    for number, (file, place) in enumerate(wanted, 1):
        if place.is_file() and place.stat().st_size == file["size"]:
            continue
        note(f"{number}/{len(wanted)} {clean(file['path'])}")
        _fetch_one(f"/jobs/{job['id']}/artifacts/files/{quote(file['path'])}", place, file["size"])
        fetched += 1
    note(f"{fetched} files fetched into {target}; {len(wanted) - fetched} were there already.")


def _inside(target: Path, path: str) -> Path:
    """Where a file of that path goes. The server is not believed: nothing is written outside of the directory."""
    pure = PurePosixPath(path)
    place = target.joinpath(*pure.parts) if not pure.is_absolute() and ".." not in pure.parts and pure.parts else None
    if place is None or not place.resolve().is_relative_to(target.resolve()) or "\0" in path:
        raise Trouble(f"The server names a file outside of the directory: {clean(path)}. Nothing was fetched.")
    return place


def _fetch_one(address: str, place: Path, size: int) -> None:
    """Writes beside the place first, so that what is there is whole; an interrupted one goes on where it was."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.mlteam-part")
    begun = part.stat().st_size if part.is_file() and not part.is_symlink() else 0
    if begun > size:
        begun = 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (0 if begun else os.O_TRUNC)
    with open(os.open(part, flags, 0o666), "wb") as file:  # noqa: PTH123 flags that Path.open has not
        file.seek(begun)
        for piece in session().bytes_of(address, start=begun):
            file.write(piece)
    if part.stat().st_size != size:
        raise Trouble(f"{place} did not arrive whole. The same command goes on where it was.")
    part.replace(place)
