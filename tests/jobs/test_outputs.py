"""What becomes of a job's output: versions of models and datasets, whatever happens in between."""

import os
import shutil

import pytest
from django.http import Http404

import access
from datastores import actions as datastores
from datastores import contents, listings, uploads
from datastores.errors import Impossible
from datastores.models import Datastore, Upload, Version
from jobs import actions, hints, outputs, places, queue, tasks, transfers, transitions
from jobs.models import Job, Transfer, TransferState
from jobs.spec import Spec, SpecErrors, parse
from jobs.states import JobState, Reason
from mlteam import state
from projects.members import set_permissions
from projects.models import AuditEntry
from tests.datastores.conftest import kept  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db

FILES = {"model.txt": b"weights", "run.sh": b"#!/bin/sh", "a b/ä": b"", "large": os.urandom(3 * 2**20)}


@pytest.fixture
def asked(settings, monkeypatch, tmp_path):
    """What workers were asked; none listens."""
    settings.VAR = tmp_path
    monkeypatch.setattr(state, "VAR", tmp_path)
    found = []
    monkeypatch.setattr(hints, "_send", lambda *what: found.append(what))
    return found


@pytest.fixture
def ended(asked, queued, resource, project, django_capture_on_commit_callbacks):
    """ended(by, files, "model:digits") is a job whose command has written these and ended."""

    def make(by, files=FILES, to="model:digits", status=0):
        job = queued(project, by, output=[{"to": to}])
        [attempt] = queue.place(resource)
        transitions.started(attempt, {})
        root = places.output_directory(job.id)
        root.mkdir(parents=True)
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        if "run.sh" in files:
            (root / "run.sh").chmod(0o755)
        with django_capture_on_commit_callbacks(execute=True):
            actions.attempt_ended(attempt.id, {"reason": "exited", "exit_status": status})
        job.refresh_from_db()
        return job

    return make


def files_of(version: Version) -> dict[str, tuple[bytes, int]]:
    project = version.datastore.project_id
    with listings.opened(listings.of(version)) as listing:
        entries = list(listing.entries(0, listing.files))
    return {entry.path: (b"".join(contents.read(project, entry)), entry.mode) for entry in entries}


def test_the_output_of_a_job_becomes_a_new_model(ended, owner, asked):
    job = ended(owner)
    assert job.state == JobState.UPLOADING and job.ended_at is None and ("store", job.pk) in asked
    tasks.store(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED and job.exit_status == 0 and job.ended_at
    assert job.sentence == "Its output became version 1 of the model digits."
    version = Version.objects.get()
    assert version.datastore.kind == "model" and version.created_by == owner and job.urn in version.note
    modes = {"run.sh": 0o755}
    assert files_of(version) == {path: (content, modes.get(path, 0o644)) for path, content in FILES.items()}
    assert (places.output_directory(job.id) / "model.txt").read_bytes() == b"weights"


def test_the_next_one_is_a_version_of_it(ended, owner):
    for number in (1, 2):
        tasks.store(ended(owner, {"model.txt": b"%d" % number}).pk)
    assert [version.number for version in Version.objects.order_by("number")] == [1, 2]
    assert files_of(Version.objects.get(number=2)) == {"model.txt": (b"2", 0o644)}


def test_a_command_that_failed_leaves_its_artifacts_and_no_model(ended, owner):
    job = ended(owner, status=3)
    assert job.state == JobState.FAILED and job.reason == Reason.EXITED
    assert not Datastore.objects.exists() and not outputs.store_again(job)


def test_links_and_what_is_no_file_are_left_out(ended, owner, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the server's")
    job = ended(owner, {"model.txt": b"1"})
    root = places.output_directory(job.id)
    (root / "link").symlink_to(secret)
    (root / "folder").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    (root / os.fsdecode(b"z\xff")).touch()
    tasks.store(job.pk)
    assert set(files_of(Version.objects.get())) == {"model.txt"}
    job.refresh_from_db()
    left_out = "left out: 2 links and 2 that are no files or whose names are not UTF-8 (folder, link, pipe, …)"
    assert job.transfers.get().sentence == f"version 1 of the model digits, {left_out}"
    assert job.sentence == f"Its output became version 1 of the model digits, {left_out}."


def test_what_cannot_be_read_is_never_left_out_in_silence(ended, owner, asked, as_nobody, tmp_path):
    job = ended(owner, {"model.txt": b"1", "folder/more": b"2"})
    (places.output_directory(job.id) / "folder").chmod(0)
    with as_nobody(tmp_path):
        tasks.store(job.pk)
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.FAILED, Reason.UPLOAD) and not Version.objects.exists()
    assert "folder/ cannot be read: Permission denied." in job.sentence


def test_a_name_that_no_version_takes_is_said(ended, owner):
    job = ended(owner, {"a\nb": b"x"})
    tasks.store(job.pk)
    job.refresh_from_db()
    assert job.reason == Reason.UPLOAD and "could not be stored: “a�b” has a control character" in job.sentence


def test_what_cannot_be_stored_fails_says_why_and_is_stored_again(ended, owner, project, settings, as_user):
    settings.MLTEAM_DATA_CAP = 10
    job = ended(owner)
    tasks.store(job.pk)
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.FAILED, Reason.UPLOAD) and "kept here" in job.sentence
    assert (places.output_directory(job.id) / "model.txt").read_bytes() == b"weights"
    client, address = as_user(owner), f"/p/{project.slug}/jobs/{job.pk}"
    assert "Store the output again" in client.get(address).content.decode()
    settings.MLTEAM_DATA_CAP = 0
    assert client.post(f"{address}/store").status_code == 302
    job.refresh_from_db()
    assert job.state == JobState.UPLOADING and job.ended_at is None
    assert AuditEntry.objects.filter(action="job:store", urn=job.urn).exists()
    tasks.store(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED and Version.objects.count() == 1
    assert "Store the output again" not in client.get(address).content.decode()
    with pytest.raises(actions.Refusal):
        actions.store_again(job=job, by=owner)


def test_how_far_it_is_is_told_as_of_what_goes_to_a_bucket(ended, owner, as_user, project, monkeypatch):
    size = sum(map(len, FILES.values()))
    job = ended(owner, FILES | {"twice": FILES["large"]})
    size += len(FILES["large"])
    row = job.transfers.get()
    assert (row.address, row.state, row.outward) == ("model:digits", TransferState.WAITING, True)
    seen, write = [], transfers._write
    monkeypatch.setattr(transfers, "OFTEN", 0.0)
    monkeypatch.setattr(transfers, "_write", lambda row, **how: (write(row, **how), seen.append(row.bytes)))
    client = as_user(owner)
    receive = uploads.receive_pack

    def look(upload, pack):
        [told] = client.get(f"/api/v1/jobs/{job.pk}").json()["transfers"]
        assert (told["direction"], told["state"], told["address"]) == ("out", "running", "model:digits")
        assert (told["all_files"], told["all_bytes"]) == (5, size)
        page = client.get(f"/p/{project.slug}/jobs/{job.pk}").content.decode()
        assert "Output under way" in page and f'<progress max="{size}"' in page
        assert "Sends its output: " in client.get(f"/p/{project.slug}/jobs").content.decode()
        return receive(upload, pack)

    monkeypatch.setattr(uploads, "receive_pack", look)
    tasks.store(job.pk)
    row.refresh_from_db()
    assert (row.state, row.files, row.bytes, row.sentence) == ("done", 5, size, "version 1 of the model digits")
    assert seen == sorted(seen) and 0 < seen[-2] <= size
    page = client.get(f"/p/{project.slug}/jobs/{job.pk}").content.decode()
    assert "Output done" in page and "Version 1 of the model digits." in page


def test_what_is_there_already_is_counted_and_not_sent(ended, owner):
    tasks.store(ended(owner).pk)
    job = ended(owner, FILES | {"new": b"new"})
    tasks.store(job.pk)
    row = job.transfers.get()
    assert (row.files, row.bytes, row.all_bytes) == (5, row.all_bytes, sum(map(len, FILES.values())) + 3)


def test_a_job_that_is_stopped_meanwhile_makes_no_version(ended, owner, monkeypatch):
    job = ended(owner)
    monkeypatch.setattr(transfers, "OFTEN", 0.0)
    receive = uploads.receive_piece

    def stop(*what):
        if Job.objects.get(pk=job.pk).state == JobState.UPLOADING:
            actions.stop(job=job, by=owner)
        return receive(*what)

    monkeypatch.setattr(uploads, "receive_piece", stop)
    tasks.store(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED and not Version.objects.exists() and not Upload.objects.exists()
    assert transfers.state_of(job.transfers.get(), job) == transfers.STOPPED


def test_two_outputs_are_stored_once_each(ended, owner, monkeypatch):
    """What was made before the second one failed is not made again."""
    job = ended(owner)
    spec = parse({"command": "true", "output": [{"to": "model:digits"}, {"to": "dataset:faces"}]})
    Transfer.objects.filter(job=job).delete()
    Transfer.objects.bulk_create(transfers.planned(job, spec))
    Job.objects.filter(pk=job.pk).update(spec=spec.stored())
    create = datastores.create

    def refuse(**what):
        if what["kind"] == "dataset":
            raise Impossible("Not now.")
        return create(**what)

    with monkeypatch.context() as patch:
        patch.setattr(datastores, "create", refuse)
        tasks.store(job.pk)
    states = list(job.transfers.values_list("state", "sentence"))
    assert states == [("done", "version 1 of the model digits"), ("failed", "Not now.")]
    job.refresh_from_db()
    assert outputs.store_again(job)
    tasks.store(job.pk)
    job.refresh_from_db()
    assert job.sentence == "Its output became version 1 of the model digits and version 1 of the dataset faces."
    assert Version.objects.count() == 2


def test_no_output_at_all_is_said(ended, owner):
    job = ended(owner, {})
    tasks.store(job.pk)
    job.refresh_from_db()
    row = job.transfers.get()
    assert job.reason == Reason.UPLOAD and "wrote no files to $MLTEAM_OUTPUT" in job.sentence
    assert row.state == TransferState.FAILED and "wrote no files" in row.sentence


class Killed(BaseException):
    """As a process is: nothing catches it."""


def test_killed_anywhere_it_goes_on_and_nothing_is_there_twice(ended, owner, monkeypatch):
    def kill(*_, **__):
        raise Killed

    job = ended(owner)
    steps = (
        (uploads, "receive_piece"),
        (uploads, "_finish"),
        (uploads, "receive_pack"),
        (datastores, "commit"),
        (outputs, "_end"),
    )
    for module, name in steps:
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(module, name, kill)
            tasks.store(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.UPLOADING and Version.objects.count() == 1
    tasks.store(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED and set(files_of(Version.objects.get())) == set(FILES)


def test_one_that_nobody_knows_of_is_asked_for_again_and_two_do_it_once(ended, owner, asked, monkeypatch):
    job = ended(owner)
    asked.clear()
    monkeypatch.setitem(tasks._asked_again, "at", 0.0)
    tasks._ask_again()
    assert asked == [("store", job.pk)]
    with outputs._alone(job) as alone:
        assert alone
        tasks.store(job.pk)
    assert not Version.objects.exists()


def test_stopped_meanwhile_it_is_cancelled_at_once(ended, owner):
    job = ended(owner)
    actions.stop(job=job, by=owner)
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED and job.ended_at
    tasks.store(job.pk)
    assert not Version.objects.exists()


@pytest.mark.parametrize("level", ["read", "none"])
def test_a_job_may_always_make_a_new_model(ended, collaborator, project, level):
    """Which its submitter can then neither edit nor remove, nor give another version: by a job or by hand."""
    set_permissions(project, collaborator, {"job": "own", "dataset": "read", "model": level, "volume": "none"})
    first = ended(collaborator)
    tasks.store(first.pk)
    first.refresh_from_db()
    assert first.sentence == "Its output became version 1 of the model digits."
    model = Datastore.objects.get()
    assert model.created_by == collaborator and not Upload.objects.exists()
    assert not access.allowed(collaborator, "model:set", model) and not access.allowed(collaborator, "model:rm", model)
    with pytest.raises((Http404, access.Refused)):
        datastores.check_may_upload(model, collaborator)
    with pytest.raises((Http404, access.Refused)):
        datastores.check_may_upload(model, collaborator, of_job=True)
    assert "may add no version" in str(outputs.errors(project, Spec.model_validate(first.spec), collaborator))
    with pytest.raises(access.Refused):
        datastores.create(project=project, kind="model", name="by-hand", by=collaborator)


def test_what_it_made_before_its_worker_was_killed_it_fills(ended, collaborator, project, monkeypatch):
    set_permissions(project, collaborator, {"job": "own", "dataset": "read", "model": "read", "volume": "none"})
    job = ended(collaborator)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(datastores, "commit", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt()))
        outputs.store(job.pk)
    model = Datastore.objects.get()
    assert model.created_by == collaborator and not model.versions.exists()
    with pytest.raises(access.Refused):
        datastores.check_may_upload(model, collaborator)
    assert not outputs.errors(project, Spec.model_validate(job.spec), collaborator)  # of a job that is submitted anew
    tasks.store(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED and model.versions.count() == 1


def test_who_may_no_longer_make_datasets_makes_none(ended, collaborator, project):
    set_permissions(project, collaborator, {"job": "all", "dataset": "all", "model": "all", "volume": "none"})
    job = ended(collaborator, to="dataset:digits")
    set_permissions(project, collaborator, {"job": "all", "dataset": "read", "model": "all", "volume": "none"})
    tasks.store(job.pk)
    job.refresh_from_db()
    assert job.reason == Reason.UPLOAD and not Version.objects.exists()


def test_who_has_left_makes_none_either(ended, collaborator, project):
    job = ended(collaborator)
    project.members.get(user=collaborator).delete()
    set_permissions(project, collaborator, dict.fromkeys(("job", "dataset", "model", "volume"), "none"))
    tasks.store(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.FAILED and job.sentence.endswith(".") and not Version.objects.exists()


def test_where_it_may_not_go_is_said_when_it_is_submitted(project, owner, collaborator, resource, asked):
    datastores.create(project=project, kind="dataset", name="faces", by=owner)

    def said(by, to):
        with pytest.raises(SpecErrors) as caught:
            actions.check(project=project, spec=parse({"command": "true", "output": [{"to": to}]}), by=by)
        return str(caught.value)

    assert "faces is a dataset here" in said(owner, "model:faces")
    assert "output.0.to" in said(owner, "volume:x") and "output.0.key" in said(owner, "gs://bucket/x")
    set_permissions(project, collaborator, {"job": "all", "dataset": "read", "model": "none", "volume": "none"})
    assert "may make no dataset" in said(collaborator, "dataset:new")
    assert "may add no version" in said(collaborator, "dataset:faces")


def test_a_form_says_where_it_goes(as_user, project, owner, resource, asked):
    sent = {"command": "true", "output": "model:digits", "cpu": "1", "mem": "1", "gpu": "0"}
    assert as_user(owner).post(f"/p/{project.slug}/jobs/new", sent).status_code == 302
    job = Job.objects.get()
    assert job.spec["output"] == [{"to": "model:digits"}]
    again = as_user(owner).get(f"/p/{project.slug}/jobs/new?clone={job.pk}").content.decode()
    assert 'value="model:digits"' in again
    shutil.rmtree(places.job_directory(job.id), ignore_errors=True)
