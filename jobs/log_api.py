"""What programs do with logs."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from asgiref.sync import sync_to_async
from django.http import Http404, HttpResponseBase, JsonResponse, StreamingHttpResponse
from ninja import Query, Router

import access
from api import callers, problems
from api.callers import ApiRequest
from api.door import sparse
from api.lists import Out
from api.problems import Problem
from jobs import log_answers, logs
from jobs.log_answers import PAGE_LINES, PAGE_LINES_AT_MOST, QUERY_AT_MOST
from jobs.log_events import Follower, Gone
from jobs.log_hub import in_files
from jobs.models import Job
from jobs.shown import job_for

router = Router(tags=["logs"])

LOG = "/jobs/{job}/attempts/{int:index}/log"
FARTHEST = 10**18  # bytes
BYTES = {"content": {"text/plain": {"schema": {"type": "string", "format": "binary"}}}}
WHOLE = {200: {"description": "The log", **BYTES}, 206: {"description": "The range of it that Range asks for", **BYTES}}
EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "the offset of the byte after what it is about"},
        "event": {"type": "string", "enum": ["log", "state", "end", "gone"]},
        "data": {"type": "string", "description": "JSON"},
    },
}
EVENTS = {
    200: {
        "description": "Events log, state, end, gone",
        "content": {"text/event-stream": {"schema": EVENT}},
    }
}


class LinesOut(Out):
    """Lines of a log, without their newlines: `offset` is the byte at which they begin, `line` the number of the first, `next` the byte
    after them. Bytes that are no UTF-8 are lone surrogates (Python's surrogateescape)."""

    offset: int
    line: int
    next: int
    size: int
    lines: list[str]


class MatchOut(Out):
    """A line that matches: its number, and the byte at which its first match begins."""

    line: int
    offset: int


class FoundOut(Out):
    """Lines that match, in order; `next` is the byte to go on from, `done` that nothing is left there."""

    matches: list[MatchOut]
    next: int
    done: bool
    size: int


@sync_to_async
def _job(request: ApiRequest, job: str, index: int) -> Job:
    found = job_for(request, job, "job:get")
    log_answers.check_index(found, index)
    return found


@router.get(LOG, openapi_extra={"responses": WHOLE})
@access.route("job:get")
async def get_log(
    request: ApiRequest, job: str, index: int, tail: int | None = Query(None, ge=0, le=FARTHEST)
) -> HttpResponseBase:
    """An attempt's log as bytes, or the Range of it that is asked for; with `tail` its last lines (X-Log-Offset: where they begin)."""
    return await _whole(request, job, index, tail)


@router.api_operation(["HEAD"], LOG)
@access.route("job:get")
async def head_log(
    request: ApiRequest, job: str, index: int, tail: int | None = Query(None, ge=0, le=FARTHEST)
) -> HttpResponseBase:
    """How long an attempt's log is."""
    return await _whole(request, job, index, tail)


async def _whole(request: ApiRequest, job: str, index: int, tail: int | None) -> HttpResponseBase:
    found = await _job(request, job, index)
    if tail is None:
        response = await log_answers.whole(request, found, index)
    else:
        response = await log_answers.last(request, found, index, tail)
    return beyond(response)


def beyond(response: HttpResponseBase) -> HttpResponseBase:
    """The same answer; raises Problem for a range beyond the end."""
    if response.status_code == 416:
        headers = {"Content-Range": response.headers["Content-Range"]}
        raise Problem(416, "bad_request", "There are no such bytes: the range begins beyond the end.", headers=headers)
    return response


@router.get(f"{LOG}/lines", response=LinesOut)
@access.route("job:get")
async def log_lines(
    request: ApiRequest,
    job: str,
    index: int,
    first: int | None = Query(None, alias="from", ge=1, le=FARTHEST),
    count: int = Query(PAGE_LINES, ge=1, le=PAGE_LINES_AT_MOST),
) -> HttpResponseBase:
    """Some lines of a log, from the one with that number on (the first is 1); the last ones unless it is named."""
    found = await _job(request, job, index)
    path = logs.path_of(found.id, index)
    if first is None:
        page = await in_files(logs.page_before, path, FARTHEST, count)
    else:
        page = await in_files(logs.page_of_line, path, first, count)
    lines = page.data.decode("utf-8", "surrogateescape").split("\n")
    shown = {"offset": page.offset, "line": page.line, "next": page.next, "size": page.size}
    # Not by the schema: it refuses the lone surrogates that stand for bytes.
    return JsonResponse(sparse(request, {**shown, "lines": lines if lines[-1] else lines[:-1]}))


@router.get(f"{LOG}/search", response=FoundOut)
@access.route("job:get")
async def log_search(
    request: ApiRequest,
    job: str,
    index: int,
    q: str = Query(min_length=1, max_length=QUERY_AT_MOST),
    start: int = Query(0, alias="from", ge=0, le=FARTHEST),
) -> dict[str, Any]:
    """Lines of a log that hold `q`, looking from a byte on for a moment. Capitals count where `q` has some."""
    path = logs.path_of((await _job(request, job, index)).id, index)
    found = await log_answers.search(path, q, start)
    shown = {"matches": [asdict(match) for match in found.matches], "next": found.next, "done": found.done}
    return shown | {"size": await in_files(logs.size, path)}


@router.get(f"{LOG}/events", openapi_extra={"responses": EVENTS})
@access.route("job:get")
async def log_events(
    request: ApiRequest, job: str, index: int, start: int = Query(0, alias="from", ge=0, le=FARTHEST)
) -> HttpResponseBase:
    """A log as server-sent events, from a byte on until the attempt is over. `Last-Event-ID` goes before `from`.

    `log` {offset, text}, `state` {state, reason, sentence}, `end` {…, next_attempt}, `gone` {code, detail}. An event's id is the byte
    after it; text that is no UTF-8 has lone surrogates (Python's surrogateescape).
    """
    found = await _job(request, job, index)
    at = _offset_of(request.headers.get("Last-Event-ID", ""), start)
    token = request.auth.token
    reader = Follower(found.id, index, at, _refusal(request, found.id), token.expires_at if token else None)
    response = StreamingHttpResponse(reader.events(), content_type="text/event-stream")
    response["X-Accel-Buffering"] = "no"  # for a proxy before us
    return response


def _offset_of(event_id: str, otherwise: int) -> int:
    return int(event_id) if event_id.isascii() and event_id.isdigit() and len(event_id) < 19 else otherwise


def _refusal(request: ApiRequest, job_id: str) -> Callable[[], Gone | None]:
    """Asks why whoever began to read may not read on; None where they may."""

    def refusal() -> Gone | None:
        by = callers.again(request)
        if by is None:
            return {
                "code": "not_signed_in",
                "detail": "The token or session that this began with is worth nothing any more.",
            }
        job = Job.objects.filter(project__removed_at=None, pk=job_id).select_related("project").first()
        try:
            if job is None:
                raise Http404
            access.require(by, "job:get", job)
        except (Http404, access.Refused) as error:
            problem = problems.read(error)
            return {"code": problem.code, "detail": problem.detail} if problem else None
        return None

    return refusal
