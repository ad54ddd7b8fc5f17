"""What is pushed to open pages: an attempt's log as raw bytes, and fragments of the jobs list and the job's page.

Consumers take no channel of their own in the channel layer: the process's hub hears for all of them, so that they live
on without Redis. Each asks for access when it opens and again whenever the access generation has changed.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, ClassVar

from channels.generic.websocket import AsyncWebsocketConsumer
from django.db.models import Sum
from django.http import Http404
from django.template.loader import render_to_string
from django.utils import timezone

import access
from accounts import sessions
from jobs import logs, pages, rows
from jobs.log_hub import ACCESS, GROWN, Watch, hub, in_database, in_files
from jobs.models import Attempt, Job
from projects.models import Project

log = logging.getLogger(__name__)

NOT_ALLOWED, NOT_FOUND, BROKEN = 4403, 4404, 1011  # close codes
FRAME = 128 * 1024  # bytes of log in one frame
LOOK_EVERY = 1.0  # seconds after which a log is looked at without a hint
LOOK_AT_STATE_EVERY = 5.0  # seconds after which a row is read again without an event
PACE = 0.02  # seconds between two small frames to one viewer
COALESCE = 0.25  # seconds between two pushes of fragments to one viewer
NEWEST = 200  # jobs of a list that are looked at without an event
SETTLED = 10  # seconds after which a change can be seen at the latest


class LiveConsumer(AsyncWebsocketConsumer):
    """A page's open line. Subclasses say what it is about (`find`) and what is sent over it (`run`).

    What is sent is sent by tasks of their own: a viewer that does not read holds up neither the refusal nor the end.
    """

    channel_layer_alias = "none"  # the hub's subscription serves all
    access_action: ClassVar[str]

    async def connect(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False
        await self.accept()
        self.start(self._guard)

    async def disconnect(self, code: int) -> None:
        self._over = True
        self._cancel()

    def start(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> "asyncio.Task[None]":
        """Runs something for as long as the line is open; its failure ends the line."""
        task = asyncio.create_task(self._watched(work, *args))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watched(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        try:
            await work(*args)
        except OSError:
            self._cancel(but=asyncio.current_task())  # the viewer is gone
        except Exception:
            if not self._over:
                log.exception("%s failed", type(self).__name__)
                await self._end(BROKEN)

    async def _guard(self) -> None:
        """Asks at the start, and again whenever access may have been taken away."""
        with hub().watch(ACCESS) as watch:
            admitted = False
            while True:
                refusal = await in_database(self._refusal)
                if refusal:
                    return await self._end(NOT_ALLOWED if admitted else refusal)
                if not admitted:
                    admitted = True
                    self.start(self.run)
                while not await watch.wait(3600):
                    pass

    async def _end(self, code: int) -> None:
        self._over = True
        self._cancel(but=asyncio.current_task())
        await self.close(code)

    def _cancel(self, but: "asyncio.Task[None] | None" = None) -> None:
        for task in self._tasks - {but}:
            task.cancel()

    def _refusal(self) -> int | None:
        """The close code for somebody who may not see this (any more)."""
        user = sessions.signed_in(self.scope["session"].session_key)
        if user is None:
            return NOT_ALLOWED
        try:
            access.require(user, self.access_action, self.find())
        except access.Refused:
            return NOT_ALLOWED
        except Http404:
            return NOT_FOUND
        self.user = user
        return None

    def find(self) -> Any:
        """The thing that the line is about, from the address; Http404 when there is none."""
        raise NotImplementedError

    async def run(self) -> None:
        """Sends until cancelled."""
        raise NotImplementedError

    async def tell(self, kind: str, **more: Any) -> None:
        await self.send(text_data=json.dumps({"type": kind, **more}))

    def part(self, name: str) -> Any:
        """A part of the address."""
        return self.scope["url_route"]["kwargs"][name]


@access.route("job:get")
class LogConsumer(LiveConsumer):
    """The log of an attempt, or of the next one before it is there, from a byte on, then whatever is added.

    Sends JSON texts: hello {size, offset, line, begins} before the first byte (begins: a line begins there), state
    {state, reason, sentence} when the job's changes, end {verified, complete, lines, gaps, missing, …} once the attempt
    is over and its bytes are sent; and binary frames, the bytes as they are. `?offset=-N` begins with the first whole
    line of the last N bytes.
    A text {"offset": N, "ask": K} from the viewer begins anew there, and the hello carries the K. With null for N, as
    with `?offset=none`, no bytes are sent, only the rest.
    """

    def find(self) -> Job:
        self.job_id, self.index = self.part("job_id"), self.part("index")
        job = Job.objects.filter(pk=self.job_id).first()
        if job is None or self.index > job.attempts.count():
            raise Http404
        self.log_path = logs.path_of(job.id, self.index)
        return job

    async def connect(self) -> None:
        self._wanted = _number(self.scope["query_string"], b"offset"), 0
        await super().connect()

    async def run(self) -> None:
        self._streaming = self.start(self._stream, *self._wanted)
        await self._tell_states()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            asked = json.loads(text_data or "")
            offset, ask = asked["offset"], int(asked.get("ask", 0))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return
        if offset is not None and not isinstance(offset, int):
            return
        self._wanted = offset, ask
        if hasattr(self, "_streaming"):  # else it is not yet known whether they may see it
            self._streaming.cancel()
            await asyncio.wait([self._streaming])
            self._streaming = self.start(self._stream, *self._wanted)

    async def _stream(self, offset: int | None, ask: int) -> None:
        """Subscribe, read the size, send the backlog, wait: in this order nothing can fall between."""
        with hub().watch(f"log.{self.job_id}.{self.index}", f"job.{self.job_id}") as watch:
            at = await self._hello(offset, ask)
            ending = _Ending(self.job_id, self.index)
            while True:
                looked = await ending.look()
                at = await self._send_from(at)
                if looked and (at is None or at >= await in_files(logs.size, self.log_path)):
                    await self._tell_end(looked)
                await asyncio.sleep(PACE)
                ending.heard(await watch.wait(LOOK_EVERY))

    async def _hello(self, offset: int | None, ask: int) -> int | None:
        """Tells where the bytes begin; None when none are wanted."""
        size = await in_files(logs.size, self.log_path)
        if offset is None:
            await self.tell("hello", ask=ask, size=size, offset=None, line=None)
            return None
        start = await in_files(logs.tail, self.log_path, -offset) if offset < 0 else min(offset, size)
        line = await in_files(logs.line_at, self.log_path, start)
        begins = start == 0 or await in_files(logs.read, self.log_path, start - 1, 1) == b"\n"
        await self.tell("hello", ask=ask, size=size, offset=start, line=line, begins=begins)
        return start

    async def _send_from(self, at: int | None) -> int | None:
        """Sends what there is from a byte on; answers where it ended."""
        while at is not None and (data := await in_files(logs.read, self.log_path, at, FRAME)):
            await self.send(bytes_data=data)
            at += len(data)
        return at

    async def _tell_end(self, end: dict[str, Any]) -> None:
        if end != getattr(self, "_told", None):
            size = await in_files(logs.size, self.log_path)
            lines = end["lines"] if end["lines"] is not None else await in_files(logs.lines, self.log_path)
            await self.tell("end", **{**end, "lines": lines, "size": size})
            self._told = end

    async def _tell_states(self) -> None:
        """Sends the job's state, and again whenever it has changed."""
        told = None
        with hub().watch(f"job.{self.job_id}") as watch:
            while True:
                state = await in_database(self._state)
                if state != told:
                    told = state
                    await self.tell("state", **state)
                await watch.wait(LOOK_AT_STATE_EVERY)

    def _state(self) -> dict[str, Any]:
        row = Job.objects.filter(pk=self.job_id).values("state", "reason", "sentence").first()
        return dict(row or {})


class _Ending:
    """Whether an attempt is over, asked of the database when there is a reason to, else seldom."""

    def __init__(self, job_id: str, index: int) -> None:
        self._job_id, self._index = job_id, index
        self._asked = float("-inf")
        self._end: dict[str, Any] | None = None

    def heard(self, notes: set[str]) -> None:
        """Takes what a watch was woken for: anything but more bytes is a reason to ask."""
        if notes - {GROWN}:
            self._asked = float("-inf")

    async def look(self) -> dict[str, Any] | None:
        """What the page says at the end, None while the attempt goes on."""
        if time.monotonic() - self._asked > LOOK_AT_STATE_EVERY:
            self._asked = time.monotonic()
            self._end = await in_database(_end_of, self._job_id, self._index)
        return self._end


def _end_of(job_id: str, index: int) -> dict[str, Any] | None:
    ended = Attempt.objects.select_related("job").filter(job_id=job_id, index=index).exclude(ended_at=None)
    attempt = ended.first()
    if attempt is None:
        return None
    here = logs.size(logs.path_of(job_id, index))
    return {
        "verified": bool(attempt.log_verified),
        "complete": attempt.log_size is not None and here >= attempt.log_size,
        "missing": max(0, (attempt.log_size or 0) - here),
        "lines": attempt.log_lines,
        "gaps": attempt.log_gaps,
        "state": attempt.job.state,
        "reason": attempt.reason,
        "sentence": attempt.sentence,
    }


def _number(query: bytes, wanted: bytes) -> int | None:
    """The number after `wanted=`; None when it is "none", 0 when it is missing."""
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name == wanted and value == b"none":
            return None
        if name == wanted and value.removeprefix(b"-").isdigit() and len(value) < 18:
            return int(value)
    return 0


class FragmentConsumer(LiveConsumer):
    """Sends fragments when jobs have changed, at most four times a second; htmx puts them in their places by id."""

    topic: str

    async def run(self) -> None:
        with hub().watch(self.topic) as watch:
            changed = await in_database(self.look)  # the page may be older than this line
            while True:
                html = await in_database(self.render, changed)
                if html:
                    await self.send(text_data=html)
                await asyncio.sleep(COALESCE)
                changed = await self._changed(watch)

    async def _changed(self, watch: Watch) -> set[str]:
        """Ids of jobs that have changed, by events or, where those were lost, by looking."""
        return await watch.wait(LOOK_AT_STATE_EVERY) or await in_database(self.look)

    def look(self) -> set[str]:
        """Ids of jobs that have changed since this was asked last; at first since the page was made."""
        raise NotImplementedError

    def render(self, changed: set[str]) -> str:
        """The fragments for jobs that have changed; empty when there is nothing to send."""
        raise NotImplementedError


@access.route("job:get")
class JobConsumer(FragmentConsumer):
    """Keeps the head of a job's page up to date."""

    _seen: Any = None

    def find(self) -> Job:
        job = Job.objects.select_related("project", "created_by").filter(pk=self.part("job_id")).first()
        if job is None:
            raise Http404
        self.topic = f"job.{job.id}"
        return job

    def look(self) -> set[str]:
        seen = Job.objects.filter(pk=self.part("job_id")).values_list("changed_at", Sum("transfers__bytes")).first()
        before, self._seen = self._seen, seen
        return {self.part("job_id")} if seen != before else set()

    def render(self, changed: set[str]) -> str:
        if not changed:
            return ""
        context = {**pages.status_context(self.user, self.find()), "oob": True}
        return "".join(render_to_string(f"jobs/{name}.html", context) for name in ("_status", "_carried"))


@access.route("project:get")
class ProjectConsumer(FragmentConsumer):
    """Keeps the rows of a project's list of jobs up to date."""

    _seen: dict[str, datetime] | None = None  # at first nothing has been

    def find(self) -> Project:
        project = Project.objects.filter(slug=self.part("slug"), removed_at=None).first()
        if project is None:
            raise Http404
        self.project, self.topic = project, f"project.{project.id}"
        return project

    def look(self) -> set[str]:
        newest = dict(Job.objects.in_project(self.project).newest_first().values_list("id", "changed_at")[:NEWEST])
        before, self._seen = self._seen, newest
        if before is None:
            made = self._page_made()
            return {job_id for job_id, changed_at in newest.items() if changed_at > made}
        return {job_id for job_id, changed_at in newest.items() if before.get(job_id) != changed_at}

    def _page_made(self) -> datetime:
        """When the list was read, and a little before: what changes shows only when its transaction ends."""
        since, now = _number(self.scope["query_string"], b"since"), int(time.time())
        return datetime.fromtimestamp(min(max(since, SETTLED), now) - SETTLED, UTC) if since else timezone.now()

    def render(self, changed: set[str]) -> str:
        jobs = Job.objects.visible_to(self.user).in_project(self.project).filter(pk__in=changed).as_rows()
        prepared = rows.prepare(jobs, self.project)
        return "".join(render_to_string("jobs/_row.html", {"job": job, "oob": True}) for job in prepared)
