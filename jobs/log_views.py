"""A log over HTTP: whole or in ranges, a page of lines, a search through all of it. Always as bytes, never as HTML."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

import access
from accounts.requests import UserRequest
from jobs import logs
from jobs.log_hub import in_files
from jobs.models import Job
from jobs.views import job_for

CHUNK = 256 * 1024  # bytes read and sent at once
PAGE_LINES = 1000  # lines of a page that names no number
PAGE_LINES_AT_MOST = 5000
QUERY_AT_MOST = 1000  # characters looked for

_range = re.compile(r"^bytes=(\d{0,18})-(\d{0,18})\Z")


@sync_to_async
def _job(request: UserRequest, slug: str, job_id: str, index: int) -> Job:
    """The job, for somebody who may see it, under its project's address; it has had this attempt or waits for it."""
    job = job_for(request, slug, job_id, "job:get")
    if index > job.attempts.count():
        raise Http404("There is nothing here, or nothing that you may see.")
    return job


async def _log(request: UserRequest, slug: str, job_id: str, index: int) -> Path:
    job = await _job(request, slug, job_id, index)
    return logs.path_of(job.id, index)


# The whole log


@access.route("job:get")
@require_safe
async def raw(request: UserRequest, slug: str, job_id: str, index: int) -> HttpResponseBase:
    """The log as it is, or a range of it, in constant memory; as a download with ?download."""
    job = await _job(request, slug, job_id, index)
    path = logs.path_of(job.id, index)
    size = await in_files(logs.size, path)
    tag = f'"{job.id}-{index}-'
    start, end, status = _wanted(request, tag, size)
    response: HttpResponseBase
    if status == 416 or request.method == "HEAD":
        response = HttpResponse(status=status)
    else:
        response = StreamingHttpResponse(_bytes(path, start, end), status=status)
    for name, value in _raw_headers(request, f"{job.name}-{job.id}-{index}.log").items():
        response[name] = value
    response["ETag"] = f'{tag}{size}"'
    response["Content-Length"] = str(end - start)
    if status == 206:
        response["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    elif status == 416:
        response["Content-Range"] = f"bytes */{size}"
    return response


def _raw_headers(request: HttpRequest, name: str) -> dict[str, str]:
    return {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Disposition": content_disposition_header("download" in request.GET, name) or "inline",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }


def _wanted(request: HttpRequest, tag: str, size: int) -> tuple[int, int, int]:
    """The bytes asked for, from and to (exclusive), and the status: 200 for all, 206 for a part, 416 beyond the end."""
    found = _range.match(request.headers.get("Range", ""))
    if not found or not _same_log(request, tag):
        return 0, size, 200
    first, last = found.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return 0, size, 200  # no valid range: as if none was asked for
    elif last:
        start, end = max(0, size - int(last)), size
    else:
        return 0, size, 200
    return (start, end, 206) if start < end else (0, 0, 416)


def _same_log(request: HttpRequest, tag: str) -> bool:
    """Whether If-Range, where there is one, names this log. It only grows, so any of its earlier sizes will do."""
    condition = request.headers.get("If-Range")
    return condition is None or condition.startswith(tag)


async def _bytes(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    while start < end and (data := await in_files(logs.read, path, start, min(CHUNK, end - start))):
        yield data
        start += len(data)


# A page


@access.route("job:get")
@require_safe
async def page(request: UserRequest, slug: str, job_id: str, index: int) -> HttpResponse:
    """Some lines: from ?line=N or ?offset=N on, or those that end at ?before=N, which is the log's end unless named."""
    path = await _log(request, slug, job_id, index)
    count = min(_number(request, "lines", PAGE_LINES), PAGE_LINES_AT_MOST)
    if "line" in request.GET:
        found = await in_files(logs.page_of_line, path, _number(request, "line", 1), count)
    elif "offset" in request.GET:
        found = await in_files(logs.page_from, path, _number(request, "offset", 0), count)
    else:
        found = await in_files(logs.page_before, path, _number(request, "before", 10**18), count)
    response = HttpResponse(found.data, content_type="application/octet-stream")
    response["X-Log-Offset"], response["X-Log-Next"] = str(found.offset), str(found.next)
    response["X-Log-Line"], response["X-Log-Size"] = str(found.line), str(found.size)
    response["Cache-Control"] = "private, no-store"
    return response


def _number(request: HttpRequest, name: str, default: int) -> int:
    """A whole number of the query; the default when it is missing or none."""
    value = request.GET.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else default


# Search


@access.route("job:get")
@require_safe
async def search(request: UserRequest, slug: str, job_id: str, index: int) -> JsonResponse:
    """Lines that hold ?q=, looking from byte ?from= on for a moment: {matches: [{line, offset}], next, done, size}."""
    path = await _log(request, slug, job_id, index)
    query = request.GET.get("q", "")[:QUERY_AT_MOST].partition("\n")[0].encode(errors="replace")
    gone = threading.Event()
    try:
        found = await in_files(_search, path, query, _number(request, "from", 0), gone)
    except asyncio.CancelledError:
        gone.set()
        raise
    size = await in_files(logs.size, path)
    return JsonResponse(
        {"matches": [asdict(match) for match in found.matches], "next": found.next, "done": found.done, "size": size}
    )


def _search(path: Path, query: bytes, start: int, gone: threading.Event) -> logs.Found:
    return logs.search(path, query, start, cancelled=gone.is_set)
