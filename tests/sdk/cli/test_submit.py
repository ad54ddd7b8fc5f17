"""`mlteam job submit`: what of job.yml, flags and words becomes the job; files; exit status."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sdk.cli.conftest import Asked, Command, Desk, begun, environment, job, project
from tests.server import wait

PROJECT = project("Vision", 2)["id"]
ALL_FLAGS = """
    --image a/b:1 --data home:/home:rw --data d@2/sub:/d --env A=b=c=d --env EMPTY= --cpu 0.5 --mem 4 --gpu 2 --gpu-model H100
    --nodes 1 --bid 50 --restartable --no-preemptable --interactive --line-buffered --max-run-time 2h --workdir src
"""
JOB_YML = """\
name: train
command: [python, train.py]
environmentVars: [LR=0.1, 'URL=http://a/?b=c']
resources: {cpu: 2, mem: 8}
tags: [vision]
packages: {pip: [numpy]}
"""


@pytest.fixture
def submitted(at: Command, desk: Desk) -> Any:
    """submitted("--cpu", "2", …) submits and answers the spec that the server got."""
    desk.on(
        f"POST /projects/{PROJECT}/jobs",
        lambda asked: (
            201,
            job(asked.json["spec"].get("name", "job"), 3, state="queued", attempts=[], exit_status=None),
        ),
    )

    def submit(*words: str, **variables: str) -> dict[str, Any]:
        ran = at("job", "submit", *words, **{"MLTEAM_PROJECT": PROJECT} | variables)
        assert ran.status == 0, ran.err
        spec: dict[str, Any] = desk.asked[-1].json["spec"]
        return spec

    return submit


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["python", "train.py"], ["python", "train.py"]),
        (["--", "python", "train.py", "--lr", "3"], ["python", "train.py", "--lr", "3"]),
        (
            ["code-server", "--", "--host", "0.0.0.0", "--auth", "none"],
            ["code-server", "--host", "0.0.0.0", "--auth", "none"],
        ),
        (["--cpu", "2", "python", "--name", "x", "train.py"], ["python", "train.py"]),
        (["--", "bash", "-c", "a -- b", "--", "x"], ["bash", "-c", "a -- b", "--", "x"]),
        (["for i in 1 2; do echo $i; done"], "for i in 1 2; do echo $i; done"),
        (["--", "a program"], ["a program"]),
        (["--", "stdbuf", "-oL", "{COMMAND}"], ["stdbuf", "-oL", "{COMMAND}"]),
    ],
)
def test_words_that_are_no_flags_are_the_command(submitted: Any, words: list[str], command: Any) -> None:
    assert submitted(*words)["command"] == command


def test_an_option_of_the_command_before_the_dashes_is_wrong_usage(at: Command) -> None:
    ran = at("job", "submit", "python", "train.py", "--lr", "3")
    assert ran.status == 2 and "--lr" in ran.err and "put -- before the command" in ran.err


def test_flags_override_the_file(submitted: Any, tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text(JOB_YML)
    spec = submitted(
        "-f",
        "job.yml",
        "--mem",
        "16",
        "--gpu",
        "1",
        "--env",
        "LR=1e-3",
        "--tag",
        "late",
        "--package",
        "torch==2.9.1",
        "--name",
        "again",
    )
    assert spec == {
        "name": "again",
        "command": ["python", "train.py"],
        "environmentVars": {"LR": "1e-3", "URL": "http://a/?b=c"},
        "resources": {"cpu": 2, "mem": 16, "gpu": 1},
        "tags": ["vision", "late"],
        "packages": {"pip": ["numpy", "torch==2.9.1"]},
    }
    assert submitted("-f", "job.yml", "--", "true")["command"] == ["true"]


def test_every_flag_is_a_key_of_the_job_file(submitted: Any) -> None:
    spec = submitted(*ALL_FLAGS.split(), "--", "true")
    assert spec == {
        "image": "a/b:1",
        "data": ["home:/home:rw", "d@2/sub:/d"],
        "environmentVars": {"A": "b=c=d", "EMPTY": ""},
        "resources": {"cpu": 0.5, "mem": 4, "gpu": 2, "gpuModel": "H100", "nodes": 1},
        "bid": 50,
        "restartable": True,
        "preemptable": False,
        "interactive": True,
        "lineBuffered": True,
        "maxRunTime": 7200,
        "workdir": "src",
        "command": ["true"],
    }


def test_dates_and_answers_stay_what_was_written(submitted: Any, tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text("command: x\nenvironmentVars: {DAY: 2026-11-21, N: 1}\n")
    assert submitted("-f", "job.yml")["environmentVars"] == {"DAY": "2026-11-21", "N": 1}


def test_data_at_the_same_path_is_replaced(submitted: Any, tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text("command: x\ndata: ['old:/home', 'kept:/data:ro']\n")
    assert submitted("-f", "job.yml", "-d", "new:/home:rw")["data"] == ["kept:/data:ro", "new:/home:rw"]
    assert submitted("-f", "job.yml", "-d", "personal:new@2/a:/data")["data"] == ["old:/home", "personal:new@2/a:/data"]


def test_inputs_and_buckets_are_said_in_one_word(submitted: Any, tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text("command: x\ninput: [{from: 'https://a/b'}, {from: 'https://a/c', to: /c}]\n")
    flags = ["--input", "gs://bucket/a,b:/c,key=google", "--input", "https://host:8443/x?a=b:/d e"]
    assert submitted("-f", "job.yml", *flags)["input"] == [
        {"from": "https://a/b"},
        {"from": "gs://bucket/a,b", "to": "/c", "key": "google"},
        {"from": "https://host:8443/x?a=b", "to": "/d e"},
    ]
    flags = ["--output", "s3://bucket/a,key=amazon,existing=new-prefix,always", "--output", "model:m,always"]
    assert submitted(*flags, "--", "true")["output"] == [
        {"to": "s3://bucket/a", "key": "amazon", "existing": "new-prefix", "always": True},
        {"to": "model:m", "always": True},
    ]


def test_what_is_no_address_is_wrong_usage(at: Command) -> None:
    ran = at("job", "submit", "--input", "data", "--", "true")
    assert ran.status == 2 and "expected an address" in ran.err


def test_what_the_output_becomes_is_added(submitted: Any, tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text("command: x\noutput: [{to: 'model:a'}]\n")
    assert submitted("-f", "job.yml", "--output", "dataset:b")["output"] == [{"to": "model:a"}, {"to": "dataset:b"}]
    assert "output" not in submitted("--", "true")


def test_a_variable_without_a_value_is_taken_from_here(submitted: Any, at: Command) -> None:
    assert submitted("--env", "TOKEN", "true", TOKEN="se=cret")["environmentVars"] == {"TOKEN": "se=cret"}
    ran = at("job", "submit", "--env", "NOT_HERE", "true")
    assert ran.status == 2 and "NOT_HERE is not set here" in ran.err


def test_files_of_the_job_file_and_of_flags_are_uploaded(at: Command, desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text("print(1)\n")
    (tmp_path / "data.csv").write_text("a,b\n")
    (tmp_path / "code" / "job.yml").write_text("command: python train.py\nfiles: [train.py]\n")
    desk.on(f"POST /projects/{PROJECT}/jobs/with-files", job("job", 3), 201)
    ran = at("job", "submit", "-f", "code/job.yml", "--file", "data.csv:input.csv", "-q", MLTEAM_PROJECT=PROJECT)
    assert ran.out == job("job", 3)["id"] + "\n" and ran.err == ""
    sent = desk.asked[-1].body.decode()
    assert re.findall(r'name="files"; filename="([^"]+)"', sent) == ["train.py", "input.csv"]
    assert "print(1)" in sent and "a,b" in sent
    spec = re.search(r'name="spec"\r\n\r\n(.*)\r\n', sent)
    assert spec and json.loads(spec[1]) == {"command": "python train.py"}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("- a list", "mapping of keys"),
        ("a: [", "is no YAML, line 1"),
        ("", "mapping of keys"),
        ("command: x\ncommand: y", "command is there twice"),
        ("command: x\nbid: .nan", "is no YAML"),
        ("command: x\nfiles: [gone.py]", "There is no file gone.py"),
        ("command: x\nfiles: [.]", "is a directory"),
        ("command: x\nfiles: train.py", "files: expected a list"),
    ],
)
def test_a_job_file_that_is_none_is_said_so(at: Command, tmp_path: Path, written: str, said: str) -> None:
    (tmp_path / "job.yml").write_text(written)
    ran = at("job", "submit", "-f", "job.yml", "--dry-run", MLTEAM_PROJECT=PROJECT)
    assert ran.status == 1 and said in ran.err and len(ran.err.splitlines()) == 1


def test_two_files_of_one_name_are_refused(at: Command, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.py").write_text("")
    ran = at("job", "submit", "--file", "a/x.py", "--file", "b/x.py", "true")
    assert ran.status == 1 and "would be called x.py" in ran.err


def test_a_dry_run_prints_the_job_file_and_submits_nothing(at: Command, desk: Desk) -> None:
    desk.on(f"POST /projects/{PROJECT}/jobs/check", {"spec": {}, "spec_yaml": "name: job\ncommand:\n- 'true'\n"})
    ran = at("job", "submit", "--dry-run", "true", MLTEAM_PROJECT=PROJECT)
    assert ran.out == "name: job\ncommand:\n- 'true'\n" and ran.err == ""
    assert [one.path for one in desk.asked] == [f"/projects/{PROJECT}/jobs/check"]


def test_a_dry_run_prints_also_what_is_the_default_when_it_was_said(at: Command, desk: Desk) -> None:
    written = "name: job\ncommand:\n- 'true'\nresources:\n  gpu: 2\n"
    desk.on(f"POST /projects/{PROJECT}/jobs/check", {"spec": {}, "spec_yaml": written})
    words = ("--cpu", "1", "--mem", "2", "--gpu", "2", "--bid", "0", "--no-restartable")
    ran = at("job", "submit", "--dry-run", *words, "true", MLTEAM_PROJECT=PROJECT)
    assert yaml.safe_load(ran.out) == {
        "name": "job",
        "command": ["true"],
        "resources": {"gpu": 2, "cpu": 1, "mem": 2},
        "bid": 0,
        "restartable": False,
    }


def test_what_is_to_be_known_of_its_data_is_said_beside_what_is_printed(at: Command, desk: Desk) -> None:
    told = {"notices": ["faces stays in Sound: \x1b[1mnothing is copied.", "mine stays in your Personal project."]}
    desk.on(f"POST /projects/{PROJECT}/jobs", {**job("train", 3), **told}, 201)
    desk.on(f"POST /projects/{PROJECT}/jobs/check", {"spec": {}, "spec_yaml": "command: 'true'\n", **told})
    said = "faces stays in Sound: \\x1b[1mnothing is copied.\nmine stays in your Personal project.\n"
    for words in ((), ("--quiet",), ("--dry-run",)):
        ran = at("job", "submit", *words, "true", MLTEAM_PROJECT=PROJECT)
        assert (ran.status, ran.err) == (0, said) and ran.out and "stays" not in ran.out
    ran = at("job", "submit", "--format", "json", "true", MLTEAM_PROJECT=PROJECT)
    assert ran.err == said and json.loads(ran.out)["notices"] == told["notices"]


def test_it_says_for_how_long_it_waits_and_says_it_once(at: Command, desk: Desk) -> None:
    desk.on(
        "GET /jobs",
        lambda _: (
            (200, {"items": []}) if len(desk.asked) > 2 else (429, {"code": "too_many_requests", "detail": "Wait."})
        ),
    )
    ran = at("status")
    assert (ran.status, len(desk.asked)) == (0, 3)
    assert ran.err.splitlines() == ["The server was asked too often; this waits 1 s and goes on."]


def test_what_is_wrong_is_said_by_field(at: Command, desk: Desk) -> None:
    errors = [
        {"field": "spec.resources.cpu", "message": "expected at most 4096"},
        {"field": "spec.image", "message": "no containers here"},
    ]
    desk.refuse(f"POST /projects/{PROJECT}/jobs", 422, "invalid", "The job was not submitted.", errors=errors)
    ran = at("job", "submit", "--cpu", "9999", "true", MLTEAM_PROJECT=PROJECT)
    assert ran.status == 1 and ran.out == ""
    assert ran.err.splitlines() == [
        "Error: The job was not submitted.",
        "  spec.resources.cpu: expected at most 4096",
        "  spec.image: no containers here",
    ]


def test_each_wrong_key_is_said_once(at: Command, desk: Desk) -> None:
    errors = [{"field": f"spec.{key}", "message": "there is no such key"} for key in ("colour", "taste")]
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in errors)
    desk.refuse(f"POST /projects/{PROJECT}/jobs", 422, "invalid", detail, errors=errors)
    ran = at("job", "submit", "true", MLTEAM_PROJECT=PROJECT)
    assert ran.err.splitlines() == [
        "Error: 2 things are wrong:",
        "  spec.colour: there is no such key",
        "  spec.taste: there is no such key",
    ]


def test_without_a_command_it_says_how_one_is_given(at: Command, desk: Desk) -> None:
    errors = [{"field": "spec.command", "message": "is needed"}]
    desk.refuse(f"POST /projects/{PROJECT}/jobs", 422, "invalid", "spec.command: is needed", errors=errors)
    ran = at("job", "submit", "--cpu", "1", MLTEAM_PROJECT=PROJECT)
    assert ran.status == 1 and len(ran.err.splitlines()) == 1
    assert "spec.command: is needed" in ran.err and "mlteam job submit -- python train.py" in ran.err


def test_it_has_a_key_of_its_own_or_that_which_was_given(submitted: Any, desk: Desk) -> None:
    submitted("true")
    submitted("true")
    submitted("--idempotency-key", "night-7", "true")
    first, second, third = (one.headers["Idempotency-Key"] for one in desk.asked)
    assert first and second and first != second and third == "night-7"


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ({"state": "succeeded", "exit_status": 0}, 0),
        ({"state": "failed", "exit_status": 3}, 3),
        ({"state": "failed", "exit_status": 255}, 255),
        ({"state": "failed", "exit_status": None}, 1),
        ({"state": "failed", "exit_status": -9}, 1),
        ({"state": "failed", "exit_status": 0}, 1),
        ({"state": "cancelled", "exit_status": 143}, 1),
        ({"state": "cancelled", "exit_status": 0}, 1),
        ({"state": "interrupted", "exit_status": None}, 1),
    ],
)
def test_the_exit_status_of_waiting_is_the_jobs(at: Command, desk: Desk, end: dict[str, Any], status: int) -> None:
    desk.on(f"POST /projects/{PROJECT}/jobs", job("x", 3, state="queued"), 201)
    desk.on(f"GET /jobs/{job('x', 3)['id']}", job("x", 3, sentence="So it ended.", **end))
    ran = at("job", "submit", "--wait", "true", MLTEAM_PROJECT=PROJECT)
    assert ran.status == status
    assert ran.lines[1].split()[1] == end["state"]
    assert f"x ({job('x', 3)['id']}) {end['state']}: So it ended." in ran.err
    assert at("job", "submit", "-q", "--wait", "true", MLTEAM_PROJECT=PROJECT).out == job("x", 3)["id"] + "\n"


def test_ctrl_c_while_waiting_leaves_the_job_running_and_says_so(at: Command, desk: Desk, home: Path) -> None:
    desk.on(f"POST /projects/{PROJECT}/jobs", job("x", 3, state="queued"), 201)
    desk.on(f"GET /jobs/{job('x', 3)['id']}", job("x", 3, state="running"))
    variables = environment(home, MLTEAM_URL=desk.url, MLTEAM_TOKEN="mlt_x", MLTEAM_PROJECT=PROJECT)
    with begun("job", "submit", "--wait", "true", **variables) as process:
        wait(lambda: len(desk.those(f"GET /jobs/{job('x', 3)['id']}")) > 1, "the second look at the job")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "The job runs on" in err and f"mlteam job logs -f {job('x', 3)['id']}" in err
    assert not [one for one in desk.asked if one.path.endswith("/stop")] and out == ""


def test_cloning_sends_the_old_spec_with_what_flags_change(at: Command, desk: Desk) -> None:
    old = job(
        "train",
        4,
        spec={"name": "train", "command": "python train.py", "environmentVars": {"LR": "1"}},
        files=["train.py", "data.csv"],
    )
    made: list[Asked] = []
    desk.on(f"GET /jobs/{old['id']}", old)
    desk.on(f"POST /projects/{PROJECT}/jobs", lambda asked: made.append(asked) or (201, job("train", 5)))
    ran = at("job", "clone", old["id"], "--env", "LR=2", MLTEAM_PROJECT=PROJECT)
    assert ran.status == 0, ran.err
    spec = {"name": "train", "command": "python train.py", "environmentVars": {"LR": "2"}}
    assert made[0].json == {"spec": spec, "clone": old["id"], "keep_files": ["train.py", "data.csv"]}
