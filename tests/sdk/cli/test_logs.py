"""`mlteam logs`, `mlteam artifacts`: bytes as they were written, a log that breaks off, files that lead astray."""

import hashlib
import io
import json
import re
import signal
import subprocess
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.sdk.cli.conftest import RUN, Asked, Command, Desk, begun, environment, job
from tests.server import wait

ONE = job("train", 5, state="running", exit_status=None)
LOG = f"/jobs/{ONE['id']}/attempts/0/log"
WRITTEN = "größe\n\x1b[31mred\x1b[0m\n".encode() + b"\xff no text\x1b[2J\n"


@pytest.fixture(autouse=True)
def one_job(desk: Desk) -> None:
    desk.on(f"GET /jobs/{ONE['id']}", ONE)
    desk.on("GET /jobs", [ONE])
    desk.on(f"GET {LOG}", WRITTEN)


def event(name: str, data: dict[str, Any], number: int | str = "") -> bytes:
    return f"event: {name}\nid: {number}\ndata: {json.dumps(data)}\n\n".encode()


def log_event(start: int, end: int) -> bytes:
    return event("log", {"offset": start, "text": WRITTEN[start:end].decode("utf-8", "surrogateescape")}, end)


END = {"state": "succeeded", "sentence": "Done.", "exit_status": 0, "complete": True, "gaps": [], "next_attempt": None}


def test_the_log_goes_into_a_pipe_as_it_was_written(home: Path, desk: Desk) -> None:
    ran = subprocess.run(
        [*RUN, "job", "logs", ONE["id"]], env=environment(home, MLTEAM_URL=desk.url), capture_output=True, timeout=60
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, WRITTEN, b"")


def test_a_terminal_gets_its_colours_and_nothing_else(on_terminal: Command, desk: Desk) -> None:
    ran = on_terminal("job", "logs", ONE["id"], MLTEAM_URL=desk.url)
    assert "\x1b[31mred\x1b[0m" in ran.out and "\x1b[2J" not in ran.out and "größe" in ran.out


def test_without_a_job_it_is_my_last(at: Command, desk: Desk) -> None:
    for words in (("job", "logs", "--tail", "2"), ("logs", "--last", "--tail", "2")):
        desk.on(f"GET {LOG}", b"last\n")
        assert at(*words).out == "last\n"
    assert desk.those("GET /jobs")[0].query == {"mine": ["true"], "sort": ["-created_at"], "limit": ["1"]}
    assert desk.asked[-1].query == {"tail": ["2"]}


def test_a_stream_that_breaks_goes_on_at_its_byte(home: Path, desk: Desk) -> None:
    half = WRITTEN.index(b"\xc3") + 1  # within a character

    def events(asked: Asked) -> tuple[int, Any]:
        start = int(asked.query["from"][0])
        return 200, b": still here\n\n" + (
            log_event(0, half) if start == 0 else log_event(start, len(WRITTEN)) + event("end", END)
        )

    desk.on(f"GET {LOG}/events", events)
    ran = subprocess.run(
        [*RUN, "job", "logs", "-f"], env=environment(home, MLTEAM_URL=desk.url), capture_output=True, timeout=60
    )
    assert ran.stdout == WRITTEN, ran.stderr
    assert [one.query["from"] for one in desk.those(f"GET {LOG}/events")] == [["0"], [str(half)]]


def test_it_follows_the_next_attempt(at: Command, desk: Desk) -> None:
    desk.on(
        f"GET {LOG}/events",
        lambda _: (200, event("log", {"offset": 0, "text": "first\n"}, 6) + event("end", END | {"next_attempt": 1})),
    )
    second = event("log", {"offset": 0, "text": "second\n"}, 7) + event("end", END)
    desk.on(f"GET /jobs/{ONE['id']}/attempts/1/log/events", lambda _: (200, second))
    attempts = lambda: [{"index": index} for index in range(2 if desk.those(f"GET {LOG}/events") else 1)]  # noqa: E731
    desk.on(f"GET /jobs/{ONE['id']}", lambda _: (200, {**ONE, "attempts": attempts()}))
    ran = at("logs", "-f", ONE["id"])
    assert ran.out == "first\nsecond\n" and "Attempt 1 begins." in ran.err


def test_following_a_submitted_job_ends_with_its_status(at: Command, desk: Desk) -> None:
    desk.on(f"GET {LOG}/events", lambda _: (200, event("log", {"offset": 0, "text": "no\n"}, 3) + event("end", END)))
    desk.on("POST /projects/a234567a234567a2/jobs", ONE, 201)
    desk.on(f"GET /jobs/{ONE['id']}", {**ONE, "state": "failed", "exit_status": 7})
    ran = at("job", "submit", "--follow", "false", MLTEAM_PROJECT="a234567a234567a2")
    assert (ran.status, ran.out) == (7, "no\n") and ONE["id"] in ran.err


def test_who_loses_access_meanwhile_is_told(at: Command, desk: Desk) -> None:
    desk.on(f"GET {LOG}/events", lambda _: (200, event("gone", {"code": "not_granted", "detail": "You were removed."})))
    ran = at("logs", "-f", ONE["id"])
    assert ran.status == 1 and "You were removed." in ran.err


def test_ctrl_c_leaves_the_job_running(home: Path, desk: Desk) -> None:
    desk.on(f"GET {LOG}/events", lambda _: (200, b": still here\n\n"))
    variables = environment(home, MLTEAM_URL=desk.url)
    with begun("job", "logs", "-f", **variables) as process:
        wait(lambda: len(desk.those(f"GET {LOG}/events")) > 1, "the second call for events")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "") and "The job runs on" in err
    assert {one.method for one in desk.asked} == {"GET"}


@pytest.mark.parametrize(
    ("verified", "digest", "status", "said"),
    [
        (True, hashlib.sha256(WRITTEN).hexdigest(), 0, "complete, 3 lines"),
        (True, "0" * 64, 1, "not what the server has"),
        (False, hashlib.sha256(WRITTEN).hexdigest(), 1, "12 bytes are missing"),
        (None, None, 1, "has not ended"),
    ],
)
def test_verifying_fetches_and_compares(
    at: Command, desk: Desk, verified: bool | None, digest: str | None, status: int, said: str
) -> None:
    row = {
        "index": 0,
        "size": len(WRITTEN),
        "lines": 3,
        "verified": verified,
        "sha256": digest,
        "sentence": "12 bytes are missing",
    }
    desk.on(f"GET /jobs/{ONE['id']}/verify", {"attempts": [row]})
    ran = at("job", "logs", "--verify", ONE["id"])
    assert ran.status == status and said in ran.err
    assert ran.lines[0].split() == ["index", "size", "lines", "verified", "fetched"]


def serve_files(desk: Desk, files: dict[str, bytes]) -> None:
    desk.on(
        f"GET /jobs/{ONE['id']}/artifacts",
        [
            {"path": path, "size": len(held), "kind": "other", "modified": "2026-11-21T10:00:00Z"}
            for path, held in files.items()
        ],
    )
    for path, held in files.items():
        address = f"/jobs/{ONE['id']}/artifacts/files/{path}"
        found = re.sub(r"[^\w./-]", lambda sign: "".join(f"%{byte:02X}" for byte in sign[0].encode()), address)
        assert unquote(found) == address
        desk.on(f"GET {found}", held)


def test_artifacts_are_fetched_once_into_a_directory_of_the_job(at: Command, desk: Desk, tmp_path: Path) -> None:
    files = {"model.bin": b"\x00" * 100_000, "plots/a loss?.png": b"png", "empty": b""}
    serve_files(desk, files)
    ran = at("artifacts", ONE["id"])
    assert ran.status == 0, ran.err
    target = tmp_path / f"train-{ONE['id']}"
    assert {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()} == files
    before = len(desk.asked)
    assert at("artifacts", ONE["id"]).err.startswith("0 files fetched")
    assert not [one for one in desk.asked[before:] if "/files/" in one.path]
    assert [line.split()[0] for line in at("job", "artifacts", ONE["id"], "-H").lines] == [
        "model.bin",
        "plots/a",
        "empty",
    ]


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil"])
def test_nothing_is_written_outside_of_the_directory(at: Command, desk: Desk, tmp_path: Path, path: str) -> None:
    serve_files(desk, {"fine": b"fine"})
    listed = [{"path": path, "size": 4, "kind": "other"}, {"path": "fine", "size": 4, "kind": "file"}]
    desk.on(f"GET /jobs/{ONE['id']}/artifacts", listed)
    ran = at("artifacts", ONE["id"], "out")
    assert ran.status == 1 and "is not downloaded" in ran.err
    assert not list(tmp_path.rglob("evil")) and not list(tmp_path.rglob("fine"))


def test_a_link_that_leads_out_is_not_followed(at: Command, desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    serve_files(desk, {"sub/x": b"fine"})
    assert at("artifacts", ONE["id"], "out").status == 1
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_was_interrupted_goes_on(at: Command, desk: Desk, tmp_path: Path) -> None:
    serve_files(desk, {"x": b"0123456789"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".x.mlteam-part").write_bytes(b"01234")
    desk.on(
        f"GET /jobs/{ONE['id']}/artifacts/files/x",
        lambda asked: (206 if asked.headers["Range"] == "bytes=5-" else 200, b"56789"),
    )
    assert at("artifacts", ONE["id"], "out").status == 0
    assert (tmp_path / "out" / "x").read_bytes() == b"0123456789"


def archive(*entries: tuple[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as written:
        for name, text in entries:
            written.writestr(name, text)
    return held.getvalue()


def test_more_files_than_a_list_holds_come_as_one_archive(at: Command, desk: Desk, tmp_path: Path) -> None:
    listed = {"items": [{"path": "a", "size": 1, "kind": "other", "modified": ""}], "next": None, "truncated": True}
    desk.on(f"GET /jobs/{ONE['id']}/artifacts", listed)
    desk.on(f"GET /jobs/{ONE['id']}/artifacts.zip", archive(("a", b"1"), ("sub/b", b"22")))
    ran = at("artifacts", ONE["id"], "out")
    assert ran.status == 0 and "2 files fetched" in ran.err, ran.err
    assert (tmp_path / "out" / "sub" / "b").read_bytes() == b"22"
    desk.on(f"GET /jobs/{ONE['id']}/artifacts.zip", archive(("fine", b"1"), ("../evil", b"22")))
    assert at("artifacts", ONE["id"], "out2").status == 1
    assert not list(tmp_path.rglob("evil")) and not list(tmp_path.rglob("fine"))
    assert "more than these 1" in at("job", "artifacts", ONE["id"]).err


def test_an_attempt_that_is_not_there(at: Command, desk: Desk) -> None:
    desk.on(f"GET /jobs/{ONE['id']}", {**ONE, "state": "queued", "attempts": []})
    ran = at("logs", ONE["id"], "--attempt", "9")
    assert ran.status == 1 and ran.err == "Error: There is no attempt 9: the job has not started; it is queued.\n"
    for indexes, said in (([0], "its only one is 0."), ([0, 1], "these are there: 0, 1.")):
        desk.on(f"GET /jobs/{ONE['id']}", {**ONE, "attempts": [{"index": index} for index in indexes]})
        assert at("logs", ONE["id"], "--attempt", "9").err == f"Error: There is no attempt 9; {said}\n"


def test_what_is_waited_for_is_said_anew_where_more_than_its_numbers_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlteam_sdk.cli import following, meter

    say, texts = following._Say(), ["Fetches 1.5 KiB of 3 MiB.", "Fetches 2 MiB of 3 MiB.", "Is about to start."]
    for text in (*texts, texts[2]):
        say(text)
    assert capsys.readouterr().err.splitlines() == [texts[0], texts[2]]
    monkeypatch.setattr(meter, "EVERY", -1.0)
    for text in (texts[0], texts[1]):
        say(text)
    assert capsys.readouterr().err.splitlines() == texts[:2]
