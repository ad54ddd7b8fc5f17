"""A job from start to end, as the server sees it."""

import json
import os
import signal
import time

import pytest

import runner
from runner import processes
from tests.faults.lines import GO
from tests.runner.conftest import encoded, until
from tests.server import PATIENCE

pytestmark = pytest.mark.sandbox


def test_a_job_delivers_its_log_and_its_end(make_job):
    job = make_job("echo hello; echo trouble >&2; exit 3")
    report = job.run()
    assert job.text == "hello\ntrouble\n"
    assert (report["reason"], report["exit_status"], report["signal"]) == ("exited", 3, None)
    assert report["log"]["lines"] == 2
    assert report["started_at"] <= report["ended_at"]


def test_a_short_job_makes_three_calls(make_job):
    job = make_job("echo hello")
    job.run()
    assert job.record.calls == ["state", "log", "end"]
    assert job.record.states[0]["state"] == "running"


def test_a_job_that_prints_nothing_has_an_empty_verified_log(make_job):
    job = make_job("true")
    assert job.run()["log"] | {"sha256": ""} == {"size": 0, "sha256": "", "lines": 0, "gaps": []}
    assert "log" not in job.record.calls


def test_death_by_signal_is_told(make_job):
    report = make_job("kill -9 $$").run()
    assert (report["reason"], report["exit_status"], report["signal"]) == ("exited", 137, 9)


def test_nothing_but_state_and_troubles_stays_in_the_directory(make_job):
    job = make_job("echo hello")
    job.run()
    assert not [name for name in os.listdir(job.directory) if name.startswith("log.") or name.endswith(".fifo")]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["no-such-program"], "Command not found: no-such-program"),
        (["/etc/passwd"], "/etc/passwd: Permission denied"),
    ],
)
@pytest.mark.parametrize("isolation", ["sandbox", "bare"])
def test_a_command_that_cannot_start_says_why(make_job, command, message, isolation):
    report = make_job(command, isolation=isolation).run()
    assert (report["reason"], report["exit_status"], report["message"]) == ("could_not_start", None, message)


def test_a_missing_working_directory_says_so(make_job):
    report = make_job("true", workdir="/work/nowhere").run()
    assert report["reason"] == "could_not_start"
    assert "nowhere" in report["message"]


def test_a_missing_sandbox_says_so(make_job):
    report = make_job("true", bwrap="/nowhere/bwrap").run()
    assert report["reason"] == "could_not_start"
    assert "/nowhere" in report["message"]


def test_root_without_a_uid_for_the_job_refuses(make_job):
    if os.getuid():
        pytest.skip("only root drops to another user")
    job = make_job("id", uid=None)
    report = job.run()
    assert report["reason"] == "could_not_start"
    assert "root" in report["message"]


def test_what_a_job_finds_inside(make_job):
    job = make_job("pwd; echo $HOME $MLTEAM_OUTPUT [$CUDA_VISIBLE_DEVICES] $GREETING; whoami; hostname; ls -A /etc; env | wc -l",
                   environment={"GREETING": "good morning"})  # fmt: skip
    job.run()
    lines = job.text.splitlines()
    assert lines[:4] == ["/work", "/work /output [] good morning", "job", "job"]
    assert {"passwd", "group", "hosts", "nsswitch.conf", "resolv.conf", "ssl"} <= set(lines[4:-1])
    assert "shadow" not in lines


def test_files_written_are_the_jobs_own_and_stay(make_job):
    job = make_job("echo 1 > made; mkdir $MLTEAM_OUTPUT/deep; echo 2 > $MLTEAM_OUTPUT/deep/file")
    assert job.run()["exit_status"] == 0
    assert (job.work / "made").read_text() == "1\n"
    assert (job.output / "deep/file").read_text() == "2\n"


def test_a_relative_working_directory_is_below_work(make_job):
    job = make_job("pwd", workdir="here/there")
    (job.work / "here/there").mkdir(parents=True)
    job.run()
    assert job.text == "/work/here/there\n"


def test_the_servers_python_runs_inside(make_job):
    import sys

    job = make_job([os.path.realpath(sys.executable), "-c", "import ssl, sqlite3, sys; print(sys.version_info[:2])"])
    assert job.run()["exit_status"] == 0, job.text
    assert job.text == f"{sys.version_info[:2]}\n"


# Output in every shape.


SHAPES = {
    "stderr by name": ("echo a > /dev/stderr", b"a\n"),
    "stdout opened again": ("echo b > /proc/self/fd/1; echo c >> /dev/stdout", b"b\nc\n"),
    "closed": ("echo d; exec 1>&- 2>&-; sleep 0.1", b"d\n"),
    "binary": (r"printf '\000\377\033[31m\r\n\200'", b"\x00\xff\x1b[31m\r\n\x80"),
    "no last newline": ("printf e", b"e"),
    "made non-blocking": (
        ["/usr/bin/env", "python3", "-c", "import os; os.set_blocking(1, False); os.write(1, b'f')"],
        b"f",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("isolation", ["sandbox", "bare"])
def test_output_arrives_as_it_was_written(make_job, shape, isolation):
    command, expected = SHAPES[shape]
    job = make_job(command, isolation=isolation)
    report = job.run()
    assert job.log == expected
    assert report["exit_status"] == 0
    assert report["log"]["lines"] == len(expected.splitlines() if shape != "binary" else [1, 2])


@pytest.mark.slow
@pytest.mark.parametrize("masks", [[], [encoded("a secret that never comes")]])
def test_100_mb_without_a_newline(make_job, masks):
    job = make_job("head -c 100000000 /dev/zero | tr '\\0' x", masks=masks)
    report = job.run()
    assert len(job.log) == 100_000_000
    assert report["log"]["lines"] == 1
    assert job.log.count(b"x") == len(job.log)


@pytest.mark.slow
def test_a_million_lines_come_in_order_and_few_calls(make_job):
    job = make_job("seq 1000000")
    report = job.run()
    assert job.text.splitlines() == [str(number) for number in range(1, 1_000_001)]
    assert report["log"]["lines"] == 1_000_000
    assert len(job.record.calls) < 200


def test_secrets_are_masked_byte_for_byte_also_when_they_come_in_pieces(make_job):
    job = make_job("printf 'my hun'; sleep 0.2; printf 'ter2 and hunt'; sleep 0.2; printf '\\nabcdef hunter'",
                   masks=[encoded("hunter2"), encoded("abcd"), encoded("cdef")])  # fmt: skip
    report = job.run()
    assert job.text == "my ******* and hunt\n****** hunter"
    assert report["log"]["size"] == len("my hunter2 and hunt\nabcdef hunter")


def test_a_log_past_its_cap_keeps_head_and_tail_and_tells_the_gap(make_job):
    job = make_job("seq 100000", log_cap=64 * 1024)
    report = job.run()
    whole = "".join(f"{number}\n" for number in range(1, 100_001)).encode()
    (gap,) = report["log"]["gaps"]
    assert gap["offset"] == 32 * 1024
    assert len(job.log) + gap["bytes"] == len(whole)
    assert len(job.log) <= 64 * 1024
    assert job.log == whole[: 32 * 1024] + whole[32 * 1024 + gap["bytes"] :]


def test_a_masked_log_past_its_cap_keeps_head_and_tail(make_job):
    job = make_job("seq 100000", log_cap=64 * 1024, masks=[encoded("99999")])
    report = job.run()
    whole = "".join(f"{number}\n" for number in range(1, 100_001)).encode().replace(b"99999", b"*****")
    (gap,) = report["log"]["gaps"]
    assert job.log == whole[: 32 * 1024] + whole[32 * 1024 + gap["bytes"] :]


def test_a_log_within_its_cap_has_no_gap(make_job):
    job = make_job("seq 10000", log_cap=60_000)
    report = job.run()
    assert report["log"]["gaps"] == []
    assert job.text.splitlines() == [str(number) for number in range(1, 10_001)]


# Ends that the server or a limit wants.


@pytest.mark.parametrize("isolation", ["sandbox", "bare"])
def test_stop_sends_sigterm_to_every_process(make_job, isolation):
    job = make_job("sh -c 'trap \"echo child got it; exit\" TERM; echo up; while :; do sleep 0.05; done' &"
                   "trap 'echo parent got it; wait; exit 7' TERM; echo up; while :; do sleep 0.05; done", isolation=isolation)  # fmt: skip
    job.start()
    until(lambda: job.text.count("up") == 2, trouble=job.trouble)
    job.stop(grace=PATIENCE)
    report = job.wait()
    assert (report["reason"], report["exit_status"]) == ("stopped", 7)
    assert "child got it" in job.text
    assert "parent got it" in job.text


@pytest.mark.parametrize("isolation", ["sandbox", "bare"])
def test_what_ignores_sigterm_is_killed_after_the_grace(make_job, isolation):
    job = make_job("trap '' TERM; (setsid sh -c 'trap \"\" TERM; while :; do sleep 0.1; done') & echo up; while :; do sleep 0.1; done",
                   isolation=isolation)  # fmt: skip
    job.start().until_log("up")
    job.stop(grace=0.5)
    report = job.wait()
    assert (report["reason"], report["signal"]) == ("stopped", 9)


def test_a_stop_that_came_before_the_runner_holds(make_job):
    job = make_job("sleep 100")
    job.stop(grace=1)
    assert job.run()["reason"] == "stopped"


@pytest.mark.parametrize("isolation", ["sandbox", "bare"])
def test_daemons_end_with_the_job(make_job, isolation):
    job = make_job(
        f"(setsid sh -c 'while :; do echo daemon; touch go; sleep 0.05; done' &) ; echo main; {GO}exit 4",
        isolation=isolation,
    )
    assert job.run()["exit_status"] == 4
    assert "daemon" in job.text


@pytest.mark.parametrize("isolation", ["sandbox", "bare"])
def test_the_time_limit(make_job, isolation):
    job = make_job("echo up; sleep 100", max_run_time=1, isolation=isolation)
    report = job.run()
    assert report["reason"] == "time_limit"
    assert job.text.startswith("up\n")


EATER = ["python3", "-c", "import time\nprint('up', flush=True)\nb = b'x' * 300_000_000\ntime.sleep(60)"]


@pytest.mark.parametrize("isolation", ["sandbox", "bare"])
def test_too_much_memory_ends_the_job_with_that_reason(make_job, isolation):
    job = make_job(EATER, memory_mib=100, isolation=isolation)
    assert job.run()["reason"] == "out_of_memory"
    assert job.text.startswith("up")


def test_without_a_cgroup_memory_is_summed(make_job, monkeypatch):
    """As another user: no cgroup may be made."""
    if os.getuid():
        pytest.skip("the tests run as a user already")
    job = make_job(EATER, memory_mib=100, user=54321)
    report = job.run()
    assert job.record.states[0]["memory"] == "summed"
    assert report["reason"] == "out_of_memory"
    assert report["peak_memory_mib"] > 100


def test_the_temporary_directory_counts_as_memory(make_job):
    job = make_job("head -c 200000000 /dev/zero > /tmp/large; echo done $?; sleep 2", memory_mib=64)
    report = job.run()
    assert report["reason"] == "out_of_memory" or "No space left" in job.text


# One runner at a time.


def test_a_second_start_leaves_at_once(make_job):
    job = make_job(f"echo up; {GO}echo end")
    job.start().until_log("up")
    first = job.pid("runner")
    runner.launch(job.directory)
    time.sleep(0.3)
    assert job.pid("runner") == first
    job.go()
    job.wait()
    assert job.text == "up\nend\n"


def test_a_finished_attempt_is_not_run_again(make_job):
    job = make_job("echo once")
    job.run()
    runner.launch(job.directory)
    time.sleep(0.3)
    assert job.text == "once\n"
    assert job.record.calls == ["state", "log", "end"]


def test_alive_tells_the_truth(make_job):
    job = make_job("echo up; sleep 100")
    assert not runner.alive(job.directory)
    job.start().until_log("up")
    assert runner.alive(job.directory)
    job.stop()
    job.wait()
    assert not runner.alive(job.directory)


def test_launch_leaves_no_child_and_no_descriptor(make_job):
    job = make_job("echo up; sleep 100")
    with open(os.devnull) as file:
        os.set_inheritable(file.fileno(), True)
        job.start().until_log("up")
    pid = job.pid("runner")
    assert processes.parent(pid) != os.getpid()
    targets = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    inside = ("/dev/null", str(job.directory), "pipe:", "socket:", "anon_inode:")
    assert all(target.startswith(inside) for target in targets), targets
    assert os.getsid(pid) != os.getsid(0)
    job.stop()
    job.wait()


def test_a_runner_is_small(make_job):
    job = make_job("seq 200000; echo up; sleep 100")
    job.start().until_log("up")
    assert processes.pss(job.pid("runner")) < 30 << 20
    job.stop()
    job.wait()


def test_files_of_an_attempt_are_the_servers_alone(make_job):
    job = make_job("echo up; sleep 100")
    job.start().until_log("up")
    modes = {name: os.stat(job.directory / name).st_mode & 0o777 for name in os.listdir(job.directory)}
    assert modes.pop("log.fifo") in (0o600, 0o620)
    assert set(modes.values()) == {0o600}, modes
    job.stop()
    job.wait()


def test_an_attempt_written_twice_is_never_half_written(tmp_path):
    for number in range(50):
        runner.write_attempt(tmp_path, {"generation": number, "filling": "x" * 5000})
    assert json.loads((tmp_path / "attempt.json").read_text())["generation"] == 49
    assert os.listdir(tmp_path) == ["attempt.json"]
    assert (tmp_path / "attempt.json").stat().st_mode & 0o777 == 0o600


def test_sigterm_to_the_runner_does_not_end_the_job(make_job):
    job = make_job(f"echo up; {GO}echo end")
    job.start().until_log("up")
    os.kill(job.pid("runner"), signal.SIGTERM)
    job.go()
    assert job.wait()["exit_status"] == 0
    assert job.text == "up\nend\n"
