"""Volumes: what is in them, what goes in and out, how much they may have; jobs change them at the same time."""

import html
import io
import itertools
import json
import os
import shutil
import tarfile
import threading
import time
import zipfile
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import quote

import pytest

from accounts import tokens
from compute import changing, trees
from datastores import actions, hints, paths, places, tasks, uploads, volume_contents, volumes
from datastores.blobs import Full
from datastores.errors import Impossible, Incomplete, InUse, TooMuch, Unfit, User
from datastores.models import Blob, Datastore, Upload
from datastores.signals import datastore_removing
from mlteam import state
from mlteam.one_thread import BrokenOff
from projects.models import AuditEntry
from tests.api.conftest import ROOT
from tests.api.test_door import problem
from tests.datastores import names
from tests.datastores.conftest import body_of
from tests.datastores.pushing import begin, fill, hash_of, manifest, packed
from tests.disks import enlarge, small_disk

pytestmark = pytest.mark.django_db

FILES = {
    ".DS_Store": b"",
    "AAA/Accelerometer Data 2019-06-28 14-00-01.txt": b"first",
    "BBB/BBB-1/x": b"same",
    "BBB/ü/日本 語.txt": b"same",
    "run.sh": b"#!/bin/sh\n",
}
MODES = {"run.sh": 493}


@pytest.fixture(autouse=True)
def var(settings, monkeypatch, tmp_path):
    monkeypatch.setattr(hints, "delete_gone", lambda: None)  # no worker listens
    settings.VAR = tmp_path / "var"
    monkeypatch.setattr(state, "VAR", tmp_path / "var")
    return tmp_path / "var"


@pytest.fixture
def volume(project, owner) -> Datastore:
    return actions.create(project=project, kind="volume", name="home", quota=2**20, by=owner)


def lines(files: dict[str, bytes]) -> bytes:
    return b"".join(
        json.dumps({"path": path, "sha256": hash_of(data), "size": len(data), "mode": MODES.get(path, 420)}).encode()
        + b"\n"
        for path, data in files.items()
    )


def put(volume, files, by) -> None:
    fill(volume, files, by, lines(files))


@pytest.fixture
def filled(volume, owner) -> Path:
    put(volume, FILES, owner)
    return volumes.place_of(volume)


def content(root: Path) -> dict[str, bytes]:
    return {str(one.relative_to(root)): one.read_bytes() for one in root.rglob("*") if one.is_file()}


# A volume and its quota


def test_a_volume_lives(program, owner, viewer, project, settings):
    asks = program(owner)
    made = asks.post(f"/projects/{project.pk}/datastores", {"kind": "volume", "name": "home"})
    assert made.status_code == 201, made.content
    one = made.json()
    assert (one["kind"], one["quota"], one["used"], one["files"]) == ("volume", settings.MLTEAM_VOLUME_QUOTA, 0, 0)
    assert one["urn"] == f"{project.urn}:volume:{one['id']}" and one["latest"] is None
    address = f"/datastores/{one['id']}"
    assert asks.patch(address, {"quota": 5000}).json()["quota"] == 5000
    assert AuditEntry.objects.filter(action="volume:set").latest("id").after["quota"] == 5000
    settings.MLTEAM_VOLUME_QUOTA_MOST = 4000
    assert "at most 3.9 KiB" in problem(asks.patch(address, {"quota": 4001}), 422, "invalid")["errors"][0]["message"]
    assert problem(asks.patch(address, {"quota": 0}), 422, "invalid")
    assert problem(program(viewer).patch(address, {"quota": 1}), 403, "not_granted")
    dataset = {"kind": "dataset", "name": "d", "quota": 5}
    assert problem(asks.post(f"/projects/{project.pk}/datastores", dataset), 422, "invalid")["errors"][0]["field"]
    assert asks.get(f"{address}/content").json()["items"] == []
    assert asks.get(f"{address}/versions").json()["items"] == []
    assert asks.delete(address).status_code == 204


def test_its_pages_are_there(volume, owner, as_user, project, filled):
    for page in ("", f"/{volume.pk}", f"/{volume.pk}/edit", f"/{volume.pk}/remove"):
        assert as_user(owner).get(f"/p/{project.slug}/data{page}").status_code == 200, page


def test_what_is_in_it_goes_with_it(volume, owner, filled, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        actions.remove(datastore=volume, by=owner)
    assert not filled.exists()
    tasks.delete_gone()
    assert list((filled.parent / ".gone").iterdir()) == []


def test_it_is_kept_while_something_uses_it(volume, owner, filled, program):
    use = User("urn:x", "job x", True)
    asked = lambda **_: [use]  # noqa: E731
    datastore_removing.connect(asked)
    try:
        with pytest.raises(InUse):
            actions.remove(datastore=volume, by=owner)
        shown = program(owner).get(f"/datastores/{volume.pk}/users").json()
        nobody = {"created_by": None, "by_role": None, "state": None}
        assert shown == [{"urn": "urn:x", "name": "job x", "writes": True} | nobody]
    finally:
        datastore_removing.disconnect(asked)
    assert content(filled) == FILES


def test_a_project_that_is_purged_leaves_none(project, filled):
    volumes.remove_all_of(project.pk)
    assert not filled.parent.exists()


# What goes in


def test_files_are_put_in_their_places(volume, owner, filled):
    assert content(filled) == FILES
    assert {path: (filled / path).stat().st_mode & 0o777 for path in FILES} == {
        path: MODES.get(path, 0o644) for path in FILES
    }
    if os.getuid() == 0:
        assert {one.lstat().st_uid for one in [filled, *filled.rglob("*")]} == {volumes.owner()}
    assert not Blob.objects.exists() and not Upload.objects.exists()
    volume.refresh_from_db()
    assert volume.files == 5 and volume.used >= 4 * 4096 and volume.measured_at
    entry = AuditEntry.objects.get(action="volume:content:new")
    assert entry.after == {"files": 5, "bytes": sum(map(len, FILES.values()))}
    put(volume, {"run.sh": b"new"}, owner)
    assert content(filled) == FILES | {"run.sh": b"new"}


def test_an_upload_is_refused_beyond_the_quota(volume, owner, filled):
    with pytest.raises(TooMuch, match=r"of the 1\.0 MiB that it may have"):
        begin(volume, manifest({"large": bytes(2**20)}), owner)
    assert not Upload.objects.exists()
    volume.quota = 200_000
    volume.save()
    put(volume, {"a": bytes(100_000)}, owner)
    put(volume, {"a": bytes(range(250)) * 400}, owner)  # in the stead of what is there
    begun = begin(volume, manifest({"b": bytes(60_000)}), owner)
    uploads.receive_pack(begun.upload, packed(bytes(60_000)))
    (filled / "by a job").write_bytes(bytes(100_000))
    with pytest.raises(TooMuch):
        actions.lay_out(upload=begun.upload, by=owner)
    (filled / "by a job").unlink()
    actions.lay_out(upload=begun.upload, by=owner)
    assert (filled / "b").stat().st_size == 60_000


def test_volumes_count_for_what_the_project_may_have(volume, owner, filled, settings):
    volumes.measure(volume)
    settings.MLTEAM_DATA_CAP = volume.used + 1000
    faces = actions.create(project=volume.project, kind="dataset", name="faces", by=owner)
    for one in (volume, faces):
        with pytest.raises(TooMuch, match=r"these would be 2\.0 KiB more"):
            put(one, {"new": os.urandom(2048)}, owner)


def test_what_is_in_the_way_is_named(volume, owner, filled):
    with pytest.raises(changing.InTheWay, match=r"folder called .AAA."):
        begin(volume, manifest({"AAA": b"x"}), owner)
    with pytest.raises(changing.InTheWay, match=r"called .run\.sh. that is no folder"):
        put(volume, {"run.sh/x": b"x"}, owner)
    with pytest.raises(changing.InTheWay):
        volumes.make_folder(volume, "run.sh")
    assert content(filled) == FILES


def test_an_upload_that_is_not_whole_puts_nothing(volume, owner):
    begun = begin(volume, lines(FILES), owner)
    uploads.receive_pack(begun.upload, packed(b"first"))
    with pytest.raises(Incomplete):
        actions.lay_out(upload=begun.upload, by=owner)
    assert not list(volumes.root_of(volume).iterdir())
    again = begin(volume, lines(FILES), owner)
    assert again.upload.pk == begun.upload.pk and hash_of(b"first") not in {
        one.sha256 for one in uploads.lacking(again.upload)
    }
    with pytest.raises(Impossible, match="no versions"):
        actions.commit(upload=begun.upload, by=owner)


def test_a_server_killed_in_between_goes_on(volume, owner, monkeypatch):
    begun = begin(volume, lines(FILES), owner)
    uploads.receive_pack(begun.upload, packed(*set(FILES.values())))
    placed, place = [], changing.Placing.place

    def dies(*args):
        if len(placed) == 3:
            raise KeyboardInterrupt
        placed.append(args)
        place(*args)

    monkeypatch.setattr(changing.Placing, "place", dies)
    with pytest.raises(KeyboardInterrupt):
        actions.lay_out(upload=begun.upload, by=owner)
    monkeypatch.setattr(changing.Placing, "place", place)
    assert not list(uploads.lacking(begun.upload)) and begin(volume, lines(FILES), owner).missing == 0
    actions.lay_out(upload=begun.upload, by=owner)
    assert content(volumes.place_of(volume)) == FILES
    assert not (places.uploads() / begun.upload.pk).exists() or not Upload.objects.exists()


def arrived(volume: Datastore, files: dict[str, bytes], by: object) -> Upload:
    """An upload that is here whole."""
    upload = begin(volume, manifest(files), by).upload
    uploads.receive_pack(upload, packed(*set(files.values())))
    return upload


SAME = {f"{number}/same": bytes(2**16) for number in range(10)}
MANY = {f"{number}/{number}": b"%d" % number for number in range(60)}


@pytest.mark.needs("root")
@pytest.mark.parametrize(
    ("size", "inodes", "files", "said"),
    [
        ("512k", 0, SAME, r"It has .* left, and 717\.0 KiB more are needed"),
        ("1m", 50, MANY, r"It takes \d+ files and folders more, and 119 are needed"),
    ],
)
def test_a_push_for_which_the_disk_has_no_room_changes_nothing(volume, owner, var, size, inodes, files, said):
    project = var / "volumes" / volume.project_id
    with small_disk(project, size, inodes=inodes):
        put(volume, {"0/same": b"before"}, owner)
        upload = arrived(volume, files, owner)
        with pytest.raises(Full, match=said):
            actions.lay_out(upload=upload, by=owner)
        assert content(volumes.place_of(volume)) == {"0/same": b"before"}
        assert sorted(one.name for one in volumes.place_of(volume).rglob("*")) == ["0", "same"]
        assert not list((project / ".new").iterdir())
        enlarge(project, "8m", inodes=10 * inodes)
        again = begin(volume, manifest(files), owner)
        assert again.missing == 0
        actions.lay_out(upload=again.upload, by=owner)
        assert content(volumes.place_of(volume)) == {"0/same": b"before"} | files
        assert not list((project / ".new").iterdir())


@pytest.mark.needs("root")
def test_a_disk_that_others_fill_while_a_push_is_prepared_leaves_nothing(volume, owner, var, monkeypatch):
    project = var / "volumes" / volume.project_id
    with small_disk(project, "512k"):
        upload = arrived(volume, SAME, owner)
        monkeypatch.setattr(volumes, "_check_takes", lambda *_: None)  # it has room, and then no more
        with pytest.raises(Full, match="Nothing of it is in the volume"):
            actions.lay_out(upload=upload, by=owner)
        assert not content(project) and not uploads.laying_mark(upload).exists()
        actions.abandon(upload=upload, by=owner)


def test_over_the_wire(wire, volume, owner, program, transactional_db):
    token = tokens.make(user=owner, name="w", scope="all", days=1)
    data = os.urandom(300_000)
    begun = wire("POST", f"/datastores/{volume.pk}/uploads", manifest({"a/b.bin": data, "c": b""}), token=token)
    assert (begun.status, begun.json["missing_bytes"]) == (201, 300_000)
    upload = begun.json["id"]
    at = f"/uploads/{upload}/blobs/{hash_of(data)}"
    wire("PUT", at, data, token=token, cut=150_000)
    received = wire("PUT", at, b"", token=token).json["received"]
    assert wire("PUT", at, data[received:], token=token, query=f"offset={received}").json["received"] == 300_000
    assert wire("PUT", f"/uploads/{upload}/pack", packed(b""), token=token).status == 200
    assert program(owner).post(f"/uploads/{upload}/commit", {}).status_code == 204
    assert content(volumes.place_of(volume)) == {"a/b.bin": data, "c": b""}


def test_only_what_differs_is_sent_again(volume, owner, filled):
    changed = {**FILES, "run.sh": b"other", "AAA/new": b"same"}
    begun = begin(volume, lines(changed), owner)
    lacking = {one.sha256 for one in uploads.lacking(begun.upload)}
    assert lacking == {hash_of(b"other"), hash_of(b"same")}  # which is there, but not in all its places
    uploads.receive_pack(begun.upload, packed(b"other", b"same"))
    actions.lay_out(upload=begun.upload, by=owner)
    assert content(filled) == changed
    (filled / "run.sh").chmod(0o644)
    assert begin(volume, lines({"run.sh": b"other"}), owner).missing == 1


# What is in it


def test_folders_are_listed_by_name(program, viewer, volume, filled):
    os.mkfifo(filled / "fifo")
    (filled / "link").symlink_to("/etc/passwd")
    (filled / "line\nbreak").write_bytes(b"1")
    (filled / os.fsdecode(b"\xff\xfe")).write_bytes(b"1")
    settled(filled / "line\nbreak")
    asks = program(viewer)
    address = f"/datastores/{volume.pk}/content"
    found = asks.get(address).json()["items"]
    assert [(one["name"], one["kind"], one["size"], one["mode"]) for one in found] == [
        (".DS_Store", "file", 0, 420),
        ("AAA", "directory", 0, None),
        ("BBB", "directory", 0, None),
        ("fifo", "other", 0, None),
        ("line\\x0abreak", "file", 1, 420),
        ("link", "link", 0, None),
        ("run.sh", "file", 10, 493),
        ("\\xff\\xfe", "file", 1, 420),
    ]
    seen, cursor = [], ""
    while cursor is not None:
        answer = asks.get(address, limit=3, cursor=cursor).json()
        seen += answer["items"]
        cursor = answer["next"]
    assert seen == found
    assert [one["name"] for one in asks.get(f"{address}?path=BBB/ü").json()["items"]] == ["日本 語.txt"]
    for wrong in ("nothing", "run.sh", "link", "fifo"):
        assert problem(asks.get(f"{address}?path={quote(wrong)}"), 404, "not_found")
    for wrong in ("..", "/etc", "AAA/../..", "a//b", "x" * 300):
        assert problem(asks.get(f"{address}?path={quote(wrong)}"), 422, "invalid")


def test_a_page_of_the_list_may_end_with_any_name(program, viewer, volume):
    told = names.write_odd(volumes.root_of(volume))
    seen, cursor = [], ""
    while cursor is not None:
        answer = program(viewer).get(f"/datastores/{volume.pk}/content", limit=1, cursor=cursor).json()
        seen += [one["name"] for one in answer["items"]]
        cursor = answer["next"]
    assert sorted(seen) == sorted({name.partition("/")[0] for name in told})


def test_a_file_of_any_name_is_asked_for_as_it_is_told(program, owner, volume):
    files = names.write_all(volumes.root_of(volume)) | names.write_odd(volumes.root_of(volume))
    asks, at = program(owner), f"/datastores/{volume.pk}"
    listed = body_of(asks.get(f"{at}/listing")).splitlines()
    told = {one["path"]: one["kind"] for one in map(json.loads, listed)}
    assert {path for path, kind in told.items() if kind == "file"} == files.keys()
    assert set(told.values()) == {"file", "directory"} and len(listed) == len(told)
    assert all(path.isprintable() for path in names.ODD)
    pack = body_of(asks.post(f"{at}/pack", {"paths": list(files)}))
    assert pack == b"".join(packed(content) for content in files.values())
    for path, content in files.items():
        answer = asks.get(f"{at}/files/{quote(path)}")
        assert body_of(answer) == content, path
        assert answer["Content-Disposition"].endswith(quote(path.rpartition("/")[2], safe=""))
    for path in sorted(told, key=lambda path: -path.count("/")):
        assert path not in files or asks.get(f"{at}/content?path={quote(path)}").status_code == 404
        assert asks.delete(f"{at}/content?path={quote(path, safe='')}").status_code == 204, path
    assert not list(volumes.place_of(volume).iterdir())
    removed = AuditEntry.objects.filter(action="volume:content:rm").order_by("id")
    assert {entry.before["path"] for entry in removed} == told.keys()


def test_a_name_is_told_in_one_way_and_means_one_file():
    parts = [b"\\", b"x", b"5", b"c", b"e9", b"0a", b"\n", b"\xe9", "é".encode(), "\x85\u202e".encode()]
    seen = set()
    for some in range(1, 5):
        for name in itertools.product(parts, repeat=some):
            path = os.fsdecode(b"".join(name))
            told = paths.told(path)
            assert paths.clean_there(told) == path and told.isprintable()
            seen.add((told, path))
    assert len(seen) == len({told for told, _ in seen}) == len({path for _, path in seen})
    for wrong in ("\\x00", "a\0", "\ud800", "\udcff", "../\\xff", "\\xff//", "\\xff" * 256):
        with pytest.raises(paths.BadPath):
            paths.clean_there(wrong)


def test_all_is_listed_for_a_program(program, viewer, volume, filled):
    (filled / "AAA" / "link").symlink_to("/etc")
    asks = program(viewer)
    answer = asks.get(f"/datastores/{volume.pk}/listing")
    told = {one["path"]: one for one in map(json.loads, body_of(answer).splitlines())}
    folders = {"AAA", "BBB", "BBB/BBB-1", "BBB/ü"}
    assert set(told) == set(FILES) | folders | {"AAA/link"}
    assert told["run.sh"] | {"modified": "", "modified_ns": 0} == {
        "path": "run.sh", "kind": "file", "size": 10, "mode": 493, "modified": "", "modified_ns": 0}  # fmt: skip
    assert told["AAA/link"]["kind"] == "link" and told["AAA"]["kind"] == "directory"
    part = body_of(asks.get(f"/datastores/{volume.pk}/listing?path=BBB/ü")).splitlines()
    assert [json.loads(one)["path"] for one in part] == ["BBB/ü/日本 語.txt"]


def test_small_files_come_in_packs(program, viewer, stranger, volume, filled):
    (filled / "link").symlink_to("/etc/passwd")
    os.mkfifo(filled / "fifo")
    (filled / "large").write_bytes(bytes(2**20 + 1))
    names = ["run.sh", "link", "BBB/ü/日本 語.txt", "fifo", "large", "gone", "BBB/..", ".DS_Store"]
    address = f"/datastores/{volume.pk}/pack"
    assert problem(program(viewer).post(address, {"paths": names}), 422, "invalid")
    names.remove("BBB/..")
    pack = body_of(program(viewer).post(address, {"paths": names}))
    none, there = volume_contents.NOT_PACKED, lambda path: packed(FILES[path])
    assert pack == there("run.sh") + none + there(names[2]) + 3 * none + there(".DS_Store")
    assert problem(program(stranger).post(address, {"paths": names}), 404, "not_found")


def test_files_and_parts_of_them_come_out(program, viewer, volume, filled):
    asks = program(viewer)
    at = f"/datastores/{volume.pk}/files/{quote('AAA/Accelerometer Data 2019-06-28 14-00-01.txt')}"
    settled(filled / "AAA/Accelerometer Data 2019-06-28 14-00-01.txt")
    whole = asks.get(at)
    assert body_of(whole) == b"first" and whole["Content-Disposition"].startswith("attachment")
    ask = lambda span: asks.client.get(  # noqa: E731
        f"{ROOT}{at}", headers=asks.headers | {"Range": span, "If-Range": whole["ETag"]}
    )
    part = ask("bytes=1-2")
    assert (part.status_code, body_of(part), part["Content-Range"]) == (206, b"ir", "bytes 1-2/5")
    assert problem(ask("bytes=9-"), 416, "bad_request")
    os.mkfifo(filled / "fifo")
    (filled / "link").symlink_to("run.sh")
    for wrong in ("fifo", "link", "AAA", "nothing"):
        assert problem(asks.get(f"/datastores/{volume.pk}/files/{wrong}"), 404, "not_found")


def settled(file: Path) -> None:
    """Waits until what is written there has another time."""
    while not volume_contents.is_settled(file.stat().st_ctime_ns):
        time.sleep(0.01)


def test_the_time_of_a_file_is_told_exactly_as_soon_as_another_state_has_another(program, viewer, volume, filled):
    asks, file = program(viewer), filled / "run.sh"

    def told() -> set[int | None]:
        listed = map(json.loads, body_of(asks.get(f"/datastores/{volume.pk}/listing")).splitlines())
        children = asks.get(f"/datastores/{volume.pk}/content").json()["items"]
        return {one["modified_ns"] for one in [*listed, *children] if one.get("path", one.get("name")) == "run.sh"}

    settled(file)
    assert told() == {file.stat().st_mtime_ns}
    os.utime(file, ns=(0, 1_700_000_000_123_456_789))
    assert told() == {1_700_000_000_123_456_789}
    for unknown in (time.time_ns() + 60 * 10**9, -1):  # as a job can set them
        os.utime(file, ns=(unknown, unknown))
        assert told() == {None}
    now = time.time_ns() // 10**9 * 10**9  # on a disk that keeps seconds
    os.utime(file, ns=(now, now))
    assert told() == {None}
    assert {one["modified_ns"] for one in asks.get(f"/datastores/{volume.pk}/content?path=BBB").json()["items"]} == {
        None
    }


def test_nobody_goes_on_with_a_file_that_was_written_a_moment_ago(program, viewer, volume, filled, monkeypatch):
    asks, at = program(viewer), f"/datastores/{volume.pk}/files/run.sh"

    def goes_on(tag: str) -> int:
        headers = asks.headers | {"Range": "bytes=2-", "If-Range": tag}
        return asks.client.get(f"{ROOT}{at}", headers=headers).status_code

    settled(filled / "run.sh")
    strong = asks.get(at)["ETag"]
    with monkeypatch.context() as longer:
        longer.setattr(volume_contents, "TICK", 3600 * 10**9)
        weak = asks.get(at)["ETag"]
        assert weak == f"W/{strong}" and {goes_on(weak), goes_on(strong)} == {200}
    assert (goes_on(weak), goes_on(strong)) == (200, 206)
    (filled / "run.sh").write_bytes(FILES["run.sh"])
    settled(filled / "run.sh")
    assert goes_on(strong) == 200


@pytest.mark.parametrize("added", [0, 1])  # bytes at its end
def test_a_file_that_is_written_anew_while_it_is_sent_breaks_off(program, viewer, volume, filled, added):
    (filled / "large").write_bytes(before := b"a" * 2**20)
    os.utime(filled / "large", (1, 1))
    asks, at = program(viewer), f"/datastores/{volume.pk}/files/large"
    answer, came = asks.get(at), []

    def write(piece):
        with (filled / "large").open("r+b") as file:
            file.seek(len(before) - 1 + added)
            file.write(b"b")
        came.append(piece)
        return piece

    with nullcontext() if added else pytest.raises(BrokenOff, match="written anew"):
        body_of(answer, then=write)
    assert before.startswith(b"".join(came)) and (b"".join(came) == before) is bool(added)
    headers = asks.headers | {"Range": "bytes=1-", "If-Range": answer["ETag"]}
    rest = asks.client.get(f"{ROOT}{at}", headers=headers)
    assert rest.status_code == 200 and body_of(rest) == (filled / "large").read_bytes()


def test_an_answer_that_breaks_off_is_one_line_in_the_log(wire, owner, volume, filled, monkeypatch, caplog):
    token = tokens.make(user=owner, name="pull", scope="read", days=1)
    (filled / "large").write_bytes(b"a" * 2**20)
    monkeypatch.setattr(volume_contents, "is_written_anew", lambda before, now: True)
    answer = wire("GET", f"/datastores/{volume.pk}/files/large", token=token)
    assert (answer.status, answer.body, answer.whole) == (200, b"", False)
    [said] = [one for one in caplog.records if one.name == "mlteam.one_thread"]
    assert "broke off an answer: a file of a volume" in said.getMessage() and not said.exc_info


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_archives(program, viewer, volume, filled, kind):
    os.mkfifo(filled / "BBB" / "fifo")
    (filled / "BBB" / "link").symlink_to("/etc")
    answer = program(viewer).get(f"/datastores/{volume.pk}/archive?path=BBB&format={kind}")
    data = io.BytesIO(body_of(answer))
    assert f"home-BBB.{kind}" in answer["Content-Disposition"]
    if kind == "tar":
        with tarfile.open(fileobj=data) as archive:
            found = {one.name: archive.extractfile(one).read() for one in archive}
    else:
        with zipfile.ZipFile(data) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}
    assert found == {"BBB-1/x": b"same", "ü/日本 語.txt": b"same"}


def test_archives_have_files_of_any_name(program, viewer, volume):
    """A tar as they are, a zip as they are told: with what no system unpacks as a folder of its own."""
    names.write_odd(volumes.root_of(volume))
    address = f"/datastores/{volume.pk}/archive"
    with tarfile.open(fileobj=io.BytesIO(body_of(program(viewer).get(f"{address}?format=tar")))) as archive:
        assert {os.fsencode(one.name): archive.extractfile(one).read() for one in archive} == {
            name: b"in " + name for name in names.ODD.values()
        }
    with zipfile.ZipFile(io.BytesIO(body_of(program(viewer).get(f"{address}?format=zip")))) as archive:
        found = sorted((name, archive.read(name)) for name in archive.namelist())
    assert found == sorted((told.replace("\\", "_"), b"in " + name) for told, name in names.ODD.items())
    inside = quote("in\\x0a\\xff ?#%")
    answer = program(viewer).get(f"{address}?format=zip&path={inside}")
    assert answer["Content-Disposition"].endswith(quote("home-in\\x0a\\xff ?#%.zip"))
    with zipfile.ZipFile(io.BytesIO(body_of(answer))) as archive:
        assert archive.namelist() == ["_xff_xfe/_x80 <b>&"]


def test_a_file_that_is_cut_while_it_is_packed_spoils_no_archive(volume, filled, monkeypatch):
    monkeypatch.setattr(volume_contents, "CHUNK", 1000)
    (filled / "BBB" / "log").write_bytes(b"x" * 10_000)
    pieces = volume_contents._tarred(filled, "")
    data = b""
    for piece in pieces:
        data += piece
        if piece == b"x" * 1000:
            os.truncate(filled / "BBB" / "log", 1500)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {one.name: archive.extractfile(one).read() for one in archive}
    assert set(found) == {*FILES, "BBB/log"} and len(found["BBB/log"]) == 10_000
    assert found["run.sh"] == FILES["run.sh"]


# What goes out of it


def test_the_dialogue_about_removing(program, owner, viewer, volume, filled):
    asks = program(owner)
    at = f"/datastores/{volume.pk}/content"

    def remove(path, by=asks):
        return by.delete(f"{at}?path={quote(path)}")

    assert problem(remove("AAA", program(viewer)), 403, "not_granted")
    assert remove("AAA").status_code == 204
    assert [one["name"] for one in asks.get(at).json()["items"]] == [".DS_Store", "BBB", "run.sh"]
    assert remove("BBB/ü/日本 語.txt").status_code == 204
    assert problem(remove("BBB/ü/日本 語.txt"), 404, "not_found")
    for wrong in ("..", "/", "/etc", "BBB/../..", "./BBB", "", "BBB/."):
        assert problem(remove(wrong), 422, "invalid"), wrong
    assert content(filled).keys() == {".DS_Store", "BBB/BBB-1/x", "run.sh"}
    (filled / os.fsdecode(b"\xff\xfe")).write_bytes(b"1")
    (filled / "link").symlink_to("/etc")
    assert remove(".").status_code == 204
    assert asks.get(at).json()["items"] == [] and filled.is_dir() and Path("/etc/passwd").exists()
    assert asks.get(f"/datastores/{volume.pk}").json()["used"] == 0
    entries = AuditEntry.objects.filter(action="volume:content:rm").order_by("id")
    assert [entry.before["path"] for entry in entries] == ["AAA", "BBB/ü/日本 語.txt", "."]
    volumes.delete_gone()
    assert not list((filled.parent / ".gone").iterdir())


def test_folders_are_made(program, owner, viewer, volume):
    asks = program(owner)
    at = f"/datastores/{volume.pk}/folders"
    assert asks.post(at, {"path": "a b/ü"}).json() == {"path": "a b/ü"}
    assert asks.post(at, {"path": "a b/ü"}).status_code == 201
    assert (volumes.place_of(volume) / "a b" / "ü").is_dir()
    assert problem(asks.post(at, {"path": "../x"}), 422, "invalid")
    assert problem(program(viewer).post(at, {"path": "x"}), 403, "not_granted")
    for wrong in ("a\nb", "a\\x0ab", "caf\\xe9/x"):
        assert problem(asks.post(at, {"path": wrong}), 422, "invalid")
    assert [one.name for one in volumes.place_of(volume).iterdir()] == ["a b"]


def test_what_has_versions_is_not_changed_in_place(program, owner, dataset):
    asks = program(owner)
    for asked in (
        asks.get(f"/datastores/{dataset.pk}/content"),
        asks.delete(f"/datastores/{dataset.pk}/content?path=."),
        asks.post(f"/datastores/{dataset.pk}/folders", {"path": "x"}),
    ):
        assert "versions, which never change" in problem(asked, 409, "conflict")["detail"]


# While jobs change it


@pytest.fixture
def swapping(filled, tmp_path):
    """Something that swaps a directory for a link that leads out, and a file for a FIFO, again and again, as a job could."""
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "secret").write_bytes(b"secret")
    (outside / "deep" / "secret").write_bytes(b"secret")
    stop = threading.Event()

    def swap() -> None:
        name = filled / "swap"
        while not stop.is_set():
            for make in (
                lambda: (name / "deep").mkdir(parents=True),
                lambda: name.symlink_to(outside),
                lambda: os.mkfifo(name),
                lambda: (name.mkdir(), (name / "deep").symlink_to(outside / "deep"), os.mkfifo(name / "secret")),
            ):
                try:
                    make()
                    _gone(name)
                except OSError:
                    _gone(name)

    thread = threading.Thread(target=swap)
    thread.start()
    yield outside
    stop.set()
    thread.join()
    assert {str(one.relative_to(outside)) for one in outside.rglob("*")} == {"secret", "deep", "deep/secret"}
    assert (outside / "secret").read_bytes() == (outside / "deep" / "secret").read_bytes() == b"secret"
    assert {one.lstat().st_uid for one in outside.rglob("*")} == {os.getuid()}


def _gone(name: Path) -> None:
    if name.is_dir() and not name.is_symlink():
        shutil.rmtree(name, ignore_errors=True)
    else:
        name.unlink(missing_ok=True)


def test_nothing_leads_out_however_names_are_swapped(volume, owner, filled, swapping, tmp_path):
    gone = volumes._beside(volume.project_id, ".gone")
    for number in range(150):
        source = tmp_path / f"new{number}"
        source.write_bytes(b"new")
        for act in (
            lambda: trees.children(filled, "swap", limit=10)[0],
            lambda: [one.path for one in trees.everything(filled)],
            lambda: _read(filled, "swap/secret"),
            lambda: _read(filled, "swap/deep/secret"),
            lambda source=source: _placed(filled, "swap/deep/secret", source),
            lambda: changing.make_folder(filled, "swap/deep/er", volumes.owner()),
            lambda: changing.take_away(filled, "swap/secret", gone),
            lambda: changing.take_away(filled, "swap/deep", gone),
            lambda: _replaced(filled, "swap/deep/secret"),
            lambda: list(volume_contents.archived(volume, "", "tar")),
        )[number % 5 :: 5]:
            try:
                found = act()
            except (trees.NotThere, changing.InTheWay):
                continue
            assert b"secret" not in (found if isinstance(found, bytes) else b"")
            if isinstance(found, list) and found and isinstance(found[0], bytes):
                with tarfile.open(fileobj=io.BytesIO(b"".join(found))) as archive:
                    assert all(archive.extractfile(one).read() != b"secret" for one in archive)
    volumes.delete_gone()


def _placed(root: Path, path: str, source: Path) -> None:
    with changing.Placing(root, volumes.owner()) as placing:
        placing.place(path, source)


def _replaced(root: Path, path: str) -> None:
    with trees.Folders(root) as folders:
        changing.replaced(folders, path)


def test_a_folder_that_is_swapped_while_files_are_put_into_it(volume, owner, filled, tmp_path):
    """It is entered once; taken away, it is made anew; swapped for a link, nothing goes where that leads."""
    outside = tmp_path / "outside"
    outside.mkdir()
    sources = [tmp_path / str(number) for number in range(4)]
    for source in sources:
        source.write_bytes(b"new")
    with changing.Placing(filled, volumes.owner()) as placing:
        placing.place("data/0", sources[0])
        shutil.rmtree(filled / "data")
        placing.place("data/1", sources[1])
        (filled / "data").rename(filled / "moved")
        (filled / "data").symlink_to(outside)
        placing.place("data/2", sources[2])
        assert {one.name for one in (filled / "moved").iterdir()} == {"1", "2"} and not list(outside.iterdir())
        placing.place("other", sources[3])
        source = tmp_path / "again"
        source.write_bytes(b"new")
        with pytest.raises(changing.InTheWay):
            placing.place("data/3", source)
    assert not list(outside.iterdir())


def _read(root: Path, path: str) -> bytes:
    with trees.opened(root, path) as file:
        return file.read()


def test_a_job_that_writes_on_while_it_is_emptied(volume, owner, filled):
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set() and number < 3000:
            number += 1
            (filled / f"{number}").write_bytes(b"x")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        actions.remove_content(datastore=volume, path=".", by=owner)
    finally:
        stop.set()
        thread.join()
    actions.remove_content(datastore=volume, path=".", by=owner)
    assert not list(filled.iterdir())


# How much is in it


def test_what_jobs_write_is_measured(volume, filled):
    (filled / "large").write_bytes(bytes(100_000))
    os.link(filled / "large", filled / "again")
    with (filled / "sparse").open("wb") as file:
        file.truncate(2**30)
    volume.measured_at = None
    Datastore.objects.filter(pk=volume.pk).update(measured_at=None)
    tasks.measure()
    volume.refresh_from_db()
    assert 100_000 < volume.used < 250_000 and volume.files == 7 and not volumes.is_full(volume)
    (filled / "large").write_bytes(bytes(2**20))
    assert volumes.measure(volume) and volumes.is_full(volume)


def test_folders_nested_endlessly_count_as_full(volume, filled):
    here = os.open(filled, os.O_RDONLY)
    for _ in range(150):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert volumes.measure(volume) and volumes.is_full(volume)
    volumes.take_away(volume, "d")
    assert volumes.measure(volume) and not volumes.is_full(volume)
    volumes.delete_gone()
    assert not list((filled.parent / ".gone").iterdir())


def test_what_is_left_of_killed_servers_goes(volume, owner, filled, project):
    drafts = filled.parent / ".new"
    drafts.mkdir(exist_ok=True)
    (drafts / "a234567a234567a7.x").write_bytes(b"half")
    other = actions.create(project=project, kind="volume", name="other", by=owner)
    put(other, FILES, owner)
    Datastore.objects.filter(pk=other.pk).update(removed_at=other.created_at)  # and then the server was killed
    unknown = filled.parent / "a234567a234567a7"
    unknown.mkdir()
    (filled.parent.parent / "b234567a234567a7").mkdir()
    tasks.check()
    assert not volumes.place_of(other).exists() and not list(drafts.iterdir())
    assert content(filled) == FILES and unknown.exists()  # of which a database that is older may not know
    assert not (filled.parent.parent / "b234567a234567a7").exists()  # its project is no more


def test_what_is_written_while_one_is_measured_is_measured_again(volume, filled, monkeypatch):
    weighed = volumes.weighing.weighed

    def slowly(*args):
        volumes.note_written([volume.pk])
        return weighed(*args)

    monkeypatch.setattr(volumes.weighing, "weighed", slowly)
    tasks.measure()
    volumes.measure(volume)
    volume.refresh_from_db()
    assert volume.measured_at is None and volume.used


def test_a_quota_that_makes_no_sense_is_refused(project, owner, volume):
    with pytest.raises(Unfit):
        actions.create(project=project, kind="volume", name="x", quota=-1, by=owner)
    with pytest.raises(Unfit):
        actions.edit(datastore=volume, quota=volumes.LARGEST + 1, by=owner)


# Names


def test_every_name_goes_in_is_looked_at_and_removed(volume, owner, as_user):
    files = {name: names.content(name) for name in names.NAMES}
    put(volume, files, owner)
    assert content(volumes.place_of(volume)) == files
    browser, at = as_user(owner), f"/p/vision/data/{volume.pk}"
    for name in names.NAMES:
        assert names.content(name) == body_of(browser.get(f"{at}/files/{quote(name)}"))
        folder, _, last = name.rpartition("/")
        page = browser.get(at, {"path": folder} if folder else {})
        [child] = [one for one in page.context["children"] if one["name"] == last]
        assert browser.get(child["url"]).status_code == 200
        assert html.escape(last) in browser.get(child["url"]).content.decode()
        assert f'value="{html.escape(name)}"' in page.content.decode()
        asked = browser.get(f"{at}/content/remove", {"path": name})
        assert asked.status_code == 200 and asked.context["path"] == name
        browser.post(f"{at}/content/remove", {"path": name})
        del files[name]
        assert content(volumes.place_of(volume)) == files
