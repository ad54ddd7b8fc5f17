"""Open lines over a real server: what viewers get of a log, in which order, and when they are shut out."""

import asyncio
import contextlib
import hashlib
import json
import os
import threading
import time
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from access import policies, roles
from access.installation import INSTALLATION
from jobs import actions, consumers, logs, transitions
from jobs.log_hub import Watch, hub
from jobs.models import Attempt, Job
from projects import actions as projects
from projects.models import Member
from tests.jobs.live import attempt, serving, threads  # noqa: F401 - fixtures
from tests.server import PATIENCE

# ruff: noqa: F811


@pytest.fixture
async def server():
    async with serving() as port:
        yield port


@pytest.fixture
def open_line(server, as_user):
    """open_line(user, "jobs/…/log?offset=0") opens a WebSocket as that user's browser would."""

    def make(user, path, **options):
        cookies = as_user(user).cookies
        headers = {"Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items())}
        url = f"ws://localhost:{server}/ws/{path}"
        return connect(url, additional_headers=headers, origin=settings.WEBSOCKET_ORIGINS[0], **options)

    return make


@pytest.fixture
def lines(open_line):
    """`async with lines(user, path) as line` in an async test."""

    @contextlib.asynccontextmanager
    async def make(user, path, **options):
        opening = await sync_to_async(open_line)(user, path, **options)
        async with opening as line:
            yield line

    return make


def path_of(attempt, query=""):
    return f"jobs/{attempt.job_id}/{attempt.index}/log{query}"


def write(attempt, data):
    """What the runners' endpoint does with more bytes."""
    path = logs.path_of(attempt.job_id, attempt.index)
    size = logs.append(path, logs.size(path), data)
    hub().grown(attempt.job_id, attempt.index, size)


async def receive(line, kind):
    """The next text of a kind; bytes before it are an error."""
    async with asyncio.timeout(PATIENCE):
        while True:
            message = json.loads(await line.recv())
            if message["type"] == kind:
                return message


async def read(line, length):
    """So many bytes of log, whatever texts come between."""
    found = b""
    async with asyncio.timeout(PATIENCE):
        while len(found) < length:
            frame = await line.recv()
            found += frame if isinstance(frame, bytes) else b""
    return found


async def closed(line):
    """The code with which the server closes, having read all before it."""
    with pytest.raises(ConnectionClosed) as end:
        async with asyncio.timeout(PATIENCE):
            while True:
                await line.recv()
    return end.value.rcvd.code


def finish(attempt, **fields):
    path = logs.path_of(attempt.job_id, attempt.index)
    here = logs.checksum(path)
    closed = {"log_size": here.size, "log_lines": here.lines, "log_verified": True, **fields}
    transitions.ended(attempt, reason="exited", sentence="It ended.", exit_status=0, **closed)


async def test_a_viewer_gets_the_backlog_then_what_is_added(attempt, owner, lines):
    write(attempt, b"one\ntwo\n")
    async with lines(owner, path_of(attempt, "?offset=0")) as line:
        hello = await receive(line, "hello")
        assert (hello["size"], hello["offset"], hello["line"], hello["begins"]) == (8, 0, 1, True)
        assert await read(line, 8) == b"one\ntwo\n"
        write(attempt, b"three\n")
        assert await read(line, 6) == b"three\n"


async def test_a_viewer_goes_on_at_any_byte(attempt, owner, lines):
    write(attempt, b"one\ntwo\nthree\n")
    async with lines(owner, path_of(attempt, "?offset=5")) as line:
        hello = await receive(line, "hello")
        assert (hello["offset"], hello["line"], hello["begins"]) == (5, 2, False)
        assert await read(line, 9) == b"wo\nthree\n"


async def test_a_long_log_opens_at_a_whole_line_near_its_end(attempt, owner, lines):
    write(attempt, b"".join(b"%09d\n" % number for number in range(20_000)))
    async with lines(owner, path_of(attempt, "?offset=-64")) as line:
        hello = await receive(line, "hello")
        assert (hello["offset"], hello["line"]) == (199_940, 19_995)
        assert await read(line, 60) == b"".join(b"%09d\n" % number for number in range(19_994, 20_000))


async def test_a_viewer_may_begin_anew_and_may_stop_the_bytes(attempt, owner, lines):
    write(attempt, b"one\ntwo\n")
    async with lines(owner, path_of(attempt, "?offset=0")) as line:
        await read(line, 8)
        await line.send(json.dumps({"offset": None, "ask": 1}))
        assert (await receive(line, "hello"))["ask"] == 1
        write(attempt, b"three\n")
        await line.send(json.dumps({"offset": 4, "ask": 2}))
        hello = await receive(line, "hello")  # a frame of bytes before it would be an error here
        assert (hello["ask"], hello["offset"], hello["line"]) == (2, 4, 2)
        assert await read(line, 10) == b"two\nthree\n"


async def test_what_a_viewer_asks_for_before_it_is_let_in_is_not_lost(attempt, owner, lines, monkeypatch):
    write(attempt, b"one\ntwo\n")
    asked, look = threading.Event(), consumers.LogConsumer._refusal
    monkeypatch.setattr(consumers.LogConsumer, "_refusal", lambda self: asked.wait(10) and look(self))
    async with lines(owner, path_of(attempt, "?offset=none")) as line:
        await line.send(json.dumps({"offset": 4, "ask": 1}))
        await line.ping()  # answered after what was sent before it
        asyncio.get_running_loop().call_later(0.2, asked.set)
        hello = await receive(line, "hello")
        assert (hello["ask"], hello["offset"]) == (1, 4)
        assert await read(line, 4) == b"two\n"


@pytest.mark.parametrize("turns", range(5))
async def test_a_watch_that_is_woken_can_be_cancelled(turns):
    watch = Watch()

    async def look():
        while True:
            await watch.wait(60)

    looking = asyncio.create_task(look())
    await asyncio.sleep(0)
    watch.wake("grown")
    for _ in range(turns):
        await asyncio.sleep(0)
    looking.cancel()
    await asyncio.wait([looking], timeout=5)
    assert looking.cancelled()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"offset": "x"}', '{"offset": 1.5}', '{"offset": 0, "ask": []}']
)
async def test_nonsense_from_a_viewer_changes_nothing(attempt, owner, lines, text):
    write(attempt, b"one\n")
    async with lines(owner, path_of(attempt, "?offset=0")) as line:
        await read(line, 4)
        await line.send(text)
        write(attempt, b"two\n")
        assert await read(line, 4) == b"two\n"


async def test_the_log_of_a_waiting_job_begins_when_it_starts(queued, resource, threads, project, owner, lines):
    job = await sync_to_async(queued)(project, owner)
    async with lines(owner, f"jobs/{job.id}/0/log?offset=-65536") as line:
        assert (await receive(line, "hello"))["size"] == 0
        logs.append(logs.path_of(job.id, 0), 0, b"first\n")  # by another process, whose hint was lost
        assert await read(line, 6) == b"first\n"


async def test_a_finished_log_says_that_it_is_complete(attempt, owner, lines):
    write(attempt, b"one\ntwo")
    async with lines(owner, path_of(attempt)) as line:
        await read(line, 7)
        await sync_to_async(finish)(attempt)
        hub().changed(attempt.job_id)
        end = await receive(line, "end")
        assert (end["verified"], end["complete"], end["lines"], end["missing"]) == (True, True, 2, 0)
        assert (end["gaps"], end["state"]) == ([], "succeeded")


async def test_what_is_missing_of_a_finished_log_is_said(attempt, owner, lines):
    write(attempt, b"one\n")
    gaps = [{"offset": 2, "bytes": 500}]
    await sync_to_async(finish)(attempt, log_size=10, log_verified=False, log_gaps=gaps)
    async with lines(owner, path_of(attempt)) as line:
        assert await read(line, 4) == b"one\n"
        end = await receive(line, "end")
        assert (end["verified"], end["complete"], end["missing"], end["gaps"]) == (False, False, 6, gaps)


async def test_the_state_is_told_and_told_again_when_it_changes(attempt, owner, lines):
    async with lines(owner, path_of(attempt, "?offset=none")) as line:
        assert (await receive(line, "state"))["state"] == "running"
        await sync_to_async(actions.stop)(
            job=await Job.objects.select_related("project").aget(pk=attempt.job_id), by=owner
        )
        hub().changed(attempt.job_id)
        assert (await receive(line, "state"))["state"] == "cancelling"


# Who may look


@pytest.fixture
def person(request, attempt):
    """The one of the cast whom a test's table names; None for nobody."""
    return request.getfixturevalue(request.param) if request.param else None


@pytest.mark.parametrize(
    ("person", "code"),
    [(None, 4403), ("stranger", 4404), ("removed", 4404), ("admin", 4404), ("viewer", None), ("collaborator", None)],
    indirect=["person"],
)
async def test_only_members_get_a_log(attempt, lines, person, code):
    user = person
    write(attempt, b"secret\n")
    for path in (path_of(attempt), f"jobs/{attempt.job_id}"):
        async with lines(user, path) as line:
            if code:
                assert await closed(line) == code
    if not code:
        async with lines(user, path_of(attempt)) as line:
            assert await read(line, 7) == b"secret\n"


async def test_a_log_that_is_not_there_is_not_found(attempt, owner, lines):
    for path in (
        f"jobs/{attempt.job_id}/7/log",
        "jobs/nosuchjob0000000/0/log",
        "jobs/nosuchjob0000000",
        "p/nosuch/jobs",
    ):
        async with lines(owner, path) as line:
            assert await closed(line) == 4404


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://[", "http://localhost:x", "http://localhost:99999"]
)
async def test_another_sites_page_gets_no_line(attempt, server, as_user, owner, origin):
    cookies = (await sync_to_async(as_user)(owner)).cookies
    headers = {"Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items())}
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://localhost:{server}/ws/{path_of(attempt)}", additional_headers=headers, origin=origin):
            pass
    assert refused.value.response.status_code == 403


def remove(user, project):
    projects.remove_member(member=Member.objects.get(user=user, project=project), by=project.owner)


async def test_a_removed_member_is_shut_out_while_looking(attempt, project, viewer, lines):
    write(attempt, b"one\n")
    async with lines(viewer, path_of(attempt)) as line:
        await read(line, 4)
        await sync_to_async(remove)(viewer, project)
        assert await closed(line) == 4403


def lend(user, project, kind):
    """Lets somebody see the project by a role or a policy alone; what ends it."""
    text, by = f"project:get+job:get@{project.urn}+{project.urn}:job:*", project.owner
    if kind == "policy":
        policy = policies.attach(text=text, by=by, user=user)
        return lambda: policies.detach(policy=policy, by=by)
    place = project if kind == "role" else INSTALLATION
    role = roles.create(place=place, name="Guests", by=by)
    roles.add_policy(role=role, text=text, by=by)
    member = roles.add_member(role=role, user=user, by=by)
    return lambda: roles.remove_member(member=member, by=by)


@pytest.mark.parametrize("kind", ["policy", "role", "role of the installation"])
async def test_who_was_there_by_a_rule_alone_is_shut_out_with_it(attempt, project, stranger, lines, kind):
    await sync_to_async(type(stranger).objects.filter(pk=project.owner_id).update)(is_superuser=True)
    write(attempt, b"one\n")
    end = await sync_to_async(lend)(stranger, project, kind)
    async with lines(stranger, path_of(attempt)) as line:
        await read(line, 4)
        await sync_to_async(end)()
        assert await closed(line) == 4403


async def test_a_removed_member_who_does_not_read_is_shut_out_too(attempt, project, viewer, lines):
    """The viewer takes nothing: the server's buffers are full, its sending waits, and still the line ends."""
    write(attempt, os.urandom(2**20) * 32)
    async with lines(viewer, path_of(attempt), max_queue=1) as line:
        await asyncio.sleep(0.5)
        await sync_to_async(remove)(viewer, project)
        path = logs.path_of(attempt.job_id, 0)
        async with asyncio.timeout(PATIENCE):
            while hub()._watches.get(f"log.{attempt.job_id}.0"):
                await asyncio.sleep(0.05)
        received = 0
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(PATIENCE):
                while True:
                    received += len(await line.recv())
        assert received < logs.size(path)


async def test_slow_viewers_hold_up_nobody(attempt, owner, lines):
    data = os.urandom(2**16) * 64
    slow = lines(owner, path_of(attempt), max_queue=1, close_timeout=0.1)
    async with slow, lines(owner, path_of(attempt)) as quick:
        for start in range(0, len(data), 2**16):
            write(attempt, data[start : start + 2**16])
        assert hashlib.sha256(await read(quick, len(data))).digest() == hashlib.sha256(data).digest()


async def test_no_watch_is_left_when_viewers_are_gone(attempt, owner, lines):
    async with lines(owner, path_of(attempt)) as line:
        await receive(line, "hello")
    async with asyncio.timeout(PATIENCE):
        while hub()._watches:
            await asyncio.sleep(0.02)
    assert not hub()._running


# Fragments


async def test_a_jobs_page_hears_of_its_changes(attempt, owner, lines):
    async with lines(owner, f"jobs/{attempt.job_id}") as line:
        assert 'data-state="running"' in await asyncio.wait_for(line.recv(), PATIENCE)
        await sync_to_async(finish)(attempt)
        hub().changed(attempt.job_id)
        fragment = await asyncio.wait_for(line.recv(), PATIENCE)
        assert 'id="job-status"' in fragment and 'data-state="succeeded"' in fragment


async def test_a_list_gets_rows_that_changed_and_no_others(attempt, project, owner, queued, lines, monkeypatch):
    """Without Redis no event comes: the list finds the change by looking."""
    monkeypatch.setattr(consumers, "LOOK_AT_STATE_EVERY", 0.2)
    other = await sync_to_async(queued)(project, owner, name="other")
    await Job.objects.aupdate(changed_at=timezone.now() - timedelta(hours=1))
    async with lines(owner, f"p/{project.slug}/jobs?since={int(time.time())}") as line:
        await sync_to_async(finish)(attempt)
        fragment = await asyncio.wait_for(line.recv(), PATIENCE)
        assert f'id="job-{attempt.job_id}"' in fragment and 'data-state="succeeded"' in fragment
        assert other.id not in fragment


@pytest.mark.parametrize("age", [0, 3600, 10**9, -3600, -(10**16), None])  # seconds; None: it does not say
async def test_a_list_gets_what_changed_since_it_was_made(attempt, project, owner, queued, lines, age):
    other = await sync_to_async(queued)(project, owner, name="other")
    await sync_to_async(finish)(attempt)
    query = "" if age is None else f"?since={int(time.time()) - age}"
    async with lines(owner, f"p/{project.slug}/jobs{query}") as line:
        await watched(project)
        hub()._heard({"type": "job.changed", "job": other.pk, "project": project.pk})
        first = await asyncio.wait_for(line.recv(), PATIENCE)
        assert (f'id="job-{attempt.job_id}"' in first) is (age is not None)


async def test_an_event_from_another_process_wakes_the_list(attempt, project, owner, lines, monkeypatch):
    monkeypatch.setattr(consumers, "LOOK_AT_STATE_EVERY", 3600)
    async with lines(owner, f"p/{project.slug}/jobs") as line:
        await watched(project)
        await sync_to_async(finish)(attempt)
        hub()._heard({"type": "job.changed", "job": attempt.job_id, "project": project.id})
        assert 'data-state="succeeded"' in await asyncio.wait_for(line.recv(), PATIENCE)


async def watched(project):
    """Returns when what is said of the project's jobs is heard."""
    async with asyncio.timeout(PATIENCE):
        while f"project.{project.id}" not in hub()._watches:
            await asyncio.sleep(0.02)


# Over HTTP


@pytest.fixture
def get(attempt, as_user):
    """get(user, "log_raw", …) asks as that user's browser; answers (response, body)."""

    def make(user, name, query=None, method="get", **headers):
        client = as_user(user)
        url = reverse(f"jobs:{name}", args=[attempt.job.project.slug, attempt.job_id, attempt.index])
        response = getattr(client, method)(url, query or {}, headers=headers)
        return response, async_to_sync(whole)(response) if response.streaming else response.content

    return make


async def whole(response):
    return b"".join([part async for part in response])


@pytest.fixture
def log(attempt):
    data = b"".join(b"line %05d\n" % number for number in range(1, 20_001))
    logs.append(logs.path_of(attempt.job_id, 0), 0, data)
    return data


def test_the_raw_log_is_the_bytes_and_nothing_that_a_browser_would_run(get, log, viewer):
    response, body = get(viewer, "log_raw")
    assert body == log
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
    assert "attachment" not in response["Content-Disposition"]
    assert "attachment" in get(viewer, "log_raw", {"download": ""})[0]["Content-Disposition"]


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=219990-999999", slice(219_990, None)),
        ("bytes=-999999", slice(None)),
    ],
)
def test_ranges(get, log, owner, wanted, part):
    response, body = get(owner, "log_raw", Range=wanted)
    start, end, _ = part.indices(len(log))
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {start}-{end - 1}/{len(log)}"
    assert response["Content-Length"] == str(end - start)
    assert body == log[part]


@pytest.mark.parametrize("wanted", ["bytes=9-5", "lines=0-1", "bytes=-", "bytes=0-1,4-5", "bytes=x-"])
def test_what_is_no_single_range_gets_the_whole(get, log, owner, wanted):
    response, body = get(owner, "log_raw", Range=wanted)
    assert (response.status_code, body) == (200, log)


def test_a_range_beyond_the_end_is_refused_with_the_size(get, log, owner):
    response, body = get(owner, "log_raw", Range=f"bytes={len(log)}-")
    assert (response.status_code, response["Content-Range"], body) == (416, f"bytes */{len(log)}", b"")


def test_a_download_that_was_cut_off_goes_on_although_the_log_has_grown(get, log, owner, attempt):
    tag = get(owner, "log_raw")[0]["ETag"]
    logs.append(logs.path_of(attempt.job_id, 0), len(log), b"more\n")
    response, body = get(owner, "log_raw", Range="bytes=200000-", **{"If-Range": tag})
    assert (response.status_code, body) == (206, log[200_000:] + b"more\n")
    assert get(owner, "log_raw", Range="bytes=1-2", **{"If-Range": '"another-0-5"'})[0].status_code == 200


def test_a_head_has_the_headers_alone(get, log, owner):
    response, body = get(owner, "log_raw", method="head")
    assert (response["Content-Length"], body) == (str(len(log)), b"")


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ({}, 19_001, 20_000),
        ({"before": 11 * 500}, 1, 500),
        ({"before": 11 * 5000, "lines": 10}, 4_991, 5_000),
        ({"line": 7, "lines": 3}, 7, 9),
        ({"line": 19_999}, 19_999, 20_000),
        ({"offset": 11 * 40, "lines": 2}, 41, 42),
        ({"line": "x", "lines": "-5"}, 1, 1000),
    ],
)
def test_pages(get, log, owner, query, first, last):
    response, body = get(owner, "log_page", query)
    assert body == log[11 * (first - 1) : 11 * last]
    assert (response["X-Log-Line"], response["X-Log-Offset"]) == (str(first), str(11 * (first - 1)))
    assert (response["X-Log-Next"], response["X-Log-Size"]) == (str(11 * last), str(len(log)))


def test_a_search_finds_lines_and_says_where_it_stands(get, log, owner):
    answer = json.loads(get(owner, "log_search", {"q": "LINE 0123".lower()})[1])
    assert [match["line"] for match in answer["matches"]] == list(range(1230, 1240))
    assert answer["matches"][0]["offset"] == 11 * 1229
    assert (answer["done"], answer["next"]) == (True, len(log))
    assert json.loads(get(owner, "log_search", {"q": "line 0123", "from": 11 * 1235})[1])["matches"][0]["line"] == 1236
    assert json.loads(get(owner, "log_search", {"q": "LINE"})[1])["matches"] == []


@pytest.mark.parametrize("name", ["log_raw", "log_page", "log_search"])
def test_those_who_may_not_see_the_job_get_nothing_of_its_log(get, log, name, stranger, removed):
    assert get(stranger, name)[0].status_code == 404
    assert get(removed, name)[0].status_code == 404
    assert get(None, name)[0].status_code == 302


def test_an_attempt_that_never_was_has_no_log(as_user, owner, attempt):
    url = reverse("jobs:log_raw", args=[attempt.job.project.slug, attempt.job_id, 5])
    assert as_user(owner).get(url).status_code == 404
    assert Attempt.objects.count() == 1
