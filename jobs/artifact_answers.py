"""What a job wrote, over HTTP: one file or a range of it, and all as one archive. Nothing of it is shown as a page of ours."""

import os
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse

from accounts.downloads import NOTHING_SHOWN, one_by_one
from api import ranges
from compute import trees
from jobs import artifacts, places
from jobs.models import Job
from mlteam.one_thread import BrokenOff


async def file(request: HttpRequest, job: Job, path: str, *, shown: bool = False) -> HttpResponseBase:
    """One file, or the range of it that is asked for; an image as one where it may be `shown`, everything else as an attachment.

    Raises Http404 for what is no regular file.
    """
    stack = ExitStack()
    try:
        opened = await sync_to_async(stack.enter_context)(trees.opened(places.output_directory(job.id), path))
    except trees.NotThere:
        raise Http404("There is no such artifact.") from None
    head, found = await sync_to_async(_looked_at, thread_sensitive=False)(opened)
    image = artifacts.image_type(path, head) if shown else None
    tag = f'"{found.st_size}-{found.st_mtime_ns}"'
    headers = {**NOTHING_SHOWN, "Content-Type": image or "application/octet-stream", "ETag": tag}
    if not image:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(path.rsplit('/', 1)[-1])}"

    def pieces(start: int, end: int) -> AsyncIterator[bytes]:
        return _pieces(stack, opened, start, end)

    response = ranges.answer(request, found.st_size, pieces, headers, lambda condition: condition == tag)
    if not response.streaming:
        stack.close()
    return response


def _looked_at(opened: Any) -> tuple[bytes, os.stat_result]:
    return opened.read(16), os.fstat(opened.fileno())


async def _pieces(stack: ExitStack, opened: Any, start: int, end: int) -> AsyncIterator[bytes]:
    """Never more than was announced, and less only where the job has cut the file meanwhile."""
    read = sync_to_async(os.pread, thread_sensitive=False)
    with stack:
        while start < end and (chunk := await read(opened.fileno(), min(artifacts.CHUNK, end - start), start)):
            yield chunk
            start += len(chunk)
    if start < end:
        raise BrokenOff("a job cut a file while it was sent")


def archive(job: Job) -> HttpResponseBase:
    """All that the job wrote."""
    pieces = one_by_one(artifacts.zipped(places.output_directory(job.id)), thread_sensitive=False)
    headers = {**NOTHING_SHOWN, "Content-Disposition": f"attachment; filename*=UTF-8''{quote(job.name)}-{job.id}.zip"}
    return StreamingHttpResponse(pieces, content_type="application/zip", headers=headers)
