"""How versions come about: who may, what is taken, and what happens when it goes wrong or at once."""

import errno
import os
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.http import Http404

import access
from access import Refused
from datastores import actions, blobs, listings, places, receivers, room, uploads
from datastores.errors import Impossible, Incomplete, InUse, TooMuch, User
from datastores.manifests import BadManifest
from datastores.models import Blob, Datastore, Upload, Version
from datastores.signals import datastore_removing
from projects import actions as projects
from projects import purging
from projects.models import AuditEntry, Project
from tests.at_once import at_once
from tests.datastores.pushing import begin, hash_of, manifest, packed, push

FILES = {"a.txt": b"first", "deep/er/b.bin": bytes(1000), "empty": b"", "same.txt": b"first"}


def read(datastore: Datastore, path: str, version: Version) -> bytes:
    with listings.opened(listings.of(version)) as listing:
        entry = listing.find(path)
    return b"".join(blobs.store().read(blobs.key_of(datastore.project_id, entry.sha256)))


def left_of(upload: Upload) -> bool:
    return (places.uploads() / upload.id).exists()


# Datastores


def test_a_dataset_is_created_renamed_and_removed_and_the_trail_has_it(project, owner):
    made = actions.create(project=project, kind="model", name=" weights ", description="# A", by=owner)
    assert (made.name, access.find(made.urn)) == ("weights", made)
    actions.edit(datastore=made, name="weights 2", by=owner)
    actions.edit(datastore=made, description="B", by=owner)
    actions.edit(datastore=made, name="weights 2", by=owner)
    actions.remove(datastore=made, by=owner)
    trail = AuditEntry.objects.filter(urn=made.urn).order_by("pk").values_list("action", flat=True)
    assert list(trail) == ["model:new", "model:set", "model:set", "model:rm"]
    assert set(trail) <= set(receivers.WORDS)
    assert access.find(made.urn) is None and not Datastore.objects.present().exists()


@pytest.mark.parametrize("name", ["", "a/b", "a@1", "a:b", "-a", ".a", "a\nb", "x" * 101, "\u202ea", "a\\b"])
def test_names_that_mean_something_else_are_refused(project, owner, name):
    with pytest.raises(ValidationError) as refused:
        actions.create(project=project, kind="dataset", name=name, by=owner)
    assert list(refused.value.message_dict) == ["name"]


def test_a_name_is_its_projects_only_one_while_it_is_there(project, owner, dataset):
    with pytest.raises(ValidationError, match="datastore of this name"):
        actions.create(project=project, kind="model", name=dataset.name, by=owner)
    other = actions.create(project=project, kind="model", name="Faces", by=owner)
    with pytest.raises(ValidationError, match="datastore of this name"):
        actions.edit(datastore=other, name="faces", by=owner)
    actions.remove(datastore=dataset, by=owner)
    actions.create(project=project, kind="model", name="faces", by=owner)


def test_what_is_in_use_is_not_removed(dataset, owner):
    def uses(sender, datastore, **_):
        return [User("mlteam:project:x:job:y", "job train")]

    datastore_removing.connect(uses)
    try:
        with pytest.raises(InUse, match="in use by job train"):
            actions.remove(datastore=dataset, by=owner)
    finally:
        datastore_removing.disconnect(uses)
    assert Datastore.objects.present().get() == dataset
    actions.remove(datastore=dataset, by=owner)


def test_levels_decide(project, owner, dataset, join, make_user, viewer, stranger, removed):
    own = join(project, make_user("omar"), {"dataset": "own", "model": "none", "job": "none", "volume": "none"}).user
    theirs = actions.create(project=project, kind="dataset", name="theirs", by=own)
    push(theirs, FILES, own)
    for by, kind, error in [
        (own, "model", Refused),
        (viewer, "dataset", Refused),
        (stranger, "dataset", Http404),
        (removed, "dataset", Http404),
    ]:
        with pytest.raises(error):
            actions.create(project=project, kind=kind, name="x", by=by)
    for by, error in [(own, Refused), (viewer, Refused), (stranger, Http404), (removed, Http404)]:
        for act in (
            lambda by: begin(dataset, manifest(FILES), by),
            lambda by: actions.edit(datastore=dataset, name="mine", by=by),
            lambda by: actions.remove(datastore=dataset, by=by),
        ):
            with pytest.raises(error):
                act(by)
    seen = {by: set(Datastore.objects.visible_to(by)) for by in (own, viewer, stranger, removed)}
    assert seen == {own: {dataset, theirs}, viewer: {dataset, theirs}, stranger: set(), removed: set()}
    model = actions.create(project=project, kind="model", name="m", by=owner)
    assert model not in set(Datastore.objects.visible_to(own)) and model in set(Datastore.objects.visible_to(viewer))
    actions.remove(datastore=theirs, by=own)


# Versions


@pytest.mark.django_db(transaction=True)
def test_only_what_lacks_is_sent_and_versions_are_numbered(dataset, owner, project):
    begun = begin(dataset, manifest(FILES), owner)
    assert (begun.missing, begun.missing_bytes) == (3, 1005)
    assert not dataset.versions.exists()
    with pytest.raises(Incomplete, match="3 blobs are not here"):
        actions.commit(upload=begun.upload, by=owner)
    assert uploads.receive_pack(begun.upload, packed(b"first", bytes(1000), b"")) == 3
    version, new = actions.commit(upload=begun.upload, note="hello", by=owner)
    assert (new, version.number, version.files, version.bytes, version.note) == (True, 1, 4, 1010, "hello")
    assert [read(dataset, path, version) for path in FILES] == list(FILES.values())
    assert not left_of(begun.upload) and not Upload.objects.exists()
    again = begin(dataset, manifest(FILES | {"a.txt": b"changed"}), owner)
    assert (again.missing, again.missing_bytes) == (1, 7)
    uploads.receive_pack(again.upload, packed(b"changed"))
    second, _ = actions.commit(upload=again.upload, by=owner)
    assert (second.number, read(dataset, "a.txt", second), read(dataset, "a.txt", version)) == (2, b"changed", b"first")
    entry = AuditEntry.objects.filter(action="dataset:version:new").latest("pk")
    assert entry.after["version"] == 2 and entry.urn == dataset.urn


def test_the_same_again_makes_no_version(dataset, owner):
    first = push(dataset, FILES, owner)
    begun = begin(dataset, manifest(dict(reversed(FILES.items()))), owner)
    assert begun.missing == 0
    assert actions.commit(upload=begun.upload, by=owner) == (first, False)
    assert dataset.versions.count() == 1 and not Upload.objects.exists()


def test_an_upload_that_was_interrupted_goes_on(dataset, owner, teammate):
    begun = begin(dataset, manifest(FILES), owner)
    uploads.receive_pack(begun.upload, packed(b"first"))
    uploads.receive_piece(begun.upload, hash_of(bytes(1000)), 1000, 0, bytes(600))
    again = begin(dataset, manifest(FILES), owner)
    assert again.upload == begun.upload and again.missing == 2
    found = {one.sha256: (one.size, one.received) for one in uploads.lacking(again.upload)}
    assert found == {hash_of(b""): (0, 0), hash_of(bytes(1000)): (1000, 600)}
    assert begin(dataset, manifest(FILES | {"x": b""}), owner).upload != begun.upload
    assert len(list(places.uploads().glob("*.manifest"))) == 0


def test_pieces_land_once_and_in_order(dataset, owner):
    content = os.urandom(3000)
    upload, digest = begin(dataset, manifest({"big": content}), owner).upload, hash_of(content)

    def send(offset: int, end: int) -> int:
        return uploads.receive_piece(upload, digest, 3000, offset, content[offset:end])

    assert uploads.received(upload, digest) == (0, 3000)
    assert send(0, 1000) == 1000
    assert send(0, 1000) == 1000
    with pytest.raises(uploads.Gap) as gap:
        send(1500, 2000)
    assert gap.value.received == 1000
    assert send(500, 2000) == 2000
    uploads._hashers._begun.clear()  # as another process, which has seen none of it
    assert send(2000, 3000) == 3000
    assert uploads.received(upload, digest) == (3000, 3000) and send(2000, 3000) == 3000
    version, _ = actions.commit(upload=upload, by=owner)
    assert read(dataset, "big", version) == content


def test_what_changed_in_between_is_found_out(dataset, owner):
    content = b"as it was"
    upload, digest = begin(dataset, manifest({"big": content, "small": b"1"}), owner).upload, hash_of(content)
    with pytest.raises(uploads.Damaged) as damaged:
        uploads.receive_piece(upload, digest, 9, 0, b"as it is ")
    assert damaged.value.hashes == [digest] and uploads.received(upload, digest) == (0, 9)
    with pytest.raises(uploads.Damaged):
        uploads.receive_piece(upload, digest, 9, 0, b"as it was, and more")
    claimed = uploads.RECORD.pack(bytes.fromhex(digest), 9) + b"as it is "
    with pytest.raises(uploads.Damaged) as damaged:
        uploads.receive_pack(upload, packed(b"1") + claimed)
    assert damaged.value.hashes == [digest]
    assert not Blob.objects.exists() and list(blobs.store().keys("")) == []
    assert uploads.receive_piece(upload, digest, 9, 0, content) == 9


@pytest.mark.parametrize("spoil", [lambda pack: pack[:-1], lambda pack: pack + b"x", lambda pack: pack[:20]])
def test_packs_that_end_early_are_refused(dataset, owner, spoil):
    upload = begin(dataset, manifest(FILES), owner).upload
    with pytest.raises(uploads.BadPack):
        uploads.receive_pack(upload, spoil(packed(b"first")))
    assert not Blob.objects.exists()


def test_what_the_manifest_does_not_name_is_refused(dataset, owner):
    upload = begin(dataset, manifest(FILES), owner).upload
    with pytest.raises(uploads.BadPack, match="has no"):
        uploads.receive_pack(upload, packed(b"first", b"something else"))
    with pytest.raises(uploads.NotWanted):
        uploads.received(upload, hash_of(b"something else"))
    assert not Blob.objects.exists()


def test_a_hash_is_worth_nothing_in_another_project(dataset, owner, stranger):
    push(dataset, {"secret": b"of Vision"}, owner)
    theirs = projects.create(name="Spies", by=stranger)
    spied = actions.create(project=theirs, kind="dataset", name="loot", by=stranger)
    begun = begin(spied, manifest({"loot": b"of Vision"}), stranger)
    assert begun.missing == 1
    with pytest.raises(Incomplete):
        actions.commit(upload=begun.upload, by=stranger)
    with pytest.raises(uploads.Damaged):
        uploads.receive_piece(begun.upload, hash_of(b"of Vision"), 9, 0, b"a guess -")
    with pytest.raises(Incomplete):
        actions.commit(upload=begun.upload, by=stranger)


@pytest.mark.django_db(transaction=True)
def test_a_hash_has_one_size(dataset, owner):
    push(dataset, {"a": b"abc"}, owner)
    lie = manifest({"b": b"abc"}).replace(b'"size": 3', b'"size": 4')
    with pytest.raises(BadManifest, match="has 3 bytes, not 4"):
        begin(dataset, lie, owner)
    with pytest.raises(BadManifest, match="Line 2: another line gives this sha256 another size"):
        begin(dataset, manifest({"x": b"new"}) + manifest({"y": b"new"}).replace(b'"size": 3', b'"size": 4'), owner)
    assert not Upload.objects.exists() and list(places.uploads().iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_an_upload_is_its_beginners(dataset, owner, project, join, make_user):
    full = join(project, make_user("fay"), "Full").user
    upload = begin(dataset, manifest(FILES), owner).upload
    for act in (actions.commit, actions.abandon):
        with pytest.raises(Http404):
            act(upload=upload, by=full)
    assert begin(dataset, manifest(FILES), full).upload != upload
    actions.abandon(upload=upload, by=owner)
    assert not left_of(upload)


def test_who_was_removed_meanwhile_commits_nothing(dataset, project, join, make_user):
    member = join(project, make_user("fay"), "Full")
    begun = begin(dataset, manifest(FILES), member.user)
    uploads.receive_pack(begun.upload, packed(b"first", bytes(1000), b""))
    projects.remove_member(member=member, by=project.owner)
    with pytest.raises(Http404):
        actions.commit(upload=begun.upload, by=member.user)
    assert not dataset.versions.exists()


def test_nobody_begins_without_end(dataset, owner, monkeypatch):
    monkeypatch.setattr(actions, "MOST_UPLOADS", 2)
    for number in range(2):
        begin(dataset, manifest({"a": bytes([number])}), owner)
    with pytest.raises(Impossible, match="begun 2 uploads"):
        begin(dataset, manifest({"a": b"3"}), owner)


@pytest.mark.django_db(transaction=True)
def test_more_than_the_projects_quota_is_refused_before_anything_is_sent(dataset, owner, settings):
    settings.MLTEAM_DATA_CAP = 2000
    push(dataset, FILES, owner)
    with pytest.raises(TooMuch, match=r"of the 2.0 KiB that it may have; these would be 1000 bytes more"):
        begin(dataset, manifest({"x": b"x" * 1000}), owner)
    assert not Upload.objects.exists() and list(places.uploads().iterdir()) == []
    push(dataset, FILES | {"x": b"x"}, owner)


def test_more_than_the_disk_takes_is_refused_before_anything_is_sent(dataset, owner, monkeypatch):
    monkeypatch.setattr(room, "LEFT", 2**60)
    with pytest.raises(blobs.Full, match="disk has 0 bytes left"):
        begin(dataset, manifest(FILES), owner)
    assert not Upload.objects.exists()


def test_a_full_disk_loses_nothing(dataset, owner, kept, monkeypatch):
    upload = begin(dataset, manifest(FILES), owner).upload
    put, count = kept.put, []

    def full(key: str, file: Path) -> None:
        count.append(key)
        if len(count) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        put(key, file)

    with monkeypatch.context() as patch:
        patch.setattr(kept, "put", full)
        with pytest.raises(blobs.Full, match="full"):
            uploads.receive_pack(upload, packed(b"first", bytes(1000), b""))
        with pytest.raises(Incomplete):
            actions.commit(upload=upload, by=owner)
    assert not dataset.versions.exists() and not Blob.objects.exists()
    uploads.receive_pack(upload, packed(b"first", bytes(1000), b""))
    assert actions.commit(upload=upload, by=owner)[1]


@pytest.mark.django_db(transaction=True)
def test_two_commits_at_once_get_two_numbers(dataset, owner):
    begun = [begin(dataset, manifest({"a": content}), owner).upload for content in (b"1", b"2", b"3")]
    for upload, content in zip(begun, (b"1", b"2", b"3"), strict=True):
        uploads.receive_pack(upload, packed(content))
    acts = [lambda upload=upload: actions.commit(upload=Upload.objects.get(pk=upload.pk), by=owner) for upload in begun]
    done = at_once(*acts)
    assert sorted(version.number for version, _ in done) == [1, 2, 3] and all(new for _, new in done)


@pytest.mark.django_db(transaction=True)
def test_one_upload_committed_twice_at_once_is_one_version(dataset, owner):
    begun = begin(dataset, manifest({"a": b"1"}), owner)
    uploads.receive_pack(begun.upload, packed(b"1"))
    act = lambda: actions.commit(upload=begun.upload, by=owner)  # noqa: E731
    done = at_once(act, act)
    assert dataset.versions.count() == 1
    assert sum(isinstance(one, tuple) and one[1] for one in done) == 1


@pytest.mark.parametrize("fault", [blobs.Full("full"), KeyboardInterrupt()])
def test_what_came_whole_but_was_not_kept_is_kept_with_its_last_byte(dataset, owner, monkeypatch, fault):
    """By a disk that got full just then, or a server that was killed: whoever sends the rest must have something to send."""
    content = os.urandom(5000)
    upload, sha256 = begin(dataset, manifest({"a": content}), owner).upload, hash_of(content)
    with monkeypatch.context() as patch, pytest.raises(type(fault)):
        patch.setattr(uploads, "_finish", lambda *_: (_ for _ in ()).throw(fault))
        uploads.receive_piece(upload, sha256, 5000, 0, content)
    [lack] = uploads.lacking(upload)
    assert lack.received == 4999 and uploads.received(upload, sha256) == (4999, 5000)
    assert uploads.receive_piece(upload, sha256, 5000, lack.received, content[lack.received :]) == 5000
    assert uploads.received(upload, sha256) == (5000, 5000)
    version, _ = actions.commit(upload=upload, by=owner)
    assert version.files == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_piece_twice_at_once_lands_once(dataset, owner):
    content = os.urandom(2**20)
    upload, digest = begin(dataset, manifest({"a": content}), owner).upload, hash_of(content)
    half = len(content) // 2
    uploads.receive_piece(upload, digest, len(content), 0, content[:half])
    act = lambda: uploads.receive_piece(upload, digest, len(content), half, content[half:])  # noqa: E731
    assert at_once(act, act, act) == [len(content)] * 3
    assert b"".join(blobs.store().read(blobs.key_of(dataset.project_id, digest))) == content


@pytest.mark.django_db(transaction=True)
def test_what_a_removed_project_had_goes_with_it(dataset, owner, project, kept):
    push(dataset, FILES, owner)
    begin(dataset, manifest({"a": b"1"}), owner)
    projects.remove(project=project, by=owner)
    assert list(kept.keys(""))
    Project.objects.filter(pk=project.pk).update(removed_at=project.created_at.replace(year=2020))
    assert purging.purge() == 1
    assert list(kept.keys("")) == [] and list(places.uploads().iterdir()) == [] and not Blob.objects.exists()
