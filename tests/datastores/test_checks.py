"""The nightly check: what is missing, damaged or needed by nothing is found, and nothing else is touched."""

import io
import os
import time
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import OutgoingEmail
from datastores import actions, blobs, checks, faults, listings, places, tasks, uploads
from datastores.models import Blob, Upload
from mlteam import beat, health
from projects import actions as projects
from tests.datastores.pushing import begin, hash_of, manifest, packed, push

FILES = {"a": b"first", "b": b"second", "c": b""}


@pytest.fixture
def version(dataset, owner):
    return push(dataset, FILES, owner)


def key(project, content: bytes) -> str:
    return blobs.key_of(project.pk, hash_of(content))


def spoil(kept, project, content: bytes, other: bytes | None) -> None:
    path = kept.root / key(project, content)
    path.unlink() if other is None else path.write_bytes(other)


def test_all_is_well(version):
    report = checks.run(whole=True)
    assert report.good and (report.blobs, report.compared) == (4, 4) and not report.deleted
    assert checks.run().compared == 0  # it has just been compared
    Blob.objects.update(checked_at=timezone.now() - timedelta(days=31))
    assert checks.run().compared == 4


def test_a_night_compares_no_more_than_its_amount_the_oldest_first(version, kept, monkeypatch):
    monkeypatch.setattr(checks, "AMOUNT", 6)
    ages = {b"second": 60, b"first": 50, b"": 40}
    for content, days in ages.items():
        Blob.objects.filter(sha256=hash_of(content)).update(checked_at=timezone.now() - timedelta(days=days))
    for compared, left in ((1, [b"", b"first"]), (2, [])):
        assert checks.run().compared == compared
        old = Blob.objects.filter(checked_at__lt=timezone.now() - timedelta(days=30))
        assert set(old.values_list("sha256", flat=True)) == {hash_of(content) for content in left}


def test_what_is_missing_or_damaged_is_found_and_healed_by_a_push(version, kept, project, dataset, owner):
    spoil(kept, project, b"first", None)
    spoil(kept, project, b"second", b"sec0nd")
    report = checks.run(whole=True)
    assert (report.missing, report.damaged) == ([key(project, b"first")], [key(project, b"second")])
    assert dict(Blob.objects.exclude(fault="").values_list("sha256", "fault")) == {
        hash_of(b"first"): "missing",
        hash_of(b"second"): "damaged",
    }
    begun = begin(dataset, manifest(FILES), owner)
    assert begun.missing == 2
    uploads.receive_pack(begun.upload, packed(b"first", b"second"))
    assert actions.commit(upload=begun.upload, by=owner) == (version, False)
    assert checks.run(whole=True).good


def test_what_has_another_size_is_found_without_reading(version, kept, project):
    spoil(kept, project, b"second", b"longer than before")
    report = checks.run()
    assert report.damaged == [key(project, b"second")] and not report.compared


def test_what_was_restored_is_good_again(version, kept, project):
    spoil(kept, project, b"second", None)
    assert not checks.run().good
    spoil_back = kept.root / key(project, b"second")
    spoil_back.write_bytes(b"second")
    report = checks.run()
    assert report.good and report.healed == [key(project, b"second")] and not Blob.objects.exclude(fault="").exists()


def test_only_what_nothing_needs_is_deleted(version, kept, project, dataset, owner):
    other = actions.create(project=project, kind="model", name="net", by=owner)
    push(other, {"shared": b"first", "own": b"of the model"}, owner)
    begun = begin(dataset, manifest({"x": b"never committed"}), owner)
    uploads.receive_pack(begun.upload, packed(b"never committed"))
    actions.remove(datastore=other, by=owner)
    assert checks.run().deleted == []  # an upload is under way: it may need any of it
    actions.abandon(upload=begun.upload, by=owner)
    report = checks.run(whole=True)
    gone = {key(project, content) for content in (b"of the model", b"never committed")}
    assert gone < set(report.deleted) and len(report.deleted) == 3  # and the manifest of the model
    assert report.good and {one for one, _ in kept.keys("")} == {key(project, one) for one in FILES.values()} | {
        blobs.key_of(project.pk, version.digest)
    }
    assert Blob.objects.count() == 4 and checks.run(whole=True).deleted == []


def test_what_has_no_row_is_deleted_too(version, kept, project, tmp_path):
    stray = tmp_path / "stray"
    stray.write_bytes(b"put, and then the process was killed")
    kept.put(key(project, b"stray"), stray)
    assert checks.run().deleted == [key(project, b"stray")]


def test_nothing_is_deleted_where_a_manifest_is_lost(version, kept, project, dataset, owner):
    push(dataset, {"a": b"first", "new": b"third"}, owner)
    kept.delete(blobs.key_of(project.pk, version.digest))
    listings.forget(project.pk, version.digest)
    report = checks.run()
    assert report.uncertain == [project.pk] and report.deleted == [] and not report.good
    assert kept.size(key(project, b"second")) == 6


def test_what_arrives_meanwhile_is_not_deleted(version, kept, project, dataset, owner, monkeypatch):
    needed = checks._needed

    def and_then_somebody_pushes(project_id: str) -> set[bytes]:
        found = needed(project_id)
        monkeypatch.setattr(checks, "_needed", needed)
        push(dataset, {"late": b"comer"}, owner)
        return found

    monkeypatch.setattr(checks, "_needed", and_then_somebody_pushes)
    assert checks.run().deleted == [] and checks.run(whole=True).good
    assert kept.size(key(project, b"comer")) == 5


def test_content_of_projects_that_are_gone_is_deleted(version, kept, project, tmp_path):
    stray = tmp_path / "stray"
    stray.write_bytes(b"x")
    kept.put(blobs.key_of("a" * 16, hash_of(b"x")), stray)
    assert checks.run().deleted == [blobs.key_of("a" * 16, hash_of(b"x"))]
    assert list(kept.keys("a" * 16)) == [] and checks.run(whole=True).good


def test_uploads_that_nobody_goes_on_with_are_forgotten(dataset, owner):
    old, fresh = (begin(dataset, manifest({"a": content}), owner).upload for content in (b"1", b"2"))
    Upload.objects.filter(pk=old.pk).update(touched_at=timezone.now() - timedelta(days=8))
    stray = places.upload_directory("s" * 16)
    os.utime(stray, (time.time() - 2 * checks.STRAY,) * 2)
    checks.run()
    assert list(Upload.objects.all()) == [fresh]
    assert [one.name for one in places.uploads().iterdir()] == [fresh.pk]


def test_the_command_compares_all_and_says_what_is_lost(version, kept, project):
    said = io.StringIO()
    call_command("check_content", stdout=said)
    assert "4 blobs" in said.getvalue() and "4 compared" in said.getvalue()
    spoil(kept, project, b"second", b"sec0nd")
    call_command("check_content", "--nightly", stdout=said)  # it has just been compared
    call_command("check_content", "--known", stdout=said)
    with pytest.raises(CommandError, match="Some content is lost"):
        call_command("check_content", stdout=said)
    assert f"damaged: {key(project, b'second')}" in said.getvalue()
    said = io.StringIO()
    with pytest.raises(CommandError, match="Some content is lost"):
        call_command("check_content", "--known", stdout=said)
    assert said.getvalue() == f"damaged in {project.slug}: faces@1 b\n"


def test_each_loss_is_named_once_in_each_dataset(version, kept, project, dataset, owner):
    push(dataset, {"a": b"first", "other": b"third"}, owner)
    push(dataset, {"moved": b"third"}, owner)
    net = actions.create(project=project, kind="model", name="net", by=owner)
    push(net, {"copy": b"first"}, owner)
    for content in (b"first", b"third"):
        spoil(kept, project, content, None)
    assert not checks.run().good
    found = {(str(one.version), one.path, one.fault) for one in faults.everywhere()}
    assert found == {
        ("faces@3", "moved", "missing"),
        ("faces@2", "a", "missing"),
        ("net@1", "copy", "missing"),
    }


def test_admins_are_told_each_night_while_something_is_lost(version, kept, project, owner, dataset):
    admins_of = type(owner).objects.filter(pk=owner.pk)
    admins_of.update(is_superuser=True)
    tasks.check()
    assert not OutgoingEmail.objects.exists()
    spoil(kept, project, b"first", None)
    tasks.check()
    tasks.check()
    [first, second] = OutgoingEmail.objects.all()
    assert first.to == owner.email and "faces@1: a (missing)" in first.body and first.body == second.body
    assert f"/p/{project.slug}/data/{dataset.pk}/versions/1" in first.body
    push(dataset, {"again": b"first"}, owner)
    tasks.check()
    assert OutgoingEmail.objects.count() == 2


def test_the_doctor_says_that_something_is_lost(version, kept, project):
    assert list(health.lost()) == []
    spoil(kept, project, b"first", None)
    checks.run()
    [found] = health.lost()
    assert found.verdict == "wrong" and "1 file of datasets or models missing or damaged" in found.text


def test_what_a_worker_is_asked_to_look_at_is_looked_at(version, kept, project):
    spoil(kept, project, b"second", b"sec0nd")
    for content in (b"first", b"second"):
        tasks.compare(project.pk, hash_of(content))
    tasks.compare(project.pk, "0" * 64)
    assert list(Blob.objects.exclude(fault="").values_list("sha256", flat=True)) == [hash_of(b"second")]


def test_it_is_done_each_night(version):
    assert beat.SCHEDULE["content"]["task"] == tasks.check.name
    tasks.check()


def test_other_projects_are_left_alone(version, kept, stranger):
    other = projects.create(name="Other", by=stranger)
    theirs = actions.create(project=other, kind="dataset", name="faces", by=stranger)
    push(theirs, FILES, stranger)
    actions.remove(datastore=theirs, by=stranger)
    assert len(checks.run().deleted) == 4
    assert checks.run(whole=True).good and len(list(kept.keys(""))) == 4
