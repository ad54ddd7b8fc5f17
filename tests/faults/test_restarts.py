"""The host restarts, the server ends and starts again, on another port too: jobs are found where they are."""

import signal

import pytest

from tests.faults import remains
from tests.faults.installation import until
from tests.faults.lines import (
    FAST,
    GO,
    MEDIUM,
    SLOW,
    assert_cut,
    assert_ended,
    assert_prefix,
    printing,
    printing_until_told,
)
from tests.faults.viewer import Viewer

pytestmark = pytest.mark.needs("bwrap", "slirp4netns")


def test_a_restart_of_the_host(server):
    jobs = server.submit_all(
        [
            {"command": printing_until_told(5000, FAST)},
            {"command": printing_until_told(50, MEDIUM, 3), "restartable": True},
            {"command": "echo only now and then; sleep 1000", "resources": {"cpu": 0.5, "mem": 0.25}},
        ]
    )
    waiting = server.submit_all([{"command": printing(3), "resources": {"cpu": 12, "mem": 0.25}}])
    server.until_running(jobs, 10)
    jobs[2].stop()
    written = jobs[0].log_file().read_bytes()
    server.power_off()
    jobs[1].go()
    server.start()
    one, again, stopped, later = server.ended(jobs + waiting)
    assert (one["state"], one["reason"]) == ("interrupted", "host_restarted"), one
    assert one["sentence"] == "The host was restarted while it ran."
    assert jobs[0].log().startswith(written)
    assert_cut(one["attempts"][0], jobs[0].log(), 5000)
    assert [attempt["reason"] for attempt in again["attempts"]] == ["host_restarted", "exited"]
    assert_prefix(jobs[1].log(0), 50)
    assert_ended(jobs[1], again, 50, status=3, attempts=2)
    assert stopped["state"] == "cancelled", stopped
    assert_ended(waiting[0], later, 3)
    assert server.idle()


def test_a_host_that_goes_down_in_order(server):
    """Every process is told to end, and jobs do so in their own ways."""
    saving = "trap 'echo saved; exit 0' TERM; echo begun; test $MLTEAM_ATTEMPT = 1 || while :; do sleep 0.1; done"
    jobs = server.submit_all(
        [
            {"command": printing_until_told(5000, FAST)},
            {"command": saving, "restartable": True},
            {"command": "echo begun; sleep 999"},
        ]
    )
    server.until_running(jobs)
    server.shut_down(jobs)
    server.start()
    one, again, other = server.ended(jobs)
    assert (one["state"], one["reason"]) == (other["state"], other["reason"]) == ("interrupted", "host_restarted")
    assert [attempt["reason"] for attempt in again["attempts"]] == ["host_restarted", "exited"]
    assert (again["state"], again["exit_status"]) == ("succeeded", 0)
    assert jobs[1].log(0).endswith(b"saved\n")
    assert jobs[1].log(1) == b"begun\n"


def test_a_restart_of_the_host_while_jobs_start_and_end(server):
    jobs = server.submit_all([{"command": printing(number * 3, FAST), "restartable": True} for number in range(1, 11)])
    until(lambda: any(row["final"] for row in server.look(jobs)), "the first end", server.trouble)
    server.power_off()
    server.start()
    for number, (job, row) in enumerate(zip(jobs, server.ended(jobs), strict=True), 1):
        for attempt in row["attempts"]:
            assert_cut(attempt, job.log(attempt["index"]), number * 3)
        if not row["attempts"][-1]["gaps"]:
            assert_ended(job, row, number * 3, attempts=len(row["attempts"]))
        assert (row["state"], row["exit_status"]) == ("succeeded", 0)
    assert server.idle()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_server_ends_and_starts_elsewhere_while_jobs_run_on(server, number):
    counts = [(600, FAST, 0), (100, MEDIUM, 5), (15, SLOW, 0), (20, FAST, 2)]
    patient = GO + printing(*counts[3])
    jobs = server.submit_all([*({"command": printing_until_told(*job)} for job in counts[:3]), {"command": patient}])
    viewer = Viewer(jobs[0])
    server.until_running(jobs[:3])
    server.until_running(jobs[3:], size=0)
    before, names = server.port, [job.row()["name"] for job in jobs[:3]]
    server.end(number)
    if number == signal.SIGINT:
        assert "These jobs run on" in server.says()
        assert all(f"{name} ({job.id}) in Vision" in server.says() for name, job in zip(names, jobs, strict=False))
    until(lambda: not remains.of_server(server.var), "the server's end", server.trouble)
    assert all(remains.of_jobs([job]) for job in jobs[:3])
    jobs[3].go()
    until(lambda: jobs[3].memory().get("phase") == "ended", "an end of which nobody heard")
    server.start()
    assert server.port != before
    for job in jobs[:3]:
        job.go()
    for job, row, (count, _, status) in zip(jobs, server.ended(jobs), counts, strict=True):
        assert_ended(job, row, count, status)
    assert viewer.wait() == jobs[0].log()
    assert server.idle()


def test_stop_ends_the_server_and_its_jobs_and_names_them(server):
    jobs = server.submit_all(
        [
            {"command": printing_until_told(5000, FAST)},
            {"command": "trap '' TERM; echo deaf; while :; do sleep 0.1; done"},
        ]
    )
    server.until_running(jobs)
    said = server.manage("stop")
    assert all(f"{job.row()['name']} ({job.id}) in Vision" in said for job in jobs)
    assert said.rstrip().endswith("The server has ended.")
    assert server.process.wait(timeout=60) == 0
    assert [row["state"] for row in server.ended(jobs)] == ["cancelled", "cancelled"]
    assert not remains.of_server(server.var)
    assert server.idle()
    assert_prefix(jobs[0].log_file().read_bytes(), 5000)


def test_stop_without_a_server_ends_jobs_that_run_on(server):
    jobs = server.submit_all([{"command": printing_until_told(5000, FAST)}])
    server.until_running(jobs)
    server.end()
    assert jobs[0].id in server.manage("stop")
    until(lambda: jobs[0].memory().get("phase") == "ended", "the job's end")
    server.start()
    assert server.ended(jobs)[0]["state"] == "cancelled"
    assert_prefix(jobs[0].log(), 5000)
