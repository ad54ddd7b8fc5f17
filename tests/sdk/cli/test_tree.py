"""The tree of commands: help, completion, docs; and that nothing heavy is loaded before it is needed."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.sdk.cli.conftest import ROOT, RUN, Command, Desk, environment, job, project


def commands(group: click.Command, path: str = "mlteam") -> Iterator[tuple[str, click.Command]]:
    """All commands below, by their whole name."""
    from mlteam_sdk.cli.lazy import Lazy

    if not isinstance(group, Lazy):
        yield path, group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield from commands(found, f"{path} {name}")


def test_the_line_in_a_groups_help_is_what_the_command_says_of_itself() -> None:
    from mlteam_sdk.cli.app import mlteam

    for path, command in commands(mlteam):
        assert command.help, path
        assert command.name == path.split()[-1]


def test_the_document_is_what_the_commands_say(mlteam: Command) -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == mlteam("reference").out, "make docs"


def test_the_other_systems_commands_have_a_form_that_is_there() -> None:
    """Every `mlteam …` in the table parses as far as its command."""
    import re

    from mlteam_sdk.cli.app import mlteam

    known = {path for path, _ in commands(mlteam)}
    shown = re.findall(r"`(mlteam [^`]*)`", (ROOT / "docs" / "coming-from.md").read_text())
    assert len(shown) > 30
    context = click.Context(mlteam)
    for text in shown:
        group: click.Command = mlteam
        for word in re.findall(r"[a-z][a-z-]*|\S+", text)[1:]:
            from mlteam_sdk.cli.lazy import Lazy

            if not isinstance(group, Lazy):
                break
            found = group.get_command(context, word)
            assert found or group.default, text
            group = found or next(command for path, command in commands(group) if path.endswith("get"))
        assert group is not mlteam, text
    assert known


def python() -> str:
    return str(Path(RUN[0]).with_name("python"))


def loaded(*modules: str) -> str:
    """A program that runs the command and prints, in its last line, which of these modules that loaded."""
    names = f"[name for name in {modules} if name in sys.modules]"
    return f"import sys\ntry:\n from mlteam_sdk.cli import main; main()\nfinally:\n print({names})"


@pytest.mark.parametrize("words", [("--help",), ("job", "--help"), ("--version",)])
def test_help_needs_no_network_code(words: tuple[str, ...], home: Path) -> None:
    code = loaded("httpx", "pydantic", "yaml", "rich", "ssl", "asyncio")
    ran = subprocess.run(
        [python(), "-c", code, *words], env=environment(home), capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0 and ran.stdout.splitlines()[-1] == "[]", ran.stdout + ran.stderr


def test_a_list_needs_no_models(at: Command, desk: Desk, home: Path) -> None:
    desk.on("GET /jobs", [])
    code = loaded("pydantic", "yaml", "rich", "asyncio", "pygments")
    variables = environment(home, MLTEAM_URL=desk.url)
    ran = subprocess.run([python(), "-c", code, "status"], env=variables, capture_output=True, text=True, timeout=60)
    assert ran.stdout.splitlines()[-1] == "[]", ran.stdout + ran.stderr


def test_options_that_every_command_has_stand_anywhere(at: Command, desk: Desk) -> None:
    desk.on("GET /jobs", [])
    for words in (
        ("--project", "a234567a234567a2", "job", "ls"),
        ("job", "--project", "a234567a234567a2", "ls"),
        ("job", "ls", "--project", "a234567a234567a2"),
    ):
        desk.on("GET /projects/a234567a234567a2", project("Vision", 2))
        assert at(*words).status == 0
        assert desk.asked[-1].query["project"] == ["a234567a234567a2"]


def complete(home: Path, desk: Desk, line: str, **more: str) -> list[str]:
    words = line.split(" ")
    variables = {
        "_MLTEAM_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "MLTEAM_URL": desk.url,
        "MLTEAM_COMPLETION_SECONDS": "60",
    } | more
    ran = subprocess.run(RUN, env=environment(home, **variables), capture_output=True, text=True, timeout=60)
    assert ran.stderr == ""
    return [found.partition(",")[2] for found in ran.stdout.splitlines() if found]


def test_names_are_completed_from_the_server(home: Path, desk: Desk) -> None:
    desk.on("GET /projects", [project("Vision", 2), project("Voice", 3), project("Other\x1b[31m", 4)])
    desk.on("GET /jobs", [job("train", 3), job("train", 4)])
    assert complete(home, desk, "mlteam project use v") == ["vision", "voice"]
    assert complete(home, desk, "mlteam job ls --project vi") == ["vision"]
    assert complete(home, desk, "mlteam job logs b") == [job("x", 3)["id"], job("x", 4)["id"]]
    assert complete(home, desk, "mlteam job ki") == ["kill"]
    assert "--state" in complete(home, desk, "mlteam job ls --st")


def test_jobs_are_completed_by_their_names_too(home: Path, desk: Desk) -> None:
    digits, train = job("Digits", 3), job("train", 4)
    desk.on("GET /jobs", [digits, job("Digits", 5), train])
    assert complete(home, desk, "mlteam job get di") == ["Digits"]
    assert complete(home, desk, "mlteam job logs ") == ["Digits", "train"]
    assert complete(home, desk, f"mlteam job logs {train['id']}") == [train["id"]]
    assert complete(home, desk, "mlteam logs grace:D") == ["grace:Digits"]
    assert desk.asked[-1].query["user"] == ["grace"] and "mine" not in desk.asked[-1].query
    assert complete(home, desk, "mlteam job kill tr") == ["train"]
    assert "queued" in desk.asked[-1].query["state"]


def test_display_names_are_completed_whatever_their_capitals(home: Path, desk: Desk) -> None:
    desk.on("GET /projects", [project("Vision", 2), project("My Other Project", 3)])
    assert complete(home, desk, "mlteam project use V") == ["Vision"]
    assert complete(home, desk, "mlteam project use VI") == ["vision"]
    assert complete(home, desk, "mlteam project use My") == ["My Other Project"]


def test_of_many_those_that_are_called_so_are_asked_for(home: Path, desk: Desk) -> None:
    first = [job(f"other{number}", 3) for number in range(50)]
    desk.on("GET /jobs", lambda asked: (200, {"items": [job("digits", 4)] if "q" in asked.query else first}))
    assert complete(home, desk, "mlteam job get di") == ["digits"]


def test_roles_are_completed_where_they_are(home: Path, desk: Desk) -> None:
    vision = project("Vision", 2)
    desk.on("GET /projects", [vision])
    for place, name in ((f"projects/{vision['id']}", "job_access"), ("installation", "auditor")):
        desk.on(f"GET /{place}/roles", [{"id": "rrrrrrrrrrrrrrr2", "name": name}])
    here = {"MLTEAM_PROJECT": vision["id"]}
    for line in ("role member ls", "role policy new", "role rm", "role key ls", "project role member add"):
        assert complete(home, desk, f"mlteam {line} jo", **here) == ["job_access"], line
    assert complete(home, desk, "mlteam role member ls vision.jo") == ["vision.job_access"]
    assert complete(home, desk, "mlteam organization role member ls ") == ["auditor"]
    assert complete(home, desk, "mlteam role key new --project vision jo") == ["job_access"]


def test_third_party_keys_and_their_types_are_completed(home: Path, desk: Desk) -> None:
    vision = project("Vision", 2)
    desk.on("GET /projects", [vision])
    desk.on(f"GET /projects/{vision['id']}/keys", [{"id": "kkkkkkkkkkkkkkk2", "name": "hub", "type": "huggingface"}])
    desk.on("GET /key-types", [{"name": "huggingface", "label": "Hugging Face"}, {"name": "gcp", "label": "GCP"}])
    for line in ("key rm", "key set", "project credential rm", "job submit --key"):
        assert complete(home, desk, f"mlteam {line} h", MLTEAM_PROJECT=vision["id"]) == ["hub"], line
    assert complete(home, desk, "mlteam key new ") == ["huggingface", "gcp"]


def test_people_teams_and_anything_are_completed(home: Path, desk: Desk) -> None:
    desk.on("GET /jobs", [job("vit", 3)])
    desk.on("GET /projects", [project("Vision", 2)])
    desk.on("GET /teams", [{"id": "ttttttttttttttt2", "name": "Viewers"}])
    desk.on("GET /users", [{"id": "uuuuuuuuuuuuuuu2", "username": "vic", "name": "Vic"}])
    assert complete(home, desk, "mlteam open vi") == ["vit", "vision", "Viewers", "vic"]
    assert complete(home, desk, "mlteam team vi") == ["Viewers"]
    assert complete(home, desk, "mlteam user policy new vi") == ["vic"]
    assert complete(home, desk, "mlteam team role ls vi") == ["Viewers"]


@pytest.mark.parametrize(
    ("line", "words", "replies"),
    [
        ("mlteam logs grace:di", ["mlteam", "logs", "grace", ":", "di"], ["digits"]),
        ("mlteam logs grace:", ["mlteam", "logs", "grace", ":"], ["digits", "my\\ run"]),
        ("MLTEAM_PROJECT= mlteam logs my\\ r", ["mlteam", "logs", "my\\ r"], ["my\\ run"]),
        ('mlteam logs "my r', ["mlteam", "logs", '"my r'], ["my run"]),
    ],
)
def test_bash_completes_names_with_colons_and_spaces(
    home: Path, desk: Desk, line: str, words: list[str], replies: list[str]
) -> None:
    desk.on("GET /jobs", [job("digits", 3), job("my run", 4)])
    variables = environment(
        home, MLTEAM_URL=desk.url, MLTEAM_COMPLETION_SECONDS="60", PATH=f"{Path(RUN[0]).parent}:/usr/bin:/bin"
    )
    given = " ".join(map(shlex.quote, words))
    script = (
        f'eval "$(mlteam completion bash)"; COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}; COMP_WORDS=({given}); '
        f"COMP_CWORD={len(words) - 1}; _mlteam_completion mlteam; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    ran = subprocess.run(["bash", "-c", script], env=variables, capture_output=True, text=True, timeout=60)
    assert (ran.stdout.splitlines(), ran.stderr) == (replies, "")


def test_completion_is_silent_without_a_server(home: Path, desk: Desk) -> None:
    assert complete(home, desk, "mlteam project use v", MLTEAM_URL="http://127.0.0.1:1") == []
    assert complete(home, desk, "mlteam project use v", MLTEAM_URL="") == []
    desk.refuse("GET /projects", 401, "not_signed_in", "No.")
    assert complete(home, desk, "mlteam project use v") == []


def test_completion_does_not_wait_for_a_slow_server(home: Path, desk: Desk) -> None:
    import threading

    enough = threading.Event()
    desk.on("GET /projects", lambda _: (200, {"items": [], "next": None}) if enough.wait(120) else (500, {}))
    try:
        assert complete(home, desk, "mlteam project use v", MLTEAM_COMPLETION_SECONDS="0.5") == []
    finally:
        enough.set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_shells_are_given(mlteam: Command, shell: str) -> None:
    ran = mlteam("completion", shell)
    assert ran.status == 0 and "_MLTEAM_COMPLETE" in ran.out
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=ran.out, text=True, timeout=30).returncode == 0


def test_wrong_usage_is_two(mlteam: Command) -> None:
    for words in (
        ("nosuch",),
        ("job", "ls", "--nosuch"),
        ("job", "get"),
        ("rule", "allowed", "x"),
        ("job", "ls", "--format", "xml"),
    ):
        ran = mlteam(*words, MLTEAM_URL="http://127.0.0.1:1")
        assert ran.status == 2 and len(ran.err.splitlines()) == 1 and "--help" in ran.err, words


@pytest.mark.parametrize("words", [(), ("team",), ("teams",), ("job",), ("role", "policy")])
def test_a_group_alone_shows_its_help_as_help(mlteam: Command, words: tuple[str, ...]) -> None:
    ran = mlteam(*words)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("Usage: mlteam") and "Commands:" in ran.err and "Error" not in ran.err


def test_somebody_who_reads_only_the_first_line_is_no_error(home: Path, desk: Desk) -> None:
    desk.on("GET /users", [{"id": str(number), "username": "u" * 100, "name": "x" * 100} for number in range(2000)])
    variables = environment(home, MLTEAM_URL=desk.url)
    with subprocess.Popen(
        [*RUN, "user", "ls"], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline().split() == ["id", "username", "name"]
        process.stdout.close()
        assert process.stderr.read() == ""
