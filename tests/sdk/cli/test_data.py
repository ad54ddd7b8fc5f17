"""`mlteam data` without a server of its own: names, versions, what is refused before anything is asked or written."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.datastores import names
from tests.sdk.cli.conftest import Command, Desk, person, project
from tests.sdk.depot import Depot
from tests.sdk.loopback import Loopback, Says

ADA, BOB = person("ada", 1), person("bob", 2)
VISION = project("Vision", 2)
HERE = {"MLTEAM_PROJECT": VISION["id"]}


def dataset(name: str, number: int, owner: str = "ada", kind: str = "dataset", **more: Any) -> dict[str, Any]:
    found = f"ddddddddddddddd{number}"
    known = {
        "id": found,
        "urn": f"acme:project:{VISION['id']}:{kind}:{found}",
        "name": name,
        "kind": kind,
        "project": VISION,
        "created_by": {"ada": ADA, "bob": BOB}[owner],
        "created_at": "2026-11-21T10:00:00Z",
        "mine": owner == "ada",
        "description": "",
        "latest": {"number": 3, "files": 2, "bytes": 30, "digest": "0" * 64},
    }
    return known | more


DIGITS = dataset("digits", 2)
VOLUME = dataset("home", 3, kind="volume", latest=None, used=4096, files=7, quota=1 << 30)


@pytest.fixture(autouse=True)
def known(desk: Desk) -> None:
    desk.on("GET /me", ADA)
    desk.on(
        "GET /users",
        lambda asked: (200, {"items": [BOB] if asked.query.get("username") == ["bob"] else [], "next": None}),
    )
    desk.on("GET /projects", [VISION])
    desk.on(f"GET /projects/{VISION['id']}", VISION)
    desk.on("GET /datastores", lambda asked: (200, {"items": named(asked.query), "next": None}))
    for one in (DIGITS, VOLUME):
        desk.on(f"GET /datastores/{one['id']}", one)


def named(query: dict[str, list[str]]) -> list[dict[str, Any]]:
    every = [DIGITS, dataset("digits", 4, "bob", project={**VISION, "id": "a234567a234567a7"}), VOLUME]
    found = [one for one in every if query.get("name", [one["name"]]) == [one["name"]]]
    return [one for one in found if query.get("project", [one["project"]["id"]]) == [one["project"]["id"]]]


@pytest.mark.parametrize("text", ["digits", "vision.digits", DIGITS["id"], DIGITS["urn"]])
def test_a_dataset_by_its_names(at: Command, text: str) -> None:
    ran = at("data", "get", text, "--field", "id", **HERE)
    assert (ran.out, ran.err) == (DIGITS["id"] + "\n", "")


def test_somebody_elses_and_several_of_one_name(at: Command, desk: Desk) -> None:
    desk.on("GET /datastores/ddddddddddddddd4", dataset("digits", 4, "bob"))
    assert at("data", "get", "bob:digits", "--field", "id", **HERE).out == "ddddddddddddddd4\n"
    desk.on("GET /projects", [])
    elsewhere = at("data", "get", "digits", MLTEAM_PROJECT="a234567a234567a6")
    assert elsewhere.status == 1 and "2 datastores are named digits" in elsewhere.err and "of bob" in elsewhere.err
    none = at("data", "get", "digots", **HERE)
    assert none.status == 1 and len(none.err.splitlines()) == 1 and "mlteam data ls --global" in none.err


def test_lists(at: Command, desk: Desk) -> None:
    ran = at("data", "ls", **HERE)
    assert ran.lines[0].split() == ["id", "name", "kind", "version", "files", "bytes", "created"]
    assert ran.lines[1].split()[1:6] == ["digits", "dataset", "3", "2", "30"]
    assert ran.lines[2].split()[1:6] == ["home", "volume", "-", "7", "4096"]
    assert desk.asked[-1].query["mine"] == ["true"] and desk.asked[-1].query["project"] == [VISION["id"]]
    assert "Created By" in at("data", "ls", "--global", **HERE).lines[0]
    assert "mine" not in desk.asked[-1].query
    theirs = at("data", "ls", "--user", "bob", "--all", **HERE)
    assert [line.split()[0] for line in theirs.lines[1:]] == ["ddddddddddddddd4"]
    assert [line.split()[1] for line in at("datastore").lines[1:]] == ["digits", "digits", "home"]


def test_new_is_a_volume_unless_something_else_is_said(at: Command, desk: Desk) -> None:
    desk.on(f"POST /projects/{VISION['id']}/datastores", lambda asked: (201, dataset("x", 5)))
    assert at("data", "new", "x", "--quiet", **HERE).out == "ddddddddddddddd5\n"
    assert desk.asked[-1].json == {"kind": "volume", "name": "x", "description": ""}
    at("data", "new", "x", "--kind", "model", **HERE)
    assert desk.asked[-1].json["kind"] == "model"


JOE = project("Joe", 5, parent=project("Acme", 6))
THERE = dataset("home", 6, kind="volume", project=JOE, latest=None)
LITERAL = dataset("acme.joe.home", 7, kind="volume", latest=None)


@pytest.fixture
def nested(desk: Desk) -> list[dict[str, Any]]:
    """A desk that knows the project acme.joe, too; and the datastores that it says there are, in whatever projects."""
    there: list[dict[str, Any]] = []

    def projects(asked: Any) -> tuple[int, Any]:
        wanted = (asked.query.get("full_name") or asked.query.get("q") or [""])[0]
        found = [one for one in (VISION, JOE) if wanted in (one["full_name"], one["name"].lower())]
        return 200, {"items": found, "next": None}

    def datastores(asked: Any) -> tuple[int, Any]:
        name, place = asked.query["name"], asked.query.get("project")
        found = [one for one in there if [one["name"]] == name and place in (None, [one["project"]["id"]])]
        return 200, {"items": found, "next": None}

    desk.on("GET /projects", projects)
    desk.on(f"GET /projects/{JOE['id']}", JOE)
    desk.on("GET /datastores", datastores)
    for place in (VISION, JOE):
        desk.on(f"POST /projects/{place['id']}/datastores", lambda asked: (201, dataset("home", 5, kind="volume")))
    return there


def made(desk: Desk) -> list[tuple[str, str]]:
    """Where something was made, and as what."""
    return [(one.path.rpartition("/projects/")[2][:16], one.json["name"]) for one in desk.asked if one.method == "POST"]


def test_a_new_one_is_made_in_the_project_before_its_dot(at: Command, desk: Desk, nested: list[Any]) -> None:
    assert at("data", "new", "acme.joe.home", "-q", **HERE).out == "ddddddddddddddd5\n"
    assert made(desk) == [(JOE["id"], "home")]
    assert at("--project", "vision", "data", "new", "acme.joe.home", **HERE).status == 0
    assert made(desk)[1:] == [(VISION["id"], "acme.joe.home")]


def test_a_project_before_the_dot_that_is_not_there_or_not_for_one_is_said(
    at: Command, desk: Desk, nested: list[Any]
) -> None:
    ran = at("data", "new", "acme.jeo.home", **HERE)
    assert ran.status == 1 and made(desk) == []
    assert "There is no project acme.jeo that you may see." in ran.err and "made with --project PROJECT" in ran.err
    desk.refuse(f"POST /projects/{JOE['id']}/datastores", 403, "forbidden", "You may make no volumes in Joe.")
    ran = at("data", "new", "acme.joe.home", **HERE)
    assert ran.status == 1 and ran.err.startswith("Warning: ") and "You may make no volumes in Joe." in ran.err


def test_what_is_called_like_a_full_name_hides_nothing(at: Command, desk: Desk, nested: list[Any]) -> None:
    nested += [LITERAL]
    desk.on(f"GET /datastores/{LITERAL['id']}", LITERAL)
    ran = at("data", "new", "acme.joe.home", **HERE)
    assert ran.status == 1 and made(desk) == []
    assert f"a volume that is itself called acme.joe.home ({LITERAL['id']})" in ran.err and "data rename" in ran.err
    assert at("data", "get", "acme.joe.home", "--field", "id", **HERE).out == f"{LITERAL['id']}\n"
    nested += [THERE]
    ran = at("data", "get", "acme.joe.home", **HERE)
    assert ran.status == 1 and "2 datastores are named acme.joe.home. Give the id of one" in ran.err
    assert LITERAL["id"] in ran.err and THERE["id"] in ran.err
    named = at("--project", "vision", "data", "get", "acme.joe.home", "--field", "id", **HERE)
    assert named.out == f"{LITERAL['id']}\n"


def test_a_quota_is_shown_when_none_is_given(at: Command, desk: Desk) -> None:
    ran = at("data", "quota", "home", **HERE)
    assert ran.lines[1].split() == [VOLUME["id"], "home", "4096", str(1 << 30)]
    assert {one.method for one in desk.asked} == {"GET"}
    ran = at("data", "quota", "digits", **HERE)
    assert ran.status == 1 and "is a dataset: only a volume has a quota" in ran.err


def test_versions_without_a_difference_are_said_to_have_none(at: Command, desk: Desk) -> None:
    desk.on(f"GET /datastores/{DIGITS['id']}/compare", [])
    ran = at("data", "compare", "digits", "3", "latest", **HERE)
    assert ran.status == 0 and ran.err == "There is no difference between the versions 3 and 3 of digits.\n"
    assert at("data", "compare", "digits", "3", "3", "--format", "json", **HERE).out == "[]\n"


def test_who_has_one_now(at: Command, desk: Desk) -> None:
    seen = {"urn": "acme:project:x:job:y", "name": "job train", "created_by": BOB, "by_role": None}
    hidden = dict.fromkeys(("urn", "created_by", "by_role", "state")) | {"name": "a job of others", "writes": False}
    uses = [{**seen, "state": "running", "writes": True}, hidden]
    desk.on(f"GET /datastores/{VOLUME['id']}/users", lambda asked: (200, uses))
    ran = at("data", "users", "home", **HERE)
    assert ran.lines[0].split() == ["urn", "name", "created_by.username", "state", "writes"]
    assert ran.lines[1].split() == ["acme:project:x:job:y", "job", "train", "bob", "running", "yes"]
    assert ran.lines[2].split() == ["-", "a", "job", "of", "others", "-", "-", "no"]


@pytest.mark.parametrize("path", ["/etc", "..", "../x", "a/../../b", "a//b", ""])
def test_paths_that_lead_elsewhere_are_refused(at: Command, tmp_path: Path, path: str) -> None:
    for words in (
        ("pull", "digits", path, "here"),
        ("content", "ls", "digits", path),
        ("content", "rm", "digits", path),
    ):
        ran = at("data", *words, **HERE)
        assert ran.status == 1 and len(ran.err.splitlines()) == 1 and ran.err.startswith("Error: “"), words
    assert not (tmp_path / "here").exists()


def test_what_is_in_a_version_is_not_removed(at: Command, desk: Desk) -> None:
    ran = at("data", "content", "rm", "digits@2", "a", **HERE)
    assert (
        ran.status == 1 and "a dataset: its versions never change" in ran.err and "mlteam data push digits" in ran.err
    )
    assert {one.method for one in desk.asked} == {"GET"}


def test_volumes_have_no_versions(at: Command, tmp_path: Path) -> None:
    for words in (
        ("versions", "home"),
        ("compare", "home", "1", "2"),
        ("pull", "home@1", "x"),
        ("content", "rm", "home@1", "."),
    ):
        ran = at("data", *words, **HERE)
        assert ran.status == 1 and "is a volume: it has no versions" in ran.err
    assert "A volume has no versions to note" in at("data", "push", "home", ".", "-m", "why", **HERE).err


@pytest.mark.parametrize(
    ("text", "size"), [("50GiB", 50 << 30), ("1.5k", 1536), ("2 MB", 2 << 20), ("700", 700), ("9 B", 9)]
)
def test_sizes_are_written_as_people_do(at: Command, desk: Desk, text: str, size: int) -> None:
    desk.on(f"PATCH /datastores/{VOLUME['id']}", lambda asked: (200, {**VOLUME, **asked.json, "used": 0}))
    assert at("data", "quota", "home", text, "--field", "quota", **HERE).out == f"{size}\n"
    desk.on(f"POST /projects/{VISION['id']}/datastores", lambda asked: (201, VOLUME))
    at("data", "new", "home", "--quota", text, **HERE)
    assert desk.asked[-1].json["quota"] == size


def test_what_is_no_size(at: Command) -> None:
    for text in ("much", "-1", "1X", "GiB", ""):
        assert at("data", "quota", "home", text, **HERE).status == 2
    for text in ("9" * 400, "9" * 400 + ".5G", "8192P", "9" * 5000):
        for words in (("quota", "home", text), ("new", "home", "--quota", text)):
            ran = at("data", *words, **HERE)
            assert ran.status == 2 and "is more than there can be" in ran.err and len(ran.err) < 300


def test_content_of_a_volume_is_removed_by_its_path(at: Command, desk: Desk) -> None:
    where = f"DELETE /datastores/{VOLUME['id']}/content"
    desk.on(where, lambda asked: (204, None))
    for typed, path in (("./a b/ü/", "a b/ü"), (".", "."), ("./", ".")):
        assert at("data", "content", "rm", "home", typed, **HERE).out == ""
        assert desk.asked[-1].query == {"path": [path]}
    desk.refuse(where, 404, "not_found", "There is no such thing.")
    assert at("data", "content", "rm", "home", "b", **HERE).err == "Error: There is no b in home.\n"


EXACTLY = 1_795_255_200_123_456_789  # a moment at 10:00:00 of the 21st of November 2026, ns since 1970
LISTED = [
    {
        "path": "a/ß x",
        "kind": "file",
        "size": 2,
        "mode": 420,
        "modified": "2026-11-21T10:00:00Z",
        "modified_ns": EXACTLY,
    },
    {
        "path": "a",
        "kind": "directory",
        "size": 0,
        "mode": None,
        "modified": "2026-11-21T10:00:00Z",
        "modified_ns": None,
    },
    {"path": "l", "kind": "link", "size": 0, "mode": None, "modified": "2026-11-21T10:00:00Z", "modified_ns": None},
    {
        "path": "../out",
        "kind": "file",
        "size": 1,
        "mode": 420,
        "modified": "2026-11-21T10:00:00Z",
        "modified_ns": EXACTLY,
    },
    {
        "path": "gone",
        "kind": "file",
        "size": 1,
        "mode": 493,
        "modified": "2026-11-21T10:00:00Z",
        "modified_ns": EXACTLY,
    },
]


def record(content: bytes | None) -> bytes:
    """What a pack has of a file; of one that is not small, or not there, that."""
    if content is None:
        return bytes(32) + b"\xff" * 8
    return hashlib.sha256(content).digest() + len(content).to_bytes(8, "big") + content


@pytest.fixture
def volume(loopback: Loopback, mlteam: Command, tmp_path: Path) -> Any:
    """The command at a server whose volume has what a job may have made there."""

    def says(asked: Any) -> Any:
        if asked.path.endswith("/listing"):
            return Says(body="".join(json.dumps(one) + "\n" for one in LISTED).encode())
        if asked.path.endswith("/pack"):
            found = {"a/ß x": b"hi"}
            return Says(body=b"".join(record(found.get(path)) for path in asked.data["paths"]))
        if asked.path == f"/api/v1/datastores/{VOLUME['id']}":
            return Says(data=VOLUME)
        return Says(404, {"code": "not_found", "detail": "There is no such thing."})

    loopback.say(says)
    return lambda *words: mlteam("data", *words, MLTEAM_URL=loopback.url, MLTEAM_TOKEN="mlt_x")


def test_a_volume_comes_here_without_what_could_lead_elsewhere(volume: Any, tmp_path: Path) -> None:
    ran = volume("pull", VOLUME["id"], "in/here", "--format", "json")
    assert json.loads(ran.out) == {
        "id": VOLUME["id"],
        "name": "home",
        "version": None,
        "fetched": 1,
        "bytes": 2,
        "there": 0,
    }
    assert [str(one.relative_to(tmp_path)) for one in sorted((tmp_path / "in").rglob("*"))] == [
        "in/here",
        "in/here/a",
        "in/here/a/ß x",
    ]
    left_out = sorted(line.split(":")[0] for line in ran.err.splitlines())
    assert left_out == ["Left out ../out", "Left out gone", "Left out l"]
    assert not (tmp_path / "out").exists()
    again = volume("pull", VOLUME["id"], "in/here", "--format", "json")
    assert (json.loads(again.out)["fetched"], json.loads(again.out)["there"]) == (0, 1)
    (tmp_path / "in/here/a/ß x").write_text("ho")  # of another time
    assert json.loads(volume("pull", VOLUME["id"], "in/here", "--format", "json").out)["fetched"] == 1


@pytest.mark.parametrize(("now", "kept"), [(2 << 20, b""), (4 << 20, b"n" * (4 << 20))])
def test_a_file_that_became_shorter_meanwhile_does_not_come(
    loopback: Loopback, mlteam: Command, tmp_path: Path, now: int, kept: bytes
) -> None:
    """One that is added to does, as it is now."""
    listed = {"path": "large", "kind": "file", "size": 3 << 20, "mode": 420, "modified": "2026-11-21T10:00:00Z"}

    def says(asked: Any) -> Any:
        if asked.path.endswith("/listing"):
            return Says(body=json.dumps(listed).encode())
        if asked.path.endswith("/files/large"):
            return Says(body=b"n" * now)
        return Says(data=VOLUME)

    loopback.say(says)
    where = {"MLTEAM_URL": loopback.url, "MLTEAM_TOKEN": "mlt_x"}
    ran = mlteam("data", "pull", VOLUME["id"], "here", **where)
    assert [one.read_bytes() for one in (tmp_path / "here").iterdir()] == [kept] * bool(kept)
    assert ran.status == (0 if kept else 1)
    said = f"large has {3 << 20} bytes and {now} arrived. Is a job still writing it? Try again."
    assert (said in ran.err) is not bool(kept)


def test_a_file_that_is_written_anew_meanwhile_does_not_come(
    loopback: Loopback, mlteam: Command, tmp_path: Path
) -> None:
    """The connection breaks, and the rest is of another content."""
    listed = {"path": "large", "kind": "file", "size": 3 << 20, "mode": 420, "modified": "2026-11-21T10:00:00Z"}
    asked_for: list[str | None] = []

    def says(asked: Any) -> Any:
        if asked.path.endswith("/listing"):
            return Says(body=json.dumps(listed).encode())
        if asked.path.endswith("/files/large"):
            asked_for.append(asked.headers.get("if-range"))
            again = len(asked_for) > 1
            tag, cut = ('"2"', None) if again else ('"1"', 2 << 20)
            return Says(body=b"n" * (3 << 20), headers={"ETag": tag}, cut=cut)
        return Says(data=VOLUME)

    loopback.say(says)
    ran = mlteam("data", "pull", VOLUME["id"], "here", MLTEAM_URL=loopback.url, MLTEAM_TOKEN="mlt_x")
    assert ran.status == 1 and "large was written anew while it came." in ran.err
    assert asked_for == [None, '"1"'] and not list((tmp_path / "here").iterdir())


class Volume:
    """A server with a volume, of which it says what its files are like now: path -> (content, time in ns, ETag)."""

    def __init__(self, mlteam: Command, loopback: Loopback) -> None:
        self.files: dict[str, tuple[bytes, int | None, str]] = {}
        self.asked: list[tuple[str | None, str | None]] = []  # Range and If-Range of each request for a file
        self.cut: int | None = None  # bytes after which the connection breaks, and the server has enough of who asks
        self.more: dict[str, Any] = {}
        self._mlteam, self._where = mlteam, {"MLTEAM_URL": loopback.url, "MLTEAM_TOKEN": "mlt_x"}
        loopback.say(self._says)

    def pull(self) -> Any:
        return self._mlteam("data", "pull", VOLUME["id"], "here", "--format", "json", **self._where)

    def pulled(self) -> tuple[int, int, int]:
        """Files and bytes that came, and files that were there."""
        said = json.loads(self.pull().out)
        return said["fetched"], said["bytes"], said["there"]

    def _says(self, asked: Any) -> Says:
        if asked.path.endswith("/listing"):
            return Says(body="".join(json.dumps(self._line(path)) + "\n" for path in self.files).encode())
        if asked.path.endswith("/pack"):
            return Says(body=b"".join(record(self.files[path][0]) for path in asked.data["paths"]))
        if "/files/" in asked.path:
            return self._file(asked)
        return Says(data=VOLUME)

    def _line(self, path: str) -> dict[str, Any]:
        content, at, _ = self.files[path]
        moment = {"modified": "2026-11-21T10:00:00Z", "modified_ns": at} | self.more
        return {"path": path, "kind": "file", "size": len(content), "mode": 420} | moment

    def _file(self, asked: Any) -> Says:
        content, _, tag = self.files[asked.path.rpartition("/")[2]]
        wished, condition = asked.headers.get("range"), asked.headers.get("if-range")
        self.asked.append((wished, condition))
        if self.cut == 0:
            return Says(403, {"code": "forbidden", "detail": "Not any more."})
        cut, self.cut = self.cut, None if self.cut is None else 0
        if wished is None or condition not in (None, tag):
            return Says(body=content, headers={"ETag": tag}, cut=cut)
        begin = int(wished.removeprefix("bytes=").rstrip("-"))
        if begin >= len(content):
            return Says(416, {"code": "bad_request", "detail": "Beyond its end."})
        span = {"ETag": tag, "Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
        return Says(206, body=content[begin:], headers=span, cut=cut)


@pytest.fixture
def changing(mlteam: Command, loopback: Loopback) -> Volume:
    return Volume(mlteam, loopback)


def test_a_file_that_was_written_anew_within_the_same_second_comes_again(changing: Volume, tmp_path: Path) -> None:
    changing.files = {"same": (b"same", EXACTLY, ""), "x": (b"aaaa", EXACTLY, "")}
    assert changing.pulled() == (2, 8, 0)
    changing.files["x"] = (b"bbbb", EXACTLY + 100, "")
    assert changing.pulled() == (1, 4, 1) and (tmp_path / "here" / "x").read_bytes() == b"bbbb"
    assert (tmp_path / "here" / "x").stat().st_mtime_ns == EXACTLY + 100
    assert changing.pulled() == (0, 0, 2)


def test_a_file_that_was_being_written_comes_again(changing: Volume, tmp_path: Path) -> None:
    """Also from a disk that keeps whole seconds, to one that does."""
    changing.files = {"x": (b"aaaa", None, "")}
    assert changing.pulled() == (1, 4, 0)
    assert changing.pulled() == (1, 4, 0)
    changing.files["x"] = (b"bbbb", EXACTLY // 10**9 * 10**9, "")
    assert changing.pulled() == (1, 4, 0) and (tmp_path / "here" / "x").read_bytes() == b"bbbb"
    assert changing.pulled() == (0, 0, 1)


@pytest.mark.parametrize(("kept_ns", "comes"), [(100, 0), (1000, 1), (10**9, 1), (2 * 10**9, 1)])
def test_where_the_file_system_keeps_less_of_the_time_all_comes_again(
    changing: Volume, tmp_path: Path, kept_ns: int, comes: int
) -> None:
    """But where it keeps what tells two states apart."""
    changing.files = {"x": (b"aaaa", EXACTLY, "")}
    changing.pull()
    kept = EXACTLY // kept_ns * kept_ns
    os.utime(tmp_path / "here" / "x", ns=(kept, kept))
    assert changing.pulled() == (comes, 4 * comes, 1 - comes)


@pytest.mark.parametrize("exactly", [-1, 2**80, 1.5, "1", True])
def test_a_time_that_no_server_tells_is_refused(changing: Volume, exactly: Any) -> None:
    changing.files, changing.more = {"x": (b"a", None, "")}, {"modified_ns": exactly}
    assert "The server's list of files cannot be read in line 1." in changing.pull().err


LARGE = bytes(range(256)) * (12 << 10)  # 3 MiB


def test_a_pull_of_a_volume_that_was_cut_goes_on_within_a_large_file(changing: Volume, tmp_path: Path) -> None:
    changing.files, changing.cut = {"large": (LARGE, EXACTLY, '"1"')}, 2 << 20
    ran = changing.pull()
    assert ran.status == 1 and "Not any more." in ran.err and not (tmp_path / "here" / "large").exists()
    [part] = [one for one in (tmp_path / "here").rglob("*") if one.is_file() and not one.suffix]
    here = part.stat().st_size
    assert 0 < here <= 2 << 20 and part.read_bytes() == LARGE[:here]
    changing.asked, changing.cut = [], None
    assert changing.pulled() == (1, len(LARGE) - here, 0)
    assert changing.asked == [(f"bytes={here}-", '"1"')]
    assert [(one.name, one.read_bytes()) for one in (tmp_path / "here").iterdir()] == [("large", LARGE)]


@pytest.mark.parametrize("now", [LARGE[::-1], LARGE[: 1 << 20] + b"x", LARGE * 2])
def test_nothing_is_kept_of_a_large_file_that_is_another_by_now(changing: Volume, tmp_path: Path, now: bytes) -> None:
    changing.files, changing.cut = {"large": (LARGE, EXACTLY, '"1"')}, 2 << 20
    assert changing.pull().status == 1
    changing.files, changing.cut = {"large": (now, EXACTLY + 1000, '"2"')}, None
    assert changing.pulled() == (1, len(now), 0)
    assert [(one.name, one.read_bytes()) for one in (tmp_path / "here").iterdir()] == [("large", now)]


def test_a_large_file_that_was_whole_when_the_pull_was_killed_does_not_come_again(
    changing: Volume, tmp_path: Path
) -> None:
    changing.files, changing.cut = {"large": (LARGE, EXACTLY, '"1"')}, 2 << 20
    changing.pull()
    [part] = [one for one in (tmp_path / "here").rglob("*") if one.is_file() and not one.suffix]
    part.write_bytes(LARGE)
    changing.cut = None
    assert changing.pulled() == (1, 0, 0) and (tmp_path / "here" / "large").read_bytes() == LARGE


def test_nobody_goes_on_with_a_large_file_that_was_being_written(changing: Volume, tmp_path: Path) -> None:
    """A weak ETag does not tell two states of it apart."""
    changing.files, changing.cut = {"large": (LARGE, EXACTLY, 'W/"1"')}, 2 << 20
    assert changing.pull().status == 1
    changing.asked, changing.cut = [], None
    assert changing.pulled() == (1, len(LARGE), 0) and changing.asked == [(None, None)]


def test_a_connection_that_breaks_within_a_large_file_that_was_being_written_mixes_nothing(
    changing: Volume, loopback: Loopback, tmp_path: Path
) -> None:
    changing.files = {"large": (LARGE, EXACTLY, 'W/"1"')}
    answers = changing._says
    cuts = [2 << 20]

    def says(asked: Any) -> Says:
        said = answers(asked)
        said.cut = cuts.pop() if cuts and "/files/" in asked.path else said.cut
        return said

    loopback.say(says)
    ran = changing.pull()
    assert ran.status == 1 and "large was written anew while it came." in ran.err
    assert not list((tmp_path / "here").iterdir())


def test_what_is_in_a_volume_is_listed_as_new(volume: Any) -> None:
    ran = volume("content", "ls", VOLUME["id"])
    assert [line.split("  ")[0] for line in ran.lines] == ["name", "../out", "a", "a/ß x", "gone", "l"]
    assert {line.split()[-1] for line in ran.lines[1:]} == {"new"}


def test_a_name_that_is_no_text_is_told_and_typed_in_one_way(at: Command, desk: Desk) -> None:
    from mlteam_sdk import volumes

    from datastores import paths

    for told, raw in names.ODD.items():
        path = os.fsdecode(raw)
        assert volumes.told(path) == paths.told(path) == told
        assert volumes.named(told) == paths.clean_there(told) == path
        assert volumes.remote(told) == told
    where = f"DELETE /datastores/{VOLUME['id']}/content"
    desk.on(where, lambda asked: (204, None))
    for typed, path in ((b"caf\xe9/", "caf\\xe9"), (b"./a\nb", "a\\x0ab"), (b"a\\x0ab", "a\\x0ab"), (b"a\\b", "a\\b")):
        ran = at("data", "content", "rm", "home", os.fsdecode(typed), **HERE)
        assert (ran.err, desk.asked[-1].query) == (f"Removed {path} of home.\n", {"path": [path]})
    for wrong in ("/etc", "a//b", "../\\xff", "", "\ud800"):
        ran = at("data", "content", "rm", "home", wrong, **HERE)
        assert ran.status == 1 and ran.err.startswith("Error: “") and len(ran.err.splitlines()) == 1, wrong


def test_what_has_a_name_that_is_no_text_stays_there_and_is_named(
    loopback: Loopback, mlteam: Command, tmp_path: Path
) -> None:
    listed = [LISTED[0] | {"path": path} for path in ("caf\\xe9/a", "a\\x0ab", "a\\x5cxff", "=1\\x0a", "plain")]

    def says(asked: Any) -> Any:
        if asked.path.endswith("/listing"):
            return Says(body="".join(json.dumps(one) + "\n" for one in listed).encode())
        if asked.path.endswith("/pack"):
            assert sorted(asked.data["paths"]) == ["a\\x5cxff", "plain"]
            return Says(body=b"".join(record(path[-2:].encode()) for path in asked.data["paths"]))
        return Says(data=VOLUME)

    loopback.say(says)
    where = {"MLTEAM_URL": loopback.url, "MLTEAM_TOKEN": "mlt_x"}
    ran = mlteam("data", "pull", VOLUME["id"], "in", **where)
    assert sorted(ran.err.splitlines()) == [
        "Left out =1\\x0a: its path has a control character in it. Rename it.",
        "Left out a\\x0ab: its path has a control character in it. Rename it.",
        "Left out caf\\xe9/a: its path is no UTF-8 text. Rename it.",
    ]
    assert {one.name: one.read_bytes() for one in (tmp_path / "in").iterdir()} == {"a\\xff": b"ff", "plain": b"in"}
    for form in ("table", "csv", "json"):
        out = mlteam("data", "content", "ls", VOLUME["id"], "--format", form, "--fields", "name", **where).out
        assert "a\\x0ab" in out.replace("\\\\", "\\") and out.replace("\n", "").isprintable(), form
        assert form == "json" or len(out.splitlines()) == len(listed) + 1
        assert form != "csv" or "'=1" in out
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a\\xff").write_bytes(b"hi")
    dry = mlteam("data", "push", VOLUME["id"], "data", "--dry-run", **where)
    assert "0 of 1 files are different" in dry.err


def test_wrong_words(at: Command) -> None:
    for words in (
        ("pull", "digits"),
        ("pull", "digits", "a", "b", "c"),
        ("pull", "digits@x", "."),
        ("archive", "digits", "."),
        ("archive", "digits", "a", "b", "c.zip"),
        ("compare", "digits", "1", "x"),
    ):
        assert at("data", *words, **HERE).status == 2, words


def test_a_version_that_is_not_there(at: Command, desk: Desk) -> None:
    for words in (("pull", "digits@4", "."), ("content", "ls", "digits@0"), ("compare", "digits", "1", "4")):
        ran = at("data", *words, **HERE)
        assert ran.status == 1 and "digits has no version" in ran.err and "the newest is 3" in ran.err, words
    desk.on(f"GET /datastores/{DIGITS['id']}", {**DIGITS, "latest": None})
    assert "has no version yet. `mlteam data push digits FOLDER`" in at("data", "pull", DIGITS["id"], ".", **HERE).err


def test_a_folder_that_is_not_there_is_one_line(at: Command) -> None:
    ran = at("data", "push", "digits", "no such folder", **HERE)
    assert (
        ran.status == 1
        and ran.err == "Error: no such folder cannot be read (No such file or directory). Nothing was sent.\n"
    )


def test_removing_asks_and_says_what_uses_it(at: Command, desk: Desk) -> None:
    assert "add --yes" in at("data", "rm", "digits", **HERE).err
    desk.refuse(f"DELETE /datastores/{DIGITS['id']}", 409, "in_use", "The job train uses it.", users=[])
    ran = at("data", "rm", "digits", "--yes", **HERE)
    assert ran.status == 1 and ran.err == f"Error: digits ({DIGITS['id']}): The job train uses it.\n"


def test_renaming_and_describing(at: Command, desk: Desk) -> None:
    desk.on(f"PATCH /datastores/{DIGITS['id']}", lambda asked: (200, {**DIGITS, **asked.json}))
    assert at("data", "rename", "digits", "numbers", "--field", "name", **HERE).out == "numbers\n"
    at("data", "describe", "digits", "-", input="# Digits\n", **HERE)
    assert desk.asked[-1].json == {"description": "# Digits\n"}


def test_names_are_completed(home: Path, desk: Desk) -> None:
    from tests.sdk.cli.test_tree import complete

    assert complete(home, desk, "mlteam data pull di") == ["digits"]


# Against a server on loopback that keeps what it is sent


@pytest.fixture
def there(loopback: Loopback, mlteam: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The command at a depot, whose dataset it knows by its id."""
    depot = Depot()
    loopback.say(depot)

    def run(*words: str) -> Any:
        cache = str(tmp_path / "cache")
        return mlteam("data", *words, MLTEAM_URL=loopback.url, MLTEAM_TOKEN="mlt_x", XDG_CACHE_HOME=cache)

    run.depot = depot  # type: ignore[attr-defined]
    return run


ID = "ddddddddddddddd2"


def write(root: Path, **files: str) -> Path:
    root.mkdir(exist_ok=True)
    for name, text in files.items():
        (root / name).write_text(text)
    return root


def test_push_says_what_it_did_and_what_it_left_out(there: Any, tmp_path: Path) -> None:
    data = write(tmp_path / "my data", a="1", b="2")
    (data / "link").symlink_to("a")
    dry = there("push", ID, "my data", "--dry-run")
    assert [line.split() for line in dry.lines[1:]] == [["a", "added", "-", "1"], ["b", "added", "-", "1"]]
    assert dry.err == "Left out link: a link; links are not followed.\n2 of 2 files are different. Nothing was sent.\n"
    assert there.depot.versions == []
    first = there("push", ID, "my data", "--note", "first", "--format", "json")
    assert json.loads(first.out)["version"] == 1 and json.loads(first.out)["new"] is True
    again = there("push", ID, "my data", "-q")
    assert (again.out, again.err) == (f"{ID}@1\n", "Left out link: a link; links are not followed.\n")
    assert "Nothing has changed since version 1." in there("push", ID, "my data").err


def test_the_content_of_a_version(there: Any) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    kept = {"path": ".DS_Store", "sha256": digest, "size": 1}
    old = [kept, {"path": "AAA/Accelerometer Data 2019-06-28 14-00-01.txt", "sha256": digest, "size": 1}]
    there.depot.lists(old)
    assert there("content", "ls", ID).lines == [
        "name                                            status",
        ".DS_Store                                       new",
        "AAA                                             new",
        "AAA/Accelerometer Data 2019-06-28 14-00-01.txt  new",
    ]
    there.depot.lists([kept, {**old[1], "size": 2}, {"path": "BBB/BBB-1/x", "sha256": digest, "size": 1}])
    rows = [line.rsplit(None, 1) for line in there("content", "ls", ID, "-H").lines]
    assert [(name.strip(), status) for name, status in rows] == [
        (".DS_Store", "unchanged"),
        ("AAA", "changed"),
        ("AAA/Accelerometer Data 2019-06-28 14-00-01.txt", "changed"),
        ("BBB", "new"),
        ("BBB/BBB-1", "new"),
        ("BBB/BBB-1/x", "new"),
    ]
    assert there("content", "ls", f"{ID}@1", "./AAA", "--field", "name").lines == ["AAA", old[1]["path"]]
    assert there("content", "ls", ID, "CCC").err == "Error: There is no CCC in version 2 of digits.\n"


def test_pull_takes_a_part(there: Any, tmp_path: Path) -> None:
    there.depot.holds({"train/a b": b"1", "train/ß": b"2", "test/c": b"3"})
    ran = there("pull", ID, "./train", "my files", "--format", "json")
    assert json.loads(ran.out) == {"id": ID, "name": "digits", "version": 1, "fetched": 2, "bytes": 2, "there": 0}
    assert sorted(str(one.relative_to(tmp_path / "my files")) for one in (tmp_path / "my files").rglob("*")) == [
        "train",
        "train/a b",
        "train/ß",
    ]
    assert there("pull", f"{ID}@1", "train", ".", "-q").out == f"{ID}@1\n"
    assert there("pull", ID, "tra", ".").err == f"Error: digits ({ID}): There is no tra in version 1.\n"


def test_progress_in_words() -> None:
    from mlteam_sdk.cli.meter import in_words, span
    from mlteam_sdk.progress import Progress

    said = in_words(Progress("sending", 1200, 10_000, 300_000_000, 1_300_000_000, 10.0, 100_000_000))
    assert said == "Sending 1,200 of 10,000 files, 300 MB of 1.3 GB, 20.0 MB/s, 0:50 left"
    assert span(3723) == "1:02:03"
    assert in_words(Progress("reading", 0, 1, 0, 0, 0.0)).endswith("0 B of 0 B, 0 B/s")


def test_progress_is_a_line_that_changes_on_a_terminal_and_few_lines_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    from mlteam_sdk.cli import meter
    from mlteam_sdk.progress import Progress

    half, whole = (Progress("reading", n, 2, n, 2, 1.0) for n in (1, 2))
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    with meter.Shown() as shown:
        shown(half)
        shown(whole)
    assert terminal.getvalue().count("\r") == 3 and "\n" not in terminal.getvalue()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(meter, "EVERY", 0)
    with meter.Shown() as shown:
        shown(half)
    assert sys.stderr.getvalue() == "Reading 1 of 2 files, 1 B of 2 B, 1 B/s, 0:01 left\n"  # type: ignore[attr-defined]


WHERE = "https://example.org/faces.tar.gz"


def importing(desk: Desk, *states: dict[str, Any]) -> None:
    """What the server says of an import, one look after the other."""
    one, left = {"id": "iiiiiiiiiiiiiii2", "datastore": DIGITS["id"], "address": WHERE}, list(states)
    desk.on(f"POST /datastores/{DIGITS['id']}/imports", {**one, "state": "waiting"}, 201)
    desk.on(f"GET /datastores/{DIGITS['id']}/imports", {"items": [{**one, "state": "waiting"}], "next": None})
    desk.on(f"GET /imports/{one['id']}", lambda asked: (200, one | (left.pop(0) if len(left) > 1 else left[0])))


def test_the_server_fetches_an_address(at: Command, desk: Desk) -> None:
    importing(desk, {"state": "fetching"}, {"state": "done", "version": 3, "said": "Left out of the archive: 1 link."})
    desk.on(f"GET /datastores/{DIGITS['id']}/versions/3", {"number": 3, "files": 2, "bytes": 30})
    ran = at("data", "push", "digits", WHERE, "--key", "bucket", "--no-unpack", "-m", "new", "-q", **HERE)
    assert ran.out == f"{DIGITS['id']}@3\n" and "Left out of the archive: 1 link." in ran.err
    [asked] = desk.those(f"POST /datastores/{DIGITS['id']}/imports")
    assert json.loads(asked.body) == {"address": WHERE, "key": "bucket", "unpack": False, "note": "new"}


def test_why_the_server_tries_again_is_said_once(at: Command, desk: Desk) -> None:
    again = {"state": "fetching", "said": "Tries again: nobody answers."}
    importing(desk, again, again, {"state": "done", "version": 3})
    desk.on(f"GET /datastores/{DIGITS['id']}/versions/3", {"number": 3, "files": 2, "bytes": 30})
    assert at("data", "push", "digits", WHERE, **HERE).err.count("Tries again: nobody answers.") == 1


def test_a_new_one_has_its_first_version_from_an_address(at: Command, desk: Desk) -> None:
    importing(desk, {"state": "done", "version": 1})
    made = {"id": DIGITS["id"], "name": "faces", "kind": "model"}
    desk.on(f"POST /projects/{VISION['id']}/datastores", made, 201)
    ran = at("data", "new", "faces", "--kind", "model", "--from", WHERE, "--key", "bucket", "--no-unpack", "-q", **HERE)
    assert ran.out == f"{DIGITS['id']}\n"
    [asked] = desk.those(f"POST /projects/{VISION['id']}/datastores")
    sent = {"address": WHERE, "key": "bucket", "unpack": False}
    assert json.loads(asked.body) == {"kind": "model", "name": "faces", "description": ""} | sent


COUNTED = ["files_done", "files", "bytes_done", "bytes", "version", "said"]


def test_imports_are_listed_stopped_and_taken_up_again(at: Command, desk: Desk) -> None:
    one = {"id": "iiiiiiiiiiiiiii2", "address": f"{WHERE}?…", "state": "fetching", "files": None, "files_done": 0}
    one |= {"bytes": 300, "bytes_done": 100, "version": None, "said": ""}
    desk.on(f"GET /datastores/{DIGITS['id']}/imports", [one])
    shown = at("data", "import", "ls", "digits", **HERE).lines
    assert shown[0].split() == ["id", "state", "address", *COUNTED]
    assert shown[1].split() == [one["id"], "fetching", f"{WHERE}?…", "0", "-", "100", "300", "-", "-"]
    for word, verb, state in (
        ("stop", "stop", "stopped"),
        ("again", "again", "waiting"),
        ("retry", "again", "waiting"),
    ):
        desk.on(f"POST /imports/{one['id']}/{verb}", {**one, "state": state})
        assert at("data", "import", word, one["id"], "--field", "state", **HERE).out == f"{state}\n"
    desk.refuse(f"POST /imports/{one['id']}/again", 409, "conflict", "It has not failed.")
    assert "It has not failed." in at("data", "import", "again", one["id"], **HERE).err
    gone = at("data", "import", "stop", "../x", **HERE)
    assert gone.status == 1 and gone.err.startswith("Error: There is no import ../x.")
    assert "is a volume" in at("data", "import", "ls", "home", **HERE).err


def test_who_stops_waiting_is_told_how_to_stop_it(capsys: pytest.CaptureFixture[str]) -> None:
    from mlteam_sdk.cli.meter import Fetching

    with pytest.raises(KeyboardInterrupt), Fetching("iiiiiiiiiiiiiii2"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err.endswith("To stop it: mlteam data import stop iiiiiiiiiiiiiii2\n")


def test_what_cannot_be_fetched_is_said(at: Command, desk: Desk) -> None:
    importing(desk, {"state": "failed", "said": "There is nothing there."})
    ran = at("data", "push", "digits", WHERE, **HERE)
    assert ran.status == 1 and "There is nothing there." in ran.err
    assert "`mlteam data import again iiiiiiiiiiiiiii2` tries once more." in ran.err and "data rm" not in ran.err
    desk.on(f"POST /projects/{VISION['id']}/datastores", {"id": DIGITS["id"], "name": "x", "kind": "model"}, 201)
    new = at("data", "new", "x", "--kind", "model", "--from", WHERE, **HERE)
    assert new.status == 1 and f"x ({DIGITS['id']}) is there, without a version: `mlteam data rm " in new.err
    for words in (("push", "digits", WHERE, "--dry-run"), ("new", "x", "--from", WHERE)):
        assert at("data", *words, **HERE).status == 2
