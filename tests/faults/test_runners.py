"""`kill -9` of runners: a new one re-attaches, and the job never noticed."""

import os
import signal
import time

import pytest

from tests.faults.installation import until
from tests.faults.lines import FAST, GO, MEDIUM, assert_ended, printing, printing_until_told
from tests.faults.viewer import Viewer

pytestmark = pytest.mark.needs("bwrap", "slirp4netns")


def test_killed_in_the_middle_again_and_again(server):
    counts = [(600, FAST, 0), (100, MEDIUM, 9)]
    jobs = server.submit_all([{"command": printing_until_told(*job)} for job in counts])
    viewers = [Viewer(job) for job in jobs]
    for size in (1, 200, 600):
        server.until_running(jobs, size)
        for job in jobs:
            assert until(job.kill_runner, "a runner to kill", server.trouble)
    for job in jobs:
        job.go()
    for job, viewer, row, (count, _, status) in zip(jobs, viewers, server.ended(jobs), counts, strict=True):
        assert_ended(job, row, count, status)
        assert row["attempts"][0]["generation"] > 1
        assert [state for state, _ in row["moves"]] == ["queued", "preparing", "running", row["state"]]
        assert viewer.wait() == job.log()
    assert server.idle()


def test_killed_while_they_start(server):
    """Each a little later than the one before: somewhere between its first instruction and the job's first line."""
    jobs = server.submit_all([{"command": printing(20, FAST, 4)} for _ in range(10)])
    for number, job in enumerate(jobs):
        until(lambda job=job: job.identity("runner"), "a runner", server.trouble)
        time.sleep(0.01 * number)
        job.kill_runner()
    for job, row in zip(jobs, server.ended(jobs), strict=True):
        assert_ended(job, row, 20, status=4)
    assert server.idle()


def test_killed_between_the_jobs_end_and_the_servers_word(server):
    jobs = server.submit_all([{"command": GO + printing(30, FAST, 6)}, {"command": GO + "seq 200000; exit 6"}])
    server.until_running(jobs, size=0)
    web = server.part("web")
    web.send_signal(signal.SIGSTOP)
    try:
        for job in jobs:
            job.go()
            until(lambda job=job: job.memory().get("phase") == "ended", "the job's end", server.trouble)
            assert job.kill_runner()
    finally:
        web.send_signal(signal.SIGCONT)
    first, second = server.ended(jobs)
    assert_ended(jobs[0], first, 30, status=6)
    assert (second["state"], second["exit_status"]) == ("failed", 6)
    assert jobs[1].log() == b"".join(b"%d\n" % number for number in range(1, 200_001))
    assert server.idle()


def test_what_a_job_says_and_how_it_ends_while_it_has_no_runner_is_kept(server):
    """No worker is there to start another: the job ends on its own, and is found ended."""
    job = server.submit(f"echo before; {GO}echo after; exit 8")
    server.until_running([job])
    worker = server.part("worker")
    worker.send_signal(signal.SIGSTOP)
    try:
        assert job.kill_runner()
        job.go()
        sandbox = job.identity("sandbox")["pid"]
        until(lambda: not os.path.exists(f"/proc/{sandbox}"), "the sandbox's end", server.trouble)
    finally:
        worker.send_signal(signal.SIGCONT)
    row = job.wait()
    assert (row["state"], row["reason"], row["exit_status"]) == ("failed", "exited", 8)
    assert job.log() == b"before\nafter\n"
