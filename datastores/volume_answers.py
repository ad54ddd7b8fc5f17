"""What is in a volume, over HTTP: files and parts of them, archives, listings. Nothing of it is shown as a page of ours.

Paths are as the disk has them; what goes out has them as they are told.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpResponseBase, StreamingHttpResponse

from accounts.downloads import NOTHING_SHOWN
from api import ranges
from api.problems import Problem
from compute import trees
from datastores import paths, previews, volume_contents, volumes
from datastores.content_answers import attached, in_files, while_allowed
from datastores.contents import FORMATS
from datastores.models import Datastore
from mlteam.one_thread import BrokenOff

LINES = "application/x-ndjson"


async def file(request: Any, datastore: Datastore, path: str, *, shown: bool = False) -> HttpResponseBase:
    """A file of a volume, or the Range of it that is asked for; an image as one where it may be `shown`, everything else as an
    attachment. Raises trees.NotThere, Problem beyond its end."""
    stack = ExitStack()
    opened = await sync_to_async(stack.enter_context)(trees.opened(volumes.place_of(datastore), path))
    found = await in_files(os.fstat)(opened.fileno())
    tag = volume_contents.tag_of(found)
    image = await in_files(previews.image_type)(volume_contents.seen(path, opened)) if shown else None
    headers = NOTHING_SHOWN | {"Content-Type": image or "application/octet-stream", "ETag": tag}
    if not image:
        headers |= {"Content-Disposition": attached(paths.told(path.rpartition("/")[2]))}

    def pieces(start: int, end: int) -> AsyncIterator[bytes]:
        return while_allowed(request, datastore, _pieces(stack, opened.fileno(), found, start, end))

    same = lambda condition: condition == tag and not tag.startswith("W/")  # noqa: E731 - said once
    response = ranges.answer(request, found.st_size, pieces, headers, same)
    if not response.streaming:
        stack.close()
    if response.status_code == 416:
        beyond = {"Content-Range": response.headers["Content-Range"]}
        raise Problem(416, "bad_request", "There are no such bytes: the range begins beyond the end.", headers=beyond)
    return response


def _pieces(stack: ExitStack, opened: int, before: os.stat_result, start: int, end: int) -> Iterator[bytes]:
    """Never more than was announced, and less only where a job has cut the file meanwhile or written it anew: then the connection breaks
    before what is no longer the same, and whoever asks for the rest sees by the ETag why."""
    with stack:
        while start < end and (piece := os.pread(opened, min(volume_contents.CHUNK, end - start), start)):
            if volume_contents.is_written_anew(before, os.fstat(opened)):
                break
            yield piece
            start += len(piece)
    if start < end:
        raise BrokenOff("a file of a volume was written anew or cut while it was sent")


async def archive(request: Any, datastore: Datastore, path: str, kind: str) -> HttpResponseBase:
    """All files below a folder, as one archive. Raises trees.NotThere."""
    await in_files(check_folder)(datastore, path)
    name = attached(volume_contents.file_name(datastore, path, kind))
    return _streamed(
        request,
        datastore,
        volume_contents.archived(datastore, path, kind),
        {"Content-Type": FORMATS[kind], "Content-Disposition": name},
    )


async def listing(request: Any, datastore: Datastore, path: str) -> HttpResponseBase:
    """All that is below a folder, a line of JSON each. Raises trees.NotThere."""
    await in_files(check_folder)(datastore, path)
    lines = volume_contents.gathered(volume_contents.listing(datastore, path))
    return _streamed(request, datastore, lines, {"Content-Type": LINES})


async def pack(request: Any, datastore: Datastore, wanted: list[str]) -> HttpResponseBase:
    """Small files, one after the other."""
    pieces = volume_contents.gathered(volume_contents.packed(datastore, wanted))
    return _streamed(request, datastore, pieces, {"Content-Type": "application/octet-stream"})


def _streamed(request: Any, datastore: Datastore, pieces: Iterator[bytes], headers: dict[str, str]) -> HttpResponseBase:
    return StreamingHttpResponse(while_allowed(request, datastore, pieces), headers=NOTHING_SHOWN | headers)


def check_folder(datastore: Datastore, path: str) -> None:
    """Raises trees.NotThere where there is none."""
    volumes.root_of(datastore)
    with trees.entered(volumes.place_of(datastore), path):
        pass
