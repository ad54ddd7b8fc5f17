"""Inputs of jobs from elsewhere: who may, fetching them before the job is placed, what goes wrong on the way, and that they go again."""

import json
import os
import shutil
import time
from ipaddress import ip_network

import pytest

from datastores.blobs import Full
from datastores.remote import errors, retrying
from datastores.remote.progress import Counted
from jobs import actions, data, engine, hints, input_room, inputs, places, queue, tasks, transfers, transitions
from jobs.models import Job, Transfer, TransferState
from jobs.spec import SpecErrors, parse
from jobs.states import JobState, Reason
from mlteam import state
from projects import third_party
from projects.members import set_permissions
from projects.models import AuditEntry, Project
from tests.datastores.remote import websites
from tests.projects.test_third_party import GOOD

pytestmark = pytest.mark.django_db

MIB = 2**20
LARGE = os.urandom(3 * MIB + 5)


@pytest.fixture(scope="module")
def running_site():
    with websites.running() as site:
        yield site


@pytest.fixture
def site(running_site, settings, monkeypatch, tmp_path):
    """A web server that has /a.txt and /large; nothing on this host but what the test makes, and no worker that listens."""
    settings.MLTEAM_REACHABLE = [ip_network("127.0.0.1/32")]
    settings.VAR = tmp_path
    monkeypatch.setattr(state, "VAR", tmp_path)
    monkeypatch.setattr(retrying, "FIRST", 0.001)
    monkeypatch.setattr(transfers, "OFTEN", 0.01)
    monkeypatch.setattr(hints, "_send", lambda *_: None)
    running_site.clean()
    running_site.files = {"/a.txt": b"one\n", "/large": LARGE}
    return running_site


@pytest.fixture
def submit(project, owner, resource, site):
    """submit("/a.txt", to="/data") is a job that has it as its input."""

    def make(path="/a.txt", by=owner, into=project, **more):
        spec = parse({"command": "true", "input": [{"from": site.url + path, **more}]})
        return actions.submit(project=into, spec=spec, by=by)

    return make


@pytest.fixture
def key(project, owner, site):
    return third_party.add(project=project, kind="aws", name="bucket", values=GOOD["aws"], by=owner)


def now(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def wrong(project, by, *rows, **spec) -> dict[str, str]:
    with pytest.raises(SpecErrors) as caught:
        actions.check(project=project, spec=parse({"command": "true", "input": list(rows), **spec}), by=by)
    return dict(caught.value.errors)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({}, "input.0.from"),
        ({"from": "ftp://host/a"}, "input.0.from"),
        ({"from": "file:///etc/passwd"}, "input.0.from"),
        ({"from": "http://example.org/a"}, "input.0.from"),
        ({"from": "https://ada:secret@example.org/a"}, "input.0.from"),
        ({"from": "gs://Bucket/a"}, "input.0.from"),
        ({"from": "s3://bucket/../b"}, "input.0.from"),
        ({"from": f"https://example.org/{'a' * 2048}"}, "input.0.from"),
        ({"from": "https://example.org/a", "key": "mine"}, "input.0.key"),
        ({"from": "https://example.org/a", "to": "data"}, "input.0.to"),
        ({"from": "https://example.org/a", "to": "/work"}, "input.0.to"),
        ({"from": "https://example.org/a", "to": "/data/../etc"}, "input.0.to"),
        ({"from": "https://example.org/a", "into": "/data"}, "input.0.into"),
        ({"from": 7}, "input.0.from"),
        ("https://example.org/a", "input.0"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(row, field):
    with pytest.raises(SpecErrors) as caught:
        parse({"command": "true", "input": [row]})
    assert [one for one, _ in caught.value.errors] == [field] and "secret" not in str(caught.value)


def test_two_things_are_not_at_one_place():
    one = {"from": "https://example.org/a"}
    for spec in ({"input": [one, one]}, {"input": [{**one, "to": "/data/in"}], "data": ["faces:/data", "x:/data-2"]}):
        with pytest.raises(SpecErrors, match=r"two things|inside"):
            parse({"command": "true", **spec})
    spec = parse({"command": "true", "input": [one, {**one, "to": "/other"}]})
    assert spec.stored()["input"] == [one, {**one, "to": "/other"}] and spec.input[0].to == "/input"


def test_an_input_is_here_before_the_job_is_placed(submit, resource, site, monkeypatch):
    job = submit(to="/data")
    assert job.waits_for_data and queue.place(resource) == []
    assert "Waits for a worker" in queue.explain(job).sentence
    monkeypatch.setattr(tasks, "look", lambda: None)
    tasks.bring(job.pk)
    assert not now(job).waits_for_data
    place = places.job_directory(job.id) / "inputs" / "0"
    assert (place / "a.txt").read_bytes() == b"one\n" and os.listdir(place.parent) == ["0"]
    assert [one.stat().st_mode & 0o777 for one in (place, place / "a.txt")] == [0o755, 0o644]
    [attempt] = queue.place(resource)
    assert inputs.mounts(attempt.job) == [{"source": str(place), "target": "/data"}]
    row = job.transfers.get()
    assert (row.state, row.files, row.bytes, row.all_bytes, row.sentence) == (TransferState.DONE, 1, 4, 4, "")
    assert site.asked == [("/a.txt", "")] * 2  # how much it is, and then for it


def test_the_runner_is_told_where_it_is_and_a_restarted_job_has_it_again(submit, resource, monkeypatch):
    monkeypatch.setattr("runner.launch", lambda *_: None)
    job = submit(to="/data")
    assert data.bring(job.pk)
    [attempt] = queue.place(resource)
    engine.start(attempt)
    text = (places.attempt_directory(job.id, 0) / "attempt.json").read_text()
    assert '"target": "/data"' in text and '"MLTEAM_INPUT": "/data"' in text and '"/input"' not in text
    Job.objects.filter(pk=job.pk).update(restartable=True)
    transitions.ended(attempt, reason=Reason.HOST_RESTARTED, sentence="Lost.")
    inputs.tidy()
    [again] = queue.place(resource)
    assert inputs.mounts(again.job) and again.index == 1


def test_it_goes_from_the_host_when_the_job_has_ended(submit, resource):
    job, waiting = submit(), submit()
    for one in (job, waiting):
        assert data.bring(one.pk)
    attempt, other = queue.place(resource)
    transitions.started(attempt, {})
    shutil.rmtree(places.job_directory(other.job_id))
    Job.objects.filter(pk=other.job_id).update(state=JobState.CANCELLED, ended_at=job.created_at)
    inputs.tidy()
    assert Transfer.objects.filter(here=True).count() == 1
    there = places.job_directory(attempt.job_id) / "inputs"
    assert there.is_dir()
    actions.attempt_ended(attempt.id, {"reason": "exited", "exit_status": 0})
    inputs.tidy()
    assert not there.exists() and not Transfer.objects.filter(here=True).exists()
    with pytest.raises(inputs.NotHere, match="Submit it again"):
        inputs.mounts(attempt.job)


def test_a_job_never_starts_without_its_input(submit, resource):
    job = submit()
    assert data.bring(job.pk)
    [attempt] = queue.place(resource)
    os.rename(places.job_directory(job.id) / "inputs", places.job_directory(job.id) / "elsewhere")
    engine.start(attempt)
    assert (now(job).state, now(job).reason) == (JobState.FAILED, Reason.DATA)


def test_what_is_not_there_fails_the_job_and_says_what_to_do(submit, as_user, owner, project):
    job = submit("/nothing?signature=secret")
    assert not data.bring(job.pk)
    assert (now(job).state, now(job).reason) == (JobState.FAILED, Reason.INPUT)
    assert "Look at how it is written" in now(job).sentence and "secret" not in now(job).sentence
    assert job.transfers.get().state == TransferState.FAILED
    page = as_user(owner).get(f"/p/{project.slug}/jobs/{job.pk}").content.decode()
    assert "Input failed" in page and "/nothing?…" in page and "Look at how it is written" in page


def test_an_address_in_the_servers_own_network_is_refused(submit, settings):
    settings.MLTEAM_REACHABLE = []
    job = submit()
    data.bring(job.pk)
    assert now(job).reason == Reason.INPUT and "private network" in now(job).sentence


def test_what_is_away_is_tried_again_and_at_last_given_up(submit, site, monkeypatch):
    monkeypatch.setattr(transfers, "TRIES", 2)
    job = submit()
    site.statuses = [503] * retrying.TRIES
    assert not data.bring(job.pk)
    assert now(job).state == JobState.QUEUED and "Tries again in a while" in queue.explain(job).sentence
    asked = len(site.asked)
    assert not data.bring(job.pk) and len(site.asked) == asked  # not at once
    monkeypatch.setattr(transfers, "REST", 0.0)
    site.statuses = [503] * retrying.TRIES
    assert not data.bring(job.pk)
    assert now(job).state == JobState.FAILED and "Try again later" in now(job).sentence


def test_why_it_is_tried_again_just_now_is_said(submit, site, monkeypatch):
    job, seen = submit(), []
    site.statuses = [503]
    real = transfers._write

    def write(row, **fields):
        real(row, **fields)
        seen.append(row.sentence)

    monkeypatch.setattr(transfers, "_write", write)
    monkeypatch.setattr(transfers, "OFTEN", 0.01)
    monkeypatch.setattr(retrying, "FIRST", 0.5)
    assert data.bring(job.pk)
    assert any(one.startswith("Tries again: ") for one in seen) and seen[-1] == ""


class Halting(Counted):
    """Lets a MiB come, and then nothing before it is stopped."""

    def add(self, size):
        super().add(size)
        while self.bytes_done > MIB and not self.stopped:
            time.sleep(0.005)


class Killed(BaseException):
    """As a process is: nothing catches it."""


def test_killed_in_the_middle_it_goes_on_and_counts_nothing_twice(submit, site, monkeypatch):
    job = submit("/large")
    note = transfers._note

    def kill(row, progress, rate):
        note(row, progress, rate)
        if progress.bytes_done > MIB:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(transfers, "Counted", Halting)
        patch.setattr(transfers, "_note", kill)
        data.bring(job.pk)
    row = job.transfers.get()
    assert row.state == TransferState.RUNNING and MIB < row.bytes < len(LARGE) and row.all_bytes == len(LARGE)
    assert "Fetches its input: " in queue.explain(job).sentence
    assert data.bring(job.pk)
    row.refresh_from_db()
    assert (row.files, row.bytes) == (1, len(LARGE)) and site.asked[-1][1].startswith("bytes=")
    assert (places.job_directory(job.id) / "inputs/0/large").read_bytes() == LARGE


def meanwhile(monkeypatch, do):
    """Something that happens when the first MiB has come; no more comes before the transfer is stopped."""
    note, done = transfers._note, []

    def notice(row, progress, rate):
        note(row, progress, rate)
        if progress.bytes_done > MIB and not done:
            done.append(do())

    monkeypatch.setattr(transfers, "Counted", Halting)
    monkeypatch.setattr(transfers, "_note", notice)


def test_a_worker_that_ends_leaves_it_for_the_next(submit, site, monkeypatch):
    job = submit("/large")
    with monkeypatch.context() as patch:
        meanwhile(patch, transfers.ending.set)
        assert not data.bring(job.pk)
    transfers.ending.clear()
    row = job.transfers.get()
    assert now(job).state == JobState.QUEUED and (row.state, row.tries) == (TransferState.WAITING, 0)
    assert data.bring(job.pk)


def test_a_job_that_is_stopped_meanwhile_ends_its_transfer(submit, site, owner, monkeypatch):
    job = submit("/large")
    meanwhile(monkeypatch, lambda: actions.stop(job=job, by=owner))
    assert not data.bring(job.pk)
    assert now(job).state == JobState.CANCELLED and job.transfers.get().bytes < len(LARGE)
    inputs.tidy()
    assert not (places.job_directory(job.id) / "inputs").exists()


def test_a_job_that_is_removed_meanwhile_leaves_nothing(submit, site, owner, monkeypatch):
    job = submit("/large")

    def remove():
        actions.stop(job=job, by=owner)
        actions.remove(job=now(job), by=owner)

    meanwhile(monkeypatch, remove)
    assert not data.bring(job.pk)
    assert not Job.objects.exists() and not places.job_directory(job.id).exists()


def test_while_one_fetches_it_another_leaves_it_alone(submit, site):
    job = submit()
    places.make_job_directory(job.id)
    with inputs._alone(job.pk) as alone:
        assert alone and not data.bring(job.pk)
    assert site.asked == [] and data.bring(job.pk)


def test_what_never_ends_is_ended(submit, site, settings, monkeypatch):
    settings.MLTEAM_INPUT_CAP = MIB
    site.says_size = False
    job = submit("/large")
    data.bring(job.pk)
    assert (
        now(job).reason == Reason.INPUT and "1.0 MiB" in now(job).sentence and "MLTEAM_INPUT_CAP" in now(job).sentence
    )
    settings.MLTEAM_INPUT_CAP = 0
    monkeypatch.setattr(transfers, "Counted", Halting)
    monkeypatch.setattr(transfers, "PATIENCE", 0.05)
    monkeypatch.setattr(transfers, "SLOWEST", 100 * MIB)
    job = submit("/large")
    data.bring(job.pk)
    assert now(job).reason == Reason.INPUT and "while others wait" in now(job).sentence


def test_a_disk_that_fills_up_is_not_filled(submit, site, monkeypatch):
    monkeypatch.setattr(transfers, "LEFT", 2**60)
    monkeypatch.setattr(transfers, "Counted", Halting)
    job = submit("/large")
    data.bring(job.pk)
    assert now(job).reason == Reason.INPUT and "The server's disk has less than" in now(job).sentence
    inputs.tidy()
    assert not (places.job_directory(job.id) / "inputs").exists()


def test_a_full_disk_is_said(submit, monkeypatch):
    from datastores.remote import fetching

    def full(*_, **__):
        raise Full("The server's disk is full.")

    monkeypatch.setattr(fetching, "fetch", full)
    job = submit()
    data.bring(job.pk)
    assert "disk is full" in now(job).sentence


# How much lies on the host


@pytest.fixture
def capped(settings, site):
    """A host where jobs of one owner may have 2 MiB of input; /one and /half are of 1 MiB and half of one."""
    settings.MLTEAM_INPUTS_CAP = 2 * MIB
    site.files |= {"/one": os.urandom(MIB), "/half": os.urandom(MIB // 2)}
    return settings


def end(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(state=JobState.SUCCEEDED, ended_at=job.created_at)
    inputs.tidy()


def test_what_does_not_fit_waits_and_goes_on_when_others_ended(submit, site, capped, as_user, owner):
    first, second, third = submit("/one"), submit("/one"), submit("/half")
    assert data.bring(first.pk) and data.bring(second.pk)
    assert not data.bring(third.pk)
    waiting = now(third)
    assert waiting.state == JobState.QUEUED and not (places.job_directory(third.id) / "inputs" / "0").exists()
    said = queue.explain(waiting).sentence
    assert (
        said.startswith("Waits for room for its input, 512.0 KiB") and "2.0 MiB" in said and "MLTEAM_INPUTS_CAP" in said
    )
    assert as_user(owner).get(f"/api/v1/jobs/{third.pk}").json()["waiting_for"] == said
    asked = len(site.asked)
    assert not data.bring(third.pk) and len(site.asked) == asked  # how much it is, is known
    end(first)
    assert data.bring(third.pk) and (places.job_directory(third.id) / "inputs" / "0" / "half").is_file()
    end(second)
    end(third)
    assert not Job.objects.filter(input_room=True).exists()


def test_small_ones_do_not_starve_a_large_one(submit, site, capped):
    site.files["/more"] = os.urandom(MIB + MIB // 2)
    first, large, small = submit("/one"), submit("/more"), submit("/half")
    assert data.bring(first.pk)
    assert not data.bring(large.pk) and not data.bring(small.pk)  # though there would be room for it
    end(first)
    assert data.bring(large.pk) and data.bring(small.pk)


def test_each_owner_has_room_of_their_own(submit, capped, stranger):
    assert data.bring(submit("/one").pk) and data.bring(submit("/one").pk)
    theirs = Project.objects.get(owner=stranger, personal=True)
    assert data.bring(submit("/one", by=stranger, into=theirs).pk)


def test_a_job_that_never_fits_fails_and_names_the_setting(project, owner, submit, site, capped):
    rows = [{"from": f"{site.url}{path}", "to": path} for path in ("/one", "/one2", "/half")]
    site.files["/one2"] = site.files["/one"]
    job = actions.submit(project=project, spec=parse({"command": "true", "input": rows}), by=owner)
    assert not data.bring(job.pk)
    failed = now(job)
    assert (failed.state, failed.reason) == (JobState.FAILED, Reason.INPUT)
    assert failed.sentence == (
        "Its inputs have 2.5 MiB together; jobs of one owner may have 2.0 MiB on the host at once (MLTEAM_INPUTS_CAP)."
    )
    assert not (places.job_directory(job.id) / "inputs" / "0").exists()


def test_what_nobody_says_the_size_of_takes_more_and_more(submit, site, capped, monkeypatch):
    monkeypatch.setattr(input_room, "UNSAID", MIB // 4)
    site.says_size = False
    first, second, large = submit("/one"), submit("/one"), submit("/large")
    for wanted in (MIB // 2, MIB, MIB):
        assert not now(first).input_room
        came = data.bring(first.pk)
        assert now(first).input_bytes == wanted
    assert came and (places.job_directory(first.id) / "inputs/0/one").read_bytes() == site.files["/one"]
    while not now(large).final:
        assert not data.bring(large.pk)
        if now(large).input_bytes == 2 * MIB and not now(large).input_room:
            assert "Waits for room" in queue.explain(now(large)).sentence
            end(first)
    assert (
        now(large).reason == Reason.INPUT and "2.0 MiB" in now(large).sentence and "INPUTS_CAP" in now(large).sentence
    )
    assert now(second).state == JobState.QUEUED


def test_a_job_without_input_has_an_empty_directory(project, owner, resource, site, monkeypatch):
    monkeypatch.setattr("runner.launch", lambda *_: None)
    job = actions.submit(project=project, spec=parse({"command": "true"}), by=owner)
    [attempt] = queue.place(resource)
    engine.start(attempt)
    told = json.loads((places.attempt_directory(job.id, 0) / "attempt.json").read_text())
    [mount] = told["mounts"]
    assert told["environment"]["MLTEAM_INPUT"] == "/input" == mount["target"] and os.listdir(mount["source"]) == []


# Keys

S3 = {"from": "s3://bucket/data", "key": "bucket"}


def test_only_a_key_of_the_project_that_fits_opens_a_bucket(project, owner, key, resource, collaborator):
    actions.check(project=project, spec=parse({"command": "true", "input": [S3]}), by=collaborator)
    assert wrong(project, owner, {**S3, "key": "other"}) == {"input.0.key": "this project has no key called other"}
    fits = wrong(project, owner, {"from": "gs://bucket/data", "key": "bucket"})
    assert "aws does not open gs://" in fits["input.0.key"]
    personal = Project.objects.get(owner=owner, personal=True)
    third_party.add(project=personal, kind="aws", name="mine", values=GOOD["aws"], by=owner)
    assert "no key called mine" in wrong(project, owner, {**S3, "key": "mine"})["input.0.key"]


def test_who_may_not_use_keys_opens_no_bucket(project, key, resource, make_user, join, monkeypatch):
    import access

    real = access.allowed
    monkeypatch.setattr(access, "allowed", lambda by, action, to: action != "key:use" and real(by, action, to))
    assert "key:use" in wrong(project, project.owner, S3)["input.0.key"]


def test_a_key_that_opens_a_bucket_is_not_given_to_the_job(project, owner, key, resource, site, monkeypatch):
    monkeypatch.setattr("runner.launch", lambda *_: None)
    job = actions.submit(project=project, spec=parse({"command": "true", "input": [S3]}), by=owner)
    job.transfers.update(state=TransferState.DONE)
    inputs.place_of(job.id, 0).mkdir(parents=True)
    assert data.bring(job.pk)
    [attempt] = queue.place(resource)
    engine.start(attempt)
    directory = places.attempt_directory(job.id, 0)
    assert (directory / "attempt.json").exists() and not (directory / "keys.json").exists()


def test_a_key_that_is_removed_meanwhile_is_named(project, owner, key, resource, site):
    job = actions.submit(project=project, spec=parse({"command": "true", "input": [S3]}), by=owner)
    third_party.remove(key=key, by=owner)
    data.bring(job.pk)
    assert (now(job).state, now(job).reason) == (JobState.FAILED, Reason.KEY)
    assert "the key bucket, which has been removed" in now(job).sentence


def test_who_may_use_keys_no_more_has_nothing_opened(project, collaborator, key, resource, site):
    job = actions.submit(project=project, spec=parse({"command": "true", "input": [S3]}), by=collaborator)
    set_permissions(project, collaborator, {"job": "read", "dataset": "read", "model": "read", "volume": "read"})
    data.bring(job.pk)
    assert now(job).reason == Reason.KEY and "may no longer use the keys" in now(job).sentence


def test_each_use_of_a_key_is_in_the_trail(project, owner, key, resource, site, monkeypatch):
    from datastores.remote import opening

    def away(*_):
        raise errors.NotThere("There is no bucket bucket.")

    monkeypatch.setattr(opening, "open_source", away)
    job = actions.submit(project=project, spec=parse({"command": "true", "input": [S3]}), by=owner)
    assert AuditEntry.objects.get(action="job:new").after["input"] == ["s3://bucket/data"]
    data.bring(job.pk)
    [used] = AuditEntry.objects.filter(action="key:use")
    assert used.urn == key.urn and used.details["input"] == "s3://bucket/data" and used.details["job_urn"] == job.urn


# Beside each other


def test_what_takes_long_leaves_threads_for_what_is_short(project, submit, stranger, monkeypatch):
    jobs = [submit() for _ in range(3)]
    with (
        tasks._room_for(jobs[0].pk) as first,
        tasks._room_for(jobs[1].pk) as second,
        tasks._room_for(jobs[2].pk) as third,
    ):
        assert (first, second, third) == (True, True, False)  # an owner has two
        monkeypatch.setattr(tasks, "LONG", 2)
        with tasks._room_for("of somebody else") as other:
            assert not other
    assert not tasks._long.total()
    called = []
    monkeypatch.setattr(data, "bring", called.append)
    monkeypatch.setattr(tasks, "LONG", 0)
    tasks.bring(jobs[0].pk)
    assert called == []


def test_workers_are_asked_for_some_of_each_owner_and_first_for_what_has_not_failed(submit, monkeypatch, stranger):
    monkeypatch.setattr(tasks, "ASKED", 2)
    monkeypatch.setitem(tasks._asked_again, "at", 0.0)
    jobs = [submit() for _ in range(4)]
    jobs[0].transfers.update(tries=1)
    elsewhere = submit(by=stranger, into=Project.objects.get(owner=stranger, personal=True))
    asked = []
    monkeypatch.setattr(hints, "_send", lambda *what: asked.append(what))
    tasks._ask_again()
    assert asked == [("bring", job.pk) for job in (jobs[1], jobs[2], elsewhere)]


def test_the_worker_has_threads_for_what_is_short():
    [line] = [line for line in (state.ROOT / "Procfile").read_text().splitlines() if line.startswith("worker:")]
    words = line.split()
    assert int(words[words.index("--concurrency") + 1]) >= tasks.LONG + 4
    assert line.partition(": python ")[2] in (state.ROOT / "docs" / "install.md").read_text()


# Pages and programs


def test_programs_are_told_how_far_it_is(submit, as_user, owner, project, django_assert_num_queries):
    job = submit("/large")
    row = job.transfers.get()
    row.job = job
    transfers._write(row, state="running", bytes=MIB, all_bytes=3 * MIB, files=0, all_files=1, rate=MIB / 2)
    client = as_user(owner)
    found = client.get(f"/api/v1/jobs/{job.pk}").json()
    [told] = found["transfers"]
    assert (told["direction"], told["state"], told["bytes"], told["all_bytes"], told["left"]) == (
        "in",
        "running",
        MIB,
        3 * MIB,
        4.0,
    )
    assert found["waiting_for"] == "Fetches its input: 1.0 MiB of 3.0 MiB, 512.0 KiB/s, about 4 s left."
    assert client.get(f"/api/v1/jobs?project={project.pk}").json()["items"][0]["transfers"] == [told]
    page = client.get(f"/p/{project.slug}/jobs/{job.pk}").content.decode()
    assert '<progress max="3145728" value="1048576"' in page and "about 4 s left" in page
    assert "Fetches its input: 1.0 MiB of 3.0 MiB" in client.get(f"/p/{project.slug}/jobs").content.decode()


def test_a_dry_run_says_the_input_or_what_is_wrong_with_it(as_user, project, owner, key, resource, site):
    def checked(row):
        body = {"spec": {"command": "true", "input": [row]}}
        return as_user(owner).post(f"/api/v1/projects/{project.pk}/jobs/check", body, content_type="application/json")

    assert checked(S3).json()["spec_yaml"] == ("command: 'true'\ninput:\n- from: s3://bucket/data\n  key: bucket\n")
    said = checked({**S3, "key": "other"})
    assert said.status_code == 422 and said.json()["errors"][0]["field"] == "spec.input.0.key"
    assert not Job.objects.exists()


def test_the_form_has_rows(as_user, project, owner, key, resource, site):
    client = as_user(owner)
    sent = {"command": "true", "cpu": "1", "mem": "1", "gpu": "0"}
    rows = {
        "input_from": ["s3://bucket/a", "", "https://example.org/b"],
        "input_to": ["/a", "", ""],
        "input_key": ["bucket", "", ""],
    }
    out = {
        "output": ["s3://bucket/out", ""],
        "output_key": ["bucket", ""],
        "output_existing": ["new-prefix", ""],
        "output_always": ["always", ""],
    }
    page = client.get(f"/p/{project.slug}/jobs/new").content.decode()
    assert page.count("data-add-row") == 2 and '<option value="bucket">bucket (aws)</option>' in page
    preview = client.post(f"/p/{project.slug}/jobs/preview", sent | rows | out).content.decode()
    assert "new-prefix" in preview and "always: true" in preview
    wrong = client.post(f"/p/{project.slug}/jobs/new", sent | rows | {"input_key": ["", "", "bucket"]})
    assert wrong.status_code == 422 and "Input 2, key: expected none" in wrong.content.decode()
    assert 'value="https://example.org/b"' in wrong.content.decode()
    assert client.post(f"/p/{project.slug}/jobs/new", sent | rows | out).status_code == 302
    job = Job.objects.get()
    assert job.spec["input"] == [
        {"from": "s3://bucket/a", "to": "/a", "key": "bucket"},
        {"from": "https://example.org/b"},
    ]
    assert job.spec["output"] == [{"to": "s3://bucket/out", "key": "bucket", "existing": "new-prefix", "always": True}]
    clone = client.get(f"/p/{project.slug}/jobs/new?clone={job.pk}").content.decode()
    assert 'value="s3://bucket/out"' in clone and '<option value="new-prefix" selected>' in clone
    assert [row.outward for row in job.transfers.all()] == [False, False, True]


def test_bytes_in_a_second_are_those_of_lately():
    rate = transfers._Rate()
    assert rate.of(5 * MIB) is None  # what was there before counts for nothing
    time.sleep(0.01)
    assert 0 < rate.of(6 * MIB) <= MIB / 0.01


# What an address hides

PRESIGNED = "/a.txt?X-Amz-Signature=5ecret"


def test_what_follows_a_question_mark_is_shown_nowhere(submit, as_user, owner, collaborator, site):
    before, job = submit(PRESIGNED), submit(PRESIGNED)
    before.transfers.update(state=TransferState.DONE)
    Job.objects.filter(pk=before.pk).update(state=JobState.SUCCEEDED, ended_at=before.created_at)
    Job.objects.filter(pk=job.pk).update(state=JobState.FAILED, ended_at=job.created_at, spec=job.spec | {"bid": 3})
    for by in (owner, collaborator):
        for address in ("", "/spec", "/history"):
            page = as_user(by).get(f"/p/vision/jobs/{job.pk}{address}")
            assert page.status_code == 200 and "5ecret" not in page.content.decode()
        form = as_user(by).get(f"/p/vision/jobs/new?clone={job.pk}").content.decode()
        assert f'value="{site.url}/a.txt?…"' in form and "5ecret" not in form
        told = as_user(by).get(f"/api/v1/jobs/{job.pk}")
        assert told.status_code == 200 and "5ecret" not in told.content.decode()
        assert told.json()["transfers"][0]["address"] == f"{site.url}/a.txt?…"
        assert told.json()["spec"]["input"] == [{"from": f"{site.url}/a.txt?…"}]
        assert "5ecret" not in as_user(by).get("/api/v1/jobs").content.decode()


def test_who_submitted_a_job_repeats_it_with_what_is_hidden(submit, as_user, project, owner, collaborator, site):
    job = submit(PRESIGNED)
    sent = {"name": "j", "command": "true", "cpu": "1", "mem": "1", "gpu": "0", "bid": "0", "clone": job.pk}
    sent |= {"input_from": f"{site.url}/a.txt?…", "input_to": "/input"}
    assert as_user(owner).post("/p/vision/jobs/new", sent).status_code == 302
    told = as_user(owner).get(f"/api/v1/jobs/{job.pk}").json()
    body = {"spec": told["spec"], "clone": job.pk}
    for by, path, status in (
        (owner, "jobs/check", 200),
        (owner, "jobs", 201),
        (collaborator, "jobs/check", 422),
        (collaborator, "jobs", 422),
    ):
        answer = as_user(by).post(f"/api/v1/projects/{project.pk}/{path}", body, content_type="application/json")
        assert answer.status_code == status and "5ecret" not in answer.content.decode()
    assert "input.0.from" in answer.content.decode() and "write the whole address" in answer.content.decode()
    clones = list(job.clones.all())
    assert [one.transfers.get().address for one in clones] == [site.url + PRESIGNED] * 2
    assert [one.spec["input"] for one in clones] == [job.spec["input"]] * 2


def test_of_several_addresses_each_gets_back_what_it_had(submit, project, owner, site):
    def spec(*those):
        rows = [{"from": site.url + one, "to": f"/in/{number}"} for number, one in enumerate(those)]
        return parse({"command": "true", "input": rows})

    def addresses(job):
        return [one["from"].removeprefix(site.url) for one in job.spec["input"]]

    job = actions.submit(project=project, spec=spec("/a?1", "/b", "/a?2"), by=owner)
    again = actions.submit(project=project, spec=spec("/a?…", "/b", "/a?…"), by=owner, cloned_from=job)
    assert addresses(again) == ["/a?1", "/b", "/a?2"]
    with pytest.raises(SpecErrors, match=r"input\.1\.from"):
        actions.submit(project=project, spec=spec("/a?…", "/a?…"), by=owner, cloned_from=job)
    with pytest.raises(SpecErrors, match=r"input\.0\.from"):
        actions.submit(project=project, spec=spec("/a?…"), by=owner)
