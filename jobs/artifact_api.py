"""What programs do with what jobs wrote, and how they make sure that they have all of a log."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.http import HttpResponseBase
from ninja import Router

import access
from api import lists
from api.callers import ApiRequest
from api.lists import Listed, Out
from compute import trees
from jobs import artifact_answers, artifacts, logs, shown
from jobs.log_api import beyond
from jobs.models import Attempt, Job
from jobs.shown import job_for

router = Router(tags=["artifacts"])

FILE: Final = "/jobs/{job}/artifacts/files/{path:path}"
BYTES: Final = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
PARTS: Final = {
    200: {"description": "The file", **BYTES},
    206: {"description": "The range that Range asks for", **BYTES},
}
ZIP: Final = {
    200: {
        "description": "The archive",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}

_reading = ThreadPoolExecutor(2, thread_name_prefix="checksums")  # a log of a gigabyte takes a second


class ArtifactOut(Out):
    """Something that a job wrote; `kind` is image, json, other, link or special, and the last two have no bytes. `sha256` is told
    where it is known. `mine`: who asks submitted the job."""

    path: str
    size: int
    kind: str
    modified: datetime
    sha256: str | None = None
    mine: bool


class Checked(shown.LogOut):
    """An attempt's log as it is here now, all of it read: its lines and SHA-256 in hexadecimal. `verified`: its runner's agreed when
    it closed it."""

    index: int
    lines: int
    sha256: str


class VerifyOut(Out):
    """The logs of all attempts."""

    attempts: list[Checked]


class Artifacts(Listed[ArtifactOut]):
    """The artifacts, the first 2000 of them; `truncated`: there are more, which are in the archive."""

    truncated: bool = False


@router.get("/jobs/{job}/artifacts", response=Artifacts)
@access.route("job:get")
def list_artifacts(request: ApiRequest, job: str) -> dict[str, Any]:
    """What a job wrote, also while it runs."""
    found = job_for(request, job, "job:get")
    entries, truncated = artifacts.listed(found)
    mine = shown.is_mine(found, request.user)
    return lists.whole(entries, lambda entry: _show(entry) | {"mine": mine}) | {"truncated": truncated}


def _show(entry: trees.Entry) -> dict[str, Any]:
    modified = datetime.fromtimestamp(min(max(entry.modified, 0), artifacts.LATEST), UTC)
    return {"path": entry.path, "size": entry.size, "kind": artifacts.kind_of(entry), "modified": modified}


@router.get(FILE, openapi_extra={"responses": PARTS})
@access.route("job:get")
async def get_artifact(request: ApiRequest, job: str, path: str) -> HttpResponseBase:
    """A file that a job wrote, or the Range of it that is asked for."""
    return await _file(request, job, path)


@router.api_operation(["HEAD"], FILE)
@access.route("job:get")
async def head_artifact(request: ApiRequest, job: str, path: str) -> HttpResponseBase:
    """How long a file is that a job wrote."""
    return await _file(request, job, path)


async def _file(request: ApiRequest, job: str, path: str) -> HttpResponseBase:
    found = await sync_to_async(job_for)(request, job, "job:get")
    return beyond(await artifact_answers.file(request, found, path))


@router.get("/jobs/{job}/artifacts.zip", openapi_extra={"responses": ZIP})
@access.route("job:get")
async def get_archive(request: ApiRequest, job: str) -> HttpResponseBase:
    """All that a job wrote, as one archive."""
    return artifact_answers.archive(await sync_to_async(job_for)(request, job, "job:get"))


@router.get("/jobs/{job}/verify", response=VerifyOut)
@access.route("job:get")
async def verify_logs(request: ApiRequest, job: str) -> dict[str, Any]:
    """What the logs of a job add up to, for whoever wants to know whether they have all of them. Each is read to its end."""
    attempts = await sync_to_async(_attempts)(request, job)
    checked = sync_to_async(_checked, thread_sensitive=False, executor=_reading)
    return {"attempts": [await checked(attempt) for attempt in attempts]}


def _attempts(request: ApiRequest, job: str) -> list[Attempt]:
    found: Job = job_for(request, job, "job:get")
    return list(found.attempts.all())


def _checked(attempt: Attempt) -> dict[str, Any]:
    read = logs.checksum(logs.path_of(attempt.job_id, attempt.index))
    said = shown.show_log(attempt, read.size)
    return {**said, "index": attempt.index, "lines": read.lines, "sha256": read.sha256}
