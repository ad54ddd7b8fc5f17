"""What the runner of one attempt could send, were it in the hands of its job."""

import hashlib
import json

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator

from jobs import runner_api
from jobs.models import Attempt
from tests.jobs.live import TOKEN, attempt, threads

__all__ = ["attempt", "threads"]


def _call(attempt_id: str, call: str, body: bytes, token: str = TOKEN) -> int:
    scope = {
        "type": "http",
        "method": "PUT" if call == "log" else "POST",
        "path": f"/runner/{attempt_id}/{call}",
        "query_string": b"offset=0",
        "headers": [
            (b"authorization", f"Bearer {token}".encode()),
            (b"x-runner-generation", b"3"),
            (b"content-length", b"%d" % len(body)),
        ],
    }

    async def ask() -> int:
        line = ApplicationCommunicator(runner_api.application, scope)
        await line.send_input({"type": "http.request", "body": body})
        return (await line.receive_output(10))["status"]

    return async_to_sync(ask)()


WRONG = [
    {},
    {"reason": {"a": 1}},
    {"reason": "x" * 100},
    {"reason": "exited", "exit_status": 10**30},
    {"reason": "exited", "exit_status": "abc"},
    {"reason": "exited", "peak_memory_mib": -5},
    {"reason": "exited", "message": {"a": 1}},
    {"reason": "exited", "signal": [9]},
]


@pytest.mark.parametrize("report", WRONG, ids=str)
def test_an_end_of_wrong_types_is_refused_and_changes_nothing(attempt, report):
    assert _call(attempt.id, "end", json.dumps({**report, "log": {"size": 0}}).encode()) == 400
    attempt.refresh_from_db()
    assert attempt.ended_at is None


def test_deep_json_is_no_report(attempt):
    assert _call(attempt.id, "state", b"[" * 100_000) == 400


def test_a_token_opens_its_own_attempt_only(attempt):
    own = "another runner's token"
    Attempt.objects.filter(pk=attempt.pk).update(token_hash=hashlib.sha256(b"yet another").hexdigest())
    for call in ("state", "log", "end"):
        assert _call(attempt.id, call, b"{}", own) == 401


def test_the_first_end_stays(attempt):
    end = {"reason": "exited", "exit_status": 0, "log": {"size": 0, "sha256": hashlib.sha256().hexdigest()}}
    assert _call(attempt.id, "end", json.dumps(end).encode()) == 200
    assert _call(attempt.id, "end", json.dumps({**end, "exit_status": 7}).encode()) == 200
    assert _call(attempt.id, "log", b"added later") == 409
    attempt.refresh_from_db()
    assert (attempt.exit_status, attempt.job.state) == (0, "succeeded")
