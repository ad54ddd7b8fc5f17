"""What is printed: tables, JSON, CSV, bare values; and what of others' names and logs reaches a terminal."""

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sdk.cli.conftest import RUN, Command, Desk, environment, job, person

ESCAPES = "x\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\u202etxt"


def on(desk: Desk) -> dict[str, str]:
    return {"MLTEAM_URL": desk.url, "MLTEAM_TOKEN": "mlt_test"}


def test_a_table_has_the_columns_of_the_seed(at: Command, desk: Desk) -> None:
    desk.on(
        f"GET /jobs/{job('train', 2)['id']}",
        job("code-server", 2, command=["code-server", "--host", "0.0.0.0"], attempts=[]),
    )
    ran = at("job", "get", job("train", 2)["id"])
    assert ran.lines[0].split() == ["id", "state", "name", "created", "command", "attempts.exit_code"]
    row = ran.lines[1]
    assert row.split()[:4] == [job("x", 2)["id"], "succeeded", "code-server", "2026-11-22T10:00:00Z"]
    assert "[code-server --host 0.0.0.0]" in row and row.split()[-1] == "-"
    assert ran.err == ""


def test_a_field_is_the_bare_value(at: Command, desk: Desk) -> None:
    one = job("train", 2)
    desk.on(f"GET /jobs/{one['id']}", one)
    assert at("job", "get", "--field", "urn", one["id"]).out == one["urn"] + "\n"
    assert at("job", "get", "--field", "attempts.exit_code", one["id"]).out == "0\n"
    assert at("job", "get", "--field", "runs.exitCode", one["id"]).out == "0\n"
    assert at("job", "get", "--field", "command", one["id"]).out == "python,train.py\n"


INFO = ("sentence", "elapsed", "exit_status", "resources", "bid", "restartable", "preemptable", "tags", "position")
INFO += ("waiting_for", "cost", "url")


def test_a_transfer_says_how_fast_it_is_and_with_which_key(at: Command, desk: Desk) -> None:
    told = {
        "direction": "in",
        "state": "running",
        "address": "s3://faces/",
        "path": "/data",
        "key": "bucket",
        "files": 2,
    }
    told |= {"all_files": 7, "bytes": 100, "all_bytes": 900, "rate": 2_500_000.4, "left": 83.2, "sentence": ""}
    waiting = told | {"state": "waiting", "key": None, "rate": None, "left": None}
    one = dict.fromkeys(("started_at", "ended_at", *INFO)) | job("train", 2, attempts=[], transfers=[told, waiting])
    desk.on(f"GET /jobs/{one['id']}", one)
    lines = at("job", "info", one["id"]).lines
    header, *rows = lines[lines.index("transfers") + 1 :][:3]
    known = [dict(zip(header.split(), row.replace(" MB/s", "MB/s").split(), strict=True)) for row in rows]
    assert [(row["key"], row["rate"], row["left"]) for row in known] == [("bucket", "2.5MB/s", "1:23"), ("-", "-", "-")]
    assert at("job", "info", one["id"], "--field", "transfers.rate").out == "2500000.4,\n"


def test_fields_are_columns_in_their_order(at: Command, desk: Desk) -> None:
    desk.on("GET /users", [person("ada", 1), person("bob", 2)])
    assert at("user", "ls", "--fields", "username,id", "-H").lines[1].split() == ["bob", person("bob", 2)["id"]]
    found = json.loads(at("user", "ls", "--fields", "username", "--format", "json").out)
    assert found == [{"username": "ada"}, {"username": "bob"}]
    assert json.loads(at("user", "ls", "--format", "json").out) == [person("ada", 1), person("bob", 2)]


def test_a_field_that_is_not_there_is_wrong_usage_and_names_those_that_are(at: Command, desk: Desk) -> None:
    desk.on("GET /users", [person("ada")])
    ran = at("user", "ls", "--fields", "id,nosuch")
    assert (ran.status, ran.out) == (2, "")
    assert "no field nosuch" in ran.err and "username" in ran.err


def test_an_empty_list_is_its_header(at: Command, desk: Desk) -> None:
    desk.on("GET /users", [])
    assert at("user", "ls").lines == ["id  username  name"]
    assert at("user", "ls", "-H").out == ""
    assert json.loads(at("user", "ls", "--format", "json").out) == []


def test_csv_guards_what_a_spreadsheet_would_calculate(at: Command, desk: Desk) -> None:
    names = ["=1+1", "+x", "-2.5", "@sum", 'plain, "quoted"', "-rm"]
    desk.on("GET /users", [{**person("ada"), "name": name} for name in names])
    rows = list(csv.reader(io.StringIO(at("user", "ls", "--format", "csv", "--fields", "name").out)))
    assert [row[0] for row in rows] == ["name", "'=1+1", "'+x", "-2.5", "'@sum", 'plain, "quoted"', "'-rm"]


@pytest.mark.parametrize("options", [(), ("--format", "json"), ("--format", "csv"), ("--field", "name")])
def test_no_name_reaches_a_terminal_raw(on_terminal: Command, desk: Desk, options: tuple[str, ...]) -> None:
    desk.on("GET /users", [{**person("ada"), "name": ESCAPES}])
    ran = on_terminal("user", "ls", *options, **on(desk))
    said = ran.out.replace("\x1b[1m", "").replace("\x1b[0m", "")  # the header is bold
    assert not any(sign in said for sign in "\x1b\x07\x9b\u202e"), repr(ran.out)
    assert "owned" in said


def test_a_table_keeps_one_line_for_each_thing_in_a_pipe(at: Command, desk: Desk) -> None:
    desk.on("GET /users", [{**person("ada"), "name": "two\nlines\ud800\x1b[31m"}, person("bob", 2)])
    ran = at("user", "ls")
    assert len(ran.lines) == 3 and "two\\nlines" in ran.lines[1] and "\x1b" not in ran.out


def test_errors_show_nothing_raw_either(at: Command, desk: Desk) -> None:
    desk.refuse("GET /users", 403, "not_granted", f"You may not. {ESCAPES}", missing="user:get@acme:user:*")
    ran = at("user", "ls")
    assert ran.status == 1 and ran.err.startswith("Warning: You may not.") and "\x1b" not in ran.err
    assert "Missing: user:get@acme:user:*" in ran.err


def test_a_terminal_gets_a_table_that_fits(on_terminal: Command, desk: Desk) -> None:
    desk.on("GET /jobs", [job("train", 2, command=["word"] * 100)])
    ran = on_terminal("status", "--fields", "id,command,state", COLUMNS="80", **on(desk))
    assert not ran.err
    line = ran.lines[1]
    assert len(line.rstrip()) <= 80 and "…" in line and "succeeded" in line


@pytest.fixture
def screen() -> Callable[..., str]:
    from mlteam_sdk.cli.texts import Screen

    def show(*pieces: bytes) -> str:
        shown = Screen()
        return "".join(shown.feed(piece) for piece in pieces) + shown.feed(b"", last=True)

    return show


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (b"plain\r 10%\ttab\n", "plain\r 10%\ttab\n"),
        (b"\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        (b"\x1b[38:2:1:2:3mx", "\x1b[38:2:1:2:3mx"),
        (b"a\x1b[2Jb\x1b[Hc", "abc"),
        (b"\x1b]0;title\x07x", "x"),
        (b"\x1b]52;c;ZXZpbA==\x1b\\x", "x"),
        (b"\x1bPq#0\x1b\\x\x1b_apc\x1b\\y", "xy"),
        (b"\x1b[6n\x1b[?1049h\x1b[>4;2mx", "x"),
        (b"\x1bcx\x1b(0y\x1b7z", "xyz"),
        ("\u009b2Jx\u009d0;t".encode(), "2Jx0;t"),
        (b"bell\x07 back\x08 \x0e\x7f", "bell back "),
        ("größe ✓ 日本".encode(), "größe ✓ 日本"),
        (b"\xff\xfe no text", "\ufffd\ufffd no text"),
    ],
)
def test_of_a_log_only_text_and_colours_reach_a_terminal(
    screen: Callable[..., str], written: bytes, shown: str
) -> None:
    assert screen(written) == shown
    assert screen(*(written[at : at + 1] for at in range(len(written)))) == shown  # however it is cut


def test_a_sequence_without_end_hides_nothing_for_ever(screen: Callable[..., str]) -> None:
    assert "the rest" in screen(b"\x1b]0;" + b"x" * 5000 + b" the rest\n")
    assert screen(b"\x1b]0;never ended") == "0;never ended"
    assert screen(b"text\x1b[31") == "text31"


def test_width_counts_what_is_seen() -> None:
    from mlteam_sdk.cli.output import wide

    assert (wide("abc"), wide("日本"), wide("e\u0301")) == (3, 4, 1)


def test_wrong_fields_after_a_submit_still_tell_the_id(at: Command, desk: Desk) -> None:
    desk.on("GET /projects", [{"id": "a234567a234567a2", "personal": True}])
    desk.on("POST /projects/a234567a234567a2/jobs", job("x", 3), 201)
    ran = at("job", "submit", "--fields", "nosuch", "true")
    assert ran.status == 2 and job("x", 3)["id"] in ran.err


@pytest.mark.parametrize("options", [(), ("--format", "json"), ("--format", "csv"), ("--field", "name")])
def test_what_an_encoding_lacks_is_written_as_its_code(home: Path, desk: Desk, options: tuple[str, ...]) -> None:
    desk.on("GET /users", [{**person("ada"), "name": "Zoë"}])
    variables = environment(home, PYTHONIOENCODING="ascii", **on(desk))
    ran = subprocess.run([*RUN, "user", "ls", *options], env=variables, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    if "json" in options:
        assert json.loads(ran.stdout)[0]["name"] == "Zoë"
    else:
        assert "Zo\\xeb" in ran.stdout
    api = subprocess.run([*RUN, "api", "/users"], env=variables, capture_output=True, text=True, timeout=60)
    assert json.loads(api.stdout)["items"][0]["name"] == "Zoë"


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_output_that_cannot_be_written_is_said(home: Path, desk: Desk, redirection: str) -> None:
    desk.on("GET /users", [person("ada")])
    shell = ["bash", "-c", f'"$0" "$@" {redirection}', *RUN, "user", "ls"]
    ran = subprocess.run(shell, env=environment(home, **on(desk)), capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1 and len(ran.stderr.splitlines()) == 1, ran.stderr
    assert "Is standard output closed, or a disk full?" in ran.stderr


def test_notes_need_nobody_who_reads_them(home: Path, desk: Desk) -> None:
    shell = ["bash", "-c", '"$0" "$@" 2>&- <&-', *RUN, "user", "ls"]
    ran = subprocess.run(shell, env=environment(home, **on(desk)), capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "")
