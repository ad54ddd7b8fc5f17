"""What jobs wrote, and whether a log is all there, for programs."""

import hashlib
import io
import os
import zipfile

import pytest
from asgiref.sync import async_to_sync

from jobs import logs, places, queue, transitions
from jobs.models import Attempt
from tests.api.conftest import ROOT
from tests.api.test_door import problem
from tests.jobs.conftest import queued, resource  # noqa: F401 - fixtures

# ruff: noqa: F811


@pytest.fixture
def job(queued, resource, project, owner):
    """A job that runs and has written two files, a link and things with odd names."""
    job = queued(project, owner, name="train")
    [attempt] = queue.place(resource)
    transitions.started(attempt, {})
    output = places.output_directory(job.pk)
    (output / "deep").mkdir(parents=True)
    (output / "deep" / "weights.bin").write_bytes(bytes(range(256)))
    (output / "plot.html").write_text("<script>alert(1)</script>")
    (output / "link").symlink_to("/etc/passwd")
    (output / "two\nlines").write_text("")
    with open(os.fsencode(output) + b"/\xff.txt", "w") as file:
        file.write("x")
    return job


@async_to_sync
async def body_of(response) -> bytes:
    return b"".join([piece async for piece in response.streaming_content])


def test_all_that_a_job_wrote_is_listed(program, viewer, job):
    answer = program(viewer).get(f"/jobs/{job.pk}/artifacts")
    assert answer.status_code == 200, answer.content
    found = {one["path"]: one for one in answer.json()["items"]}
    weights = found["deep/weights.bin"]
    assert (weights["size"], weights["kind"], weights["sha256"]) == (256, "other", None)
    assert weights["modified"].endswith("Z")
    assert (found["link"]["kind"], found["two\nlines"]["kind"]) == ("link", "special")
    assert len(found) == 5
    assert answer.json()["truncated"] is False
    assert set(program(viewer).get(f"/jobs/{job.pk}/artifacts", fields="path").json()["items"][0]) == {"path"}


def test_a_file_comes_as_a_download_or_in_ranges(program, viewer, job):
    asks, path = program(viewer), f"/jobs/{job.pk}/artifacts/files/deep/weights.bin"
    answer = asks.get(path)
    assert (answer.status_code, body_of(answer)) == (200, bytes(range(256)))
    assert (answer["Content-Length"], answer["Content-Type"]) == ("256", "application/octet-stream")
    head = asks.client.head(ROOT + path, headers=asks.headers)
    assert (head.status_code, head["Content-Length"], head["ETag"]) == (200, "256", answer["ETag"])
    headers = asks.headers | {"Range": "bytes=250-", "If-Range": answer["ETag"]}
    part = asks.client.get(ROOT + path, headers=headers)
    assert (part.status_code, part["Content-Range"]) == (206, "bytes 250-255/256")
    assert body_of(part) == bytes(range(250, 256))
    beyond = asks.client.get(ROOT + path, headers=asks.headers | {"Range": "bytes=256-"})
    problem(beyond, 416, "bad_request")


def test_nothing_is_shown_as_a_page(program, viewer, job):
    answer = program(viewer).get(f"/jobs/{job.pk}/artifacts/files/plot.html")
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    body_of(answer)


@pytest.mark.parametrize("path", ["link", "deep", "nothing", "../0.log", "deep/../plot.html", "%2e%2e/x", "a%00b"])
def test_only_regular_files_of_the_job_are_there(program, viewer, job, path):
    answer = program(viewer).get(f"/jobs/{job.pk}/artifacts/files/{path}")
    assert answer.status_code in {400, 404}
    assert answer["Content-Type"] == "application/problem+json"


def test_all_comes_as_one_archive(program, viewer, job):
    answer = program(viewer).get(f"/jobs/{job.pk}/artifacts.zip")
    archive = zipfile.ZipFile(io.BytesIO(body_of(answer)))
    assert archive.read("deep/weights.bin") == bytes(range(256))
    assert "link" not in archive.namelist()


def test_a_log_is_read_to_its_end_to_be_verified(program, viewer, job):
    data = b"one\ntwo\n\xff"
    logs.append(logs.path_of(job.pk, 0), 0, data)
    asks, path = program(viewer), f"/jobs/{job.pk}/verify"
    [checked] = asks.get(path).json()["attempts"]
    assert (checked["index"], checked["size"], checked["lines"]) == (0, 9, 3)
    assert checked["sha256"] == hashlib.sha256(data).hexdigest()
    assert (checked["verified"], checked["complete"]) == (None, False)
    closed = {"log_size": 9, "log_lines": 3, "log_verified": True}
    transitions.ended(Attempt.objects.get(), reason="exited", sentence="It ended.", exit_status=0, **closed)
    [checked] = asks.get(path).json()["attempts"]
    assert (checked["verified"], checked["complete"]) == (True, True)


def test_artifacts_are_for_whoever_may_see_the_job(program, role_program, stranger, job):
    for path in ("artifacts", "artifacts/files/plot.html", "artifacts.zip", "verify"):
        problem(program(stranger).get(f"/jobs/{job.pk}/{path}"), 404, "not_found")
        problem(program(None).get(f"/jobs/{job.pk}/{path}"), 401, "not_signed_in")
    key = role_program("job:get@{urn}:job:*")
    assert len(key.get(f"/jobs/{job.pk}/artifacts").json()["items"]) == 5


def test_what_there_is_to_compute_with(program, stranger, resource):
    there = program(stranger).get("/compute").json()
    assert there["largest"] == {"cpu": 2.0, "mem": 4.0, "gpu": 2}
    assert there["gpus"] == [{"type": "H200", "count": 2}]
    [host] = there["hosts"]
    assert (host["name"], host["gpu"], host["gpus"]) == (resource.name, 2, [{"type": "H200", "count": 2}])
    assert (host["isolation"], there["runs_jobs"], there["problems"]) == ("sandbox", True, [])
