"""The runners' endpoint, driven as an ASGI server would: who may speak, and that bytes land once whatever is repeated."""

import asyncio
import hashlib
import json

import pytest
from asgiref.sync import sync_to_async

from jobs import logs, runner_api
from jobs.log_hub import hub
from jobs.models import Attempt, Job
from tests.jobs.live import TOKEN, attempt, threads  # noqa: F401 - fixtures


async def call(path, method="PUT", query="", body=b"", token=TOKEN, generation=3, pieces=1, headers=()):
    """One request; answers (status, body). The body arrives in so many pieces."""
    sent, cut = [], max(1, -(-len(body) // pieces))
    parts = [body[at : at + cut] for at in range(0, len(body), cut)] or [b""]
    messages = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)} for number, part in enumerate(parts, 1)
    ]
    scope = {
        "type": "http",
        "path": path,
        "method": method,
        "query_string": query.encode(),
        "headers": [
            (b"authorization", f"Bearer {token}".encode()),
            (b"x-runner-generation", str(generation).encode()),
            *headers,
        ],
    }

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await runner_api.application(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


async def put(attempt, offset, data, **more):  # noqa: F811
    return await call(f"/runner/{attempt.id}/log", query=f"offset={offset}", body=data, **more)


async def end(attempt, data, **log):  # noqa: F811
    closed = {
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "lines": data.count(b"\n"),
        "gaps": [],
        **log,
    }
    report = {"reason": "exited", "exit_status": 0, "log": closed}
    return await call(f"/runner/{attempt.id}/end", method="POST", body=json.dumps(report).encode())


def path_of(attempt):  # noqa: F811
    return logs.path_of(attempt.job_id, attempt.index)


async def test_bytes_are_appended_and_the_size_is_answered(attempt):  # noqa: F811
    assert await put(attempt, 0, b"one\n") == (200, {"size": 4})
    assert await put(attempt, 4, b"two\n", pieces=3) == (200, {"size": 8})
    assert path_of(attempt).read_bytes() == b"one\ntwo\n"


async def test_a_repeat_is_acknowledged_and_a_gap_sends_the_runner_back(attempt):  # noqa: F811
    await put(attempt, 0, b"abcdef")
    assert await put(attempt, 0, b"abcdef") == (200, {"size": 6})
    assert await put(attempt, 3, b"defgh") == (200, {"size": 8})
    assert await put(attempt, 9, b"x") == (409, {"size": 8})
    assert (await put(attempt, 6, b"XY"))[0] == 409
    assert path_of(attempt).read_bytes() == b"abcdefgh"


@pytest.mark.parametrize("token", ["", "another", TOKEN + "x", "ä"])
async def test_a_wrong_token_gets_nowhere(attempt, token):  # noqa: F811
    assert await put(attempt, 0, b"x", token=token) == (401, {"error": "token"})
    assert not path_of(attempt).exists()


async def test_an_attempt_that_is_gone_is_said_to_be(attempt):  # noqa: F811
    assert await call("/runner/nosuchattempt000/log", query="offset=0", body=b"x") == (410, {"error": "gone"})


async def test_the_token_of_another_attempt_is_wrong(attempt, queued, project, owner):  # noqa: F811
    def another():
        job = queued(project, owner)
        return Attempt.objects.create(job=job, index=0, resource=attempt.resource, token_hash="0" * 64, generation=3)

    assert (await put(await sync_to_async(another)(), 0, b"x"))[0] == 401


async def test_an_older_runner_is_told_that_a_newer_took_over(attempt):  # noqa: F811
    await put(attempt, 0, b"one\n")
    await Attempt.objects.filter(pk=attempt.pk).aupdate(generation=4)
    assert await put(attempt, 4, b"two\n", generation=4) == (200, {"size": 8})
    assert await put(attempt, 8, b"old\n", generation=3) == (409, {"error": "generation"})
    assert path_of(attempt).read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("generation", ["", "x", "-1", "9" * 30, 5])
async def test_a_generation_that_was_never_given_out_is_refused(attempt, generation):  # noqa: F811
    assert await put(attempt, 0, b"x", generation=generation) == (409, {"error": "generation"})


@pytest.mark.parametrize("offset", ["", "x", "-1", "1.5", "9" * 40])
async def test_an_offset_that_is_none_is_refused(attempt, offset):  # noqa: F811
    assert (await put(attempt, offset, b"x"))[0] == 400


async def test_too_much_at_once_is_refused_however_it_is_sent(attempt):  # noqa: F811
    data = b"x" * (runner_api.LOG_LIMIT + 1)
    length = [(b"content-length", str(len(data)).encode())]
    assert (await put(attempt, 0, data, headers=length))[0] == 413
    assert (await put(attempt, 0, data, pieces=9))[0] == 413
    assert not path_of(attempt).exists()


async def test_other_addresses_and_methods_are_refused(attempt):  # noqa: F811
    assert (await call(f"/runner/{attempt.id}/files", method="GET"))[0] == 404
    assert (await call(f"/runner/{attempt.id}/../log"))[0] == 404
    assert (await call(f"/runner/{attempt.id}/log", method="GET"))[0] == 405
    assert (await call(f"/runner/{attempt.id}/state", method="POST", body=b"[1]"))[0] == 400
    assert (await call(f"/runner/{attempt.id}/end", method="POST", body=b"{}"))[0] == 400


async def test_a_full_disk_is_said_and_nothing_is_taken(attempt, monkeypatch):  # noqa: F811
    """The device that is always full stands for the server's disk."""
    await put(attempt, 0, b"first\n")
    real = logs.os.pwrite
    with open("/dev/full", "wb", buffering=0) as full, monkeypatch.context() as patch:
        patch.setattr(logs.os, "pwrite", lambda log, data, at: real(full.fileno(), data, at))
        assert await put(attempt, 6, b"second\n") == (507, {"size": 6})
    assert await put(attempt, 6, b"second\n") == (200, {"size": 13})


async def test_the_end_waits_for_all_bytes_then_closes_a_verified_log(attempt):  # noqa: F811
    await put(attempt, 0, b"one\n")
    assert await end(attempt, b"one\ntwo\n") == (409, {"size": 4})
    await put(attempt, 4, b"two\n")
    assert await end(attempt, b"one\ntwo\n") == (200, {})
    row = await Attempt.objects.aget(pk=attempt.pk)
    assert (row.log_verified, row.log_size, row.log_lines) == (True, 8, 2)
    assert (await Job.objects.aget(pk=attempt.job_id)).state == "succeeded"


async def test_the_end_may_be_repeated(attempt):  # noqa: F811
    await put(attempt, 0, b"one\n")
    assert await end(attempt, b"one\n") == (200, {})
    first = await Attempt.objects.aget(pk=attempt.pk)
    assert await end(attempt, b"one\n") == (200, {})
    assert (await Attempt.objects.aget(pk=attempt.pk)).ended_at == first.ended_at


async def test_a_log_whose_checksum_differs_is_closed_unverified(attempt):  # noqa: F811
    await put(attempt, 0, b"one\n")
    assert await end(attempt, b"One\n") == (200, {})
    assert (await Attempt.objects.aget(pk=attempt.pk)).log_verified is False


async def test_an_empty_log_is_verified_too(attempt):  # noqa: F811
    assert await end(attempt, b"") == (200, {})
    assert (await Attempt.objects.aget(pk=attempt.pk)).log_verified is True


async def test_a_closed_log_takes_repeats_and_nothing_new(attempt):  # noqa: F811
    await put(attempt, 0, b"one\n")
    await end(attempt, b"one\n")
    assert await put(attempt, 0, b"one\n") == (200, {"size": 4})
    assert await put(attempt, 4, b"more\n") == (409, {"error": "closed", "size": 4})
    assert path_of(attempt).read_bytes() == b"one\n"


async def test_a_state_is_passed_on_and_may_be_repeated(attempt):  # noqa: F811
    await Job.objects.filter(pk=attempt.job_id).aupdate(state="preparing")
    await Attempt.objects.filter(pk=attempt.pk).aupdate(started_at=None)
    report = json.dumps({"state": "running", "at": 1.0, "network": "own", "memory": "summed"}).encode()
    for _ in range(2):
        assert await call(f"/runner/{attempt.id}/state", method="POST", body=report) == (200, {})
    assert (await Job.objects.aget(pk=attempt.job_id)).state == "running"
    assert (await Attempt.objects.aget(pk=attempt.pk)).isolation["network"] == "own"


async def test_a_viewer_is_woken_by_the_append_itself(attempt):  # noqa: F811
    with hub().watch(f"log.{attempt.job_id}.{attempt.index}") as watch:
        await put(attempt, 0, b"one\n")
        assert await watch.wait(5) == {"grown"}


async def test_many_appends_at_once_land_once_and_in_order(attempt):  # noqa: F811
    """Every piece is sent again and again by several tasks until the server has it."""
    pieces = [b"%04d" % number * 25 for number in range(60)]

    async def send_all():
        for number, piece in enumerate(pieces):
            while (await put(attempt, number * 100, piece))[0] != 200:
                await asyncio.sleep(0)

    await asyncio.gather(*(send_all() for _ in range(4)))
    assert path_of(attempt).read_bytes() == b"".join(pieces)
