"""`mlteam job artifacts` and `mlteam artifacts`: the files that a job left."""

import os
import shutil
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote

import click

from mlteam_sdk.cli.command import Trouble, command, session
from mlteam_sdk.cli.jobs import chosen, one_job
from mlteam_sdk.cli.output import Output, prints
from mlteam_sdk.cli.texts import clean, note
from mlteam_sdk.landing import inside

BYTELESS: Final = ("link", "special")  # kinds of artifacts that hold nothing to fetch


@command("artifacts")
@one_job
@click.option("--download", "-o", "directory", metavar="DIR", help="Fetch them into this directory.")
@prints("path", "size", "modified")
def job_artifacts(out: Output, job: str | None, last: bool, directory: str | None) -> None:
    """Lists the files that a job left; with --download fetches them."""
    found = chosen(job, last)
    files, more = _files(found)
    if directory is not None:
        fetch(found, files, more, Path(directory))
        return
    out.rows(files)
    if more:
        note(f"There are more than these {len(files)}; --download fetches all.")


@command("artifacts")
@one_job
@click.argument("directory", required=False, metavar="[DIR]")
@prints("path", "size", "modified")
def artifacts(out: Output, job: str | None, last: bool, directory: str | None) -> None:
    """Fetches the files that a job left, into DIR; otherwise into a new directory named after the job.

    The job is NAME, ID or USER:NAME. A file that is there with the same size is not fetched again.
    """
    found = chosen(job, last)
    files, more = _files(found)
    target = Path(directory or f"{_plain(found['name'])}-{found['id']}")
    fetch(found, files, more, target)
    out.rows(files)


def _files(job: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """The files that are listed, without links and the like; whether there are more than a list holds."""
    answer = session().get(f"/jobs/{job['id']}/artifacts")
    return [file for file in answer["items"] if file.get("kind") not in BYTELESS], bool(answer.get("truncated"))


def _plain(name: str) -> str:
    """A job's name as that of a directory."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip("-.") or "job"


def fetch(job: dict[str, Any], files: list[dict[str, Any]], more: bool, target: Path) -> None:
    """Fetches the files that are not there yet. Raises UnsafePath for a name that leads out of the directory.

    `more`: there are more files than are listed; then all are fetched, as one archive.
    """
    if more:
        _fetch_all(job, target)
        return
    wanted = [(file, inside(target, file["path"])) for file in files]
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


def _fetch_all(job: dict[str, Any], target: Path) -> None:
    """Unpacks the archive of all files, one after another; a name that leads out of the directory stops it before the first."""
    import tempfile
    from zipfile import ZipFile

    note("There are many files: fetching them as one archive.")
    with tempfile.TemporaryFile() as held:
        for piece in session().bytes_of(f"/jobs/{job['id']}/artifacts.zip"):
            held.write(piece)
        with ZipFile(held) as archive:
            wanted = [(entry, inside(target, entry.filename)) for entry in archive.infolist() if not entry.is_dir()]
            for entry, place in wanted:
                part = _part_of(place)
                with archive.open(entry) as source, _opened(part, fresh=True) as file:
                    shutil.copyfileobj(source, file)
                part.replace(place)
    note(f"{len(wanted)} files fetched into {target}.")


def _part_of(place: Path) -> Path:
    """What a file is called while it is written, so that what is there is whole."""
    place.parent.mkdir(parents=True, exist_ok=True)
    return place.with_name(f".{place.name}.mlteam-part")


def _opened(part: Path, *, fresh: bool) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if fresh else 0)
    return open(os.open(part, flags, 0o666), "wb")  # noqa: PTH123 flags that Path.open has not; the caller closes it


def _fetch_one(address: str, place: Path, size: int) -> None:
    """Writes beside the place first, so that what is there is whole; an interrupted one goes on where it was."""
    part = _part_of(place)
    begun = part.stat().st_size if part.is_file() and not part.is_symlink() else 0
    if begun > size:
        begun = 0
    with _opened(part, fresh=not begun) as file:
        file.seek(begun)
        for piece in session().bytes_of(address, start=begun):
            file.write(piece)
    if part.stat().st_size != size:
        raise Trouble(f"{place} did not arrive whole. The same command goes on where it was.")
    part.replace(place)
