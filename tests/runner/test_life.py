"""A job from start to end, as the server sees it."""

import pytest

pytestmark = pytest.mark.sandbox


def test_a_job_delivers_its_log_and_its_end(make_job):
    job = make_job("echo hello; echo trouble >&2; exit 3")
    report = job.run()
    assert job.text == "hello\ntrouble\n"
    assert (report["reason"], report["exit_status"], report["signal"]) == ("exited", 3, None)
    assert report["log"]["lines"] == 2
    assert job.record.calls.count("state") == 1
    assert job.record.states[0]["state"] == "running"
    assert job.record.states[0]["network"] == "own"
