"""A log over HTTP for its page."""

from dataclasses import asdict
from pathlib import Path

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.http import require_safe

import access
from accounts.requests import UserRequest
from jobs import log_answers, logs
from jobs.log_answers import PAGE_LINES, PAGE_LINES_AT_MOST
from jobs.log_hub import in_files
from jobs.models import Job
from jobs.views import job_for


@sync_to_async
def _job(request: UserRequest, slug: str, job_id: str, index: int) -> Job:
    """The job, for somebody who may see it, under its project's address; it has had this attempt or waits for it."""
    job = job_for(request, slug, job_id, "job:get")
    log_answers.check_index(job, index)
    return job


async def _log(request: UserRequest, slug: str, job_id: str, index: int) -> Path:
    job = await _job(request, slug, job_id, index)
    return logs.path_of(job.id, index)


@access.route("job:get")
@require_safe
async def raw(request: UserRequest, slug: str, job_id: str, index: int) -> HttpResponseBase:
    """The log as it is, or a range of it, in constant memory; as a download with ?download."""
    job = await _job(request, slug, job_id, index)
    return await log_answers.whole(request, job, index, download="download" in request.GET)


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


@access.route("job:get")
@require_safe
async def search(request: UserRequest, slug: str, job_id: str, index: int) -> JsonResponse:
    """Lines that hold ?q=, looking from byte ?from= on for a moment: {matches: [{line, offset}], next, done, size}."""
    path = await _log(request, slug, job_id, index)
    found = await log_answers.search(path, request.GET.get("q", ""), _number(request, "from", 0))
    size = await in_files(logs.size, path)
    return JsonResponse(
        {"matches": [asdict(match) for match in found.matches], "next": found.next, "done": found.done, "size": size}
    )
