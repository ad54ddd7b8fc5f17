"""`kill -9` of the worker, with a real server around it, while it fetches an input or stores an output: the next one goes on from there."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import boto3
import pytest

from tests import clouds
from tests.datastores.remote import websites
from tests.datastores.remote.test_s3 import KNOWN
from tests.faults.conftest import _database
from tests.faults.installation import Installation, until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.xdist_group("serial"),
    pytest.mark.needs("bwrap", "slirp4netns"),
]

MIB = 2**20
READ = "sha256sum < $MLTEAM_INPUT/large; ls $MLTEAM_INPUT | wc -l"
MAKE = "for i in $(seq 40); do head -c 1048576 /dev/urandom > $MLTEAM_OUTPUT/$i; done; sha256sum $MLTEAM_OUTPUT/*"


@pytest.fixture(scope="module")
def amazon():
    with clouds.aws() as url:
        yield url


@pytest.fixture(scope="module")
def blobs(amazon):
    """The wire to the bucket in which the server keeps what models are made of."""
    boto3.client("s3", endpoint_url=amazon, **KNOWN).create_bucket(Bucket="blobs")
    with clouds.wire(amazon) as wire:
        yield wire


@pytest.fixture(scope="module")
def server(blobs):
    root = Path(tempfile.mkdtemp(prefix="mlteam-"))
    root.chmod(0o711)  # jobs of users of their own pass through
    keeps = {"MLTEAM_BLOBS": "s3://blobs", "AWS_ENDPOINT_URL_S3": blobs.url, "AWS_DEFAULT_REGION": KNOWN["region_name"]}
    keys = {name.upper(): KNOWN[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    found = Installation(root, MLTEAM_REACHABLE="127.0.0.1/32", **keeps, **keys, **_database())
    try:
        yield found.start()
    finally:
        found.close()
        shutil.rmtree(root, ignore_errors=True)


def carried(server, job):
    [row] = server.ask("carried", job_id=job.id)
    return row


def killed_in_the_middle(server, job, wire, size):
    """Its worker, when so many bytes have passed the wire, of which some are written down; the wire is free again afterwards."""
    until(lambda: wire.held.is_set() and carried(server, job)["bytes"] > 0, "some bytes", server.trouble)
    before = carried(server, job)
    assert before["state"] == "running" and before["bytes"] < before["all_bytes"]
    server.kill("worker")
    wire.hold_after = 0
    return before


def sums(job) -> list[str]:
    """The checksums that a job has printed."""
    return [line.split()[0].decode() for line in job.log().splitlines() if len(line.split()[0]) == 64]


def assert_counted_once(server, job):
    found = server.ask("counted", job_id=job.id)
    assert (found["attempts"], found["submitted"], found["uploads"]) == (1, 1, 0)
    until(
        lambda: (now := server.ask("counted", job_id=job.id))["charged"] == now["ran"] > 0, "the charge", server.trouble
    )
    return found


def test_an_input(server):
    with websites.running() as site, clouds.wire(site.url) as wire:
        site.files["/large"] = content = os.urandom(40 * MIB)
        wire.hold_after = 20 * MIB
        job = server.submit(READ, input=[{"from": f"{wire.url}/large"}])
        killed_in_the_middle(server, job, wire, 20 * MIB)
        row = job.wait()
        asked = [part for _, part in site.asked]
    assert row["state"] == "succeeded", row
    assert asked[:2] == ["", ""] and len(asked) == 3 and int(asked[2].removeprefix("bytes=").rstrip("-")) > 10 * MIB
    assert job.log().split() == [hashlib.sha256(content).hexdigest().encode(), b"-", b"1"]
    now = carried(server, job)
    assert (now["state"], now["files"], now["bytes"], now["all_bytes"]) == ("done", 1, 40 * MIB, 40 * MIB)
    assert_counted_once(server, job)
    until(lambda: not (server.var / "jobs" / job.id / "inputs").exists(), "an empty host", server.trouble)


def test_an_output_to_a_bucket(server, amazon):
    with clouds.wire(amazon) as wire:
        bucket = boto3.client("s3", endpoint_url=amazon, **KNOWN)
        bucket.create_bucket(Bucket="output")
        known = {"access_key_id": KNOWN["aws_access_key_id"], "secret_access_key": KNOWN["aws_secret_access_key"]}
        server.ask("add_key", kind="aws", name="bucket", values=known | {"endpoint": wire.url})
        wire.hold_after = 20 * MIB
        job = server.submit(MAKE, output=[{"to": "s3://output/results", "key": "bucket"}])
        before = killed_in_the_middle(server, job, wire, 20 * MIB)
        row = job.wait()
        objects = [
            bucket.get_object(Bucket="output", Key=one["Key"])["Body"].read()
            for one in bucket.list_objects_v2(Bucket="output")["Contents"]
        ]
    assert row["state"] == "succeeded" and before["files"] < 40, row
    assert sorted(hashlib.sha256(one).hexdigest() for one in objects) == sorted(sums(job)) and len(objects) == 40
    now = carried(server, job)
    assert (now["state"], now["files"], now["bytes"], now["all_bytes"]) == ("done", 40, 40 * MIB, 40 * MIB)
    assert wire.gone < 75 * MIB, "what was there was sent again"
    assert_counted_once(server, job)


def test_an_output_that_becomes_a_model(server, blobs):
    blobs.hold_after = blobs.gone + 20 * MIB
    job = server.submit(MAKE.replace("1048576", "2097152"), output=[{"to": "model:digits"}])
    until(blobs.held.is_set, "a worker that stores", server.trouble)
    assert carried(server, job)["state"] == "running" and server.ask("counted", job_id=job.id)["uploads"] == 1
    server.kill("worker")
    blobs.hold_after = 0
    row = job.wait()
    assert row["state"] == "succeeded" and row["sentence"] == "Its output became version 1 of the model digits.", row
    now = carried(server, job)
    assert (now["state"], now["files"], now["bytes"]) == ("done", 40, 80 * MIB)
    found = assert_counted_once(server, job)
    assert found["versions"] == [[1, 40, 80 * MIB]] and found["made"] == 1
    assert blobs.gone < 120 * MIB, "what was there was sent again"
    assert set(sums(job)) <= set(found["blobs"]) and len(found["blobs"]) == 41  # and the manifest
