"""Full disks: the server's own, and that of the host on which jobs run."""

import contextlib
import http.client
import json
import os

import pytest

from tests.datastores.pushing import manifest, packed
from tests.disks import enlarge, small_disk
from tests.faults.installation import until
from tests.faults.lines import FAST, GO, assembled, assert_ended, expected, printing

pytestmark = [pytest.mark.needs("bwrap", "slirp4netns", "root")]

MIB = 2**20


def test_the_servers_disk_is_full(server):
    """Jobs go on, and their logs catch up as soon as there is room again."""
    with small_disk(server.var / "logs", "4m", mode="700"):
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
    with small_disk(server.var / "jobs", "8m"):
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
    with small_disk(server.var / "jobs", "2m"):
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


def test_the_disk_of_a_volume_gets_full_while_it_is_pushed_to(server):
    """Nothing of that is to be seen and what was there stays; as soon as there is room the same push goes on, and sends nothing again."""
    old, same, new = (os.urandom(size) for size in (MIB, MIB, MIB // 2))
    before = {"a/kept": old, "z": old[::-1]}
    files = {"a/kept": new, "a/new/first": same, **{f"m/{number}": same for number in range(4)}, "z": new}
    home = server.ask("volume", name="home")
    disk, place = server.var / "volumes" / home["project"], server.var / "volumes" / home["project"] / home["id"]
    with small_disk(disk, "6m"):
        assert _pushed(server, home, before) == (2 * MIB, 204, "")
        sent, status, said = _pushed(server, home, files)
        assert (sent, status) == (MIB + MIB // 2, 507)
        assert "has no room for this. Nothing of it is in the volume; what was sent is kept" in said
        assert _content(place) == before and sorted(one.name for one in place.rglob("*")) == ["a", "kept", "z"]
        enlarge(disk, "16m")
        assert _pushed(server, home, files) == (0, 204, "")
        assert _content(place) == files and not list((disk / ".new").iterdir())


def _pushed(server, volume, files):
    """Bytes that had to be sent, and the answer to the end of the upload: its status, and what is wrong."""

    def ask(method, path, body):
        connection = http.client.HTTPConnection(server.where, timeout=60)
        with contextlib.closing(connection):
            headers = {"Host": f"localhost:{server.port}", "Authorization": f"Bearer {volume['token']}"}
            headers |= {"Content-Type": "application/json" if body == b"{}" else "application/octet-stream"}
            connection.request(method, f"/api/v1{path}", body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")

    _, upload = ask("POST", f"/datastores/{volume['id']}/uploads", manifest(files))
    if upload["missing_bytes"]:
        assert ask("PUT", f"/uploads/{upload['id']}/pack", packed(*set(files.values())))[0] == 200
    status, said = ask("POST", f"/uploads/{upload['id']}/commit", b"{}")
    return upload["missing_bytes"], status, said.get("detail", "")


def _content(root):
    return {str(one.relative_to(root)): one.read_bytes() for one in root.rglob("*") if one.is_file()}
