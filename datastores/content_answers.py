"""What versions consist of, over HTTP: files and parts of them, archives. Nothing of it is shown as a page of ours."""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.http import Http404, HttpResponseBase, StreamingHttpResponse

import access
from accounts.downloads import NOTHING_SHOWN, one_by_one
from api import callers, ranges
from api.problems import Problem
from datastores import contents, listings, previews
from datastores.manifests import Entry
from datastores.models import Datastore, Version
from mlteam.one_thread import BrokenOff

LOOKED_AGAIN: Final = 2.0  # seconds between two looks whether somebody may read on

in_files = sync_to_async(thread_sensitive=False)  # makes of a function that touches files one that is waited for


async def while_allowed(request: Any, datastore: Datastore, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces, as long as who asks may still read them, and until one is lost; then the connection breaks."""
    looked = time.monotonic()
    try:
        async for piece in one_by_one(pieces, thread_sensitive=False):
            if time.monotonic() - looked > LOOKED_AGAIN:
                await sync_to_async(_look_again)(request, datastore)
                looked = time.monotonic()
            yield piece
    except contents.Lost as lost:
        raise BrokenOff(f"“{lost}” of {datastore.kind} {datastore.pk} is missing or damaged in the store") from None


def _look_again(request: Any, datastore: Datastore) -> None:
    by = callers.again(request)
    there = by is not None and Datastore.objects.present().filter(pk=datastore.pk).exists()
    if by is None or not there or not access.allowed(by, f"{datastore.kind}:get", datastore):
        raise BrokenOff(f"who asked may no longer read {datastore.kind} {datastore.pk}")


def stream(request: Any, version: Version, pieces: Iterator[bytes], kind: str, **more: str) -> HttpResponseBase:
    """The pieces as they come; `more`: headers, with _ for -."""
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    sent = while_allowed(request, version.datastore, pieces)
    return StreamingHttpResponse(sent, content_type=kind, headers=NOTHING_SHOWN | headers)


def attached(name: str) -> str:
    """The header that makes a download of what is answered."""
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


async def file(
    request: Any, version: Version, path: str, *, shown: bool = False, to_browser: bool = False
) -> HttpResponseBase:
    """A file of a version, or the Range of it that is asked for; an image as one where it may be `shown`, everything else as an
    attachment. Raises Http404, Problem beyond its end, blobs.Missing.

    What goes on to its end is compared with its hash before that is sent. A program that asks for ranges does so itself; a browser, which
    asks for the rest of what broke off, does not (`to_browser`)."""
    entry = await in_files(entry_at)(version, path)
    project_id, tag = version.datastore.project_id, f'"{entry.sha256}"'

    def pieces(start: int, end: int) -> AsyncIterator[bytes]:
        compared = end == entry.size and (to_browser or "Range" not in request.headers)
        wanted = contents.whole(project_id, entry, start) if compared else contents.read(project_id, entry, start, end)
        return while_allowed(request, version.datastore, wanted)

    image = await in_files(previews.image_type)(previews.of_version(project_id, entry)) if shown else None
    headers = {**NOTHING_SHOWN, "Content-Type": image or "application/octet-stream", "ETag": tag}
    if not image:
        headers["Content-Disposition"] = attached(path.rpartition("/")[2])
    response = ranges.answer(request, entry.size, pieces, headers, lambda condition: condition == tag)
    if response.status_code == 416:
        beyond = {"Content-Range": response.headers["Content-Range"]}
        raise Problem(416, "bad_request", "There are no such bytes: the range begins beyond the end.", headers=beyond)
    return response


def entry_at(version: Version, path: str) -> Entry:
    """The file at a path, whose content is there. Raises Http404, blobs.Missing."""
    entry = listed(version, path)
    contents.check_there(version.datastore.project_id, entry)
    return entry


def listed(version: Version, path: str) -> Entry:
    """The file at a path. Raises Http404, blobs.Missing where the list of files is lost."""
    with listings.opened(listings.of(version)) as listing:
        entry = listing.find(path)
    if entry is None:
        raise Http404
    return entry


async def archive(request: Any, version: Version, folder: str, kind: str) -> HttpResponseBase:
    """All that is below a folder, as one archive. Raises Http404."""
    await in_files(check_folder)(version, folder)
    named = attached(contents.file_name(version, folder, kind))
    pieces = contents.archived(version, folder, kind)
    return stream(request, version, pieces, contents.FORMATS[kind], Content_Disposition=named)


def check_folder(version: Version, folder: str) -> None:
    """Raises Http404 where there is none."""
    with listings.opened(listings.of(version)) as listing:
        start, end = listing.folder(folder)
    if start == end:
        raise Http404
