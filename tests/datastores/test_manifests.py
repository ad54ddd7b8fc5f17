"""Which paths and manifests are taken, and how a manifest is found through."""

import json
import os
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastores import compare, listings, manifests
from datastores.manifests import BadManifest, Entry
from datastores.paths import BadPath, clean
from tests.datastores.pushing import hash_of, line, manifest

GOOD = [
    "a",
    "a b/ c",
    "ä/ß/日本語.txt",
    "-",
    "...",
    ".hidden",
    "a\\b",
    "C:x",
    "🎉",
    " ",
    "x" * 255,
    "/".join(["y" * 200] * 5),
    "%2e",
]


@pytest.mark.parametrize("path", GOOD)
def test_paths_of_any_alphabet_stay_as_they_are(path):
    assert clean(path) == path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "empty"),
        ("/etc/passwd", "begins with /"),
        ("..", "“..” in it"),
        ("a/../b", "“..” in it"),
        ("a/./b", "“.” in it"),
        ("a//b", "empty name"),
        ("a/", "empty name"),
        ("a\0b", "NUL"),
        ("a\nb", "control character"),
        ("a\x1b[31mb", "control character"),
        ("a\x85b", "control character"),
        ("\ud800", "half a character"),
        ("x" * 256, "more than 255 bytes"),
        ("ä" * 128, "more than 255 bytes"),
        ("ab/" * 341 + "ab", "has 1025 bytes, of 1024"),
    ],
)
def test_paths_that_lead_elsewhere_or_nowhere_are_refused(path, said):
    with pytest.raises(BadPath, match=said) as refused:
        clean(path)
    assert str(refused.value).isprintable()


def write(tmp_path, lines: bytes) -> listings.Summary:
    source = tmp_path / "source"
    source.write_bytes(lines)
    return listings.write(source, tmp_path / "manifest")


@pytest.fixture
def listing(tmp_path):
    """listing(files) opens their manifest."""
    opened = []

    def make(files: dict[str, bytes], name: str = "manifest"):
        place = tmp_path / name
        place.mkdir()
        write(place, manifest(files))
        opened.append(listings.opened(place / "manifest"))
        return opened[-1].__enter__()

    yield make
    for one in opened:
        one.__exit__(None, None, None)


FILES = {"b/x": b"1", "b/y/z": b"22", "b-1": b"333", "a": b"", "b0": b"4444", "b/ä": b"55555", "c/d/e/f": b"6"}


def test_the_canonical_form_does_not_depend_on_what_was_sent(tmp_path):
    first = write(tmp_path, manifest(FILES))
    kept = (tmp_path / "manifest").read_bytes()
    assert (first.files, first.bytes, first.digest) == (7, sum(map(len, FILES.values())), hash_of(kept))
    lines = kept.splitlines()
    assert lines[0] == (
        b'{"path":"a","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"mode":420}'
    )
    assert [json.loads(one)["path"] for one in lines] == sorted(FILES, key=str.encode)
    again = b"\n".join(json.dumps(json.loads(one), indent=None, sort_keys=True).encode() for one in reversed(lines))
    assert write(tmp_path, again) == first


def test_names_that_differ_in_case_or_form_are_two_files(tmp_path):
    composed, apart = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    assert write(tmp_path, manifest({composed: b"1", apart: b"2", "A": b"3", "a": b"4"})).files == 4


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (b"", "no file in it"),
        (b"\n\n", "no file in it"),
        (b"hello\n", "Line 1: this is no JSON"),
        (line("a", b"") + b"[1]\n", "Line 2: expected an object"),
        (line("a", b"") + b"\xff\n", "Line 2: this is no JSON in UTF-8"),
        (line("a", b"").decode().encode("utf-16"), "no JSON in UTF-8"),
        (b"[" * 30000 + b"\n", "Line 1: this is no JSON"),
        (line("a", b"")[:-2] + b',"more":1}\n', "Line 1: expected an object"),
        (line("../a", b""), "Line 1: “../a” has “..” in it"),
        (b'{"path":"\\ud800","sha256":"' + b"a" * 64 + b'","size":0,"mode":420}', "half a character"),
        (line("a", b"") + line("a", b"x"), "Line 2: “a” is there twice"),
        (line("b", b"") + line("a", b"x") + line("b", b"y"), "Line 3: “b” is there twice"),
        (line("a/b", b"") + line("a", b"x"), "Line 1: “a” is a file, and a folder"),
        (line("a", b"") + line("a-", b"x") + line("a/b/c", b"x"), "Line 3: “a” is a file, and a folder"),
        (line("a", b"").replace(b'"size": 0', b'"size": -1'), "Line 1: size"),
        (line("a", b"").replace(b'"size": 0', b'"size": true'), "Line 1: size"),
        (line("a", b"").replace(b'"size": 0', b'"size": 1e3'), "Line 1: size"),
        (line("a", b"", mode=0o777), "Line 1: mode"),
        (line("a", b"").replace(b"e3b0", b"E3B0"), "Line 1: sha256"),
        (b"x" * 40_000, "Line 1: it is longer"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_line(tmp_path, lines, said):
    with pytest.raises(BadManifest, match=said):
        write(tmp_path, lines)


@pytest.mark.parametrize("path", ["a", "Größe 1/日本.png", 'a"b', "back\\slash", '","sha256":"', "\u2028", "🙂/x"])
def test_a_path_is_read_out_of_its_line(path):
    line = Entry(path, "0" * 64, 1).line
    assert manifests.path_in(line) == manifests.path_in(line.rstrip()) == path.encode()


def test_there_are_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(manifests, "FILES", 3)
    with pytest.raises(BadManifest, match="Line 4: a version has at most 3 files"):
        write(tmp_path, manifest(FILES))
    monkeypatch.setattr(manifests, "FILES", 10)
    monkeypatch.setattr(manifests, "LONGEST", 200)
    with pytest.raises(BadManifest, match="Line 2: the manifest is longer"):
        write(tmp_path, manifest(FILES))


def shown(listing, folder: str, **how) -> list[tuple]:
    return [(one.name, one.entry is None, one.files, one.size) for one in listing.children(folder, **how)]


def test_folders_are_found_with_all_below_them(listing):
    found = listing(FILES)
    assert shown(found, "") == [
        ("a", False, 1, 0),
        ("b-1", False, 1, 3),
        ("b", True, 3, 8),
        ("b0", False, 1, 4),
        ("c", True, 1, 1),
    ]
    assert shown(found, "b") == [("x", False, 1, 1), ("y", True, 1, 2), ("ä", False, 1, 5)]
    assert shown(found, "c/d") == [("e", True, 1, 1)]
    assert shown(found, "a") == shown(found, "nothing") == shown(found, "b/x") == []
    keys = [one.key for one in found.children("")]
    for place, key in enumerate(keys):
        assert [one.key for one in found.children("", after=key)] == keys[place + 1 :]
    assert found.find("b/ä").size == 5 and found.find("b") is found.find("zz") is None


names = st.text(st.sampled_from("ab-0ä"), min_size=1, max_size=3)


@given(st.sets(st.lists(names, min_size=1, max_size=3).map("/".join), min_size=1, max_size=12))
def test_any_tree_is_taken_or_refused_rightly(tmp_path_factory, tree):
    place = tmp_path_factory.mktemp("tree")
    folders = {path[:at] for path in tree for at in range(len(path)) if path[at] == "/"}
    lines = manifest({path: path.encode() for path in tree})
    if folders & tree:
        with pytest.raises(BadManifest):
            write(place, lines)
        return
    write(place, lines)
    with listings.opened(place / "manifest") as found:
        assert [one.path for one in found.entries(0, found.files)] == sorted(tree, key=str.encode)
        for path in tree:
            assert found.find(path).path == path
        for folder in folders | {""}:
            below = [path for path in tree if not folder or path.startswith(f"{folder}/")]
            rest = {path.removeprefix(f"{folder}/" if folder else "").partition("/")[0] for path in below}
            children = list(found.children(folder))
            assert {one.name for one in children} == rest and sum(one.files for one in children) == len(below)


def test_what_differs_is_told_in_order(listing):
    now = FILES | {"b/x": b"other", "new/file": b"n"}
    del now["a"], now["c/d/e/f"]
    old, new = listing(FILES, "old"), listing(now, "new")
    found = list(compare.changes(old, new))
    assert [(one.path, one.change, one.old_size, one.new_size) for one in found] == [
        ("a", "removed", 0, None),
        ("b/x", "changed", 1, 5),
        ("c/d/e/f", "removed", 1, None),
        ("new/file", "added", None, 1),
    ]
    for place, one in enumerate(found):
        assert list(compare.changes(old, new, after=one.path)) == found[place + 1 :]
    assert list(compare.changes(old, old)) == []


def test_ten_thousand_files_are_canonical_at_once(tmp_path):
    files = [f"{number % 100:02}/{os.urandom(8).hex()}" for number in range(10_000)]
    entries = [Entry(path, hash_of(path.encode()), number) for number, path in enumerate(files)]
    summary = write(tmp_path, b"".join(one.line for one in entries))
    with listings.opened(tmp_path / "manifest") as found:
        assert summary.files == found.files == 10_000
        assert [one.files for one in found.children("")] == [100] * 100


@pytest.mark.parametrize(
    "path", ["a", "a/b c.txt", "a/.b", "..", "a/../b", "a//b", "/a", "a/", "a.", "ü", "a\\n", "-a", "_/_", " a", "a "]
)
@pytest.mark.parametrize(
    "rest",
    ['"size":0,"mode":420', '"size":07,"mode":420', '"size":7,"mode":493', '"size":7,"mode":0', '"size":-1,"mode":420'],
)
def test_lines_that_are_read_at_a_glance_say_the_same(monkeypatch, path, rest):
    line = f'{{"path":"{path}","sha256":"{"0" * 64}",{rest}}}\n'.encode()

    def said():
        try:
            return list(manifests.parsed([line]))
        except manifests.BadManifest as error:
            return str(error)

    at_a_glance = said()
    monkeypatch.setattr(manifests, "_usual", re.compile(rb"(?!)"))
    assert at_a_glance == said()
