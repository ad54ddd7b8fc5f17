"""Logs followed over server-sent events, from a real server."""

import asyncio
import contextlib
import json
import os
import threading
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from access import roles
from accounts import tokens
from accounts.models import PersonalToken
from jobs import actions, log_events, logs, transitions
from jobs.log_hub import hub
from jobs.models import Attempt, Job
from projects import actions as projects
from projects.models import Member
from tests.jobs.conftest import queued, resource  # noqa: F401 - fixtures
from tests.jobs.live import attempt, serving, threads  # noqa: F401 - fixtures
from tests.jobs.test_log_stream import finish, write
from tests.server import PATIENCE

# ruff: noqa: F811

make_token = sync_to_async(lambda user: tokens.make(user=user, name="follow", scope="read", days=1))


@pytest.fixture
async def server():
    async with serving() as port:
        yield port


class Stream:
    """An answer that goes on: its status and its events."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.reader = reader

    async def begin(self) -> "Stream":
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        self.status = int(head[0].split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        self.text = b""
        return self

    async def block(self) -> dict[str, str]:
        """The next event as its fields, a comment as the field ""; {} after the last."""
        while b"\n\n" not in self.text:
            async with asyncio.timeout(PATIENCE):
                size = int(await self.reader.readuntil(b"\r\n"), 16)
                self.text += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            if size == 0:
                return {}
        block, _, self.text = self.text.partition(b"\n\n")
        return dict(line.split(": ", 1) for line in block.decode().splitlines())

    async def next(self, kind: str) -> dict:
        """What the next event of a kind says, with its id."""
        async with asyncio.timeout(PATIENCE):
            while found := await self.block():
                if found.get("event") == kind:
                    return {"id": int(found["id"]), **json.loads(found["data"])}
        raise AssertionError(f"the stream ended without {kind}")

    async def read(self, length: int) -> bytes:
        """So many bytes of log, each where the one before ended."""
        data, at = b"", None
        while len(data) < length:
            told = await self.next("log")
            piece = told["text"].encode("utf-8", "surrogateescape")
            assert at in {None, told["offset"]}
            assert told["id"] == told["offset"] + len(piece)
            data, at = data + piece, told["id"]
        return data


async def over(attempt):
    """The attempt ends, and this process hears of it, as it does through Redis."""
    await sync_to_async(finish)(attempt)
    hub().changed(attempt.job_id)


@contextlib.asynccontextmanager
async def following(port: int, attempt, token: str = "", query: str = "", **headers: str):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = {"Host": f"localhost:{port}", **({"Authorization": f"Bearer {token}"} if token else {}), **headers}
    path = f"/api/v1/jobs/{attempt.job_id}/attempts/{attempt.index}/log/events{query}"
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    writer.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
    try:
        yield await Stream(reader).begin()
    finally:
        writer.close()


async def test_a_reader_gets_the_backlog_what_is_added_and_the_end(attempt, owner, server):
    write(attempt, b"one\ntwo\n")
    async with following(server, attempt, await make_token(owner)) as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
        assert (await stream.next("state"))["state"] == "running"
        assert await stream.read(8) == b"one\ntwo\n"
        write(attempt, b"three\n")
        assert await stream.read(6) == b"three\n"
        await over(attempt)
        end = await stream.next("end")
        assert (end["state"], end["reason"], end["exit_status"], end["next_attempt"]) == (
            "succeeded",
            "exited",
            0,
            None,
        )
        assert (end["size"], end["lines"], end["verified"], end["complete"], end["gaps"]) == (14, 3, True, True, [])
        assert await stream.block() == {}


@pytest.mark.parametrize(
    ("query", "headers", "found"),
    [
        ("?from=4", {}, b"two\n"),
        ("", {"Last-Event-ID": "5"}, b"wo\n"),
        ("?from=2", {"Last-Event-ID": "4"}, b"two\n"),
        ("?from=4", {"Last-Event-ID": "nonsense"}, b"two\n"),
    ],
)
async def test_a_reader_goes_on_at_any_byte(attempt, owner, server, query, headers, found):
    write(attempt, b"one\ntwo\n")
    async with following(server, attempt, await make_token(owner), query, **headers) as stream:
        assert await stream.read(len(found)) == found


async def test_who_comes_again_at_the_end_is_told_the_end_again(attempt, owner, server):
    write(attempt, b"one\n")
    await over(attempt)
    token = await make_token(owner)
    async with following(server, attempt, token) as stream:
        assert (await stream.next("end"))["id"] == 4
    async with following(server, attempt, token, "?from=4") as stream:
        assert (await stream.next("end"))["size"] == 4


async def test_bytes_that_are_no_text_and_characters_in_pieces_come_whole(attempt, owner, server):
    data = b"\xff\x00\xfe caf\xc3"
    write(attempt, data)
    async with following(server, attempt, await make_token(owner)) as stream:
        assert await stream.read(len(data) - 1) == data[:-1]
        write(attempt, b"\xa9\n\xe2\x82")
        assert (await stream.next("log"))["text"] == "é\n"
        await over(attempt)
        assert await stream.read(2) == b"\xe2\x82"
        assert (await stream.next("end"))["size"] == len(data) + 4


async def test_a_long_log_comes_whole_and_in_order(attempt, owner, server):
    data = os.urandom(300_000) + b"\n" + "äöü€😀".encode() * 30_000
    write(attempt, data)
    async with following(server, attempt, await make_token(owner)) as stream:
        assert await stream.read(len(data)) == data


async def test_states_are_told_and_the_next_attempt_named(attempt, owner, server):
    await Job.objects.filter(pk=attempt.job_id).aupdate(restartable=True)
    await attempt.job.arefresh_from_db()
    async with following(server, attempt, await make_token(owner)) as stream:
        assert (await stream.next("state"))["reason"] == "started"
        lost = {"reason": "supervisor_lost", "sentence": "Its sandbox was killed from outside."}
        await sync_to_async(transitions.ended)(attempt, **lost)
        hub().changed(attempt.job_id)
        state = await stream.next("state")
        assert (state["state"], state["reason"]) == ("queued", "restarted")
        end = await stream.next("end")
        assert (end["reason"], end["next_attempt"], end["verified"]) == ("supervisor_lost", 1, None)
        assert not end["complete"]


def test_an_end_while_it_is_asked_for_is_told_whole_or_not_yet(attempt):
    asked = []

    def meanwhile(execute, sql, params, many, context):
        found = execute(sql, params, many, context)
        asked.append(sql)
        if len(asked) == 1:
            finish(attempt)
        return found

    with connection.execute_wrapper(meanwhile):
        end = log_events._found(attempt.job_id, attempt.index)["end"]
    assert end is None
    end = log_events._found(attempt.job_id, attempt.index)["end"]
    assert (end["state"], end["next_attempt"]) == ("succeeded", None)


async def test_a_job_that_never_starts_ends_what_waits_for_it(attempt, queued, project, owner, server):
    job = await sync_to_async(queued)(project, owner)
    to_come = Attempt(job=job, index=0)
    async with following(server, to_come, await make_token(owner)) as stream:
        assert (await stream.next("state"))["state"] == "queued"
        await sync_to_async(actions.stop)(job=job, by=owner)
        hub().changed(job.pk)
        assert (await stream.next("state"))["state"] == "cancelled"
        end = await stream.next("end")
        assert (end["state"], end["size"], end["complete"], end["next_attempt"]) == ("cancelled", 0, True, None)


async def test_silence_is_broken_by_a_comment(attempt, owner, server, monkeypatch):
    monkeypatch.setattr(log_events, "STILL_HERE_EVERY", 0.2)
    async with following(server, attempt, await make_token(owner)) as stream:
        await stream.next("state")
        assert await stream.block() == {"": "still here"}


def revoke(attempt, user):
    tokens.revoke(token=PersonalToken.objects.get(user=user))


def remove_member(attempt, user):
    projects.remove_member(member=Member.objects.get(user=user), by=attempt.job.project.owner)


def close_account(attempt, user):
    user.is_active = False
    user.save()


@pytest.mark.parametrize(
    ("lose", "code"),
    [(revoke, "not_signed_in"), (remove_member, "not_found"), (close_account, "not_signed_in")],
)
async def test_who_loses_access_reads_no_more(attempt, viewer, server, lose, code):
    write(attempt, b"one\n")
    async with following(server, attempt, await make_token(viewer)) as stream:
        assert await stream.read(4) == b"one\n"
        await sync_to_async(lose)(attempt, viewer)
        assert (await stream.next("gone"))["code"] == code
        write(attempt, b"secret\n")
        assert await stream.block() == {}


async def test_a_token_that_expires_reads_no_more(attempt, viewer, server, monkeypatch):
    async with following(server, attempt, await make_token(viewer)) as stream:
        ends = (await PersonalToken.objects.aget()).expires_at
        monkeypatch.setattr(timezone, "now", lambda: ends - timedelta(seconds=1))
        write(attempt, b"one\n")
        assert await stream.read(4) == b"one\n"
        monkeypatch.setattr(timezone, "now", lambda: ends)
        assert (await stream.next("gone"))["code"] == "not_signed_in"


async def test_a_roles_key_that_is_revoked_reads_no_more(attempt, project, owner, server):
    def make():
        role = roles.create(place=project, name="ci", by=owner)
        roles.add_policy(role=role, text=f"job:get@{project.urn}:job:*", by=owner)
        return roles.add_key(role=role, name="key", by=owner)

    key, token = await sync_to_async(make)()
    write(attempt, b"one\n")
    async with following(server, attempt, token) as stream:
        assert await stream.read(4) == b"one\n"
        await sync_to_async(roles.remove_key)(key=key, by=owner)
        assert (await stream.next("gone"))["code"] == "not_signed_in"


async def test_a_session_that_ends_reads_no_more(attempt, viewer, as_user, server):
    browser = await sync_to_async(as_user)(viewer)
    key = browser.cookies[settings.SESSION_COOKIE_NAME].value
    async with following(server, attempt, Cookie=f"{settings.SESSION_COOKIE_NAME}={key}") as stream:
        assert (await stream.next("state"))["state"] == "running"
        await sync_to_async(browser.post)(reverse("account_logout"))
        assert (await stream.next("gone"))["code"] == "not_signed_in"


async def test_a_job_that_is_removed_ends_its_readers(attempt, queued, project, owner, server):
    job = await sync_to_async(queued)(project, owner)
    async with following(server, Attempt(job=job, index=0), await make_token(owner)) as stream:
        await stream.next("state")
        await job.adelete()
        hub().changed(job.pk)
        assert (await stream.next("gone"))["code"] == "not_found"


async def test_a_hundred_readers_at_once_hold_no_threads(attempt, owner, server):
    write(attempt, b"one\n")
    token = await make_token(owner)
    async with contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(following(server, attempt, token)) for _ in range(100)]
        for stream in streams:
            assert await stream.read(4) == b"one\n"
        assert threading.active_count() < 50
        write(attempt, b"two\n")
        for stream in streams:
            assert await stream.read(4) == b"two\n"
        await over(attempt)
        for stream in streams:
            assert (await stream.next("end"))["size"] == 8
    assert not any(topic.startswith("log.") for topic in hub()._watches)


async def test_a_reader_that_does_not_read_costs_no_memory(attempt, owner, server):
    path = logs.path_of(attempt.job_id, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(256 * 2**20)
    async with following(server, attempt, await make_token(owner)) as stream:
        await stream.next("log")
        before = _resident()
        await asyncio.sleep(2)
        assert _resident() - before < 30 * 2**20
        assert threading.active_count() < 50


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
