"""Requests: what is sent, what is tried again, what an answer becomes. Each test runs with and without await."""

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tests.sdk.loopback import Asked, Loopback, Says

TOKEN = "mlt_" + "a" * 40
PROBLEM = {"Content-Type": "application/problem+json"}
Run = Callable[..., Any]


def problem(status: int, code: str, detail: str = "Do it otherwise.", **more: Any) -> Says:
    headers = PROBLEM | more.pop("headers", {})
    return Says(status, {"status": status, "code": code, "detail": detail, **more}, headers=headers)


@pytest.fixture(params=["await", "sync"])
def run(request: pytest.FixtureRequest, loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> Run:
    """run("get", "/projects", q="x") on a client of the loopback server; waiting takes no time and is written down."""
    from mlteam_sdk.aio import driver as aio
    from mlteam_sdk.sync import driver as sync

    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(aio, "sleep", sleep)
    monkeypatch.setattr(sync, "sleep", waited.append)

    def ask(method: str, *args: Any, **values: Any) -> Any:
        if request.param == "sync":
            from mlteam_sdk.sync import MLTeam

            with MLTeam(url=loopback.url, token=TOKEN) as client:
                found = getattr(client, method)(*args, **values)
                return list(found) if method == "pages" else found
        from mlteam_sdk import MLTeam as Awaited

        async def later() -> Any:
            async with Awaited(url=loopback.url, token=TOKEN) as client:
                found = getattr(client, method)(*args, **values)
                return [one async for one in found] if method == "pages" else await found

        return asyncio.run(later())

    ask.waited = waited  # type: ignore[attr-defined]
    return ask


def test_a_request_carries_token_and_parameters(loopback, run):
    loopback.say(Says(data={"id": "x"}))
    assert run("get", "/projects", mine=True, state=["running", "failed"], from_=3, q=None) == {"id": "x"}
    [asked] = loopback.asked
    assert asked.path == "/api/v1/projects"
    assert asked.query == [("mine", "true"), ("state", "running"), ("state", "failed"), ("from", "3")]
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["user-agent"].startswith("mlteam-sdk/")


def test_a_post_that_is_cut_off_is_sent_again_with_the_same_key(loopback, run):
    loopback.say(Says(silent=True), Says(201, {"id": "x"}, cut=3), Says(201, {"id": "x"}))
    assert run("post", "/projects", {"name": "a"}) == {"id": "x"}
    keys = {asked.headers["idempotency-key"] for asked in loopback.asked}
    assert len(loopback.asked) == 3
    assert len(keys) == 1
    assert [asked.data for asked in loopback.asked] == [{"name": "a"}] * 3


def test_files_are_sent_whole_each_time(loopback, run, tmp_path):
    (tmp_path / "data.bin").write_bytes(b"\0\xff" * 1000)
    loopback.say(Says(503, {}), Says(201, {"id": "x"}))
    run("post", "/x", form={"spec": "{}"}, files=(("data.bin", tmp_path / "data.bin"), ("b", b"text")))
    for asked in loopback.asked:
        assert b"\0\xff" * 1000 in asked.body
        assert b'filename="data.bin"' in asked.body and b'name="spec"' in asked.body and b"text" in asked.body


def test_an_edit_that_is_cut_off_is_not_sent_again(loopback, run):
    from mlteam_sdk import ConnectionFailed

    loopback.say(Says(silent=True), Says(data={}))
    with pytest.raises(ConnectionFailed, match="broke"):
        run("patch", "/projects/x", {"name": "a"}, if_match='"tag"')
    [asked] = loopback.asked
    assert asked.headers["if-match"] == '"tag"'


def test_a_removal_whose_answer_was_lost_is_done(loopback, run):
    from mlteam_sdk import NotFound

    loopback.say(Says(silent=True), problem(404, "not_found"))
    assert run("delete", "/jobs/x") == {}
    loopback.say(problem(404, "not_found"))
    with pytest.raises(NotFound):
        run("delete", "/jobs/x")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_that_is_being_started_is_asked_again(loopback, run, status):
    loopback.say(Says(status, body=b"<html>"), Says(data={"ok": 1}))
    assert run("get", "/me") == {"ok": 1}
    assert len(run.waited) == 1


def test_what_the_server_wants_to_wait_is_waited(loopback, run):
    loopback.say(problem(429, "too_many_requests", headers={"Retry-After": "7"}), Says(data={}))
    run("patch", "/me", {})
    assert run.waited == [7.0]


def test_who_is_asked_to_wait_too_long_hears_it(loopback, run):
    from mlteam_sdk import TooManyRequests

    loopback.say(problem(429, "too_many_requests", "Wait.", headers={"Retry-After": "3600"}))
    with pytest.raises(TooManyRequests, match="Wait") as error:
        run("get", "/me")
    assert error.value.retry_after == 3600
    assert run.waited == []


def test_a_server_that_was_never_there_is_said_soon(run, loopback):
    from mlteam_sdk import ConnectionFailed

    loopback.say(Says(silent=True))
    with pytest.raises(ConnectionFailed):
        run("get", "/me")
    assert len(loopback.asked) == 3


@pytest.mark.parametrize(
    ("status", "name"),
    [(401, "NotSignedIn"), (403, "Refused"), (404, "NotFound"), (409, "Conflict"), (412, "Conflict"), (422, "Invalid")],
)
def test_problems_are_exceptions(loopback, run, status, name):
    import mlteam_sdk

    loopback.say(
        problem(
            status,
            "some_code",
            "Do this.",
            reference="R1",
            missing="job:stop@u",
            errors=[{"field": "a", "message": "b"}],
        )
    )
    with pytest.raises(getattr(mlteam_sdk, name)) as error:
        run("get", "/me")
    caught = error.value
    assert isinstance(caught, mlteam_sdk.ApiError) and isinstance(caught, mlteam_sdk.MLTeamError)
    assert str(caught) == "Do this."
    assert (caught.status, caught.code, caught.reference, caught.missing) == (status, "some_code", "R1", "job:stop@u")
    assert caught.errors == [{"field": "a", "message": "b"}]
    assert pickle.loads(pickle.dumps(caught)).code == "some_code"


def test_a_bug_of_the_server_is_named_by_its_reference(loopback, run):
    from mlteam_sdk import ApiError

    loopback.say(problem(500, "failed", "Something is broken.", reference="R1"))
    with pytest.raises(ApiError, match=r"Something is broken. \(reference R1\)"):
        run("get", "/me")
    assert len(loopback.asked) == 1


def test_errors_of_signing_in_are_read(loopback, run):
    from mlteam_sdk import ApiError

    loopback.say(Says(400, {"error": "slow_down", "error_description": "Ask less often."}))
    with pytest.raises(ApiError, match="less often") as error:
        run("post", "/device/token", form={"device_code": "x"})
    assert error.value.code == "slow_down"
    assert loopback.asked[0].body == b"device_code=x"


@pytest.mark.parametrize("says", [Says(200, body=b"<html>hello"), Says(404, body=b"<html>nothing")])
def test_another_program_at_the_address_is_said(loopback, run, says):
    from mlteam_sdk import MLTeamError

    loopback.say(says)
    with pytest.raises(MLTeamError, match="Is this the address of mlteam"):
        run("get", "/me")


def test_another_origin_never_hears_the_token(loopback, run):
    from mlteam_sdk import ConnectionFailed

    with Loopback() as other:
        other.say(Says(data={}))
        loopback.say(Says(302, headers={"Location": f"{other.url}/api/v1/me"}))
        with pytest.raises(ConnectionFailed, match=f"Use that address: mlteam login {other.url}"):
            run("get", "/me")
        assert other.asked == []


def test_a_redirect_within_the_server_is_followed(loopback, run):
    loopback.say(Says(307, headers={"Location": "/api/v1/there"}), Says(data={"ok": 1}))
    assert run("get", "/here") == {"ok": 1}
    assert loopback.asked[1].path == "/api/v1/there"
    assert loopback.asked[1].headers["authorization"] == f"Bearer {TOKEN}"


def test_redirects_in_circles_end(loopback, run):
    from mlteam_sdk import ConnectionFailed

    loopback.say(Says(302, headers={"Location": "/api/v1/me"}))
    with pytest.raises(ConnectionFailed, match="round in circles"):
        run("get", "/me")
    assert len(loopback.asked) <= 6


def test_all_pages_of_a_list_are_read(loopback, run):
    def page(asked: Asked) -> Says:
        begin = int(dict(asked.query).get("cursor", 0))
        limit = min(int(dict(asked.query)["limit"]), 3)
        items = list(range(begin, min(begin + limit, 8)))
        return Says(data={"items": items, "next": str(begin + limit) if begin + limit < 8 else None})

    loopback.say(page)
    assert run("pages", "/x", q="a") == list(range(8))
    assert all(dict(asked.query)["q"] == "a" for asked in loopback.asked)
    assert run("pages", "/x", most=4) == [0, 1, 2, 3]
    assert run("pages", "/x", most=0) == []


def test_the_token_is_in_no_representation(loopback):
    from mlteam_sdk import MLTeam

    client = MLTeam(url=loopback.url, token=TOKEN)
    assert TOKEN not in repr(client) + repr(client.settings) + str(client.settings)


def test_a_client_outlives_its_event_loop(loopback):
    from mlteam_sdk import MLTeam

    loopback.say(Says(data={"ok": 1}, headers={"Connection": "close"}))
    client = MLTeam(url=loopback.url, token=TOKEN)
    for _ in range(2):
        assert asyncio.run(client.get("/me")) == {"ok": 1}
