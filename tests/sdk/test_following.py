"""Following a log through everything that happens to connections; with and without await."""

import asyncio
import json
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.sdk.loopback import Asked, Loopback, Says

STREAM = {"Content-Type": "text/event-stream"}
TEXT = "eins\nzwei Grüße 😀\n".encode() + b"broken \xff\xfe byte\n" + b"drei\n\nmit\rReturn\r\nno end"
LINES = ["eins", "zwei Grüße 😀", "broken \ufffd\ufffd byte", "drei", "", "mit\rReturn", "no end"]


def event(name: str, number: int | None = None, **data: Any) -> bytes:
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def logged(text: bytes, begin: int, size: int = 7) -> bytes:
    """The events of a text from a byte on; characters are cut in their middle."""
    events = [b": still here\n\n"]
    for at in range(begin, len(text), size):
        part = text[at : at + size]
        events.append(event("log", at + len(part), offset=at, text=part.decode("utf-8", "surrogateescape")))
    return b"".join(events)


def end(following: int | None = None, **more: Any) -> bytes:
    return event(
        "end", **{"state": "succeeded", "reason": "exited", "exit_status": 0, "next_attempt": following, **more}
    )


class Site:
    """A server with one job. `attempts`: what each wrote; `cut` says after how many bytes a connection breaks."""

    def __init__(
        self, *attempts: bytes, cut: Callable[[], int | None] = lambda: None, state: str = "succeeded"
    ) -> None:
        self.attempts, self.cut, self.state = attempts, cut, state
        self.asked: list[tuple[int, int]] = []

    def __call__(self, asked: Asked) -> Says:
        if not asked.path.endswith("/events"):
            return Says(data={"state": self.state, "attempts": [{"index": one} for one in range(len(self.attempts))]})
        index, begin = int(asked.path.split("/")[-3]), int(dict(asked.query)["from"])
        self.asked.append((index, begin))
        last = index == len(self.attempts) - 1
        body = logged(self.attempts[index], begin) + end(None if last else index + 1)
        cut = self.cut()
        return Says(body=body, headers=STREAM, cut=None if cut is None or cut >= len(body) else cut)


@pytest.fixture(params=["await", "sync"])
def follow(request: pytest.FixtureRequest, loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """follow("lines") and follow("follow") of job x; waiting takes no time."""
    from mlteam_sdk.aio import driver as aio
    from mlteam_sdk.sync import driver as sync

    async def sleep(seconds: float) -> None:
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)

    monkeypatch.setattr(aio, "sleep", sleep)
    monkeypatch.setattr(sync, "sleep", lambda seconds: None)

    def run(what: str, **values: Any) -> list[Any]:
        if request.param == "sync":
            from mlteam_sdk.sync import MLTeam, logs

            with MLTeam(url=loopback.url, token="mlt_x") as client:
                return list(getattr(logs, what)(client, "x", **values))
        from mlteam_sdk import MLTeam as Awaited
        from mlteam_sdk.aio import logs as awaited

        async def later() -> list[Any]:
            async with Awaited(url=loopback.url, token="mlt_x") as client:
                return [one async for one in getattr(awaited, what)(client, "x", **values)]

        return asyncio.run(later())

    return run


def test_lines_come_as_they_were_written(loopback, follow):
    loopback.say(Site(TEXT))
    assert follow("lines") == LINES


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_or_doubled_by_connections_that_break(loopback, follow, seed):
    rng = random.Random(seed)
    text = TEXT * 12
    site = Site(text, cut=lambda: rng.randrange(0, 3000))
    loopback.say(site)
    pieces = follow("follow")
    assert b"".join(one.data for one in pieces if hasattr(one, "data") and isinstance(one.data, bytes)) == text
    assert len(site.asked) > 1
    assert site.asked == sorted(site.asked)


def test_what_was_already_read_is_left_out(loopback, follow):
    """A server may begin before the byte that was asked for."""
    loopback.say(Site(TEXT), lambda asked: Says(body=logged(TEXT, 0) + end(), headers=STREAM))
    [first, *_] = follow("follow", offset=5)
    assert first.data.startswith(b"zwei"[: len(first.data)])
    assert first.offset == 5


def test_a_gap_is_asked_for_again(loopback, follow):
    job = Site(TEXT)
    loopback.say(job, lambda asked: Says(body=logged(TEXT, 14) + end(), headers=STREAM), job)
    assert follow("lines") == LINES
    assert job.asked == [(0, 0)]


def test_restarts_of_the_job_are_followed(loopback, follow):
    loopback.say(Site(b"first\ncut", b"again\n", b"third\n"))
    assert follow("lines") == ["first", "cut", "again", "third"]


def test_a_job_that_waits_is_waited_for(loopback, follow):
    site = Site(b"hello\n")
    waiting = Says(data={"state": "queued", "attempts": []})
    loopback.say(waiting, waiting, site)
    assert follow("lines") == ["hello"]


def test_a_job_that_never_began_has_no_lines(loopback, follow):
    loopback.say(Says(data={"state": "cancelled", "attempts": []}))
    assert follow("lines") == []


def test_the_end_says_how_it_went(loopback, follow):
    loopback.say(Site(b"x\n"))
    *_, last = follow("follow")
    assert (last.name, last.data["state"], last.data["exit_status"]) == ("end", "succeeded", 0)


def test_who_may_not_read_any_more_hears_it(loopback, follow):
    from mlteam_sdk import Refused

    body = logged(b"x\n", 0) + event("gone", code="not_granted", detail="You were removed.")
    loopback.say(Site(b"x\n"), Says(body=body, headers=STREAM))
    with pytest.raises(Refused, match="You were removed") as error:
        follow("lines")
    assert error.value.code == "not_granted"


def test_a_job_that_is_not_there_is_said(loopback, follow):
    from mlteam_sdk import NotFound

    loopback.say(Says(404, {"code": "not_found", "detail": "Nothing."}))
    with pytest.raises(NotFound):
        follow("lines")


def test_a_log_may_be_silent_for_hours(loopback, follow, monkeypatch):
    """The server says only that it is there; that its connections break then is no reason to give up."""
    from mlteam_sdk.aio import logs as aio
    from mlteam_sdk.sync import logs as sync

    now = [0.0]

    def silent(asked: Asked) -> Says:
        now[0] += 0.8 * sync.PATIENCE
        return Says(body=b": still here\n\n" * 50, headers=STREAM, cut=100)

    for module in (aio, sync):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    job = Site(b"x\n")
    loopback.say(job, *[silent] * 5, job)
    assert follow("lines") == ["x"]


def test_what_is_no_event_is_said(loopback, follow):
    from mlteam_sdk.errors import Damaged

    loopback.say(Site(b"x\n"), Says(body=b"event: log\ndata: {\n\n", headers=STREAM))
    with pytest.raises(Damaged, match="event log"):
        follow("lines")


def test_events_may_be_cut_anywhere():
    from mlteam_sdk.events import Parser

    whole = logged(TEXT, 0, 5) + end()
    rng = random.Random(1)
    for _ in range(50):
        parser, found, at = Parser(), [], 0
        while at < len(whole):
            step = rng.randrange(1, 40)
            found += list(parser.feed(whole[at : at + step]))
            at += step
        text = b"".join(one.data["text"].encode("utf-8", "surrogateescape") for one in found if one.name == "log")
        assert text == TEXT
        assert found[-1].name == "end"
        assert found[-2].id == str(len(TEXT))
