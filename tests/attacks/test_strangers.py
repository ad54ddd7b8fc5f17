"""What somebody without an account can send."""

import asyncio
import json

import pytest

from accounts.adapter import Adapter
from mlteam import bodies, supervisor
from mlteam.middleware import POLICY


def _send(path: str, chunks: list[int], announced: int | None = None) -> tuple[list[dict], int]:
    """What the limited application answers, and how many bytes reached what is behind it."""
    taken = 0

    async def behind(scope, receive, send):
        nonlocal taken
        more = True
        while more:
            message = await receive()
            taken += len(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})

    waiting = [{"type": "http.request", "body": bytes(size), "more_body": True} for size in chunks]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})
    answers: list[dict] = []

    async def receive():
        return waiting.pop(0)

    async def send(message):
        answers.append(message)

    headers = [(b"content-length", b"%d" % announced)] if announced is not None else []
    asyncio.run(bodies.limited(behind)({"type": "http", "path": path, "headers": headers}, receive, send))
    return answers, taken


@pytest.mark.parametrize("path", ["/accounts/login/", "/anything"])
def test_a_long_body_is_refused_before_it_is_taken(path):
    answers, taken = _send(path, [2**20] * 50, announced=50 * 2**20)
    assert (answers[0]["status"], taken) == (413, 0)


def test_a_body_of_unsaid_length_is_taken_no_further_than_its_limit():
    answers, taken = _send("/accounts/login/", [2**20] * 50)
    assert answers[0]["status"] == 413
    assert taken <= bodies.SMALL


def test_a_program_is_told_by_a_problem_that_its_body_is_too_long():
    answers, taken = _send("/api/v1/projects/abc/jobs", [2**20] * 50, announced=50 * 2**20)
    assert (answers[0]["status"], taken) == (413, 0)
    assert dict(answers[0]["headers"])[b"content-type"] == b"application/problem+json"
    assert json.loads(answers[1]["body"])["code"] == "too_large"


@pytest.mark.parametrize("path", ["/p/vision/jobs/new", "/api/v1/projects/abc/jobs/with-files"])
def test_a_job_may_come_with_its_files(path):
    answers, taken = _send(path, [2**20] * 50, announced=50 * 2**20)
    assert (answers[0]["status"], taken) == (200, 50 * 2**20)


@pytest.mark.parametrize(
    "url",
    [
        "//evil.example",
        "https://evil.example",
        "http://localhost/x",
        "http://localhost:8000/",
        "/\\evil.example",
        "",
        None,
    ],
)
def test_a_sign_in_leads_to_our_pages_only(url):
    assert not Adapter().is_safe_url(url)


def test_a_sign_in_leads_to_our_pages():
    assert Adapter().is_safe_url("/p/vision/jobs?mine=1")


@pytest.mark.parametrize("name", ["a\u202eb", "a\nb", "a\x1b]0;b\x07"])
def test_names_are_one_line_that_says_what_it_shows(client, make_user, owner, name):
    client.force_login(owner)
    assert client.post("/projects/new", {"name": name}).status_code == 200
    assert (
        client.post("/profile/", {"name": name, "username": "olga", "time_zone": "UTC", "theme": "auto"}).status_code
        == 200
    )
    owner.refresh_from_db()
    assert owner.name == "Olga Owner"
    assert owner.owned_projects.filter(personal=False).count() == 0


def test_what_a_stranger_wrote_gives_the_terminal_no_orders(capfd):
    supervisor.say("GET /\x1b]0;owned\x07 \u202e", "web")
    shown = capfd.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown


def test_pages_speak_to_this_server_alone():
    assert " ws: " not in f"{POLICY} "
    assert " wss:" not in POLICY.replace("wss://", "")
    assert "connect-src 'self' ws://" in POLICY
