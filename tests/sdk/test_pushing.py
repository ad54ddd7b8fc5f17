"""Pushing and pulling against a server that breaks off, loses and lies; `test_live_data` has the real one."""

import asyncio
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.depot import FACTS, ID, Depot
from tests.sdk.loopback import Asked, Loopback, Says
from tests.server import wait

LARGE = os.urandom(5 << 19)  # more than one piece below


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the test's own, no waiting, and pieces that are small."""
    from mlteam_sdk.aio import pulling as awaited
    from mlteam_sdk.aio import pushing as sending
    from mlteam_sdk.sync import driver, pulling, pushing

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(driver, "sleep", lambda seconds: None)
    for module in (pushing, sending):
        monkeypatch.setattr(module, "PIECE", 1 << 20)
    for module in (pulling, awaited):
        monkeypatch.setattr(module, "RANGE", 1 << 20)


@pytest.fixture
def depot(loopback: Loopback) -> Depot:
    depot = Depot()
    loopback.say(depot)
    return depot


@pytest.fixture
def dataset(loopback: Loopback) -> Iterator[Any]:
    from mlteam_sdk.sync import MLTeam
    from mlteam_sdk.sync.datastores import Datastore

    with MLTeam(url=loopback.url, token="mlt_x") as client:
        yield Datastore.told(client, FACTS)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "run.sh").chmod(0o755)
    return root


FILES = {
    "a": b"1",
    "sub/dir/Größe 1": b"22",
    "same": b"22",
    "empty": b"",
    "run.sh": b"#!/bin/sh",
    "large": LARGE,
    "same large": LARGE,
}


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_folder_goes_up_and_comes_down_as_it_is(depot, dataset, data, tmp_path):
    told: list[Any] = []
    pushed = dataset.push(data, note="first", on_progress=told.append)
    assert (pushed.new, pushed.version.number, pushed.files, pushed.bytes) == (True, 1, 5, len(LARGE) + 12)
    assert {one.doing for one in told} == {"reading", "sending"} and told[-1].done
    assert told[-1].bytes == told[-1].all_bytes == pushed.bytes
    assert len([one for one in depot.put if one[0] == "pack"]) == 1
    pulled = dataset.pull(tmp_path / "here", on_progress=told.append)
    assert (pulled.fetched, pulled.there) == (7, 0) and told[-1].doing == "fetching" and told[-1].done
    assert tree(tmp_path / "here") == FILES
    assert os.access(tmp_path / "here" / "run.sh", os.X_OK) and not os.access(tmp_path / "here" / "a", os.X_OK)


def test_the_second_push_sends_what_changed(depot, dataset, data):
    dataset.push(data)
    again = dataset.push(data)
    assert (again.new, again.version.number, again.files) == (False, 1, 0)
    (data / "a").write_bytes(b"another")
    (data / "empty").unlink()
    (data / "a").rename(data / "renamed")
    plan = dataset.plan(data)
    assert [(one.path, one.change) for one in plan.changes] == [
        ("a", "removed"),
        ("empty", "removed"),
        ("renamed", "added"),
    ]
    assert len(depot.versions) == 1
    third = dataset.push(data)
    assert (third.new, third.version.number, third.files, third.bytes) == (True, 2, 1, 7)


def test_of_many_files_only_what_is_different_is_told(depot, dataset, data):
    for number in range(20):
        (data / f"{number} ü").write_text(f"{number}")
    dataset.push(data)
    (data / "3 ü").write_text("three")
    (data / "4 ü").unlink()
    assert dataset.push(data).files == 1
    lines, base = depot.begun[-1]
    assert base == hashlib.sha256(depot.versions[0]).hexdigest()
    said = {one["path"]: one for one in map(json.loads, lines.splitlines())}
    assert said.keys() == {"3 ü", "4 ü"} and said["4 ü"] == {"path": "4 ü", "removed": True}
    assert said["3 ü"]["size"] == 5
    assert len(depot.versions[1].splitlines()) == len(depot.versions[0].splitlines()) - 1

    depot.holds({"somebody": b"else"})
    (data / "3 ü").write_text("four")
    third = dataset.push(data)
    assert (third.version.number, third.files) == (4, 1)
    assert [bool(base) for _, base in depot.begun] == [False, True, True, False]
    assert len(depot.versions[3].splitlines()) == len(depot.versions[1].splitlines())


@pytest.mark.parametrize("named", [0, 100])
def test_what_is_gone_there_is_sent_although_it_has_not_changed(depot, dataset, data, named):
    depot.named = named
    for number in range(20):
        (data / f"{number} ü").write_text(f"{number}")
    dataset.push(data)
    (data / "3 ü").write_text("three")
    del depot.blobs[hashlib.sha256(b"7").hexdigest()]
    assert dataset.push(data).files == 2 and not depot.missing()
    assert [len(lines.splitlines()) for lines, _ in depot.begun[1:]] == [1, 1] and len(depot.changed) == 1


def test_a_little_that_is_different_goes_in_one_request(depot, dataset, data, loopback):
    for number in range(20):
        (data / f"{number} ü").write_text(f"{number}")
    dataset.push(data)
    (data / "3 ü").write_text("three\n\n")
    (data / "4 ü").unlink()
    loopback.asked.clear()
    told: list[Any] = []
    pushed = dataset.push(data, note="Größe", on_progress=told.append)
    assert [(one.method, one.path.rpartition("/")[2]) for one in loopback.asked] == [("POST", "changes")]
    assert (pushed.new, pushed.version.number, pushed.files, pushed.bytes) == (True, 2, 1, 7)
    assert depot.changed == [{"base": hashlib.sha256(depot.versions[0]).hexdigest(), "note": "Größe"}]
    assert (told[-1].doing, told[-1].files, told[-1].bytes, told[-1].done) == ("sending", 1, 7, True)
    (data / "3 ü").write_bytes(b"x" * (1 << 20) + b"y")  # more than goes without being asked for
    assert dataset.push(data).version.number == 3 and len(depot.changed) == 1
    assert dataset.push(data).version.number == 3 and len(depot.changed) == 2
    loopback.asked.clear()
    dataset.push(data)
    assert [one.path.rpartition("/")[2] for one in loopback.asked] == ["changes"]


def test_more_that_is_different_goes_as_an_upload_of_it(depot, dataset, data, monkeypatch):
    from mlteam_sdk.sync import pushing

    monkeypatch.setattr(pushing, "PACK_FILES", 2)
    for number in range(20):
        (data / f"{number}").write_text(f"{number}")
    dataset.push(data)
    for number in range(3):
        (data / f"{number}").write_text(f"another {number}")
    assert dataset.push(data).files == 3 and depot.changed == []
    lines, base = depot.begun[-1]
    assert len(lines.splitlines()) == 3 and base == hashlib.sha256(depot.versions[0]).hexdigest()
    assert len(depot.versions[1].splitlines()) == len(depot.versions[0].splitlines())


def test_changes_whose_answer_was_lost_are_there_once(depot, dataset, data):
    for number in range(20):
        (data / f"{number}").write_text(f"{number}")
    dataset.push(data)
    (data / "3").write_text("three")
    lost = iter([True])

    def lose(asked: Asked) -> Says | None:
        if asked.path.endswith("/changes") and next(lost, False):
            depot.answer(asked)
            return Says(silent=True)
        return None

    depot.fault = lose
    assert dataset.push(data).version.number == 2 and len(depot.versions) == 2


def test_a_memory_that_was_wrong_is_noticed_in_one_request_too(depot, dataset, data):
    from mlteam_sdk import hashing, manifests
    from mlteam_sdk.folders import Source, read

    for number in range(20):
        (data / f"{number}").write_text(f"{number}")
    dataset.push(data)
    (data / "3").write_text("three")
    one = Source("3", read(data).files["3"])
    memory = hashing.Memory(data)
    memory.save(memory.load() | {"3": (one.state, manifests.line_of("3", "0" * 64, one.size, one.mode))})
    with pytest.raises(hashing.Changed, match="3 changes while"):
        dataset.push(data)
    assert dataset.push(data).version.number == 2


def test_what_lacks_is_not_asked_for_where_it_is_named(depot, dataset, loopback, data):
    depot.named = 4
    dataset.push(data)
    (data / "a").write_bytes(b"another")
    assert dataset.push(data).files == 1
    assert [one.path.rpartition("/")[2] for one in loopback.asked if one.method == "GET"] == ["missing"]
    assert hashlib.sha256(b"another").hexdigest() in depot.blobs


def test_one_dataset_of_two_folders_and_two_of_one_folder(depot, dataset, data, tmp_path, loopback):
    from mlteam_sdk.sync import MLTeam
    from mlteam_sdk.sync.datastores import Datastore

    for number in range(20):
        (data / f"{number}").write_text(f"{number}")
    shutil.copytree(data, tmp_path / "copy")
    dataset.push(data)
    (tmp_path / "copy" / "3").write_text("three")
    (data / "4").write_text("four")
    for folder in (tmp_path / "copy", data, tmp_path / "copy"):
        dataset.push(folder)
    assert [bool(base) for _, base in depot.begun] == [False, True, True, True]
    assert depot.versions[1] == depot.versions[3] != depot.versions[2] != depot.versions[0]

    other = Depot()
    loopback.say(other)
    with MLTeam(url=loopback.url, token="mlt_x") as client:
        assert Datastore.told(client, {**FACTS, "id": f"{ID[:-1]}3"}).push(data).files
    assert other.versions == [depot.versions[2]] and other.begun[0][1] == ""
    loopback.say(depot)
    (data / "5").write_text("five")
    assert dataset.push(data).files == 3 and len(depot.begun[-1][0].splitlines()) == 3


@pytest.mark.parametrize("kept", [b"no manifest\n" * 30, b'{"path":1}\n', b"\xff"])
def test_what_is_kept_of_the_last_push_is_only_a_help(depot, dataset, data, tmp_path, kept):
    for number in range(20):
        (data / f"{number}").write_text(f"{number}")
    dataset.push(data)
    (memory,) = (tmp_path / "cache" / "mlteam" / "pushed").iterdir()
    memory.write_bytes(kept)
    (data / "3").write_text("three")
    assert (dataset.push(data).version.number, memory.read_bytes()) == (2, depot.versions[1])


def test_the_same_is_awaited(depot, loopback, data, tmp_path):
    from mlteam_sdk import MLTeam
    from mlteam_sdk.aio.datastores import Datastore

    async def there_and_back() -> Any:
        async with MLTeam(url=loopback.url, token="mlt_x") as client:
            dataset = Datastore.told(client, FACTS)
            await dataset.push(data)
            return await dataset.pull(tmp_path / "here")

    assert asyncio.run(there_and_back()).fetched == 7
    assert tree(tmp_path / "here") == FILES


def test_what_is_there_is_not_fetched_again(depot, dataset, loopback, data, tmp_path):
    dataset.push(data)
    dataset.pull(tmp_path / "here")
    here = tmp_path / "here"
    (here / "a").write_bytes(b"2")
    (here / "run.sh").chmod(0o644)
    (here / "mine").write_bytes(b"stays")
    loopback.asked.clear()
    pulled = dataset.pull(here)
    assert (pulled.fetched, pulled.bytes, pulled.there) == (1, 1, 6)
    assert [one.data for one in loopback.asked if one.method == "POST"] == [{"paths": ["a"]}]
    assert tree(here) == FILES | {"mine": b"stays"} and os.access(here / "run.sh", os.X_OK)


def test_a_part_is_pulled_to_the_path_that_it_has(depot, dataset, data, tmp_path):
    from mlteam_sdk.errors import NotFound
    from mlteam_sdk.manifests import BadPath

    dataset.push(data)
    dataset.pull(tmp_path / "here", path="./sub")
    dataset.pull(tmp_path / "here", path="empty")
    assert tree(tmp_path / "here") == {"sub/dir/Größe 1": b"22", "empty": b""}
    with pytest.raises(NotFound, match="no su in version 1"):
        dataset.pull(tmp_path / "here", path="su")
    for path in ("/etc", "../x", "sub/../a"):
        with pytest.raises(BadPath):
            dataset.pull(tmp_path / "here", path=path)


# Connections that break


def test_a_cut_upload_goes_on_where_it_was(depot, dataset, data):
    """The server keeps half of a piece and breaks off; what is sent again is not kept twice."""
    cuts = iter([True, False, True, False])

    def cut(asked: Asked) -> Says | None:
        if "/blobs/" not in asked.path or not next(cuts, False):
            return None
        half = Asked("PUT", asked.path, asked.query, asked.headers, asked.body[: len(asked.body) // 2])
        depot.answer(half)
        return Says(silent=True)

    depot.fault = cut
    dataset.push(data)
    taken = [(offset, size) for name, offset, size in depot.put if name != "pack"]
    assert taken[:4] == [(0, 1 << 19), (0, 1 << 20), (1 << 19, 1 << 19), (1 << 19, 1 << 20)]
    assert len(depot.versions) == 1 and not depot.partial


def test_a_push_that_ended_goes_on_from_what_arrived(depot, dataset, data):
    from mlteam_sdk.errors import Refused

    depot.fault = lambda asked: (
        Says(403, {"code": "refused", "detail": "No."}) if dict(asked.query).get("offset") == str(2 << 20) else None
    )
    with pytest.raises(Refused):
        dataset.push(data)
    depot.fault, depot.put = lambda asked: None, []
    told: list[Any] = []
    pushed = dataset.push(data, on_progress=told.append)
    assert [one[1:] for one in depot.put] == [(2 << 20, 1 << 19)] and pushed.bytes == 1 << 19
    assert told[-1].bytes == len(LARGE) and told[-1].begun_at == 2 << 20


def test_what_the_server_lost_is_sent_again(depot, dataset, data):
    lost = iter([True])

    def lose(asked: Asked) -> None:
        if asked.path.endswith("/commit") and next(lost, False):
            depot.blobs.popitem()

    depot.fault = lose
    assert dataset.push(data).new and not depot.missing()


def test_a_server_that_keeps_nothing_is_given_up(depot, dataset, data):
    from mlteam_sdk.errors import ConnectionFailed, Damaged

    depot.fault = lambda asked: Says(409, {"code": "incomplete"}) if asked.path.endswith("/commit") else None
    with pytest.raises(ConnectionFailed, match="does not keep"):
        dataset.push(data)
    depot.blobs.clear()
    depot.fault = lambda asked: Says(data={"received": 0}) if "/blobs/" in asked.path else None
    with pytest.raises(Damaged, match="does not arrive"):
        dataset.push(data)


def test_pulls_survive_cut_connections(depot, dataset, data, tmp_path):
    dataset.push(data)
    cuts = {"manifest": 2, "pack": 2, "large": 3}

    def cut(asked: Asked) -> Says | None:
        name = asked.path.rpartition("/")[2]
        if cuts.get(name, 0):
            cuts[name] -= 1
            says = depot.answer(asked)
            says.cut = len(says.bytes()) // 2
            return says
        return None

    depot.fault = cut
    dataset.pull(tmp_path / "here")
    assert tree(tmp_path / "here") == FILES and not any(cuts.values())


MIB = 1 << 20
DIGEST = hashlib.sha256(LARGE).hexdigest()


def ranges_of(loopback: Loopback) -> list[int]:
    """Where the ranges of the large file begin that were asked for."""
    found = [one.headers["range"] for one in loopback.asked if one.path.endswith("large")]
    return sorted(int(said.removeprefix("bytes=").partition("-")[0]) for said in found)


def test_a_pull_that_fails_is_gone_on_with(depot, dataset, data, tmp_path, loopback):
    from mlteam_sdk.errors import Refused

    dataset.push(data)
    record = tmp_path / "here" / ".mlteam-pull-parts" / f"{DIGEST}.ranges"

    def last_range_fails(asked: Asked) -> Says | None:
        if not (asked.path.endswith("large") and asked.headers["range"].startswith(f"bytes={2 * MIB}-")):
            return None
        for _ in range(200):
            if record.exists() and len(record.read_text().splitlines()) == 2:
                break
            time.sleep(0.05)
        return Says(403, {"code": "forbidden", "detail": "No longer."})

    depot.fault = last_range_fails
    with pytest.raises(Refused):
        dataset.pull(tmp_path / "here")
    assert "large" not in tree(tmp_path / "here") and (record.parent / DIGEST).stat().st_size == 2 * MIB
    depot.fault = lambda asked: None
    loopback.asked.clear()
    told: list[Any] = []
    pulled = dataset.pull(tmp_path / "here", on_progress=told.append)
    assert ranges_of(loopback) == [2 * MIB] and tree(tmp_path / "here") == FILES
    assert pulled.bytes < MIB and told[-1].done and told[-1].bytes == told[-1].all_bytes
    assert not list((tmp_path / "here").glob(".mlteam*"))


@pytest.mark.parametrize(
    ("record", "begins"),
    [
        (f"0 {MIB}\n", [MIB, 2 * MIB]),
        (f"0 {MIB // 2}\n0 {MIB}\n{MIB} {MIB + 7}\n", [MIB + 7, 2 * MIB]),
        (f"0 {MIB}\n{MIB} {2 * MIB}\n{2 * MIB} {len(LARGE)}\n", [2 * MIB]),  # killed before it was compared
        (f"7 {MIB}\n0 {9 * MIB}\n{2 * MIB} {MIB}\n", [0, MIB, 2 * MIB]),
        (f"0 {MIB}\nnonsense", [MIB, 2 * MIB]),
        ("", [0, MIB, 2 * MIB]),
    ],
)
def test_what_a_killed_pull_has_left_is_used(depot, dataset, data, tmp_path, loopback, record, begins):
    dataset.push(data)
    parts = tmp_path / "here" / ".mlteam-pull-parts"
    parts.mkdir(parents=True)
    (parts / DIGEST).write_bytes(LARGE)
    (parts / f"{DIGEST}.ranges").write_text(record)
    (parts / "1").write_text("a small one")
    dataset.pull(tmp_path / "here")
    assert ranges_of(loopback) == begins and tree(tmp_path / "here") == FILES


def test_a_part_that_is_wrong_comes_anew_and_a_link_is_not_written_to(depot, dataset, data, tmp_path, loopback):
    from mlteam_sdk.errors import Damaged

    dataset.push(data)
    parts = tmp_path / "here" / ".mlteam-pull-parts"
    parts.mkdir(parents=True)
    (parts / DIGEST).write_bytes(bytes(len(LARGE)))
    (parts / f"{DIGEST}.ranges").write_text(f"0 {MIB}\n")
    with pytest.raises(Damaged):
        dataset.pull(tmp_path / "here")
    mine = tmp_path / "mine"
    mine.write_text("mine")
    parts.mkdir(exist_ok=True)
    for name in (DIGEST, f"{DIGEST}.ranges"):
        (parts / name).unlink(missing_ok=True)
        (parts / name).symlink_to(mine)
    dataset.pull(tmp_path / "here")
    assert tree(tmp_path / "here") == FILES and mine.read_text() == "mine"


# Files that change


def test_a_file_that_changes_after_it_was_read_is_named(depot, dataset, data):
    from mlteam_sdk.hashing import Changed

    def change(asked: Asked) -> None:
        if asked.path.endswith("/missing"):
            (data / "large").write_bytes(LARGE[::-1])
            (data / "same large").write_bytes(LARGE[::-1])

    depot.fault = change
    with pytest.raises(Changed, match="large changes while"):
        dataset.push(data)
    assert depot.versions == [] and depot.manifest == b""  # the upload is ended


def test_a_memory_that_was_wrong_is_noticed(depot, dataset, data):
    """The server finds that a content is another than was said: then it is read again and named."""

    from mlteam_sdk import hashing, manifests
    from mlteam_sdk.folders import Source, read

    one = Source("a", read(data).files["a"])
    hashing.Memory(data).save({"a": (one.state, manifests.line_of("a", "0" * 64, one.size, one.mode))})
    with pytest.raises(hashing.Changed, match="a changes while"):
        dataset.push(data)
    assert dataset.push(data).new


# Servers that lie


@pytest.mark.parametrize(
    "paths",
    [["../out"], ["/out"], ["a/../../out"], ["a", "a/b"], ["a", "a"], [""], ["a\0b"], ["."], ["a//b"], [7], ["\udc80"]],
)
def test_nothing_is_fetched_for_a_list_that_leads_elsewhere(depot, dataset, loopback, tmp_path, paths):
    import hashlib
    import json

    from mlteam_sdk.errors import Damaged

    digest = hashlib.sha256(b"x").hexdigest()
    lines = [json.dumps({"path": path, "sha256": digest, "size": 1, "mode": 420}).encode() + b"\n" for path in paths]
    depot.blobs[digest] = b"x"
    depot.versions.append(b"".join(lines))
    with pytest.raises(Damaged, match="list"):
        dataset.pull(tmp_path / "target" / "here")
    assert not (tmp_path / "target").exists()


def test_a_link_that_leads_out_is_not_followed(depot, dataset, data, tmp_path):
    from mlteam_sdk.landing import UnsafePath

    dataset.push(data)
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    (here / "sub").symlink_to(elsewhere)
    with pytest.raises(UnsafePath):
        dataset.pull(here)
    assert list(elsewhere.iterdir()) == []
    (elsewhere / "dir").mkdir()
    (elsewhere / "dir" / "Größe 1").write_bytes(b"22")
    (elsewhere / "dir" / "Größe 1").chmod(0o755)
    with pytest.raises(UnsafePath):  # also where the same content is there
        dataset.pull(here, path="sub")
    assert (elsewhere / "dir" / "Größe 1").stat().st_mode & 0o777 == 0o755
    (here / "sub").unlink()
    (elsewhere / "kept").write_text("kept")
    (here / "a").unlink(missing_ok=True)
    (here / "a").symlink_to(elsewhere / "kept")
    dataset.pull(here)
    assert tree(here) == FILES and (elsewhere / "kept").read_text() == "kept"


def spoiled(said: Says, change: Any) -> Says:
    return Says(said.status, body=change(said.bytes()), headers=said.headers)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("pack", lambda body: body[:-1] + bytes([body[-1] ^ 1])),
        ("pack", lambda body: body[:-1]),
        ("pack", lambda body: b""),
        ("pack", lambda body: body + body),
        ("large", lambda body: bytes(len(body))),
        ("manifest", lambda body: body[: body.index(b"\n") + 1]),
    ],
)
def test_what_arrives_damaged_never_gets_its_name(depot, dataset, data, tmp_path, name, change):
    from mlteam_sdk.errors import Damaged

    dataset.push(data)
    depot.fault = lambda asked: spoiled(depot.answer(asked), change) if asked.path.rpartition("/")[2] == name else None
    with pytest.raises(Damaged):
        dataset.pull(tmp_path / "here")
    found = tree(tmp_path / "here")
    kept = hashlib.sha256(LARGE).hexdigest()  # of what another request brings meanwhile
    assert {path: content for path, content in found.items() if kept not in path} == {
        path: FILES[path] for path in found if kept not in path
    }
    depot.fault = lambda asked: None
    dataset.pull(tmp_path / "here")
    assert tree(tmp_path / "here") == FILES


@pytest.mark.parametrize("name", ["a.txt", "large"])
@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("damaged", r"The server has lost {} \(damaged\). Push a folder that has the same again"),
        ("later", "{}.* arrive.* damaged.* The server compares its own copy now"),
        ("whole", "{}.* arrive.* damaged.* The server's own copy is whole"),
        ("", "{}.* arrive.* damaged.*who runs the server.$"),
    ],
)
def test_the_server_looks_at_what_arrives_damaged(depot, dataset, tmp_path, name, state, sentence):
    from mlteam_sdk.errors import Damaged

    depot.holds({"a.txt": b"one", "large": LARGE, "z.txt": b"last"})
    change = (lambda body: body.replace(b"one", b"0ne")) if name == "a.txt" else lambda body: bytes(len(body))
    ends, doubted = {"a.txt": "pack", "large": "large"}[name], []

    def fault(asked: Asked) -> Says | None:
        if asked.path.endswith("/doubts"):
            doubted.extend(asked.data["paths"])
            return Says(data=[{"path": name, "state": state}]) if state else None
        return spoiled(depot.answer(asked), change) if asked.path.endswith(f"/{ends}") else None

    depot.fault = fault
    with pytest.raises(Damaged, match=sentence.format(name)):
        dataset.pull(tmp_path / "here")
    assert name in doubted


def test_the_server_looks_at_what_it_has_lost(depot, dataset, tmp_path):
    from mlteam_sdk.errors import ApiError

    depot.holds({"a.txt": b"one", "b.txt": b"two"})
    doubted = []

    def fault(asked: Asked) -> Says | None:
        if asked.path.endswith("/doubts"):
            doubted.extend(asked.data["paths"])
            return Says(data=[{"path": "a.txt", "state": "missing"}])
        return Says(410, {"code": "lost", "detail": "“a.txt” is lost."}) if asked.path.endswith("/pack") else None

    depot.fault = fault
    with pytest.raises(ApiError, match=r"“a\.txt” is lost"):
        dataset.pull(tmp_path / "here")
    assert sorted(doubted) == ["a.txt", "b.txt"]


def test_a_file_that_is_shorter_than_said_is_not_kept(depot, dataset, data, tmp_path):
    from mlteam_sdk.errors import Damaged

    dataset.push(data)
    depot.fault = lambda asked: Says(416, {"code": "bad_range"}) if asked.path.endswith("/large") else None
    with pytest.raises(Damaged, match="less than it said"):
        dataset.pull(tmp_path / "here")
    assert "large" not in tree(tmp_path / "here")


def test_there_is_no_room(depot, dataset, data, tmp_path, loopback):
    from mlteam_sdk.errors import MLTeamError

    depot.lists([{"path": "huge", "sha256": "0" * 64, "size": 1 << 60}])
    with pytest.raises(MLTeamError, match="bytes free"):
        dataset.pull(tmp_path / "here")
    assert not [one for one in loopback.asked if "/files/" in one.path]


def test_a_directory_in_a_files_place_and_a_file_in_a_directorys(depot, dataset, tmp_path):
    from mlteam_sdk.errors import MLTeamError

    depot.holds({"a": b"x", "b/c": b"x"})
    (tmp_path / "one" / "a").mkdir(parents=True)
    with pytest.raises(MLTeamError, match="is a directory here"):
        dataset.pull(tmp_path / "one")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "b").touch()
    with pytest.raises(MLTeamError, match="is a file here"):
        dataset.pull(tmp_path / "two")


def test_names_that_differ_in_capitals_or_form_are_two_files_here(depot, dataset, tmp_path):
    names = {"A/x": b"1", "a/x": b"2", "é": b"3", "e\u0301": b"4"}
    depot.holds(names)
    dataset.pull(tmp_path / "here")
    assert tree(tmp_path / "here") == names


@pytest.mark.parametrize("doing", ["reading", "sending"])
def test_an_interrupted_push_leaves_no_threads(depot, dataset, data, doing):
    before = threading.active_count()

    def stop(progress: Any) -> None:
        if progress.doing == doing:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dataset.push(data, on_progress=stop)
    assert depot.versions == [] and ID in dataset.urn
    dataset._client.close()  # with its connections end the server's threads
    wait(lambda: threading.active_count() <= before, "the end of all threads")


def test_an_archive_that_breaks_off_is_none(loopback, dataset, tmp_path):
    from mlteam_sdk.cli.meter import in_words
    from mlteam_sdk.errors import ConnectionFailed

    loopback.say(Says(body=b"0123456789", cut=4), Says(body=b"0123456789"))
    with pytest.raises(ConnectionFailed, match="broke"):
        dataset.archive(tmp_path / "all.zip")
    assert list(tmp_path.iterdir()) == []
    heard: list[Any] = []
    there = dataset.archive(tmp_path / "all.zip", path="./sub", on_progress=heard.append)
    assert there.read_bytes() == b"0123456789"
    assert heard[-1].bytes == 10 and heard[-1].left is None and not heard[-1].done
    assert in_words(heard[-1]).startswith("Fetching 10 B, ")
    assert dict(loopback.asked[-1].query) == {"path": "sub", "format": "zip"}
