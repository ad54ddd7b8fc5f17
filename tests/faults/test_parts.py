"""`kill -9` of web, worker, beat and Redis, each while jobs run and print numbered lines."""

import signal

import pytest

from tests.faults.installation import until
from tests.faults.lines import FAST, MEDIUM, SLOW, assert_ended, printing, printing_until_told
from tests.faults.viewer import Viewer
from tests.server import PARTS

pytestmark = pytest.mark.needs("bwrap", "slirp4netns")

# (lines, seconds between them, exit status)
BEFORE = [(250, FAST, 0), (70, MEDIUM, 3), (12, SLOW, 0)]
AFTER = [(150, FAST, 7), (1, 0, 0)]


def specs(jobs):
    return [{"command": printing(*job)} for job in jobs]


@pytest.mark.parametrize("part", list(PARTS))
def test_jobs_run_on_and_their_pages_recover(server, part):
    jobs = server.submit_all([{"command": printing_until_told(*job)} for job in BEFORE])
    viewers = [Viewer(job) for job in jobs]
    server.until_running(jobs)
    until(lambda: all(viewer.lines_opened for viewer in viewers), "pages that show the logs", server.trouble)
    server.kill(part)
    for job in jobs:
        job.go()
    later = server.submit_all(specs(AFTER))
    for job, row, (count, _, status) in zip(jobs + later, server.ended(jobs + later), BEFORE + AFTER, strict=True):
        assert_ended(job, row, count, status)
        assert all(attempt["generation"] == 1 for attempt in row["attempts"]), row
    for job, viewer, (_, _, status) in zip(jobs, viewers, BEFORE, strict=True):
        assert viewer.wait() == job.log()
        assert viewer.end["state"] == ("failed" if status else "succeeded")
        assert (viewer.end["verified"], viewer.end["missing"]) == (True, 0)
        assert viewer.lines_opened >= (2 if part == "web" else 1)
    assert server.idle()


@pytest.mark.usefixtures("fresh")
def test_all_of_them_at_once_and_again(server):
    jobs = server.submit_all(specs(BEFORE + AFTER))
    for part in list(PARTS) * 2:
        server.kill(part)
    for job, row, (count, _, status) in zip(jobs, server.ended(jobs), BEFORE + AFTER, strict=True):
        assert_ended(job, row, count, status)


def test_redis_hangs(server):
    """It answers nobody, but does not die: jobs that run end, what is submitted is in the queue, and starts afterwards."""
    running = server.submit_all([{"command": printing_until_told(40, MEDIUM, 3)}])
    viewer = Viewer(running[0])
    server.until_running(running)
    until(lambda: viewer.lines_opened, "a page that shows the log", server.trouble)
    redis = server.part("redis")
    redis.send_signal(signal.SIGSTOP)
    try:
        running[0].go()
        waiting = server.submit_all([{"command": printing(5, FAST, 7)}])
        status, _ = server.get(f"/p/{server.slug}/jobs")
        assert status == 200
        assert_ended(running[0], server.ended(running)[0], 40, 3)
        assert viewer.wait() == running[0].log()
    finally:
        redis.send_signal(signal.SIGCONT)
    assert_ended(waiting[0], server.ended(waiting)[0], 5, 7)
    assert server.idle()
