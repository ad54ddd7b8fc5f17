"""What is said of a host on which jobs can have no volumes."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from compute import host
from mlteam import health, state


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives each job a user of its own")
def test_where_mounts_cannot_be_mapped_it_is_said_why(tmp_path, monkeypatch):
    words = [sys.executable, "-I", "-S", "-c", host.TRIAL, str(state.ROOT)]
    tried = subprocess.run([*words, "/proc", "69999", "70000"], capture_output=True, text=True, check=True)
    assert tried.stdout.strip() == "Invalid argument (EINVAL)"
    monkeypatch.setattr(state, "VAR", tmp_path)
    assert host._no_volumes() == ""


def test_doctor_says_whether_jobs_can_have_volumes(monkeypatch):
    good = replace(host.facts(), isolation="sandbox", network="host", volumes="", problems=[])
    monkeypatch.setattr(host, "facts", lambda: good)
    assert "Volumes" in {one.subject for one in health.sandbox()}
    said = "Jobs cannot have volumes: idmapped mounts do not work here."
    bad = replace(good, volumes="idmapped mounts do not work here", problems=[said])
    monkeypatch.setattr(host, "facts", lambda: bad)
    found = {one.subject: one for one in health.sandbox()}
    assert "Volumes" not in found and (found["Isolation"].verdict, found["Isolation"].text) == ("note", said)
