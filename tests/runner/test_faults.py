"""What a runner, its job and its server survive. Real processes are killed."""

import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest

import runner
from runner import processes
from tests.faults.lines import GO, assembled
from tests.runner.conftest import encoded, until

pytestmark = [pytest.mark.sandbox, pytest.mark.faults]

# Before its last line it waits to be told (Job.go): what is done until then to its runner or the server meets a job that runs.
COUNT = (
    f"i=0; while [ $i -lt {{n}} ]; do i=$((i+1)); [ $i -lt {{n}} ] || {GO}echo line $i; sleep {{pause}}; done; exit 5"
)


def numbered(count):
    return "".join(f"line {number}\n" for number in range(1, count + 1))


# The server.


def test_a_server_that_is_down_at_first_gets_all_later(make_job, server):
    job = make_job(COUNT.format(n=20, pause=0.01))
    server.start()
    endpoint = server.stop
    job.start()
    endpoint()
    job.go()
    until(lambda: job.state().get("phase") == "ended", trouble=job.trouble)
    assert job.record.end is None
    job.endpoint.write_text(json.dumps({"url": server.start()}))
    assert job.wait()["exit_status"] == 5
    assert job.text == numbered(20)


def test_a_server_that_moves_to_another_port_is_found(make_job, server):
    job = make_job(COUNT.format(n=60, pause=0.02))
    job.start().until_log("line 10\n")
    server.stop()
    time.sleep(0.5)
    job.endpoint.write_text(json.dumps({"url": server.start()}))
    job.go()
    assert job.wait()["exit_status"] == 5
    assert job.text == numbered(60)


@pytest.mark.parametrize("fault", ["error", "lost", "full", "forget"])
def test_calls_that_fail_are_tried_again(make_job, server, fault):
    job = make_job(COUNT.format(n=40, pause=0.02))
    job.start().until_log("line 5\n")
    for _ in range(3):
        server.faults[fault] = 2
        time.sleep(0.15)
    server.faults[fault] = 1
    job.go()
    assert job.wait()["exit_status"] == 5
    assert job.text == numbered(40)


def test_the_jobs_end_may_be_acknowledged_in_vain(make_job, server):
    job = make_job(f"echo hello; {GO}exit 0")
    job.start().until_log("hello")
    server.faults["lost"] = 3
    job.go()
    assert job.wait()["exit_status"] == 0
    assert job.text == "hello\n"


def test_a_newer_generation_takes_over_and_the_older_leaves_without_a_trace(make_job):
    job = make_job("echo up; sleep 100")
    job.start().until_log("up")
    job.record.generation = 5
    processes.send(job.pid("sandbox"), 0)
    pid = job.pid("runner")
    assert job.inside()
    _make_it_speak(job)
    until(lambda: not runner.alive(job.directory), trouble=job.trouble)
    assert job.inside(), "the job itself must go on"
    job.generation = 5
    job.start()
    until(lambda: job.pid("runner") != pid and runner.alive(job.directory), trouble=job.trouble)
    job.stop()
    assert job.wait()["reason"] == "stopped"


def _make_it_speak(job):
    """Something for the runner to deliver: a line, as the job would write it."""
    with open(job.directory / "log.fifo", "wb", buffering=0) as fifo:
        fifo.write(b"spoken\n")


def test_an_attempt_that_is_gone_ends_the_job(make_job):
    job = make_job("echo up; sleep 100")
    job.start().until_log("up")
    job.record.gone = True
    _make_it_speak(job)
    until(lambda: not runner.alive(job.directory), trouble=job.trouble)
    until(lambda: not job.left(), trouble=job.trouble)


# The runner.


@pytest.mark.parametrize("masks", [[], [encoded("never said")]])
def test_a_killed_runner_loses_and_repeats_no_line(make_job, masks):
    job = make_job(COUNT.format(n=200, pause=0.01), masks=masks)
    job.start()
    chance = random.Random(7)
    for number in range(1, 6):
        job.until_log(f"line {number * 25}\n")
        job.kill_runner()
        time.sleep(chance.random() * 0.2)
        job.start()
    job.go()
    assert job.wait()["exit_status"] == 5
    assert job.text == numbered(200)
    assert job.record.end["reason"] == "exited"


@pytest.mark.slow
@pytest.mark.parametrize("masks", [[], [encoded("never said")]])
@pytest.mark.parametrize("log_cap", [1 << 30, 4 << 20])
def test_a_runner_killed_in_a_flood_loses_no_byte(make_job, masks, log_cap):
    job = make_job("seq 3000000", masks=masks, log_cap=log_cap)
    job.start()
    for size in range(0, 20_000_000, 3_000_000):
        until(lambda size=size: job.record.end or _received(job) > size, trouble=job.trouble)
        if job.record.end:
            break
        processes.send(job.pid("runner"), signal.SIGKILL)
        until(lambda: not runner.alive(job.directory), trouble=job.trouble)
        job.start()
    report = job.wait()
    whole = "".join(f"{number}\n" for number in range(1, 3_000_001)).encode()
    lost = sum(gap["bytes"] for gap in report["log"]["gaps"])
    assert len(job.log) + lost == len(whole)
    head = report["log"]["gaps"][0]["offset"] if lost else len(whole)
    assert job.log == whole[:head] + whole[head + lost :]


@pytest.mark.slow
def test_a_runner_killed_at_any_moment_of_its_start_is_replaced(make_job):
    for number in range(12):
        job = make_job("echo start; sleep 0.3; echo end; exit 5")
        job.start()
        time.sleep(0.012 * number)
        with contextlib.suppress(TypeError):
            processes.send(job.pid("runner"), signal.SIGKILL)
        until(lambda job=job: not runner.alive(job.directory), trouble=job.trouble)
        time.sleep(0.05)
        job.start()
        assert job.wait()["exit_status"] == 5, job.trouble()
        assert job.text == "start\nend\n"
        assert job.record.states[-1]["network"] == "own"


def _received(job):
    """Bytes on their way or there."""
    with contextlib.suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in job.directory.glob("log.*"))
    return 0


def test_output_written_while_no_runner_lived_is_not_lost_when_the_job_ended_meanwhile(make_job):
    job = make_job(f"echo up; {GO}echo last words; exit 6")
    job.start().until_log("up")
    job.kill_runner()
    job.go()
    until(lambda: not job.inside(), trouble=job.trouble)
    job.start()
    assert job.wait()["exit_status"] == 6
    assert job.text == "up\nlast words\n"


def test_a_runner_killed_before_the_end_was_acknowledged(make_job, server):
    job = make_job(f"{GO}echo hello; exit 6")
    server.start()
    job.start()
    server.stop()
    job.go()
    until(lambda: job.state().get("phase") == "ended", trouble=job.trouble)
    job.kill_runner()
    job.start()
    assert job.wait()["exit_status"] == 6
    assert job.text == "hello\n"


def test_a_stop_goes_on_under_the_next_runner(make_job):
    job = make_job("trap '' TERM; echo up; while :; do sleep 0.1; done")
    job.start().until_log("up")
    job.stop(grace=1000)
    until(lambda: job.state().get("stopping"), trouble=job.trouble)
    job.kill_runner()
    _let_the_grace_pass(job)
    job.start()
    assert job.wait()["reason"] == "stopped"


def _let_the_grace_pass(job):
    """While it has no runner."""
    state = job.state()
    state["stopping"]["kill_at"] = time.time()
    (job.directory / "state.json").write_text(json.dumps(state))


def test_the_networks_helper_is_found_again(make_job):
    job = make_job("echo up; sleep 100")
    job.start().until_log("up")
    helper = job.pid("network")
    assert "slirp4netns" in Path(f"/proc/{helper}/comm").read_text()
    job.kill_runner()
    assert os.path.exists(f"/proc/{helper}")
    job.start()
    job.stop()
    job.wait()
    until(lambda: not os.path.exists(f"/proc/{helper}"))


# The job and its sandbox.


@pytest.mark.parametrize("isolation", ["sandbox", "bare"])
def test_a_killed_supervisor_is_told_and_the_rest_ended(make_job, isolation):
    job = make_job("echo up; sleep 100", isolation=isolation)
    job.start().until_log("up")
    os.kill(job.pid("sandbox"), signal.SIGKILL)
    assert job.wait()["reason"] == "supervisor_lost"


def test_a_killed_supervisor_is_told_by_the_next_runner_too(make_job):
    job = make_job("echo up; sleep 100")
    job.start().until_log("up")
    job.kill_runner()
    os.kill(job.pid("sandbox"), signal.SIGKILL)
    job.start()
    assert job.wait()["reason"] == "supervisor_lost"


@pytest.mark.parametrize("isolation", ["sandbox", "bare"])
def test_the_jobs_own_process_killed_from_outside(make_job, isolation):
    job = make_job(["sleep", "100"], isolation=isolation)
    job.start()
    until(lambda: job.state().get("phase") == "ready", trouble=job.trouble)
    until(lambda: _sleeper(job), trouble=job.trouble)
    os.kill(_sleeper(job), signal.SIGKILL)
    report = job.wait()
    assert (report["reason"], report["exit_status"], report["signal"]) == ("exited", 137, 9)


def _sleeper(job):
    for pid in job.inside():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "sleep":
                return pid
    return None


def test_all_processes_of_a_sandbox_killed_at_once(make_job):
    job = make_job("echo up; sleep 100")
    job.start().until_log("up")
    job.kill_runner()
    for pid in [job.pid("sandbox"), job.state()["child"]["pid"]]:
        os.kill(pid, signal.SIGKILL)
    job.start()
    assert job.wait()["reason"] == "supervisor_lost"


def _reboot(job):
    """What a reboot leaves: the files, written in another boot, and no process."""
    job.kill_runner()
    for name in ("sandbox", "network", "keeper"):
        processes.end(json.loads((job.directory / f"{name}.pid").read_text()) if job.pid(name) else None)
    for pid in job.inside():
        processes.send(pid, signal.SIGKILL)
    until(lambda: not job.inside())
    for path in job.directory.glob("*.*"):
        if path.suffix in (".json", ".pid"):
            path.write_text(path.read_text().replace(processes.boot_id(), "00000000-0000-0000-0000-000000000000"))


def test_after_a_reboot_what_was_written_is_delivered(make_job, server):
    job = make_job("echo up; sleep 100")
    job.start().until_log("up")
    server.stop()
    _make_it_speak(job)
    until(lambda: (job.directory / "log.spool").read_text() == "up\nspoken\n")
    _reboot(job)
    job.start()
    report = job.wait()
    assert (report["reason"], report["exit_status"]) == ("host_restarted", None)
    assert job.text == "up\nspoken\n"


def test_after_a_reboot_an_end_that_was_known_is_told(make_job):
    job = make_job(f"echo up; {GO}exit 6")
    job.start().until_log("up")
    job.kill_runner()
    job.go()
    # The sandbox is what writes the end down.
    until(lambda: not job.inside() and "sandbox" not in job.left(), trouble=job.trouble)
    job.start_nothing = True
    _reboot_without_runner(job)
    job.start()
    report = job.wait()
    assert (report["reason"], report["exit_status"]) == ("exited", 6)


def _reboot_without_runner(job):
    job.kill_runner = lambda: None
    _reboot(job)


# The disk.


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no file system of its own: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("masks", [[], [encoded("never said")]])
def test_a_full_disk_leaves_a_gap_and_the_job_goes_on(make_job, small_disk, masks):
    job = make_job(f"seq 500000; echo nearly; {GO}echo last words; exit 3", masks=masks)
    shutil.rmtree(job.directory)
    job.directory = small_disk / "0"
    job.directory.mkdir(mode=0o700)
    (small_disk / "filling").write_bytes(bytes(400_000))
    job.start()
    until(lambda: job.state().get("phase") == "ready" and _asleep_in_a_loop(job) and _drained(job), trouble=job.trouble)
    (small_disk / "filling").unlink()
    job.go()
    report = job.wait()
    whole = b"".join(b"%d\n" % number for number in range(1, 500_001)) + b"nearly\nlast words\n"
    assert report["exit_status"] == 3
    assert assembled(job.log, report["log"]["gaps"], whole) == whole
    assert job.text.endswith("last words\n")


def _drained(job):
    """Whether the runner has taken, or dropped, all that the job has written."""
    fifo = os.open(job.directory / "log.fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return fcntl.ioctl(fifo, termios.FIONREAD, b"\0" * 4) == b"\0" * 4
    finally:
        os.close(fifo)


def _asleep_in_a_loop(job):
    return _sleeper(job) is not None
