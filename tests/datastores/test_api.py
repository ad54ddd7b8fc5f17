"""Datasets and models for programs, and the bytes of them over the wire."""

import gzip
import io
import json
import os
import tarfile
import zipfile
from urllib.parse import quote

import pytest

from accounts import tokens
from datastores import (
    actions,
    blobs,
    content_answers,
    content_api,
    faults,
    hints,
    manifests,
    places,
    tasks,
    transfer,
    uploads,
)
from datastores.models import Blob, Upload
from mlteam.one_thread import BrokenOff
from projects import actions as projects
from projects.models import AuditEntry
from tests.api.conftest import ROOT, cost_of
from tests.api.test_door import problem
from tests.datastores.conftest import body_of
from tests.datastores.pushing import begin, hash_of, manifest, packed, push

FILES = {
    "a.txt": b"first",
    "deep/er/b.bin": bytes(range(256)) * 4,
    "deep/empty": b"",
    "names/ä b#?%.txt": "ß".encode(),
    "z": b"last",
}


@pytest.fixture
def version(dataset, owner):
    return push(dataset, FILES, owner, "the first")


@pytest.fixture
def at(dataset, version) -> str:
    return f"/datastores/{dataset.pk}/versions/1"


def test_a_dataset_lives(program, owner, project, viewer):
    asks = program(owner)
    made = asks.post(f"/projects/{project.pk}/datastores", {"kind": "dataset", "name": "faces", "description": "*x*"})
    assert made.status_code == 201, made.content
    one = made.json()
    assert (one["kind"], one["name"], one["description"], one["latest"], one["mine"]) == (
        "dataset",
        "faces",
        "*x*",
        None,
        True,
    )
    assert one["urn"] == f"{project.urn}:dataset:{one['id']}" and one["project"]["id"] == project.pk
    address = f"/datastores/{one['id']}"
    told = program(viewer).get(address)
    assert told.json() == one | {"mine": False, "created_by": one["created_by"] | {"mine": False}}
    changed = asks.patch(address, {"name": "people"}, **{"If-Match": told["ETag"]})
    assert (changed.status_code, changed.json()["name"], changed.json()["description"]) == (200, "people", "*x*")
    assert problem(asks.patch(address, {"name": "x"}, **{"If-Match": told["ETag"]}), 412, "changed")
    assert problem(asks.patch(address, {"name": "a/b"}), 422, "invalid")["errors"][0]["field"] == "name"
    assert problem(asks.patch(address, {"description": "a\0"}), 422, "invalid")["errors"][0]["field"] == "description"
    assert problem(program(viewer).patch(address, {"name": "x"}), 403, "not_granted")
    assert problem(program(viewer).delete(address), 403, "not_granted")
    assert asks.delete(address).status_code == 204
    assert problem(asks.get(address), 404, "not_found")
    entry = AuditEntry.objects.get(action="dataset:rm")
    assert entry.origin == "api" and entry.before["name"] == "people"


def test_nothing_moves_between_projects(program, owner, project, dataset, version):
    asks, here = program(owner), f"/datastores/{dataset.pk}"
    elsewhere = projects.create(name="Sound", by=owner)
    wrong = problem(asks.patch(here, {"project": elsewhere.pk, "name": "moved"}), 422, "invalid")
    assert [one["field"] for one in wrong["errors"]] == ["project"]
    assert "stays in Vision, whose owner pays for it" in wrong["errors"][0]["message"]
    same = asks.patch(here, {"project": project.slug, "name": "digits"})
    assert (same.json()["name"], same.json()["project"]["id"]) == ("digits", project.pk)


def test_lists_are_filtered_and_cost_the_same(program, owner, project, viewer, stranger, dataset, version):
    model = actions.create(project=project, kind="model", name="Net", description="of faces", by=owner)
    elsewhere = projects.create(name="Elsewhere", by=viewer)
    theirs = actions.create(project=elsewhere, kind="dataset", name="other", by=viewer)
    asks = program(viewer)

    def names(**query) -> list[str]:
        return [one["name"] for one in asks.get("/datastores", **query).json()["items"]]

    assert names() == ["Net", "faces", "other"]
    assert names(project=project.pk) == ["Net", "faces"] and names(kind="model") == ["Net"]
    assert names(mine=True) == ["other"] and names(q="FACES") == ["Net", "faces"] and names(name="faces") == ["faces"]
    latest = asks.get("/datastores", name="faces").json()["items"][0]["latest"]
    assert (latest["number"], latest["files"], latest["note"]) == (1, 5, "the first")
    assert program(stranger).get("/datastores").json()["items"] == []
    first = asks.get("/datastores", limit=2).json()
    assert (
        len(first["items"]) == 2 and asks.get("/datastores", cursor=first["next"]).json()["items"][0]["name"] == "other"
    )
    _, few = cost_of(asks, "/datastores?limit=1")
    assert cost_of(asks, "/datastores")[1] == few
    assert {model.pk, theirs.pk}


def test_versions_are_told_newest_first(program, viewer, dataset, owner, version):
    push(dataset, {"other": b"x"}, owner)
    asks = program(viewer)
    found = asks.get(f"/datastores/{dataset.pk}/versions").json()["items"]
    assert [one["number"] for one in found] == [2, 1]
    assert asks.get(f"/datastores/{dataset.pk}/versions/1").json() == found[1]
    assert asks.get(f"/datastores/{dataset.pk}/versions/latest").json() == found[0]
    for wrong in ("3", "0", "-1", "x", "99999999999", "١"):
        assert problem(asks.get(f"/datastores/{dataset.pk}/versions/{wrong}"), 404, "not_found")


def test_folders_are_browsed(program, viewer, at):
    asks = program(viewer)
    found = asks.get(f"{at}/content").json()["items"]
    assert [(one["name"], one["kind"], one["files"], one["size"]) for one in found] == [
        ("a.txt", "file", 1, 5),
        ("deep", "directory", 2, 1024),
        ("names", "directory", 1, 2),
        ("z", "file", 1, 4),
    ]
    assert found[0]["sha256"] == hash_of(b"first") and found[1]["sha256"] is None
    seen, cursor = [], ""
    while cursor is not None:
        page = asks.get(f"{at}/content", limit=1, cursor=cursor).json()
        seen, cursor = seen + page["items"], page["next"]
    assert seen == found
    assert [one["name"] for one in asks.get(f"{at}/content?path=names").json()["items"]] == ["ä b#?%.txt"]
    assert problem(asks.get(f"{at}/content?path=nothing"), 404, "not_found")
    assert problem(asks.get(f"{at}/content?path=../x"), 422, "invalid")
    assert problem(asks.get(f"{at}/content", cursor="%%%"), 422, "invalid")


def test_files_are_read_whole_or_in_ranges(program, viewer, at):
    asks = program(viewer)
    for path, content in FILES.items():
        answer = asks.client.get(f"{ROOT}{at}/files/{quote(path)}", headers=asks.headers)
        assert (answer.status_code, body_of(answer)) == (200, content), path
        assert answer["ETag"] == f'"{hash_of(content)}"' and answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Disposition"].startswith("attachment")
    path = f"{ROOT}{at}/files/deep/er/b.bin"
    part = asks.client.get(path, headers=asks.headers | {"Range": "bytes=250-259"})
    assert (part.status_code, body_of(part)) == (206, (bytes(range(256)) * 4)[250:260])
    assert asks.client.head(path, headers=asks.headers)["Content-Length"] == "1024"
    problem(asks.client.get(path, headers=asks.headers | {"Range": "bytes=5000-"}), 416, "bad_request")
    for wrong in ("deep", "../a.txt", "/etc/passwd", "A.TXT", "deep//empty", "x" * 5000):
        assert problem(asks.get(f"{at}/files/{wrong}"), 404, "not_found")


def test_content_that_is_lost_is_said_to_be(program, viewer, at, kept, project):
    kept.delete(blobs.key_of(project.pk, hash_of(b"first")))
    assert problem(program(viewer).get(f"{at}/files/a.txt"), 410, "lost")
    assert problem(program(viewer).post(f"{at}/pack", {"paths": ["a.txt"]}), 410, "lost")


def test_the_manifest_is_canonical(program, viewer, at, version):
    answer = program(viewer).get(f"{at}/manifest")
    body = body_of(answer)
    assert (answer["ETag"], hash_of(body)) == (f'"{version.digest}"', version.digest)
    assert [json.loads(line)["path"] for line in body.splitlines()] == sorted(FILES, key=str.encode)
    assert answer["Content-Length"] == str(len(body))


def test_a_manifest_comes_back_from_the_store(program, viewer, at, version, project):
    (places.uploads().parent / "manifests" / project.pk / f"{version.digest}.index").unlink()
    assert hash_of(body_of(program(viewer).get(f"{at}/manifest"))) == version.digest


def test_packs_have_files_in_the_order_asked(program, viewer, at, monkeypatch):
    asks = program(viewer)
    answer = asks.post(f"{at}/pack", {"paths": ["z", "deep/empty", "a.txt"]})
    assert body_of(answer) == packed(b"last", b"", b"first")
    wrong = problem(asks.post(f"{at}/pack", {"paths": ["z", "../z", "q"]}), 422, "invalid")["errors"]
    assert [one["field"] for one in wrong] == ["paths.1", "paths.2"]
    monkeypatch.setattr(content_api, "PACK_OUT", 100)
    assert problem(asks.post(f"{at}/pack", {"paths": list(FILES)}), 422, "invalid")


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_archives_hold_a_folder_or_all(program, viewer, at, kind):
    for folder in ("", "deep"):
        answer = program(viewer).get(f"{at}/archive?path={folder}&format={kind}")
        assert answer["Content-Disposition"].endswith(f"faces-1{'-deep' if folder else ''}.{kind}")
        expected = {
            path.removeprefix("deep/" if folder else ""): FILES[path] for path in FILES if path.startswith(folder)
        }
        body = io.BytesIO(body_of(answer))
        if kind == "tar":
            with tarfile.open(fileobj=body) as archive:
                found = {one.name: archive.extractfile(one).read() for one in archive}
        else:
            with zipfile.ZipFile(body) as archive:
                assert archive.testzip() is None
                found = {name: archive.read(name) for name in archive.namelist()}
        assert found == expected
    assert problem(program(viewer).get(f"{at}/archive?path=nothing"), 404, "not_found")


def test_versions_are_compared(program, viewer, at, dataset, owner):
    push(dataset, {**FILES, "a.txt": b"second", "new": b"n"}, owner)
    address = f"/datastores/{dataset.pk}/compare"
    found = program(viewer).get(address, old="1").json()
    assert found["items"] == [
        {"path": "a.txt", "change": "changed", "old_size": 5, "new_size": 6},
        {"path": "new", "change": "added", "old_size": None, "new_size": 1},
    ]
    first = program(viewer).get(address, old="1", new="2", limit=1).json()
    assert (
        program(viewer).get(address, old="1", new="2", limit=1, cursor=first["next"]).json()["items"]
        == found["items"][1:]
    )
    assert problem(program(viewer).get(address, old="1", new="7"), 404, "not_found")


def test_reading_writes_nothing(program, viewer, at, read_only):
    asks = program(viewer)
    asks.get("/me")
    with read_only():
        for path in ("/datastores", at, f"{at}/content", f"{at}/manifest", f"{at}/files/z", f"{at}/archive"):
            assert asks.get(path).status_code == 200, path


def spoil(kept, dataset, content: bytes, other: bytes | None) -> None:
    path = kept.root / blobs.key_of(dataset.project_id, hash_of(content))
    path.unlink() if other is None else path.write_bytes(other)


def states(answer) -> dict[str, str]:
    assert answer.status_code == 200, answer.content
    return {one["path"]: one["state"] for one in answer.json()}


def test_who_doubts_a_file_has_the_server_look_at_it(program, viewer, at, dataset, kept, owner):
    asks, paths = program(viewer), {"paths": ["a.txt", "deep/empty", "z"]}
    assert set(states(asks.post(f"{at}/doubts", paths)).values()) == {"whole"}
    assert not Blob.objects.exclude(fault="").exists()  # whatever was said of it
    spoil(kept, dataset, b"first", b"f1rst")
    spoil(kept, dataset, b"last", None)
    assert states(asks.post(f"{at}/doubts", paths)) == {"a.txt": "damaged", "deep/empty": "whole", "z": "missing"}
    begun = begin(dataset, manifest(FILES), owner)
    assert {one.sha256 for one in uploads.lacking(begun.upload)} == {hash_of(b"first"), hash_of(b"last")}
    uploads.receive_pack(begun.upload, packed(b"first", b"last"))
    assert not actions.commit(upload=begun.upload, by=owner)[1]
    assert set(states(asks.post(f"{at}/doubts", paths)).values()) == {"whole"}
    assert problem(asks.post(f"{at}/doubts", {"paths": ["nothing"]}), 422, "invalid")


def test_a_large_file_is_left_to_a_worker(program, viewer, at, dataset, kept, monkeypatch):
    asked = []
    monkeypatch.setattr(faults, "AT_ONCE", 4)
    monkeypatch.setattr(hints, "compare", lambda *blob: asked.append(blob))
    spoil(kept, dataset, b"first", b"f1rst")
    asks, paths = program(viewer), {"paths": ["a.txt", "z"]}
    assert states(asks.post(f"{at}/doubts", paths)) == {"a.txt": "later", "z": "whole"}
    assert asked == [(dataset.project_id, hash_of(b"first"))]
    with faults._alone():  # one at a time on a host
        assert states(asks.post(f"{at}/doubts", paths)) == {"a.txt": "later", "z": "later"}
    tasks.compare(*asked[0])
    assert states(asks.post(f"{at}/doubts", paths)) == {"a.txt": "damaged", "z": "whole"}


def test_a_token_that_only_reads_may_doubt(program, viewer, at):
    secret = tokens.make(user=viewer, name="reads", scope="read", days=1)
    asks = program(viewer)
    asks.headers = {"Authorization": f"Bearer {secret}"}
    assert states(asks.post(f"{at}/doubts", {"paths": ["z"]})) == {"z": "whole"}


def test_what_is_damaged_is_never_downloaded_whole(program, viewer, at, dataset, kept, monkeypatch):
    asked = []
    monkeypatch.setattr(hints, "compare", lambda *blob: asked.append(blob))
    spoil(kept, dataset, b"first", b"f1rst")
    asks, came = program(viewer), []
    for path in ("files/a.txt", "archive?format=zip"):
        with pytest.raises(BrokenOff, match="missing or damaged"):
            body_of(asks.get(f"{at}/{path}"), then=lambda piece: came.append(piece) or piece)
    assert b"f1rst" not in b"".join(came)
    assert set(asked) == {(dataset.project_id, hash_of(b"first"))}
    assert b"f1rst" in body_of(asks.post(f"{at}/pack", {"paths": ["a.txt", "z"]}))  # with the hash that tells
    spoil(kept, dataset, b"first", None)
    for answer in (asks.get(f"{at}/files/a.txt"), asks.post(f"{at}/pack", {"paths": ["z", "a.txt"]})):
        assert "“a.txt”" in problem(answer, 410, "lost")["detail"]


@pytest.mark.parametrize("who", ["stranger", "removed"])
def test_who_may_not_see_it_finds_nothing(program, request, dataset, at, who, owner):
    asks = program(request.getfixturevalue(who))
    upload = begin(dataset, manifest({"x": b"x"}), owner).upload
    for path in ("", "/content", "/manifest", "/files/z", "/archive"):
        assert problem(asks.get(at + path), 404, "not_found")
    for what in ("pack", "doubts"):
        assert problem(asks.post(f"{at}/{what}", {"paths": ["z"]}), 404, "not_found")
    assert problem(asks.get(f"/datastores/{dataset.pk}/compare", old="1"), 404, "not_found")
    assert problem(asks.get(f"/uploads/{upload.pk}/missing"), 404, "not_found")
    assert problem(asks.post(f"/uploads/{upload.pk}/commit", {}), 404, "not_found")
    assert problem(asks.delete(f"/uploads/{upload.pk}"), 404, "not_found")


def test_who_loses_access_reads_no_further(program, viewer, dataset, owner, project, monkeypatch):
    push(dataset, {"big": os.urandom(3 * blobs.CHUNK)}, owner)
    monkeypatch.setattr(content_answers, "LOOKED_AGAIN", -1.0)
    answer = program(viewer).get(f"/datastores/{dataset.pk}/versions/1/files/big")
    projects.remove_member(member=project.members.get(user=viewer), by=owner)
    with pytest.raises(BrokenOff, match="no longer"):
        body_of(answer)


def test_a_roles_key_pushes_what_is_nobodys(wire, role_program, dataset, project):
    asks = role_program("*@{urn}+{urn}:*")
    made = asks.post(f"/projects/{project.pk}/datastores", {"kind": "dataset", "name": "nightly"}).json()
    assert (made["created_by"], made["by_role"], made["mine"]) == (None, "ci", True)
    key = asks.headers["Authorization"].removeprefix("Bearer ")
    begun = wire("POST", f"/datastores/{made['id']}/uploads", manifest({"a": b"a"}), token=key).json
    assert wire("PUT", f"/uploads/{begun['id']}/pack", packed(b"a"), token=key).json == {"received": 1}
    version = asks.post(f"/uploads/{begun['id']}/commit", {})
    assert (version.status_code, version.json()["by_role"], version.json()["mine"]) == (201, "ci", True)
    assert [one["id"] for one in asks.get("/datastores?mine=true").json()["items"]] == [made["id"]]


def test_a_roles_key_without_data_sees_none(role_program, dataset):
    asks = role_program("job:get@{urn}:job:*")
    assert problem(asks.get(f"/datastores/{dataset.pk}"), 404, "not_found")
    assert asks.get("/datastores").json()["items"] == []


# Over the wire


@pytest.fixture
def token(wire, owner) -> str:
    return tokens.make(user=owner, name="push", scope="all", days=1)


def started(wire, dataset, token, files, **headers) -> dict:
    answer = wire("POST", f"/datastores/{dataset.pk}/uploads", manifest(files), token=token, **headers)
    assert answer.status == 201, answer.body
    return answer.json


def test_a_version_comes_over_the_wire(wire, token, dataset, program, owner):
    big = os.urandom(3 * 2**20 + 5)
    files = FILES | {"big": big}
    upload = started(wire, dataset, token, files)
    assert (upload["files"], upload["missing"], upload["missing_bytes"]) == (6, 6, sum(map(len, files.values())))
    assert {one["sha256"] for one in upload["lacks"]} == {hash_of(content) for content in files.values()}
    path = f"/uploads/{upload['id']}"
    assert wire("PUT", f"{path}/pack", packed(*FILES.values()), token=token, size=100).json == {"received": 5}
    blob = f"{path}/blobs/{hash_of(big)}"
    asks = program(owner)
    assert wire("PUT", blob, big[:2_000_000], token=token, query="offset=0").json == {"received": 2_000_000}
    gap = wire("PUT", blob, big[3_000_000:], token=token, query="offset=3000000")
    assert (gap.status, gap.json["code"], gap.json["received"]) == (409, "gap", 2_000_000)
    [lack] = [json.loads(line) for line in body_of(asks.get(f"{path}/missing")).splitlines()]
    assert lack == {"sha256": hash_of(big), "size": len(big), "received": 2_000_000}
    assert problem(asks.post(f"{path}/commit", {}), 409, "incomplete")["missing_blobs"] == 1
    assert wire("PUT", blob, big[2_000_000:], token=token, query="offset=2000000").json == {"received": len(big)}
    assert problem(asks.post(f"{path}/commit", {"note": "\0"}), 422, "invalid")["errors"][0]["field"] == "note"
    made = asks.post(f"{path}/commit", {"note": "all"})
    assert (made.status_code, made.json()["number"], made.json()["note"]) == (201, 1, "all")
    assert body_of(asks.get(f"/datastores/{dataset.pk}/versions/latest/files/big")) == big
    again = started(wire, dataset, token, files)
    assert (again["missing"], again["lacks"]) == (0, [])
    assert again["missing"] == 0
    same = asks.post(f"/uploads/{again['id']}/commit", {})
    assert (same.status_code, same.json()["number"]) == (200, 1)
    assert problem(asks.post(f"/uploads/{again['id']}/commit", {}), 404, "not_found")


def test_a_connection_that_is_cut_loses_little(wire, token, dataset):
    big = os.urandom(3 * 2**20)
    upload = started(wire, dataset, token, {"big": big})
    blob = f"/uploads/{upload['id']}/blobs/{hash_of(big)}"
    assert wire("PUT", blob, big, token=token, cut=2 * 2**20 + 7).status == 0
    here = wire("PUT", blob, b"", token=token).json["received"]
    assert here == 2 * 2**20
    assert wire("PUT", blob, big[here:], token=token, query=f"offset={here}").json["received"] == len(big)


def test_an_empty_file_comes_as_a_piece_too(wire, token, dataset):
    upload = started(wire, dataset, token, {"empty": b""})
    assert wire("PUT", f"/uploads/{upload['id']}/blobs/{hash_of(b'')}", token=token).json == {"received": 0}
    assert Blob.objects.get().size == 0


def test_a_file_that_changed_is_said_by_its_hash(wire, token, dataset):
    upload = started(wire, dataset, token, {"a": b"old", "b": b"b"})
    record = packed(b"old")[:40] + b"new"
    answer = wire("PUT", f"/uploads/{upload['id']}/pack", packed(b"b") + record, token=token)
    assert (answer.status, answer.json["code"]) == (422, "damaged")
    assert [one["field"] for one in answer.json["errors"]] == [hash_of(b"old")]
    piece = wire("PUT", f"/uploads/{upload['id']}/blobs/{hash_of(b'old')}", b"new", token=token)
    assert (piece.status, piece.json["code"], piece.json["received"]) == (422, "damaged", 0)


def test_manifests_come_packed_and_bombs_do_not_go_off(wire, token, dataset, monkeypatch):
    address = f"/datastores/{dataset.pk}/uploads"
    assert wire("POST", address, gzip.compress(manifest(FILES)), token=token, content_encoding="gzip").status == 201
    for body in (b"no gzip", gzip.compress(manifest(FILES))[:-9], gzip.compress(b"") + b"more"):
        answer = wire("POST", address, body, token=token, content_encoding="gzip")
        assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert wire("POST", address, b"", token=token, content_encoding="br").status == 400
    monkeypatch.setattr(manifests, "LONGEST", 2**20)
    bomb = wire("POST", address, gzip.compress(b"\n" * 2**24), token=token, content_encoding="gzip")
    assert (bomb.status, bomb.json["code"]) == (413, "too_large")
    wrong = wire("POST", address, b'{"path":"../x"}', token=token)
    assert (wrong.status, wrong.json["errors"][0]["field"]) == (422, "manifest")
    assert Upload.objects.count() == 1 and len(list(places.uploads().iterdir())) == 1


def test_bodies_have_limits(wire, token, dataset, monkeypatch):
    upload = started(wire, dataset, token, {"a": b"x" * 500})
    monkeypatch.setattr(uploads, "PACK_LIMIT", 300)
    monkeypatch.setattr(uploads, "PIECE", 300)
    for path in ("pack", f"blobs/{hash_of(b'x' * 500)}"):
        for length in ("500", "10"):  # announced, or not
            answer = wire(
                "PUT", f"/uploads/{upload['id']}/{path}", b"x" * 500, token=token, content_length=length, size=50
            )
            assert (answer.status, answer.json["code"]) == (413, "too_large")
    assert wire("PUT", f"/uploads/{upload['id']}/blobs/{'a' * 64}", b"", token=token).json["code"] == "invalid"
    assert wire("PUT", f"/uploads/{upload['id']}/blobs/{'a' * 64}", b"", token=token, query="offset=-1").status == 400
    for query in ("offset=%F0%A5", "offset=%D9%A1", "offset=", "ofset=1", "%C2%83=1&offset=0"):
        assert wire("PUT", f"/uploads/{upload['id']}/blobs/{'a' * 64}", b"", token=token, query=query).status in {
            400,
            422,
        }


def test_only_its_beginner_sends(wire, token, dataset, project, join, make_user, viewer, stranger):
    full = join(project, make_user("fay"), "Full").user
    upload = started(wire, dataset, token, {"a": b"a"})
    made = {who: tokens.make(user=who, name="t", scope="all", days=1) for who in (full, viewer, stranger)}
    reads = tokens.make(user=project.owner, name="r", scope="read", days=1)
    for path in ("pack", f"blobs/{hash_of(b'a')}"):
        address = f"/uploads/{upload['id']}/{path}"
        assert [wire("PUT", address, b"a", token=one).status for one in made.values()] == [404, 404, 404]
        assert wire("PUT", address, b"a").status == wire("PUT", address, b"a", token="mlt_x").status == 401
        assert wire("PUT", address, b"a", token=reads).json["code"] == "read_only_token"
    address = f"/datastores/{dataset.pk}/uploads"
    answers = [wire("POST", address, manifest(FILES), token=made[who]) for who in (full, viewer, stranger)]
    assert [one.status for one in answers] == [201, 403, 404]
    assert Upload.objects.count() == 2 and not Blob.objects.exists()


def test_who_was_removed_sends_nothing_more(wire, dataset, project, join, make_user):
    member = join(project, make_user("fay"), "Full")
    theirs = tokens.make(user=member.user, name="t", scope="all", days=1)
    upload = started(wire, dataset, theirs, {"a": b"a"})
    projects.remove_member(member=member, by=project.owner)
    assert wire("PUT", f"/uploads/{upload['id']}/pack", packed(b"a"), token=theirs).status == 404


def test_other_hosts_and_methods_are_refused(wire, token, dataset):
    address = f"/datastores/{dataset.pk}/uploads"
    assert wire("POST", address, manifest(FILES), token=token, host="evil.example").status == 400
    assert wire("GET", address, token=token).status == 405
    assert not transfer.is_here({"path": f"/api/v1/uploads/{'a' * 16}/pack/x"})
    assert wire("PUT", f"/uploads/{'a' * 16}/pack", b"", token=token).status == 404


def test_a_full_disk_is_said_over_the_wire(wire, token, dataset, kept, monkeypatch):
    upload = started(wire, dataset, token, {"a": b"a"})

    def full(key, file):
        raise blobs.Full("The disk that keeps the content is full.")

    monkeypatch.setattr(kept, "put", full)
    answer = wire("PUT", f"/uploads/{upload['id']}/pack", packed(b"a"), token=token)
    assert (answer.status, answer.json["code"]) == (507, "full")
