"""A manifest that is told as what is different from the latest version's is the same as if all of it were told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastores import deltas, listings, uploads
from datastores.manifests import BadManifest
from datastores.models import Blob
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
