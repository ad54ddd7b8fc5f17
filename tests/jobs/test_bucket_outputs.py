"""Outputs of jobs that go to buckets, and data that come from one and go to another, with exactly the rights that are needed."""

import json
import os
import signal
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import pytest
import requests

from datastores.models import Version
from datastores.remote import fetching, gcs, retrying, s3
from jobs import actions, data, hints, inputs, places, queue, tasks, transfers, transitions
from jobs.models import Job, TransferState
from jobs.spec import SpecErrors, parse
from jobs.states import JobState, Reason
from mlteam import state
from projects import third_party
from projects.models import AuditEntry
from tests import clouds, google_storage
from tests.datastores.remote.test_s3 import Amazon
from tests.jobs.test_inputs import Halting

pytestmark = pytest.mark.django_db

MIB = 2**20
FILES = {"model.bin": os.urandom(MIB + 7), "logs/ä b.txt": b"one\n", "empty": b""}


@pytest.fixture(scope="module")
def running_google():
    with google_storage.running() as found:
        yield found


@pytest.fixture(scope="module")
def running_amazon():
    with clouds.aws() as url, clouds.wire(url) as wire:
        yield Amazon(wire, url)


@pytest.fixture
def host(settings, monkeypatch, tmp_path, resource):
    """Nothing on this host but what the test makes, and no worker that listens."""
    settings.MLTEAM_REACHABLE = [ip_network("127.0.0.1/32")]
    settings.VAR = tmp_path
    monkeypatch.setattr(state, "VAR", tmp_path)
    monkeypatch.setattr(retrying, "FIRST", 0.001)
    monkeypatch.setattr(fetching, "PART", MIB)
    monkeypatch.setattr(transfers, "OFTEN", 0.01)
    monkeypatch.setattr(hints, "_send", lambda *_: None)
    yield resource
    for one in Path("/proc").glob(
        "[0-9]*/cmdline"
    ):  # a runner waits for its server as long as it takes: here there is none
        with suppress(OSError):
            if os.fsencode(tmp_path) in one.read_bytes():
                os.kill(int(one.parent.name), signal.SIGKILL)


class Cloud:
    """One of the clouds: the buckets `input` and `output`, with the project's keys `reader` and `writer`, of two accounts."""

    def __init__(self, scheme, there):
        self.scheme, self.there = scheme, there
        self.keep, self.files = there.keep, there.files

    def input(self, **more):
        return {"from": f"{self.scheme}://input/data", "key": "reader", **more}

    def output(self, **more):
        return {"to": f"{self.scheme}://output/results", "key": "writer", **more}


@pytest.fixture
def google(running_google, host, settings, monkeypatch, project, owner):
    settings.MLTEAM_SERVICES = running_google.services
    monkeypatch.setattr(gcs, "SMALL", 100_000)
    monkeypatch.setattr(gcs, "PIECE", MIB)
    running_google.recipe()
    for name in ("reader", "writer"):
        values = {"credentials": running_google.account(name)}
        third_party.add(project=project, kind="gcp", name=name, values=values, by=owner)
    return Cloud("gs", running_google)


@pytest.fixture
def amazon(running_amazon, host, monkeypatch, project, owner):
    monkeypatch.setattr(s3, "PIECE", 5 * MIB)
    monkeypatch.setattr(s3, "WHOLE", 5 * MIB)
    running_amazon.clean()
    for name, user in (("reader", "reader"), ("writer", "looker")):
        values = running_amazon.keys[user] | {"endpoint": running_amazon.wire.url}
        third_party.add(project=project, kind="aws", name=name, values=values, by=owner)
    with clouds.who_may_what_counts(running_amazon.url):
        cloud = Cloud("s3", running_amazon)
        for name in ("keep", "files"):
            monkeypatch.setattr(cloud, name, _as_root(running_amazon.url, getattr(running_amazon, name)))
        yield cloud


def _as_root(url, do):
    """What the test does itself is asked of nobody."""

    def done(*args):
        requests.post(f"{url}/moto-api/reset-auth", data=b"inf", timeout=10)
        try:
            return do(*args)
        finally:
            requests.post(f"{url}/moto-api/reset-auth", data=b"0", timeout=10)

    return done


@pytest.fixture(params=["google", "amazon"])
def cloud(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def submit(project, owner, host):
    def make(by=owner, **spec):
        return actions.submit(project=project, spec=parse({"command": "true", **spec}), by=by)

    return make


def write(job: Job, files: dict[str, bytes]) -> None:
    """What a command leaves in $MLTEAM_OUTPUT."""
    places.make_job_directory(job.id)
    for path, content in files.items():
        place = places.output_directory(job.id) / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


@pytest.fixture
def ended(submit, host):
    """ended({"to": …}) is a job whose command has written FILES and ended."""

    def make(*outputs, files=FILES, status=0, reason="exited"):
        job = submit(output=list(outputs))
        [attempt] = queue.place(host)
        transitions.started(attempt, {})
        write(job, files)
        actions.attempt_ended(attempt.id, {"reason": reason, "exit_status": status})
        return now(job)

    return make


def now(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def results(prefix: str = "results", files: dict[str, bytes] = FILES) -> dict[str, bytes]:
    return {f"{prefix}/{path}": content for path, content in files.items()}


def test_from_one_bucket_through_a_job_to_another(cloud, submit, host):
    words = {"words/a.txt": b"b a", "words/b.txt": b"d c", "large": os.urandom(MIB + 1)}
    for path, content in words.items():
        cloud.keep("input", f"data/{path}", content)
    job = submit(input=[cloud.input(to="/data")], output=[cloud.output()])
    tasks.bring(job.pk)
    assert not now(job).waits_for_data, now(job).sentence
    [attempt] = Job.objects.get(pk=job.pk).attempts.all() or queue.place(host)
    [mount] = inputs.mounts(attempt.job)
    transitions.started(attempt, {})
    place = inputs.place_of(job.id, 0)
    assert mount == {"source": str(place), "target": "/data"}
    found = {str(one.relative_to(place)): one.read_bytes() for one in place.rglob("*") if one.is_file()}
    assert found == words
    write(job, {path.replace("words", "sorted"): bytes(sorted(content)) for path, content in found.items()})
    actions.attempt_ended(attempt.id, {"reason": "exited", "exit_status": 0})
    tasks.store(job.pk)
    assert (now(job).state, now(job).reason) == (JobState.SUCCEEDED, Reason.EXITED), now(job).sentence
    assert cloud.files("output") == {
        "results/sorted/a.txt": b" ab",
        "results/sorted/b.txt": b" cd",
        "results/large": bytes(sorted(words["large"])),
    }
    assert now(job).sentence == f"Its output became 3 files in {cloud.scheme}://output/results."
    sent = job.transfers.get(outward=True)
    assert (sent.state, sent.files, sent.bytes) == (TransferState.DONE, 3, sum(map(len, words.values())))
    used = {
        (one.details["key"], one.details.get("input") or one.details["output"])
        for one in AuditEntry.objects.filter(action="key:use")
    }
    assert used == {("reader", cloud.input()["from"]), ("writer", cloud.output()["to"])}


def test_what_is_there_stays_and_a_retry_elsewhere_is_the_owners_choice(cloud, ended, as_user, owner, project):
    cloud.keep("output", "results/model.bin", b"precious")
    job = ended(cloud.output())
    tasks.store(job.pk)
    assert (now(job).state, now(job).reason) == (JobState.FAILED, Reason.UPLOAD)
    assert (
        "kept here" in now(job).sentence
        and "model.bin" in now(job).sentence
        and "nothing is overwritten" in now(job).sentence
    )
    assert cloud.files("output") == {"results/model.bin": b"precious"}
    assert (places.output_directory(job.id) / "model.bin").read_bytes() == FILES["model.bin"]
    page = as_user(owner).get(f"/p/{project.slug}/jobs/{job.pk}").content.decode()
    assert "Store the output again" in page and "Output failed" in page


def test_each_attempt_has_a_prefix_of_its_own_where_that_is_chosen(cloud, ended):
    cloud.keep("output", "results/model.bin", b"precious")
    job = ended(cloud.output(existing="new-prefix"))
    tasks.store(job.pk)
    assert now(job).state == JobState.SUCCEEDED, now(job).sentence
    assert cloud.files("output") == results(f"results/{job.id}/0") | {"results/model.bin": b"precious"}


def test_a_failing_upload_is_tried_again_by_a_button(google, ended, owner):
    grants, google.there.grants = google.there.grants, []
    job = ended(google.output())
    tasks.store(job.pk)
    assert now(job).reason == Reason.UPLOAD and "roles/storage.objectCreator" in now(job).sentence
    google.there.grants = grants
    actions.store_again(job=now(job), by=owner)
    tasks.store(job.pk)
    assert (now(job).state, now(job).reason) == (JobState.SUCCEEDED, Reason.EXITED)
    assert google.files("output") == results()


def test_a_key_that_opens_nothing_is_said_to(amazon, ended, project, owner):
    key = project.third_party_keys.get(name="writer")
    values = {"access_key_id": "AKIAUNKNOWN1", "secret_access_key": "0123456789"}
    third_party.replace(key=key, values=values | {"endpoint": amazon.there.wire.url}, by=owner)
    job = ended(amazon.output())
    tasks.store(job.pk)
    assert now(job).reason == Reason.UPLOAD and "The key writer opens nothing" in now(job).sentence
    assert "0123456789" not in now(job).sentence


def test_a_key_that_is_gone_is_named_and_replaced(google, ended, project, owner):
    job = ended(google.output())
    third_party.remove(key=project.third_party_keys.get(name="writer"), by=owner)
    tasks.store(job.pk)
    assert now(job).reason == Reason.UPLOAD and "the key writer, which has been removed" in now(job).sentence
    values = {"credentials": google.there.account("writer")}
    third_party.add(project=project, kind="gcp", name="writer", values=values, by=owner)
    actions.store_again(job=now(job), by=owner)
    tasks.store(job.pk)
    assert now(job).state == JobState.SUCCEEDED


def test_the_output_of_a_command_that_failed_is_stored_where_it_says_always(google, ended):
    often = ended(google.output(), {"to": "model:m"}, status=3)
    assert (often.state, often.reason) == (JobState.FAILED, Reason.EXITED)
    for reason, final in (("exited", JobState.FAILED), ("time_limit", JobState.INTERRUPTED)):
        job = ended(google.output(always=True, existing="new-prefix"), {"to": "model:m"}, status=3, reason=reason)
        assert job.state == JobState.UPLOADING and job.sentence.endswith("Its output is being stored.")
        tasks.store(job.pk)
        assert (now(job).state, now(job).reason) == (final, reason)
        assert "Its output became 3 files in gs://output/results/" in now(job).sentence
        assert set(google.files("output")) >= set(results(f"results/{job.id}/0"))
    assert not Version.objects.exists()
    empty = ended(google.output(always=True), files={}, status=3)
    tasks.store(empty.pk)
    assert (now(empty).state, now(empty).reason) == (JobState.FAILED, Reason.EXITED)
    stopped = ended(google.output(always=True), status=None, reason="stopped")
    assert stopped.state == JobState.CANCELLED


def test_artifacts_alone_are_nothing_to_store(ended):
    job = ended({"to": "artifacts"})
    assert job.state == JobState.SUCCEEDED


def test_a_model_and_a_bucket_get_the_same(google, ended):
    job = ended({"to": "model:digits"}, google.output(), {"to": "artifacts"})
    tasks.store(job.pk)
    assert now(job).state == JobState.SUCCEEDED and google.files("output") == results()
    assert now(job).sentence == "Its output became version 1 of the model digits and 3 files in gs://output/results."
    assert Version.objects.get().files == 3


class Killed(BaseException):
    """As a process is: nothing catches it."""


def test_killed_in_the_middle_it_goes_on_and_counts_nothing_twice(cloud, ended, monkeypatch):
    job = ended(cloud.output())

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(transfers, "done", kill)
        tasks.store(job.pk)
    assert now(job).state == JobState.UPLOADING
    tasks.store(job.pk)
    row = job.transfers.get()
    assert now(job).state == JobState.SUCCEEDED, now(job).sentence
    assert (row.files, row.bytes) == (3, sum(map(len, FILES.values()))) and cloud.files("output") == results()


def test_an_upload_that_is_stopped_ends_and_leaves_the_artifacts(google, ended, owner, project, as_user, monkeypatch):
    job = ended(google.output())
    note = transfers._note

    def notice(row, progress, rate):
        note(row, progress, rate)
        if now(job).state == JobState.UPLOADING:
            actions.stop(job=now(job), by=owner)

    monkeypatch.setattr(transfers, "Counted", Halting)
    monkeypatch.setattr(transfers, "_note", notice)
    tasks.store(job.pk)
    assert now(job).state == JobState.CANCELLED and job.transfers.get().state == TransferState.WAITING
    assert (places.output_directory(job.id) / "model.bin").exists()
    assert "results/model.bin" not in google.files("output")
    assert as_user(owner).get(f"/api/v1/jobs/{job.pk}").json()["transfers"][0]["state"] == "stopped"
    assert "Output not sent" in as_user(owner).get(f"/p/{project.slug}/jobs/{job.pk}").content.decode()


def test_links_of_a_job_send_nothing_of_the_server(google, ended, tmp_path, monkeypatch):
    """Also those that take a file's place after it was listed."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"the server's")
    job = ended(google.output(), files={"model.bin": b"weights", "large": b"the server'S"})
    root = places.output_directory(job.id)
    (root / "link").symlink_to(secret)
    (root / "folder").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    begin = transfers._begin

    def swap(row):
        begin(row)
        (root / "large").unlink(missing_ok=True)
        (root / "large").symlink_to(secret)

    monkeypatch.setattr(transfers, "_begin", swap)
    tasks.store(job.pk)
    assert set(google.files("output")) <= {"results/model.bin"}
    assert b"the server's" not in google.files("output").values()


def test_nothing_is_left_out_in_silence(google, ended, monkeypatch):
    for to in (google.output(), {"to": "model:m"}):
        job = ended(to)
        with monkeypatch.context() as patch:
            patch.setattr("compute.trees._NAMES", 1)
            tasks.store(job.pk)
        assert now(job).reason == Reason.UPLOAD and "One folder has more than 1 files" in now(job).sentence
    deep = ended(google.output(), files={"a/" * 66 + "file": b""})
    tasks.store(deep.pk)
    assert now(deep).reason == Reason.UPLOAD and "too deep" in now(deep).sentence
    assert google.files("output") == {}


def test_what_the_wire_breaks_arrives_all_the_same(google, submit, ended):
    google.keep("input", "data/large", FILES["model.bin"])
    google.there.cut_after = MIB // 2
    job = submit(input=[google.input()])
    assert data.bring(job.pk), now(job).sentence
    assert google.there.cuts == 1 and (inputs.place_of(job.id, 0) / "large").read_bytes() == FILES["model.bin"]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"to": "gs://bucket/x"}, "output.0.key"),
        ({"to": "gs://bucket/x", "key": ""}, "output.0.key"),
        ({"to": "s3://bucket/../x", "key": "k"}, "output.0.to"),
        ({"to": "https://example.org/x", "key": "k"}, "output.0.to"),
        ({"to": "model:m", "key": "k"}, "output.0.key"),
        ({"to": "model:m", "existing": "new-prefix"}, "output.0.existing"),
        ({"to": "gs://bucket/x", "key": "k", "existing": "overwrite"}, "output.0.existing"),
        ({"to": "gs://bucket/x", "key": "k", "delete": True}, "output.0.delete"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(row, field):
    with pytest.raises(SpecErrors) as caught:
        parse({"command": "true", "output": [row]})
    assert [one for one, _ in caught.value.errors] == [field]


def test_two_outputs_do_not_go_to_one_place():
    rows = [{"to": f"gs://bucket/x{end}", "key": "k"} for end in ("", "/")]
    with pytest.raises(SpecErrors, match="two outputs"):
        parse({"command": "true", "output": rows})


def test_whose_key_it_is_not_sends_nothing(google, project, owner, host):
    wrong = {"to": "s3://bucket/x", "key": "reader"}
    with pytest.raises(SpecErrors) as caught:
        actions.check(
            project=project,
            spec=parse({"command": "true", "output": [wrong, {"to": "gs://bucket/y", "key": "other"}]}),
            by=owner,
        )
    said = dict(caught.value.errors)
    assert "gcp does not open s3://" in said["output.0.key"] and "no key called other" in said["output.1.key"]
    assert json.dumps(said).count("private") == 0
