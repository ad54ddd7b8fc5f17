"""Logs for programs: bytes, ranges, lines, search."""

import pytest
from asgiref.sync import async_to_sync

from jobs import logs, queue, transitions
from tests.api.conftest import ROOT
from tests.api.test_door import problem
from tests.jobs.conftest import queued, resource  # noqa: F401 - fixtures

# ruff: noqa: F811

LINES = b"one\ntwo\nthree\n"


@pytest.fixture
def attempt(queued, resource, project, owner):
    """A running attempt that has written LINES."""
    queued(project, owner, name="train")
    [attempt] = queue.place(resource)
    transitions.started(attempt, {})
    logs.append(logs.path_of(attempt.job_id, 0), 0, LINES)
    return attempt


@pytest.fixture
def log(attempt):
    """The address of its log."""
    return f"/jobs/{attempt.job_id}/attempts/0/log"


@async_to_sync
async def body_of(response) -> bytes:
    return b"".join([piece async for piece in response.streaming_content]) if response.streaming else response.content


def ask(asks, path, method="get", query=None, **headers):
    return getattr(asks.client, method)(ROOT + path, query_params=query, headers=asks.headers | headers)


def test_a_log_is_its_bytes(program, viewer, log):
    answer = program(viewer).get(log)
    assert (answer.status_code, body_of(answer)) == (200, LINES)
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert (answer["Content-Length"], answer["Accept-Ranges"]) == ("14", "bytes")


def test_a_part_of_a_log_is_a_range(program, owner, attempt, log):
    asks = program(owner)
    answer = ask(asks, log, Range="bytes=4-7")
    assert (answer.status_code, body_of(answer)) == (206, b"two\n")
    assert answer["Content-Range"] == "bytes 4-7/14"
    tag = answer["ETag"]
    logs.append(logs.path_of(attempt.job_id, 0), 14, b"four\n")
    answer = ask(asks, log, Range="bytes=14-", **{"If-Range": tag})
    assert (answer.status_code, body_of(answer)) == (206, b"four\n")
    answer = ask(asks, log, Range="bytes=14-", **{"If-Range": '"another"'})
    assert (answer.status_code, body_of(answer)) == (200, LINES + b"four\n")
    answer = ask(asks, log, Range="bytes=19-")
    problem(answer, 416, "bad_request")
    assert answer["Content-Range"] == "bytes */19"


def test_how_long_a_log_is_costs_no_bytes(program, owner, log):
    answer = ask(program(owner), log, "head")
    assert (answer.status_code, answer.content, answer["Content-Length"]) == (200, b"", "14")
    assert answer["ETag"]


@pytest.mark.parametrize(
    ("lines", "found"), [(0, b""), (1, b"three\n"), (2, b"two\nthree\n"), (3, LINES), (10**18, LINES)]
)
def test_the_last_lines_of_a_log(program, owner, log, lines, found):
    answer = program(owner).get(log, tail=lines)
    assert (answer.status_code, body_of(answer)) == (200, found)
    assert (answer["X-Log-Offset"], answer["Content-Length"]) == (str(14 - len(found)), str(len(found)))


def test_a_line_that_has_not_ended_is_one_of_the_last(program, owner, attempt, log):
    logs.append(logs.path_of(attempt.job_id, 0), 14, b"fo")
    assert body_of(program(owner).get(log, tail=2)) == b"three\nfo"


def test_an_attempt_that_is_to_come_has_an_empty_log_and_one_after_it_none(program, owner, log):
    asks = program(owner)
    assert body_of(asks.get(log.replace("/0/", "/1/"))) == b""
    problem(asks.get(log.replace("/0/", "/2/")), 404, "not_found")
    problem(asks.get(log.replace("/0/", f"/{10**30}/")), 404, "not_found")


def test_a_page_of_lines(program, owner, attempt, log):
    asks = program(owner)
    answer = asks.get(f"{log}/lines", **{"from": 2, "count": 1})
    assert answer.json() == {"offset": 4, "line": 2, "next": 8, "size": 14, "lines": ["two"]}
    assert asks.get(f"{log}/lines", count=2).json()["lines"] == ["two", "three"]
    assert asks.get(f"{log}/lines", fields="lines,next").json() == {"lines": ["one", "two", "three"], "next": 14}
    assert asks.get(f"{log}/lines", **{"from": 9}).json()["lines"] == []
    problem(asks.get(f"{log}/lines", **{"from": 0}), 422, "invalid")
    problem(asks.get(f"{log}/lines", fields="colour"), 422, "invalid")


def test_bytes_that_are_no_text_come_back_as_they_were(program, owner, attempt, log):
    data = b"\xff\xfe caf\xc3\xa9\n\n\xe2\x82\n"
    logs.append(logs.path_of(attempt.job_id, 0), 14, data)
    lines = program(owner).get(f"{log}/lines", **{"from": 4}).json()["lines"]
    assert "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape") == data


def test_a_search_finds_lines(program, owner, log):
    asks = program(owner)
    found = asks.get(f"{log}/search", q="T").json()
    assert found == {"matches": [], "next": 14, "done": True, "size": 14}
    found = asks.get(f"{log}/search", q="t").json()
    assert found["matches"] == [{"line": 2, "offset": 4}, {"line": 3, "offset": 8}]
    assert asks.get(f"{log}/search", q="t", **{"from": 8}).json()["matches"] == [{"line": 3, "offset": 8}]
    problem(asks.get(f"{log}/search"), 422, "invalid")


def test_logs_are_for_whoever_may_see_the_job(program, role_program, stranger, project, join, make_user, log):
    none = dict.fromkeys(("job", "dataset", "model", "volume"), "none")
    member = join(project, make_user("nina"), none).user
    outside = [program(stranger), program(member)]
    for path in (log, f"{log}/lines", f"{log}/search?q=t", f"{log}/events"):
        for asks in outside:
            problem(asks.get(path), 404, "not_found")
        problem(program(None).get(path), 401, "not_signed_in")
    assert body_of(role_program("job:get@{urn}:job:*").get(log)) == LINES
