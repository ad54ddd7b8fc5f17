"""A manifest that is told as what is different from the latest version's is the same as if all of it were told."""

import gzip
import json
import os
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from hypothesis import given
from hypothesis import strategies as st

from accounts import tokens
from accounts.models import PersonalToken
from datastores import actions, deltas, listings, places, transfer, uploads
from datastores.manifests import BadManifest
from datastores.models import Blob, Upload
from projects import actions as projects
from tests.at_once import at_once
from tests.datastores.conftest import body_of
from tests.datastores.pushing import begin, hash_of, line, manifest, packed, push


def removal(path: str) -> bytes:
    return json.dumps({"path": path, "removed": True}).encode() + b"\n"


def difference(old: dict[str, bytes], new: dict[str, bytes]) -> bytes:
    added = b"".join(line(path, content) for path, content in new.items() if old.get(path) != content)
    return added + b"".join(removal(path) for path in old if path not in new)


@pytest.fixture
def base(tmp_path):
    """base(files) is the manifest of these."""

    def make(files: dict[str, bytes]):
        (tmp_path / "sent").write_bytes(manifest(files))
        listings.write(tmp_path / "sent", tmp_path / "base")
        return tmp_path / "base"

    return make


def changed(base, lines: bytes):
    source = base.with_name("changes")
    source.write_bytes(lines)
    return deltas.write(base, source, base.with_name("manifest"))


names = st.text(st.sampled_from("ab-0ä"), min_size=1, max_size=3)
trees = st.dictionaries(st.lists(names, min_size=1, max_size=3).map(tuple), st.binary(max_size=3), max_size=8).map(
    lambda found: {"/".join(path): content for path, content in found.items()}
)


@given(trees, trees)
def test_the_same_comes_of_it_as_of_all(tmp_path_factory, old, new):
    place = tmp_path_factory.mktemp("delta")
    if not old:
        return
    (place / "old").write_bytes(manifest(old))
    (place / "new").write_bytes(manifest(new))
    (place / "changes").write_bytes(difference(old, new))
    results = []
    try:
        listings.write(place / "old", place / "base")
    except BadManifest:
        return
    for write in (
        lambda: listings.write(place / "new", place / "whole"),
        lambda: deltas.write(place / "base", place / "changes", place / "told")[0],
    ):
        try:
            results.append(write())
        except BadManifest:
            results.append(None)
    assert results[0] == results[1]
    if results[0]:
        for one in ("whole", "told"):
            results += [(place / one).read_bytes(), listings.index_of(place / one).read_bytes()]
        assert results[2:4] == results[4:6]


def test_what_changed_is_answered_and_the_rest_stays(base):
    summary, found = changed(base({"a": b"1", "b/c": b"22", "d": b"333"}), line("b/c", b"4444") + removal("a"))
    assert (summary.files, summary.bytes) == (2, 7)
    assert [(one.path, one.size) for one in found] == [("b/c", 4)]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (removal("no"), "Line 1: “no” is not in the latest version"),
        (removal("a") + removal("a"), "Line 2: “a” is there twice"),
        (removal("a") + line("a", b"x"), "Line 2: “a” is there twice"),
        (removal("../a"), "Line 1"),
        (b'{"path": "a", "removed": false}\n', "Line 1: expected"),
        (b'{"path": 1, "removed": true}\n', "Line 1: expected"),
        (b'["removed"]\n', "Line 1: expected"),
        (b'"removed"', "Line 1: expected"),
        (b"\n" + line("a/x", b"y"), "Line 2: “a” is a file, and a folder"),
        (line("b", b"y"), "Line 1: “b” is a file, and a folder"),
        (line("n", b"y") + line("n/m", b"y"), "“n” is a file, and a folder"),
        (removal("a") + removal("b/c"), "There is no file in it"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(base, lines, said):
    with pytest.raises(BadManifest, match=said):
        changed(base({"a": b"1", "b/c": b"2"}), lines)


OLD = {"a": b"1", "b": b"2", "c": b"3"}


def test_a_version_is_made_of_the_latest_and_what_is_different(wire, program, dataset, owner):
    first, asks = push(dataset, OLD, owner), program(owner)
    token = asks.headers["Authorization"].removeprefix("Bearer ")
    address, base = f"/datastores/{dataset.pk}/uploads", f"base={first.digest}"
    said = wire("POST", address, line("b", b"new") + removal("c"), token=token, query=base).json
    assert (said["files"], said["bytes"], said["missing"], said["missing_bytes"]) == (2, 4, 1, 3)
    assert said["lacks"] == [{"sha256": hash_of(b"new"), "size": 3, "received": 0}]
    wire("PUT", f"/uploads/{said['id']}/pack", packed(b"new"), token=token)
    made = asks.post(f"/uploads/{said['id']}/commit", {}).json()
    assert (made["number"], made["files"]) == (2, 2)
    told = body_of(asks.get(f"/datastores/{dataset.pk}/versions/2/manifest"))
    assert {one["path"]: one["sha256"] for one in map(json.loads, told.splitlines())} == {
        "a": hash_of(b"1"),
        "b": hash_of(b"new"),
    }
    again = wire("POST", address, removal("c"), token=token, query=base)
    assert (again.status, again.json["code"]) == (409, "other_base")
    assert "Send all of the manifest" in again.json["detail"]
    wrong = wire("POST", address, removal("c"), token=token, query="base=x")
    assert (wrong.status, wrong.json["errors"][0]["field"]) == (422, "base")


def test_what_lacks_is_named_where_it_is_little(wire, program, dataset, owner):
    token = program(owner).headers["Authorization"].removeprefix("Bearer ")
    files = {str(number): str(number).encode() for number in range(501)}
    address = f"/datastores/{dataset.pk}/uploads"
    said = wire("POST", address, b"".join(line(*one) for one in files.items()), token=token).json
    assert (said["missing"], said["lacks"]) == (501, None)
    del files["0"]
    said = wire("POST", address, b"".join(line(*one) for one in files.items()), token=token).json
    assert (said["missing"], len(said["lacks"])) == (500, 500)


# All in one request


@pytest.fixture
def send(wire, program, dataset, owner):
    """send(base, lines, contents) asks for a version that is different by these."""
    token = program(owner).headers["Authorization"].removeprefix("Bearer ")

    def asked(base: str, lines: bytes, *contents: bytes, of=dataset, token=token, key="", **head: Any):
        body = json.dumps({"base": base, **head}).encode() + b"\n" + lines + b"\n" + packed(*contents)
        headers = {"content-encoding": "gzip"} | ({"idempotency-key": key} if key else {})
        return wire("POST", f"/datastores/{of.pk}/changes", gzip.compress(body), token=token, **headers)

    return asked


def test_a_version_that_differs_little_is_made_in_one_request(send, program, dataset, owner):
    first = push(dataset, OLD, owner)
    lines = line("b", b"n\n\new") + line("d", b"1", 493) + removal("c")
    made = send(first.digest, lines, b"n\n\new", b"1", note="Größe")  # what 1 is the project has
    assert (made.status, made.json["number"], made.json["files"], made.json["note"]) == (201, 2, 3, "Größe")
    asks = program(owner)
    assert made.json == asks.get(f"/datastores/{dataset.pk}/versions/2").json()
    told = body_of(asks.get(f"/datastores/{dataset.pk}/versions/2/manifest"))
    assert {one["path"]: (one["sha256"], one["mode"]) for one in map(json.loads, told.splitlines())} == {
        "a": (hash_of(b"1"), 420),
        "b": (hash_of(b"n\n\new"), 420),
        "d": (hash_of(b"1"), 493),
    }
    assert body_of(asks.get(f"/datastores/{dataset.pk}/versions/2/files/b")) == b"n\n\new"
    same = send(made.json["digest"], b"")
    assert (same.status, same.json["number"]) == (200, 2)
    assert not Upload.objects.exists() and os.listdir(places.uploads()) == []


def test_changes_of_another_version_than_the_latest_are_refused(send, dataset, project, owner):
    volume = actions.create(project=project, kind="volume", name="scratch", by=owner)
    first = push(dataset, OLD, owner)
    push(dataset, OLD | {"b": b"new"}, owner)
    refused = send(first.digest, removal("c"))
    assert (refused.status, refused.json["code"]) == (409, "other_base")
    assert send(first.digest, removal("c"), of=volume).json["code"] == "other_base"
    assert dataset.versions.count() == 2 and not Upload.objects.exists() and os.listdir(places.uploads()) == []


def test_changes_without_what_lacks_go_on_as_an_upload(send, wire, program, dataset, owner):
    first = push(dataset, OLD, owner)
    another = projects.create(name="Another", by=owner)
    push(
        actions.create(project=another, kind="dataset", name="hidden", by=owner),
        {"secret": b"of another project"},
        owner,
    )
    lines = line("mine", b"of another project") + line("new", b"new")
    refused = send(first.digest, lines, b"new")
    assert (refused.status, refused.json["code"], refused.json["missing_blobs"]) == (409, "incomplete", 1)
    token = program(owner).headers["Authorization"].removeprefix("Bearer ")
    address = f"/datastores/{dataset.pk}/uploads"
    begun = wire("POST", address, lines, token=token, query=f"base={first.digest}").json
    assert {one["sha256"] for one in begun["lacks"]} == {hash_of(b"of another project"), hash_of(b"new")}
    assert dataset.versions.count() == 1


def test_the_same_changes_with_the_same_key_are_made_once(send, dataset, owner):
    first = push(dataset, OLD, owner)
    made = send(first.digest, line("b", b"new"), b"new", key="k")
    push(dataset, OLD | {"b": b"of somebody else"}, owner)
    again = send(first.digest, line("b", b"new"), b"new", key="k")
    assert (made.status, again.status, again.json) == (201, 201, made.json)
    assert dataset.versions.count() == 3
    other = send(first.digest, line("b", b"newer"), b"newer", key="k")
    assert (other.status, other.json["code"]) == (422, "idempotency_mismatch")
    assert send(first.digest, line("b", b"newer"), b"newer", key="other").json["code"] == "other_base"
    assert send(first.digest, b"", key="ü").status == 400


def test_of_two_changes_at_once_the_second_is_told(dataset, owner, transactional_db):
    first = push(dataset, OLD, owner)

    def change(content: bytes):
        lines, pack = line("b", content), packed(content)
        return actions.change(datastore=dataset, lines=lines, pack=pack, base=first.digest, by=owner)[0].number

    results = at_once(lambda: change(b"one"), lambda: change(b"two"))
    assert sorted(map(str, results)) == ["2", str(deltas.OtherBase())]
    assert dataset.versions.count() == 2 and not Upload.objects.exists() and os.listdir(places.uploads()) == []


@pytest.mark.parametrize(
    ("head", "lines", "contents", "said"),
    [
        ({}, line("b", b"new"), [b"not new"], (409, "incomplete")),
        ({}, line("b/c", b"new"), [b"new"], (422, "is a file, and a folder")),
        ({}, line("../b", b"new"), [b"new"], (422, "manifest")),
        ({}, removal("no"), [], (422, "not in the latest version")),
        ({"note": "x" * 1001}, b"", [], (422, "note")),
        ({"note": "\0"}, b"", [], (422, "note")),
        ({"note": 1}, b"", [], (422, "begins with a line of JSON")),
        ({"base": "x"}, b"", [], (422, "begins with a line of JSON")),
        ({"more": 1}, b"", [], (422, "begins with a line of JSON")),
        ({"note": "x" * 20_000}, b"", [], (422, "begins with a line of JSON")),
        ({}, line("b", b"0" * (10 << 20)), [b"0" * (10 << 20)], (413, "9 MiB")),
    ],
)
def test_changes_that_cannot_be_are_refused(send, dataset, owner, head, lines, contents, said):
    first = push(dataset, OLD, owner)
    refused = send(**{"base": first.digest, **head}, lines=lines) if not contents else None
    refused = refused or send(first.digest, lines, *contents, **head)
    assert (refused.status, said[1] in refused.body.decode()) == (said[0], True), refused.body
    assert dataset.versions.count() == 1 and not Upload.objects.exists() and os.listdir(places.uploads()) == []


def test_a_damaged_content_of_changes_is_named(wire, program, dataset, owner):
    first = push(dataset, OLD, owner)
    token = program(owner).headers["Authorization"].removeprefix("Bearer ")
    head = json.dumps({"base": first.digest}).encode() + b"\n"
    body = head + line("b", b"new") + b"\n" + packed(b"new")[:-1] + b"W"
    refused = wire("POST", f"/datastores/{dataset.pk}/changes", body, token=token)
    assert (refused.status, refused.json["code"]) == (422, "damaged")
    assert [one["field"] for one in refused.json["errors"]] == [hash_of(b"new")]
    for broken in (b"", b"\n\n", head, body[:-1], b"\xff" + body):
        assert wire("POST", f"/datastores/{dataset.pk}/changes", broken, token=token).status in {422, 409, 200}
    assert dataset.versions.count() == 1 and wire("GET", f"/datastores/{dataset.pk}/changes", token=token).status == 405


def test_only_who_may_change_it_sends_changes(send, dataset, owner, viewer, stranger):
    first = push(dataset, OLD, owner)

    def token(user, scope):
        return tokens.make(user=user, name="push", scope=scope, days=1)

    for who, status in (
        (None, 401),
        (token(stranger, "all"), 404),
        (token(viewer, "all"), 403),
        (token(owner, "read"), 403),
    ):
        assert send(first.digest, removal("c"), token=who).status == status
    assert send(first.digest, removal("c")).status == 201


def test_who_is_shut_out_while_changes_are_on_their_way_makes_none(wire, program, dataset, owner, monkeypatch):
    first = push(dataset, OLD, owner)
    token = program(owner).headers["Authorization"].removeprefix("Bearer ")
    whole = transfer._plain

    async def slowly(*asked: Any):
        async for part in whole(*asked):
            yield part
        await sync_to_async(PersonalToken.objects.all().delete)()

    monkeypatch.setattr(transfer, "_plain", slowly)
    monkeypatch.setattr(transfer, "AT_ONCE", 0)
    body = json.dumps({"base": first.digest}).encode() + b"\n" + removal("c") + b"\n"
    assert wire("POST", f"/datastores/{dataset.pk}/changes", body, token=token).status == 401
    assert dataset.versions.count() == 1


@pytest.mark.django_db
def test_what_a_check_has_missed_is_wanted_again_though_it_did_not_change(dataset, owner):
    first = push(dataset, OLD, owner)
    Blob.objects.filter(sha256=hash_of(b"1")).update(fault=Blob.Fault.MISSING)
    begun = begin(dataset, removal("c"), owner, base=first.digest)
    assert [one.sha256 for one in uploads.lacking(begun.upload)] == [hash_of(b"1")]


@pytest.mark.django_db
def test_a_hash_that_is_there_with_another_size_is_refused(dataset, owner):
    first = push(dataset, OLD, owner)
    lie = line("d", b"1").replace(b'"size": 1', b'"size": 7')
    with pytest.raises(BadManifest, match="has 1 bytes, not 7"):
        begin(dataset, lie, owner, base=first.digest)
