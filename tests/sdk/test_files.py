"""Bytes that come from a server: read by ranges through cuts, put where they belong and nowhere else."""

import hashlib
import os
import stat
from typing import Any

import pytest

from tests.sdk.loopback import Asked, Loopback, Says

DATA = bytes(range(256)) * 300


class Store:
    """Serves files by ranges. `cut`: bytes after which each connection breaks; `changes`: a new tag each time; `kinds` by path."""

    def __init__(self, files: dict[str, bytes], **more: Any) -> None:
        self.cut: int | None = more.get("cut")
        self.files, self.changes, self.kinds = files, more.get("changes", False), more.get("kinds", {})
        self.ranges: list[str | None] = []

    def __call__(self, asked: Asked) -> Says:
        if asked.path.endswith("/artifacts"):
            items = [
                {"path": name, "size": len(data), "kind": self.kinds.get(name, "other")}
                for name, data in self.files.items()
            ]
            return Says(data={"items": items, "next": None})
        data = self.files[asked.path.rpartition("/files/")[2]] if "/files/" in asked.path else DATA
        wanted = asked.headers.get("range")
        self.ranges.append(wanted)
        tag = f'"{len(self.ranges) if self.changes else 1}"'
        if wanted is None or asked.headers.get("if-range", tag) != tag:
            return Says(body=data, headers={"ETag": tag}, cut=self._cut(data))
        begin, _, last = wanted.removeprefix("bytes=").partition("-")
        if int(begin) >= len(data):
            return Says(416, {"code": "bad_range", "detail": "Nothing there."})
        part = data[int(begin) : int(last) + 1 if last else None]
        said = f"bytes {begin}-{int(begin) + len(part) - 1}/{len(data)}"
        return Says(206, body=part, headers={"ETag": tag, "Content-Range": said}, cut=self._cut(part))

    def _cut(self, data: bytes) -> int | None:
        return self.cut if self.cut is not None and self.cut < len(data) else None


@pytest.fixture
def job(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A job of the loopback server."""
    from mlteam_sdk.sync import MLTeam, driver
    from mlteam_sdk.sync.jobs import Job

    monkeypatch.setattr(driver, "sleep", lambda seconds: None)
    with MLTeam(url=loopback.url, token="mlt_x") as client:
        yield Job.told(client, {"id": "x", "state": "running"})


def test_a_file_is_read_on_where_the_connection_broke(loopback, job, tmp_path):
    store = Store({"model.bin": DATA}, cut=20_000)
    loopback.say(store)
    [path] = job.artifacts.download(to=tmp_path)
    assert path.read_bytes() == DATA
    assert store.ranges == [None, "bytes=20000-", "bytes=40000-", "bytes=60000-"]


def test_a_file_that_changes_meanwhile_is_not_kept(loopback, job, tmp_path):
    from mlteam_sdk.errors import Damaged

    (tmp_path / "model.bin").write_text("old")
    loopback.say(Store({"model.bin": DATA}, cut=20_000, changes=True))
    with pytest.raises(Damaged):
        job.artifacts.download(to=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.bin"]
    assert (tmp_path / "model.bin").read_text() == "old"


def test_a_file_of_another_size_is_not_kept(loopback, job, tmp_path):
    from mlteam_sdk.errors import Damaged

    listed = Says(data={"items": [{"path": "a", "size": 5, "kind": "other"}], "next": None})
    loopback.say(listed, Says(body=b"abc"))
    with pytest.raises(Damaged, match="has 5 bytes and 3 arrived"):
        job.artifacts.download(to=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["../out", "/etc/cron.d/x", "a/../../out", "", ".", "a\0b", "/"])
def test_paths_that_lead_out_are_refused_before_anything_is_made(loopback, job, tmp_path, path):
    from mlteam_sdk.landing import UnsafePath

    loopback.say(Store({"good": b"x", path: b"evil"}))
    target = tmp_path / "to"
    target.mkdir()
    with pytest.raises(UnsafePath):
        job.artifacts.download(to=target)
    assert list(target.iterdir()) == []
    assert [one.name for one in tmp_path.iterdir()] == ["to"]


def test_a_link_here_does_not_lead_out(loopback, job, tmp_path):
    from mlteam_sdk.landing import UnsafePath

    target, outside = tmp_path / "to", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    (target / "a").symlink_to(outside)
    loopback.say(Store({"a/b/c": b"evil"}))
    with pytest.raises(UnsafePath, match="link that leads out"):
        job.artifacts.download(to=target)
    assert list(outside.iterdir()) == []


def test_a_link_at_the_place_itself_is_replaced(loopback, job, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("mine")
    target = tmp_path / "to"
    target.mkdir()
    (target / "a").symlink_to(outside)
    loopback.say(Store({"a": b"new"}))
    job.artifacts.download(to=target)
    assert outside.read_text() == "mine"
    assert (target / "a").read_bytes() == b"new" and not (target / "a").is_symlink()


def test_directories_names_and_links_of_the_job(loopback, job, tmp_path):
    from mlteam_sdk import NotFound

    files = {"a/one": b"1", "a/two": b"2", "ab": b"3", "away": b""}
    loopback.say(Store(files, kinds={"away": "link"}))
    here = lambda paths: sorted(str(path.relative_to(tmp_path)) for path in paths)  # noqa: E731
    assert here(job.artifacts.download("a", to=tmp_path)) == ["a/one", "a/two"]
    assert here(job.artifacts.download("ab", to=tmp_path)) == ["ab"]
    assert here(job.artifacts.download(to=tmp_path)) == ["a/one", "a/two", "ab"]
    with pytest.raises(NotFound):
        job.artifacts.download("nothing", to=tmp_path)


def test_a_list_that_is_not_whole_is_not_taken_for_all(loopback, job, tmp_path):
    from mlteam_sdk.sync.artifacts import TooMany

    store = Store({"a/one": b"1"})

    def truncated(asked: Asked) -> Says:
        said = store(asked)
        return Says(data={**said.data, "truncated": True}) if asked.path.endswith("/artifacts") else said

    loopback.say(truncated)
    for path in (None, "a"):
        with pytest.raises(TooMany, match="archive"):
            job.artifacts.download(path, to=tmp_path)
    assert list(tmp_path.iterdir()) == []
    store.files["b"] = b"22"
    assert job.artifacts.download("b", to=tmp_path) == [tmp_path / "b"]
    assert (tmp_path / "b").read_bytes() == b"22"


def test_all_comes_as_one_archive(loopback, job, tmp_path):
    loopback.say(Says(body=DATA, headers={"Content-Type": "application/zip"}))
    assert job.artifacts.archive(tmp_path / "all.zip").read_bytes() == DATA
    assert loopback.asked[0].path == "/api/v1/jobs/x/artifacts.zip"


def test_what_is_downloaded_is_readable_as_any_file(loopback, job, tmp_path):
    old = os.umask(0o022)
    try:
        loopback.say(Store({"a": b"1"}))
        job.artifacts.download(to=tmp_path)
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(old)


def test_a_directory_that_cannot_be_written_is_named(loopback, job, tmp_path):
    from mlteam_sdk import MLTeamError

    (tmp_path / "file").write_text("")
    loopback.say(Store({"a": b"1"}))
    with pytest.raises(MLTeamError, match="cannot be written"):
        job.artifacts.download(to=tmp_path / "file")


# Logs


def verify(loopback: Loopback, job: Any, **said: Any) -> Any:
    store = Store({}, cut=30_000)
    facts = {
        "index": 0,
        "size": len(DATA),
        "lines": DATA.count(b"\n"),
        "verified": True,
        "sha256": hashlib.sha256(DATA).hexdigest(),
    }
    loopback.say(
        lambda asked: Says(data={"attempts": [facts | said]}) if asked.path.endswith("/verify") else store(asked)
    )
    [found] = job.verify()
    return found


def test_a_log_that_is_whole_is_said_to_be(loopback, job):
    found = verify(loopback, job)
    assert found.complete
    assert (found.size, found.lines) == (len(DATA), 300)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"size": len(DATA) + 5}, "76805 bytes, 76800 arrived"),
        ({"lines": 7}, "7 lines, 300 arrived"),
        ({"sha256": "0" * 64}, "another checksum"),
        ({"verified": False}, "not what the job wrote"),
        ({"verified": None}, "not complete yet"),
        ({"gaps": [{"offset": 10, "bytes": 20}]}, "20 bytes are missing at byte 10"),
    ],
)
def test_a_log_that_is_not_whole_says_why(loopback, job, said, problem):
    found = verify(loopback, job, **said)
    assert not found.complete
    assert problem in " ".join(found.problems)


def test_bytes_between_two_offsets(loopback, job):
    loopback.say(Store({}, cut=10))
    assert b"".join(job.log_bytes(0, offset=100, end=150)) == DATA[100:150]
    assert b"".join(job.log_bytes(0, offset=len(DATA))) == b""


def test_a_job_waits_less_and_less_often(loopback, job, monkeypatch):
    from mlteam_sdk.sync import driver

    waited: list[float] = []
    monkeypatch.setattr(driver, "sleep", waited.append)
    states = iter(["queued"] * 3 + ["running"] * 9 + ["succeeded"])
    loopback.say(lambda asked: Says(data={"id": "x", "state": next(states)}))
    assert job.wait().state == "succeeded"
    assert waited[0] == 0.5
    assert waited == sorted(waited)
    assert max(waited) == 5.0


def test_a_job_that_has_ended_is_not_waited_for(loopback, job, monkeypatch):
    from mlteam_sdk.sync import driver

    waited: list[float] = []
    monkeypatch.setattr(driver, "sleep", waited.append)
    loopback.say(Says(data={"id": "x", "state": "failed"}))
    job.wait(timeout=0)
    assert waited == []


def test_what_a_newer_server_says_is_kept(loopback, job):
    loopback.say(
        Says(data={"id": "x", "state": "dreaming", "mood": {"good": True}, "attempts": [{"index": 0, "colour": 1}]})
    )
    job.refresh()
    assert job.mood == {"good": True}
    assert (job.state, job.done, job.attempts[0].colour) == ("dreaming", False, 1)
    assert type(job).__name__ in repr(job)


def test_files_that_would_have_one_name_are_refused(loopback, job, tmp_path):
    from mlteam_sdk import MLTeamError, specs

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text(name)
    with pytest.raises(MLTeamError, match="same name"):
        specs.uploads([tmp_path / "a/x", tmp_path / "b/x"])
    with pytest.raises(MLTeamError, match="is no file"):
        specs.uploads([tmp_path / "a"])


CHANGES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"name": "a"}, {"name": "b", "cpu": 2}, {"name": "b", "resources": {"cpu": 2}}),
    ({"resources": {"cpu": 1, "mem": 4}}, {"gpu": 1}, {"resources": {"cpu": 1, "mem": 4, "gpu": 1}}),
    ({"environmentVars": ["A=1", "B=2"]}, {"env": {"B": "3"}}, {"environmentVars": {"A": "1", "B": "3"}}),
    ({}, {"max_run_time": 60, "restartable": True}, {"maxRunTime": 60, "restartable": True}),
    ({"tags": ["x"]}, {"tags": ("y",), "packages": ["numpy"]}, {"tags": ["y"], "packages": {"pip": ["numpy"]}}),
    ({"name": "a"}, {"name": None, "restartable": None}, {"name": "a"}),
]


@pytest.mark.parametrize(("spec", "changes", "wanted"), CHANGES)
def test_arguments_are_put_over_a_spec(spec, changes, wanted, loopback):
    from mlteam_sdk import specs

    before = repr(spec)
    assert specs.merged(spec, **changes) == wanted
    assert repr(spec) == before


@pytest.mark.parametrize("text", ["[1]", "a: [", "files: x", "files: [1]", "a: !!python/object:os.system {}", "\xff"])
def test_a_job_file_that_cannot_be_read_is_named(text, tmp_path):
    from mlteam_sdk import specs

    (tmp_path / "job.yml").write_bytes(text.encode("latin-1"))
    with pytest.raises(specs.BadJobFile):
        specs.read(tmp_path / "job.yml")


def test_a_job_file_names_project_and_files(tmp_path):
    from mlteam_sdk import specs

    (tmp_path / "job.json").write_text('{"name": "a", "project": "p", "files": ["x/y"]}')
    wish = specs.read(tmp_path / "job.json")
    assert (wish.spec, wish.project, wish.files) == ({"name": "a"}, "p", [tmp_path / "x/y"])
