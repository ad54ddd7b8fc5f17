"""Reading a folder that is to become a version: what is in it, what is left out, what changes meanwhile."""

import hashlib
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def make(root: Path, **files: str) -> Path:
    for name, text in files.items():
        write(root / name, text)
    return root


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def paths(folder: Any) -> list[str]:
    return list(folder.files)


def modes(folder: Any) -> dict[str, int]:
    from mlteam_sdk.folders import Source

    return {path: Source(path, state).mode for path, state in folder.files.items()}


def test_files_are_found_whatever_their_names(tmp_path):
    from mlteam_sdk import folders

    names = ["Дата/набор 1.csv", "a b/ c .txt", "é.txt", "e\u0301.txt", "日本/語.png", "-x", "🙂", "A.txt", "a.txt"]
    for name in names:
        write(tmp_path / "data" / name, "x")
    (tmp_path / "data" / "run.sh").write_text("")
    (tmp_path / "data" / "run.sh").chmod(0o700)
    (tmp_path / "data" / "empty").mkdir()
    found = folders.read(tmp_path / "data")
    assert paths(found) == sorted([*names, "run.sh"])
    assert {path for path, mode in modes(found).items() if mode == 0o755} == {"run.sh"}


def test_files_come_in_the_order_of_their_paths(tmp_path):
    from mlteam_sdk import folders

    names = ["a.txt", "a/b", "a/b.c", "a/b-c/d", "a0", "A", "a b/c", "é", "z", "\ufffd", "🙂"]
    for name in names:
        write(tmp_path / name, "x")
    assert paths(folders.read(tmp_path)) == sorted(names, key=str.encode)


def test_links_pipes_sockets_and_devices_are_left_out_and_named(tmp_path):
    from mlteam_sdk import folders

    data = make(tmp_path / "data", kept="x")
    (data / "link").symlink_to("/etc/passwd")
    (data / "loop").symlink_to(data)
    os.mkfifo(data / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(data / "socket"))
        found = folders.read(data)
    assert paths(found) == ["kept"]
    assert {one.path: one.why.partition(";")[0] for one in found.left_out} == {
        "link": "a link",
        "loop": "a link",
        "pipe": "a pipe",
        "socket": "a socket",
    }


def test_a_folder_that_is_itself_a_link_and_a_file_alone(tmp_path):
    from mlteam_sdk import folders

    data = make(tmp_path / "data", kept="x")
    (tmp_path / "link").symlink_to(data)
    assert paths(folders.read(tmp_path / "link")) == ["kept"]
    assert paths(folders.read(data / "kept")) == ["kept"]


def test_names_that_cannot_be_kept_are_refused_and_told(tmp_path):
    from mlteam_sdk import folders
    from mlteam_sdk.manifests import BadPath

    data = make(tmp_path / "data", kept="x")
    (data / "line\nbreak").touch()
    with pytest.raises(BadPath, match="“line�break” has a control character"):
        folders.read(data)
    (data / "line\nbreak").unlink()
    Path(os.fsdecode(os.fsencode(data) + b"/\xff")).touch()
    with pytest.raises(BadPath, match="no UTF-8"):
        folders.read(data)


def test_what_cannot_be_read_is_said(tmp_path):
    from mlteam_sdk import folders
    from mlteam_sdk.errors import MLTeamError

    with pytest.raises(MLTeamError, match="nothing here cannot be read"):
        folders.read(tmp_path / "nothing here")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MLTeamError, match="neither a folder nor a file"):
        folders.read(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(make(tmp_path / "data", a="x") / "a")
    with pytest.raises(MLTeamError, match=r"link is a link, and links are not followed\. Give .*data/a\.$"):
        folders.read(tmp_path / "link")


def test_a_file_whose_content_cannot_be_read_is_named():
    from mlteam_sdk.errors import MLTeamError
    from mlteam_sdk.hashing import checksum

    # A file with a size, and the system refuses to read it.
    with pytest.raises(MLTeamError, match=r"^/sys/class/net/lo/speed cannot be read \(Invalid argument\)\.$"):
        checksum("/sys/class/net/lo/speed", threading.Event(), lambda size: None)


def test_ignored_is_what_git_would_ignore(tmp_path):
    from mlteam_sdk import folders

    data = tmp_path / "data"
    for name in (
        "a.tmp",
        "keep.tmp",
        "sub/b.tmp",
        "sub/keep.tmp",
        "out/x",
        "sub/out/x",
        "#x",
        "cache/a/b",
        "sub/c.log",
    ):
        write(data / name, "x")
    write(data / ".mlteamignore", "*.tmp\n!keep.tmp\n/out/\ncache/**\n# a comment\n\\#x\n")
    write(data / "sub" / ".mlteamignore", "!b.tmp\nkeep.tmp\n*.log\n")
    (data / "link.tmp").symlink_to("a.tmp")
    found = folders.read(data)
    assert paths(found) == [".mlteamignore", "keep.tmp", "sub/.mlteamignore", "sub/b.tmp", "sub/out/x"]
    assert found.left_out == []


def test_what_is_ignored_may_go_while_it_is_looked_for(tmp_path, monkeypatch):
    from mlteam_sdk import folders
    from mlteam_sdk.errors import MLTeamError

    data = make(tmp_path / "data", kept="x", gone="x")
    (data / ".mlteamignore").write_text("*.tmp\nmount/\n")
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda place: [*real(place), "new.tmp", "mount"])
    assert (paths(folders.read(data)), folders.read(data).ignored) == ([".mlteamignore", "gone", "kept"], 2)
    monkeypatch.setattr(os, "listdir", lambda place: [*real(place), "another"])
    with pytest.raises(MLTeamError, match="another cannot be read"):
        folders.read(data)


def hashed(root: Path, tell: Any = None) -> dict[str, str]:
    from mlteam_sdk import folders
    from mlteam_sdk.hashing import Memory, checksums
    from mlteam_sdk.manifests import sha256_in
    from mlteam_sdk.progress import Meter

    folder = folders.read(root)
    meter = Meter(tell, "reading", len(folder.files), folders.size_of(folder.files.values()))
    rows = checksums(folder.root, folder.files, meter, Memory(root), threading.Event())
    return {path: sha256_in(line) for path, (_, line) in rows.items()}


def test_only_what_changed_is_read_again(tmp_path, monkeypatch):
    from mlteam_sdk import hashing

    data = make(tmp_path / "data", **{f"f{number}": str(number) for number in range(500)})
    monkeypatch.setattr(hashing, "TICK", -(10**18))  # so that files of this moment count as settled
    first = hashed(data)
    read: list[str] = []
    real = hashing.checksum
    monkeypatch.setattr(hashing, "checksum", lambda place, *more: read.append(Path(place).name) or real(place, *more))
    assert hashed(data) == first and read == []
    before = (data / "f7").stat()
    (data / "f7").write_text("8")
    os.utime(data / "f7", ns=(before.st_atime_ns, before.st_mtime_ns))  # the same size and time, but another content
    assert hashed(data) == first | {"f7": first["f8"]} and read == ["f7"]


def test_what_was_written_just_now_is_read_again(tmp_path, monkeypatch):
    from mlteam_sdk import hashing

    data = make(tmp_path / "data", a="x")
    monkeypatch.setattr(hashing, "TICK", 10**18)
    hashed(data)
    assert hashing.Memory(data).load() == {}


ROWS = {"a b": ((33188, 1, -2, 3, 4), '{"path":"a b"}'), "Größe \u2028 1": ((0, 0, 0, 0, 2**63), "ü\u2028")}


def test_what_is_kept_in_memory_is_there_again(tmp_path):
    from mlteam_sdk.hashing import Memory

    Memory(tmp_path).save(ROWS)
    assert Memory(tmp_path).load() == ROWS
    assert Memory(tmp_path / "sub").load() == {}
    Memory(tmp_path).save({})
    assert Memory(tmp_path).load() == {}


def test_numbers_that_are_too_large_to_be_kept_are_not(tmp_path):
    from mlteam_sdk.hashing import Memory

    Memory(tmp_path).save({"a": ((33188, 1, 2, 3, 2**100), "a line")})
    assert Memory(tmp_path).load() == {}


def test_a_memory_that_is_not_whole_is_none(tmp_path):
    from mlteam_sdk.hashing import Memory

    memory = Memory(tmp_path)
    memory.save(ROWS)
    whole = memory.path.read_bytes()
    damaged = [whole[:end] for end in range(len(whole))]
    damaged += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]
    for content in [*damaged, whole + b"x", b"[]", b'{"a": [1, 2, 3, 4, "5"]}']:
        memory.path.write_bytes(content)
        assert memory.load() == {}


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\0" * 7 + b"\1" + b"x" * 64 + b"\xff", b"\xff" * 100])
def test_a_memory_of_something_else_is_none(tmp_path, content):
    """Though its checksum is right."""
    from mlteam_sdk.hashing import Memory

    memory = Memory(tmp_path)
    memory.path.parent.mkdir(parents=True)
    memory.path.write_bytes(hashlib.sha256(content).digest() + content)
    assert memory.load() == {}
    memory.path.unlink()
    memory.path.mkdir()
    assert memory.load() == {}


def test_a_mode_that_changes_and_a_directory_in_a_files_place(tmp_path, monkeypatch):
    from mlteam_sdk import folders, hashing

    monkeypatch.setattr(hashing, "TICK", -(10**18))
    data = make(tmp_path / "data", a="x", b="y")
    first = hashed(data)
    (data / "a").chmod(0o755)
    assert hashed(data) == first and modes(folders.read(data)) == {"a": 0o755, "b": 0o644}
    (data / "b").unlink()
    make(data / "b", c="y")
    assert hashed(data) == {"a": first["a"], "b/c": first["b"]}


def test_a_file_that_changes_while_it_is_read_is_named(tmp_path):
    from mlteam_sdk.hashing import Changed

    data = make(tmp_path / "data", a="x" * 10, growing="y" * 10)

    def grow(progress: Any) -> None:
        with (data / "growing").open("a") as file:
            file.write("more")

    with pytest.raises(Changed, match="growing changes while it is read"):
        hashed_with_each_piece(data, grow)


def hashed_with_each_piece(data: Path, then: Any) -> None:
    from mlteam_sdk.hashing import checksum

    for path in sorted(data.iterdir()):
        checksum(path, threading.Event(), then if path.name == "growing" else lambda size: None)


def test_a_link_or_a_pipe_that_takes_a_files_place_is_not_read(tmp_path):
    from mlteam_sdk import folders
    from mlteam_sdk.hashing import Changed, read_exactly

    data = make(tmp_path / "data", a="x")
    state = folders.read(data).files["a"]
    (data / "a").unlink()
    with pytest.raises(Changed):
        read_exactly(data / "a", state, 0, 1)
    (data / "a").symlink_to("/etc/passwd")
    with pytest.raises(Changed):
        read_exactly(data / "a", state, 0, 1)
    (data / "a").unlink()
    os.mkfifo(data / "a")
    with pytest.raises(Changed):
        read_exactly(data / "a", state, 0, 1)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("train", "train"), ("./train/", "train"), (".", ""), ("./", ""), ("./.", ""), ("a b/ü", "a b/ü")]
    + [(path, None) for path in ("", "/", "/etc", "..", "../x", "a/../b", "a//b", "./../x", "a\nb", "x" * 300)],
)
def test_paths_in_a_version_as_they_are_typed(typed, meant):
    from mlteam_sdk.manifests import BadPath, remote

    if meant is None:
        with pytest.raises(BadPath):
            remote(typed)
    else:
        assert remote(typed) == meant


def test_a_manifest_has_one_form():
    from mlteam_sdk.manifests import Entry, differences, line_of, parse, path_in, sha256_in, text

    entries = [Entry("b", "1" * 64, 3, 0o644), Entry("a/ü", "0" * 64, 0, 0o755), Entry("a.x", "2" * 64, 1, 0o644)]
    lines = [line_of(*one) for one in sorted(entries)]
    assert [(path_in(one), sha256_in(one)) for one in lines] == [one[:2] for one in sorted(entries)]
    manifest = text(lines)
    assert manifest.decode().splitlines()[1] == f'{{"path":"a/ü","sha256":"{"0" * 64}","size":0,"mode":493}}'
    assert [one.path for one in parse(manifest)] == ["a.x", "a/ü", "b"]
    changed = [Entry("b", "3" * 64, 4, 0o644), entries[1], Entry("c", "2" * 64, 1, 0o644)]
    assert differences(entries, changed) == [
        ("a.x", "removed", 1, None),
        ("b", "changed", 3, 4),
        ("c", "added", None, 1),
    ]
