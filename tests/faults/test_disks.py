"""Full disks: the server's own, and that of the host on which jobs run."""

import contextlib
import subprocess

import pytest

from tests.faults.installation import until
from tests.faults.lines import FAST, GO, assembled, assert_ended, expected, printing

pytestmark = [pytest.mark.needs("bwrap", "slirp4netns", "root")]

MIB = 2**20


@contextlib.contextmanager
def small_disk(path, mib, mode):
    """A file system of so many MiB at `path` while the block runs; nothing may use it at its end."""
    options = f"size={mib}m,mode={mode}"
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def test_the_servers_disk_is_full(server):
    """Jobs go on, and their logs catch up as soon as there is room again."""
    with small_disk(server.var / "logs", 4, "700"):
        ballast = server.var / "logs" / "ballast"
        ballast.write_bytes(b"x" * (3 * MIB))
        jobs = server.submit_all(
            [{"command": "seq 400000; touch through; exit 5"}, {"command": printing(100, FAST, 3)}]
        )
        for job in jobs:
            until(lambda job=job: job.memory().get("phase") in ("ended", "done"), "its own end", server.trouble)
        assert [row["final"] for row in server.look(jobs[:1])] == [False]
        ballast.unlink()
        loud, quiet = server.ended(jobs)
        assert (loud["state"], loud["exit_status"]) == ("failed", 5), loud
        assert jobs[0].log() == b"".join(b"%d\n" % number for number in range(1, 400_001))
        assert loud["attempts"][0]["log_verified"] is True
        assert_ended(jobs[1], quiet, 100, status=3)
    assert server.idle()


def test_the_hosts_disk_is_full(server):
    """A job that fills it has a gap that says how much; the others and what comes later are unharmed."""
    with small_disk(server.var / "jobs", 8, "711"):
        quiet = server.submit(f"echo here; {GO}echo still here; exit 4")
        server.until_running([quiet])
        loud = server.submit("seq -w 2000000; echo told; exit 5")
        until(lambda: loud.memory().get("phase") == "ended" or loud.row()["final"], "its end", server.trouble)
        row = loud.wait()
        assert (row["state"], row["reason"], row["exit_status"]) == ("failed", "exited", 5), row
        [attempt], whole = row["attempts"], b"".join(b"%07d\n" % n for n in range(1, 2_000_001)) + b"told\n"
        log = loud.log()
        assert len(log) < len(whole)
        assert assembled(log, attempt["gaps"], whole) == whole
        assert attempt["log_verified"] is True
        quiet.go()
        after = server.submit(printing(20, FAST, 2))
        row = quiet.wait()
        assert (row["state"], row["exit_status"]) == ("failed", 4)
        assert quiet.log() == b"here\nstill here\n"
        assert_ended(after, after.wait(), 20, status=2)
    assert server.idle()


def test_a_job_is_submitted_and_started_while_the_hosts_disk_is_full(server):
    """It waits for room rather than be lost or end."""
    with small_disk(server.var / "jobs", 2, "711"):
        ballast = server.var / "jobs" / "ballast"
        with contextlib.suppress(OSError):
            ballast.write_bytes(b"x" * (4 * MIB))
        jobs = server.submit_all([{"command": printing(10, FAST, 1)}, {"command": printing(10, FAST, 1)}])
        until(lambda: all(row["attempts"] for row in server.look(jobs)), "their placement", server.trouble)
        ballast.unlink()
        for job, row in zip(jobs, server.ended(jobs), strict=True):
            assert_ended(job, row, 10, status=1)
            assert job.log() == expected(10)
    assert server.idle()
