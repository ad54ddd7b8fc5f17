"""A log over HTTP: whole or in ranges, a page of lines, a search through all of it. Always as bytes, never as HTML."""

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils.http import content_disposition_header

from api import ranges
from jobs import logs
from jobs.log_hub import in_files
from jobs.models import Job

CHUNK = 256 * 1024  # bytes read and sent at once
PAGE_LINES = 1000  # lines of a page that names no number
PAGE_LINES_AT_MOST = 5000
QUERY_AT_MOST = 1000  # characters looked for


def check_index(job: Job, index: int) -> None:
    """Raises Http404 unless the job has had this attempt or waits for it."""
    if index > job.attempts.count():
        raise Http404("There is nothing here, or nothing that you may see.")


async def whole(request: HttpRequest, job: Job, index: int, *, download: bool = False) -> HttpResponseBase:
    """The log as it is, or a range of it, in constant memory."""
    path = logs.path_of(job.id, index)
    size, tag = await in_files(logs.size, path), f'"{job.id}-{index}-'
    headers = {**_headers(f"{job.name}-{job.id}-{index}.log", download), "ETag": f'{tag}{size}"'}
    # A log only grows: any of its earlier sizes names it.
    return ranges.answer(request, size, partial(_bytes, path), headers, lambda condition: condition.startswith(tag))


async def last(request: HttpRequest, job: Job, index: int, lines: int) -> HttpResponseBase:
    """The last lines of the log; X-Log-Offset says where they begin."""
    path = logs.path_of(job.id, index)
    size = await in_files(logs.size, path)
    start = await in_files(_offset_of_last, path, lines)
    headers = {**_headers(f"{job.name}-{job.id}-{index}.log", False), "X-Log-Offset": str(start)}

    def pieces(first: int, end: int) -> AsyncIterator[bytes]:
        return _bytes(path, start + first, start + end)

    return ranges.answer(request, max(0, size - start), pieces, headers, lambda condition: False)


def _offset_of_last(path: Path, lines: int) -> int:
    return logs.offset_of_line(path, max(1, logs.lines(path) - lines + 1)) if lines else logs.size(path)


def _headers(name: str, download: bool) -> dict[str, str]:
    return {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Disposition": content_disposition_header(download, name) or "inline",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }


async def _bytes(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    while start < end and (data := await in_files(logs.read, path, start, min(CHUNK, end - start))):
        yield data
        start += len(data)


async def search(path: Path, query: str, start: int) -> logs.Found:
    """Lines that hold the query, looking from a byte on for a moment; no longer than somebody waits for it."""
    wanted = query[:QUERY_AT_MOST].partition("\n")[0].encode(errors="replace")
    gone = threading.Event()
    try:
        return await in_files(_search, path, wanted, start, gone)
    except asyncio.CancelledError:
        gone.set()
        raise


def _search(path: Path, query: bytes, start: int, gone: threading.Event) -> logs.Found:
    return logs.search(path, query, start, cancelled=gone.is_set)
