"""Datasets and models out of what lies at addresses."""

import io
import json
import os
import tarfile
from ipaddress import ip_network

import pytest

from access import Refused
from datastores import actions, hints, imports, listings, places
from datastores.errors import Impossible, Unfit
from datastores.models import Datastore, Import
from datastores.remote import beside, fetching, retrying
from projects import actions as projects
from projects import third_party
from projects.models import AuditEntry
from tests import google_storage
from tests.datastores import names
from tests.datastores.pushing import push
from tests.datastores.remote import websites
from tests.google_storage import VIEWER

MIB = 2**20


@pytest.fixture(scope="module")
def running_site():
    with websites.running() as site:
        yield site


@pytest.fixture
def site(running_site, settings, monkeypatch, db):
    settings.MLTEAM_REACHABLE = [ip_network("127.0.0.1/32")]
    monkeypatch.setattr(retrying, "FIRST", 0.001)
    monkeypatch.setattr(fetching, "PART", MIB)
    running_site.clean()
    return running_site


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The imports that a worker was asked for."""
    found: list[str] = []
    monkeypatch.setattr(hints, "bring_in", found.append)
    return found


def carried_out(dataset, by, address, **how) -> Import:
    row = imports.start(datastore=dataset, address=address, by=by, **how)
    imports.carry_out(row.pk)
    row.refresh_from_db()
    return row


def files_of(dataset) -> dict[str, int]:
    version = dataset.versions.order_by("-number").first()
    version.datastore = dataset
    with listings.opened(listings.of(version)) as listing:
        return {entry.path: entry.size for entry in listing.entries(0, version.files)}


def packed(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return made.getvalue()


def test_a_file_becomes_a_version(site, dataset, owner):
    site.files["/faces.csv"] = os.urandom(3 * MIB)
    row = carried_out(dataset, owner, f"{site.url}/faces.csv?signature=secret")
    assert (row.state, row.version, row.said) == ("done", 1, "") and row.bytes_done == row.bytes == 3 * MIB
    assert files_of(dataset) == {"faces.csv": 3 * MIB}
    version = dataset.versions.get()
    assert version.created_by == owner and version.note == f"From {site.url}/faces.csv?…"
    assert not (places.import_directory(row.pk) / "fetched").exists()
    told = AuditEntry.objects.filter(action="dataset:import:new").get()
    assert told.after == {"address": f"{site.url}/faces.csv?…"}
    assert carried_out(dataset, owner, f"{site.url}/faces.csv").said == "Nothing has changed since version 1."


def test_an_archive_is_unpacked(site, dataset, owner):
    files = {"a/1.txt": b"one", "a/2.txt": b"two", "b": os.urandom(MIB), names.DEEPEST: b""}
    site.files["/faces.tar.gz"] = packed(files)
    row = carried_out(dataset, owner, f"{site.url}/faces.tar.gz")
    assert (row.state, row.said) == ("done", "Left out of the archive: 1 link.")
    assert row.files_done == row.files == len(files)
    assert files_of(dataset) == {name: len(content) for name, content in files.items()}
    row = carried_out(dataset, owner, f"{site.url}/faces.tar.gz", unpack=False, note="as it is")
    assert set(files_of(dataset)) == {"faces.tar.gz"} and dataset.versions.get(number=2).note == "as it is"


def test_what_cannot_be_fetched_is_said_and_tried_again(site, dataset, owner, asked):
    row = carried_out(dataset, owner, f"{site.url}/faces.csv")
    assert row.state == "failed" and "There is nothing at" in row.said and row.ended_at
    imports.carry_out(row.pk)
    with pytest.raises(Impossible):
        imports.again(
            row=carried_out(dataset, owner, f"{site.url}/x") if site.files.setdefault("/x", b"x") else row, by=owner
        )
    site.files["/faces.csv"] = b"abc"
    imports.again(row=row, by=owner)
    imports.carry_out(row.pk)
    row.refresh_from_db()
    assert row.state == "done" and files_of(dataset) == {"faces.csv": 3}
    with pytest.raises(Impossible, match="Only an import that failed"):
        imports.again(row=row, by=owner)


@pytest.mark.parametrize("content", [b"no archive", packed({"../a": b"abc"})])
def test_what_cannot_be_unpacked_is_said(site, dataset, owner, content):
    site.files["/a.tar.gz"] = content
    row = carried_out(dataset, owner, f"{site.url}/a.tar.gz")
    assert row.state == "failed" and row.said.endswith(".") and not dataset.versions.exists()


def test_a_limit_counts_what_is_fetched_and_what_comes_out(site, dataset, owner, settings):
    settings.MLTEAM_IMPORT_CAP = MIB
    site.files |= {"/large": bytes(2 * MIB), "/a.tar.gz": packed({"a": bytes(2 * MIB)})}
    for path in site.files:
        row = carried_out(dataset, owner, site.url + path)
        assert row.state == "failed" and "1.0 MiB" in row.said
    settings.MLTEAM_DATA_CAP, settings.MLTEAM_IMPORT_CAP = MIB, 2**40
    assert "of the 1.0 MiB that it may have" in carried_out(dataset, owner, f"{site.url}/large").said


@pytest.mark.parametrize(
    ("address", "key", "field"),
    [
        ("nothing", "", "address"),
        ("http://example.org/a", "", "address"),
        ("gs://input/data", "missing", "key"),
        ("https://example.org/a", "google", "key"),
        ("s3://input/data", "google", "key"),
    ],
)
def test_what_makes_no_import_is_said_at_once(db, dataset, owner, project, address, key, field):
    values = {"credentials": google_account()}
    third_party.add(project=project, kind="gcp", name="google", values=values, by=owner)
    with pytest.raises(Unfit) as raised:
        imports.start(datastore=dataset, address=address, key=key, by=owner)
    assert raised.value.field == field


def google_account() -> str:
    return google_storage.account("reader")


def test_who_may_not_change_it_imports_nothing(site, dataset, viewer, owner, project):
    with pytest.raises(Refused):
        imports.start(datastore=dataset, address=f"{site.url}/a", by=viewer)


def test_who_may_no_longer_change_it_imports_nothing_more(site, dataset, owner, project, join, make_user):
    site.files["/a"] = b"abc"
    member = join(project, make_user("fay"), "Full")
    row = imports.start(datastore=dataset, address=f"{site.url}/a", by=member.user)
    projects.remove_member(member=member, by=owner)
    imports.carry_out(row.pk)
    row.refresh_from_db()
    assert row.state == "failed" and not dataset.versions.exists()


def test_a_bucket_opens_with_the_projects_key(site, dataset, owner, project, settings):
    with google_storage.running() as google:
        settings.MLTEAM_SERVICES = google.services
        google.bucket("input", {"data/a": b"abc", "data/b/c": b"def"})
        google.grant("reader", "input", "data/", VIEWER, itself=True)
        key = third_party.add(
            project=project, kind="gcp", name="google", values={"credentials": google_account()}, by=owner
        )
        row = carried_out(dataset, owner, "gs://input/data", key="google")
        assert row.state == "done" and files_of(dataset) == {"a": 3, "b/c": 3}
        used = AuditEntry.objects.get(action="key:use")
        assert used.urn == key.urn and used.details["datastore"] == dataset.name
        row = imports.start(datastore=dataset, address="gs://input/data", key="google", by=owner)
        third_party.remove(key=key, by=owner)
        imports.carry_out(row.pk)
        row.refresh_from_db()
        assert row.state == "failed" and row.said == "This project has no key called google."


def test_why_it_is_tried_again_is_said_meanwhile(site, dataset, owner, monkeypatch):
    site.files["/a"], site.statuses = b"a", [503]
    row = imports.start(datastore=dataset, address=f"{site.url}/a", by=owner)
    monkeypatch.setattr(retrying, "FIRST", 0.5)
    monkeypatch.setattr(beside, "TICK", 0.01)
    monkeypatch.setattr(imports, "TOLD_EVERY", 0.0)
    said, real = [], imports._Told.write

    def write(self, **more):
        real(self, **more)
        row.refresh_from_db()
        said.append(row.said)

    monkeypatch.setattr(imports._Told, "write", write)
    imports.carry_out(row.pk)
    row.refresh_from_db()
    assert (row.state, row.said) == ("done", "")
    assert any(one.startswith("Tries again: ") for one in said) and said[-1] == ""


def test_it_is_stopped_while_it_runs(site, dataset, owner, monkeypatch):
    site.files["/large"], site.slow = os.urandom(8 * MIB), 0.01
    row = imports.start(datastore=dataset, address=f"{site.url}/large", by=owner)
    monkeypatch.setattr(imports, "TOLD_EVERY", 0.0)
    real = imports._Told.write

    def write(self, **more):
        if self.bytes_done > MIB:
            imports.stop(row=row, by=owner)
        real(self, **more)

    monkeypatch.setattr(imports._Told, "write", write)
    imports.carry_out(row.pk)
    row.refresh_from_db()
    assert row.state == "stopped" and not dataset.versions.exists()
    assert not list(places.import_directory(row.pk).iterdir())
    with pytest.raises(Impossible):
        imports.again(row=row, by=owner)


@pytest.mark.parametrize("where", ["unpack", "_hash", "_store", "commit"])
def test_it_goes_on_wherever_its_worker_was_killed(site, dataset, owner, monkeypatch, where):
    """As after a kill: nothing of what that worker would still have done is done."""

    class Killed(BaseException):
        pass

    def die(*_, **__):
        raise Killed

    site.files["/faces.tar.gz"] = packed({str(number): os.urandom(1000) for number in range(20)})
    row = imports.start(datastore=dataset, address=f"{site.url}/faces.tar.gz", by=owner)
    place = {"unpack": imports.unpacking, "commit": actions}.get(where, imports._Carried)
    with monkeypatch.context() as patch:
        patch.setattr(place, where, die)
        with pytest.raises(Killed):
            imports.carry_out(row.pk)
    row.refresh_from_db()
    assert row.is_open
    before = len(site.asked)
    imports.carry_out(row.pk)
    row.refresh_from_db()
    assert (row.state, row.version, len(site.asked)) == ("done", 1, before)
    assert row.said == "Left out of the archive: 1 link." and len(files_of(dataset)) == 20


def test_only_some_are_carried_out_at_once(site, dataset, owner, asked):
    site.files["/a"] = b"abc"
    rows = [imports.start(datastore=dataset, address=f"{site.url}/a", by=owner) for _ in range(imports.MOST)]
    with pytest.raises(Impossible, match="fetches from"):
        imports.start(datastore=dataset, address=f"{site.url}/a", by=owner)
    with imports._slot() as one, imports._slot() as two:
        assert one and two
        imports.carry_out(rows[0].pk)
    rows[0].refresh_from_db()
    assert rows[0].state == "waiting" and not asked
    imports.resume_all()
    assert asked == [row.pk for row in rows]
    imports.carry_out(rows[0].pk)
    assert asked[-1] == rows[1].pk


def test_it_goes_with_its_dataset(site, dataset, owner, django_capture_on_commit_callbacks):
    row = carried_out(dataset, owner, f"{site.url}/missing")
    assert row.state == "failed" and places.import_directory(row.pk).exists()
    with django_capture_on_commit_callbacks(execute=True):
        actions.remove(datastore=dataset, by=owner)
    assert not Import.objects.exists() and not (places.uploads().parent / "imports" / row.pk).exists()


def test_the_same_content_is_kept_once(site, dataset, owner):
    push(dataset, {"a": b"abc", "b": b"def"}, owner)
    site.files["/a.tar.gz"] = packed({"a": b"abc", "c": b"ghi", "d": b"ghi"})
    assert carried_out(dataset, owner, f"{site.url}/a.tar.gz").version == 2
    assert files_of(dataset) == {"a": 3, "c": 3, "d": 3}


def test_programs_import(site, program, owner, viewer, dataset, asked):
    site.files["/a"] = b"abc"
    asks = program(owner)
    made = asks.post(f"/datastores/{dataset.pk}/imports", {"address": f"{site.url}/a?secret=1"})
    told = made.json()
    assert made.status_code == 201 and told["state"] == "waiting" and "secret=1" not in json.dumps(told)
    imports.carry_out(told["id"])
    found = program(viewer).get(f"/imports/{told['id']}").json()
    assert (found["state"], found["version"], found["bytes_done"]) == ("done", 1, 3)
    assert program(viewer).get(f"/datastores/{dataset.pk}/imports").json()["items"] == [found]
    assert program(viewer).post(f"/imports/{told['id']}/stop").status_code == 403
    assert asks.post(f"/imports/{told['id']}/again").status_code == 409
    wrong = asks.post(f"/datastores/{dataset.pk}/imports", {"address": "nothing"})
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["field"] == "address"


# Made and fetched at once

NEW = "/p/vision/data/new"


def test_the_form_of_a_new_one_takes_an_address(
    site, owner, as_user, project, asked, django_capture_on_commit_callbacks
):
    site.files["/faces.csv"] = b"abc"
    sent = {"kind": "model", "name": "faces", "source": "address", "address": f"{site.url}/faces.csv", "unpack": "on"}
    with django_capture_on_commit_callbacks(execute=True):
        answer = as_user(owner).post(NEW, sent)
    made = Datastore.objects.get(name="faces")
    assert answer["Location"] == f"/p/vision/data/{made.pk}" and asked == [made.imports.get().pk]
    assert f"{site.url}/faces.csv" in as_user(owner).get(answer["Location"]).content.decode()
    imports.carry_out(asked[0])
    assert files_of(made) == {"faces.csv": 3}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"address": ""}, "Write where its files are."),
        ({"address": "faces.csv"}, "begins with https://, s3:// or gs://"),
        ({"address": "s3://bucket/a", "key": "missing"}, "Select a valid choice"),
        ({"address": "https://example.org/a", "name": "faces"}, "The project has a datastore of this name"),
    ],
)
def test_where_nothing_can_be_fetched_nothing_is_made(db, owner, as_user, project, dataset, asked, typed, said):
    sent = {"kind": "dataset", "name": "new", "source": "address", **typed}
    page = as_user(owner).post(NEW, sent).content.decode()
    assert said in page and 'value="address" id="id_source_1" checked' in page.replace(" required", "")
    assert list(Datastore.objects.all()) == [dataset] and not Import.objects.exists() and not asked
    assert not AuditEntry.objects.filter(action="dataset:new", after__name="new").exists()


def test_what_another_choice_asks_for_counts_for_nothing(db, owner, as_user, project, asked):
    address = {"address": "nothing", "unpack": "on"}
    as_user(owner).post(NEW, {"kind": "volume", "name": "home", "source": "address", "quota": "1", **address})
    as_user(owner).post(NEW, {"kind": "dataset", "name": "empty", "source": "here", "quota": "1", **address})
    as_user(owner).post(NEW, {"kind": "dataset", "name": "plain", "quota": ""})
    assert dict(Datastore.objects.values_list("name", "quota")) == {"home": 2**30, "empty": None, "plain": None}
    assert not Import.objects.exists()


def test_programs_make_and_import_at_once(site, program, owner, project):
    def new(**data):
        return program(owner).post(f"/projects/{project.pk}/datastores", {"kind": "dataset", "name": "faces"} | data)

    assert new(address="nowhere").status_code == 422 and new(kind="volume", address=site.url).status_code == 422
    assert not Datastore.objects.exists()
    made = new(address=f"{site.url}/a.tar", unpack=False)
    assert made.status_code == 201
    row = Import.objects.get()
    assert (row.datastore_id, row.unpack) == (made.json()["id"], False)


def test_while_too_much_is_fetched_nothing_is_made(site, owner, project, dataset, as_user, monkeypatch):
    monkeypatch.setattr(imports, "MOST", 1)
    imports.start(datastore=dataset, address=f"{site.url}/a", by=owner)
    sent = {"kind": "dataset", "name": "new", "source": "address", "address": f"{site.url}/b"}
    assert "fetches from 1 addresses already" in as_user(owner).post(NEW, sent).content.decode()
    assert list(Datastore.objects.all()) == [dataset]
