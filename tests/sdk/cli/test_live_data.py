"""The installed command against a whole server: folders go up as versions and come down, whoever may do so."""

import hashlib
import json
import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import clouds
from tests.datastores import names
from tests.sdk.cli.live import Person
from tests.sdk.site import Site
from tests.server import wait

pytestmark = [pytest.mark.needs("bwrap", "slirp4netns"), pytest.mark.xdist_group("site")]

MANY = 10_000  # files
NAMES = ["a.txt", "Дата/набор 1.csv", "a b/ c .txt", "日本/語.png", "é", "e\u0301", "A.txt", "-x", "🙂/[1] $(x);.txt"]


@pytest.fixture
def ada(person_at: Callable[..., Person], site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Person:
    """Somebody whose active project is Vision, in which Grace may look."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ada = person_at("ada")
    ada("configure", "--project", site.vision)
    return ada


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def fill(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def test_the_story_of_a_dataset(ada: Person, person_at: Callable[..., Person]) -> None:
    files = {name: name.encode() * 100 for name in NAMES} | {"empty": b"", "large.bin": os.urandom(3 << 20)}
    data = ada.directory / "my data"
    fill(data, files)
    (data / "run.sh").write_text("#!/bin/sh\n")
    (data / "run.sh").chmod(0o755)
    (data / "link").symlink_to("a.txt")
    made = ada("data", "new", "--kind", "dataset", "story", "--quiet").out.strip()
    dry = ada("data", "push", "story", "my data", "--dry-run")
    assert len(dry.lines) == len(files) + 2 and "Left out link" in dry.err
    first = json.loads(ada("data", "push", "story", "my data", "-m", "first", "--format", "json").out)
    assert (first["version"], first["files"], first["new"]) == (1, len(files) + 1, True)
    assert "Nothing has changed since version 1" in ada("data", "push", "story", "my data").err
    changed = files | {"a.txt": b"another", "new one": b"1"}
    fill(data, {"a.txt": b"another", "new one": b"1"})
    (data / "empty").unlink()
    assert ada("data", "push", "story", "my data", "-q").out == f"{made}@2\n"
    rows = [line.split()[-3:] for line in ada("data", "compare", "story", "1", "latest", "-H").lines]
    assert sorted(one[0] for one in rows) == ["added", "changed", "removed"]
    assert [one["number"] for one in ada.rows("data", "versions", "story")] == [2, 1]

    grace = person_at("grace")
    pulled = json.loads(grace("data", "pull", f"{made}", "here", "--format", "json").out)
    assert (pulled["version"], pulled["fetched"]) == (2, len(files) + 1)
    del changed["empty"]
    assert tree(grace.directory / "here") == changed | {"run.sh": b"#!/bin/sh\n"}
    assert os.access(grace.directory / "here" / "run.sh", os.X_OK)
    again = json.loads(grace("data", "pull", "vision.story@1", "here", "--format", "json").out)
    assert (again["version"], again["fetched"], again["there"]) == (1, 2, len(files) - 1)
    content = {one["name"]: one["status"] for one in grace.rows("data", "content", "ls", made)}
    assert content["new one"] == "new" and content["a.txt"] == "changed" and content["Дата"] == "unchanged"
    assert list(content) == sorted(content, key=str.encode) and "empty" not in content
    refused = grace("data", "push", made, "here", status=1)
    assert refused.err.startswith("Warning: ") and "dataset:set" in refused.err

    ada("data", "describe", "story", "# What it is")
    assert ada("data", "rename", "story", "tale", "--field", "description").out.strip() == "# What it is"
    stranger = person_at("stan")
    assert "no datastore" in stranger("data", "get", made, status=1).err
    ada("data", "rm", "tale", "--yes")


MANY_SCRIPT = """
import asyncio, json
from pathlib import Path
from mlteam_sdk import MLTeam

async def main():
    async with MLTeam() as client:
        many = await client.datastores.create("many", kind="dataset")
        told = []
        pushes = [await many.push("many", on_progress=told.append)]
        for path in sorted(Path("many").rglob("*.txt"))[::%d]:
            path.write_text(f"another {path}")
        pushes += [await many.push("many"), await many.push("many")]
        print(json.dumps([(one.version.number, one.new, one.files) for one in pushes]))
        print(json.dumps([len(await many.compare(1, 2)), told[-1].files, told[-1].doing]))
        pulls = [await many.pull("back", version=1), await many.pull("back")]
        print(json.dumps([(one.fetched, one.there) for one in pulls]))
        await many.remove()

asyncio.run(main())
"""


def test_many_files_changed_in_ten_places(site: Site, tmp_path: Path) -> None:
    fill(tmp_path / "many", {f"{number % 20}/{number}.txt": f"{number}\n".encode() for number in range(MANY)})
    script = MANY_SCRIPT % (MANY // 10)
    said = site.python("ada", script, directory=tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    pushes, others, pulls = map(json.loads, said.splitlines())
    assert pushes == [[1, True, MANY], [2, True, 10], [2, False, 0]]
    assert others == [10, MANY, "sending"]
    assert pulls == [[MANY, 0], [10, MANY - 10]] and tree(tmp_path / "back") == tree(tmp_path / "many")


def test_a_push_and_a_pull_that_are_killed_go_on(ada: Person, site: Site) -> None:
    data = ada.directory / "large"
    fill(data, {f"{number}.bin": os.urandom(24 << 20) for number in range(2)})
    made = ada("data", "new", "--kind", "model", "large", "-q").out.strip()
    kill_in_the_middle(ada, ("data", "push", "large", "large"), lambda: partly_there(site))
    sent = site.python("ada", SENT, made, str(data))
    assert 0 < int(sent) < 48 << 20
    here = ada.directory / "back"
    kill_in_the_middle(ada, ("data", "pull", "large", "back"), lambda: any(here.glob("*/*.ranges")))
    assert not any(here.glob("*.bin"))
    ada("data", "pull", "large", "back")
    assert {one.name: digest(one) for one in here.glob("*.bin")} == {one.name: digest(one) for one in data.iterdir()}
    ada("data", "rm", "large", "--yes")


TRAIN = """
import json, os, pathlib
points = [line.split(",") for line in pathlib.Path("/data/a b.csv").read_text().splitlines()]
slope = sum(float(y) for _, y in points) / sum(float(x) for x, _ in points)
try:
    open("/data/a b.csv", "a")
except OSError as error:
    print("read-only:", error.strerror)
pathlib.Path(os.environ["MLTEAM_OUTPUT"], "model.json").write_text(json.dumps({"slope": slope}))
"""


def test_a_job_reads_a_dataset_and_what_it_leaves_becomes_a_model(ada: Person) -> None:
    fill(ada.directory / "points", {"train/a b.csv": b"1,2\n2,4\n", "test/c.csv": b"3,6\n"})
    (ada.directory / "train.py").write_text(TRAIN)
    ada("data", "new", "--kind", "dataset", "points")
    ada("data", "push", "points", "points")
    words = [
        "--data",
        "points/train:/data",
        "--output",
        "model:line",
        "--file",
        "train.py",
        "--cpu",
        "0.1",
        "--mem",
        "0.25",
    ]
    job = ada("job", "submit", "--quiet", "--wait", *words, "--", "python3", "train.py").lines[0].strip()
    assert "read-only: " in ada("job", "logs", job).out
    told = json.loads(ada("job", "get", job, "--format", "json").out)
    assert told["state"] == "succeeded" and told["sentence"] == "Its output became version 1 of the model line."
    assert told["spec"]["data"] == ["points@1/train:/data"]
    ada("data", "pull", "line", "back")
    assert json.loads((ada.directory / "back" / "model.json").read_text()) == {"slope": 2.0}
    assert "no such dataset" in ada("job", "submit", "--data", "none:/data", "--", "true", status=1).err
    waiting = ada("job", "submit", "--quiet", "--data", "line:/model", "--cpu", "0.1", "--", "sleep", "600").out.strip()
    assert "in use" in ada("data", "rm", "line", "--yes", status=1).err
    ada("job", "kill", waiting)
    ada("job", "logs", "-f", waiting, status=None)
    ada("data", "rm", "points", "--yes")


def test_what_could_not_be_stored_is_stored_again(ada: Person, site: Site) -> None:
    """The name of its model is taken while the job runs, which only goes on when that is so."""
    ada("data", "new", "gate")
    command = "until [ -e /gate/open ]; do sleep 0.1; done; echo 1 > $MLTEAM_OUTPUT/weights"
    carried = ("--data", "gate:/gate", "--output", "model:taken")
    job = ada.submit(*carried, "--", "bash", "-c", command)
    ada("data", "new", "--kind", "dataset", "taken")
    ada("data", "content", "mkdir", "gate", "open")
    ada("job", "logs", "-f", job, status=None)
    site.python("ada", f"from mlteam_sdk.sync import MLTeam\nMLTeam().jobs.get('{job}').wait(timeout=60)")
    assert "could not be stored: taken is a dataset by now" in ada("job", "get", job, "--field", "sentence").out
    again = f"from mlteam_sdk.sync import MLTeam\nprint(MLTeam().jobs.get('{job}').store().wait(timeout=60).state)"
    assert site.python("ada", again).strip() == "failed"
    ada("data", "rename", "taken", "not taken")
    assert ada("job", "store", job, "--field", "id").out.strip() == job
    site.python("ada", f"from mlteam_sdk.sync import MLTeam\nMLTeam().jobs.get('{job}').wait(timeout=60)")
    assert ada("job", "get", job, "--field", "state").out == "succeeded\n"
    assert ada("data", "content", "ls", "taken", "--field", "name").out == "weights\n"
    assert "no output that could not be stored" in ada("job", "store", job, status=1).err
    for name in ("gate", "taken", "not taken"):
        ada("data", "rm", name, "--yes")


SENT = """
import sys
from mlteam_sdk.sync import MLTeam
with MLTeam() as client:
    print(client.datastores.get(sys.argv[1]).push(sys.argv[2]).bytes)
"""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def partly_there(site: Site) -> bool:
    return any(path.stat().st_size > 1 << 20 for path in (site.server.var / "uploads").rglob("*.part"))


def kill_in_the_middle(person: Person, words: tuple[str, ...], condition: Callable[[], bool]) -> None:
    """Kills a command as soon as that is so; before, no more than a part of 48 MiB goes through its wire."""
    with clouds.wire(person.site.server.url) as wire:
        wire.hold_after = 20 << 20
        process = person.start(*words, MLTEAM_URL=wire.url)
        try:
            wait(lambda: wire.held.is_set() and condition(), "a part of it")
        finally:
            process.kill()
            process.communicate()
            wire.hold_after = 0


def test_ctrl_c_while_files_are_read(ada: Person) -> None:
    data = ada.directory / "slow"
    data.mkdir()
    with (data / "sparse").open("wb") as file:
        file.truncate(200 << 30)  # takes minutes to read
    made = ada("data", "new", "--kind", "dataset", "slow", "-q").out.strip()
    ours, theirs = pty.openpty()
    words = [str(ada.site.programs / "mlteam"), "data", "push", made, "slow"]
    with subprocess.Popen(
        words,
        env=ada.environment(),
        cwd=ada.directory,
        stderr=theirs,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        os.close(theirs)
        seen = b""
        while b"Reading 0 of 1 files" not in seen:
            seen += os.read(ours, 1024)
        process.send_signal(signal.SIGINT)
        seen += b"".join(iter(lambda: rest_of(ours), b""))
        assert process.wait() == 130
    os.close(ours)
    assert b"Traceback" not in seen and b"B/s" in seen
    ada("data", "rm", "slow", "--yes")


def rest_of(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1024)
    except OSError:  # it has gone with the command
        return b""


DIALOGUE = """
# List the contents
$ mlteam data content ls snow.some_account.some_data
name status
.DS_Store new
AAA new
AAA/Accelerometer Data 2019-06-28 14-00-01.txt new
AAA/Accelerometer Data 2019-06-28 14-37-42.txt new
BBB new
BBB/.DS_Store new
BBB/BBB-1 new
BBB/BBB-1/.DS_Store new
# You can selectively delete a directory inside it
$ mlteam data content rm snow.some_account.some_data AAA
# You can see directory AAA is now deleted
$ mlteam data content ls snow.some_account.some_data
name status
.DS_Store new
BBB new
BBB/.DS_Store new
BBB/BBB-1 new
BBB/BBB-1/.DS_Store new
# You can also clear out its contents entirely
$ mlteam data content rm snow.some_account.some_data .
# If you try to list the contents now, the data object will be empty
$ mlteam data content ls snow.some_account.some_data
"""


def test_the_dialogue_of_a_volume(ada: Person, person_at: Callable[..., Person]) -> None:
    """Made, filled, listed and cleared as the handbook of ElementAI's toolkit tells it."""
    ada("project", "new", "snow")
    ada("project", "new", "snow.some_account")
    fill(
        ada.directory / "some_data",
        {line.removesuffix(" new"): b"x" for line in DIALOGUE.splitlines()[4:13] if "Store" in line or ".txt" in line},
    )
    made = ada("data", "new", "snow.some_account.some_data", "-q").out.strip()
    assert ada("data", "get", made, "--fields", "name,project.full_name", "-H").out.split() == [
        "some_data",
        "snow.some_account",
    ]
    ada("data", "push", "snow.some_account.some_data", "some_data", "--quiet")
    said: list[str] = []
    for line in DIALOGUE.splitlines():
        if line.startswith("$ "):
            said += [" ".join(one.split()) for one in ada(*line.split()[2:]).lines]
    told = [line for line in DIALOGUE.splitlines() if line and line[0] not in "#$"]
    assert said[: len(told)] == told and said[len(told) :] in ([], ["name status"])
    for path in ("..", "/etc", "../x", "AAA/../.."):
        assert ada("data", "content", "rm", "snow.some_account.some_data", path, status=1).err.startswith("Error: “")
    grace = person_at("grace")
    grace_sees_none = grace("data", "new", "snow.some_account.mine", status=1).err
    assert "no project snow.some_account that you may see" in grace_sees_none
    assert grace("data", "new", "vision.mine", status=1).err.startswith("Warning: ")  # where she may only look
    assert ada("data", "new", "snow.other.some_data", status=1).err.startswith("Error: There is no project snow.other")
    literal = ada("data", "new", "snow.some_account.some_data", "--project", "vision", "-q").out.strip()
    both = ada("data", "get", "snow.some_account.some_data", status=1).err
    assert literal in both and made in both
    ada("data", "rm", literal, "--yes")
    ada("project", "rm", "snow.some_account", "--yes")
    ada("project", "rm", "snow", "--yes")


def test_a_volume_goes_up_is_written_by_a_job_and_comes_down(ada: Person, person_at: Callable[..., Person]) -> None:
    files = {name: name.encode() * 10 for name in NAMES} | {"empty": b"", "large.bin": os.urandom(3 << 20)}
    fill(ada.directory / "my home", files)
    made = ada("data", "new", "home", "--quota", "1GiB", "-q").out.strip()
    assert ada("data", "get", "home", "--field", "kind").out == "volume\n"
    dry = ada("data", "push", "home", "my home", "--dry-run")
    assert f"{len(files)} of {len(files)} files are different" in dry.err
    first = json.loads(ada("data", "push", "home", "my home", "--format", "json").out)
    assert (first["version"], first["sent"]) == (None, len(files))
    assert json.loads(ada("data", "push", "home", "my home", "--format", "json").out)["sent"] == 0
    script = 'exec >> "/home/me/logs of ${MLTEAM_JOB_ID}" 2>&1; echo "attempt ${MLTEAM_ATTEMPT}"; rm /home/me/a.txt'
    assert ada("data", "quota", "home", "--field", "quota").out == f"{1 << 30}\n"
    job = ada.submit("--wait", "--data", f"{made}:/home/me", "--", "bash", "-c", script).splitlines()[0].strip()
    log = f"logs of {job}"
    listed = ada("data", "content", "ls", "home", "--field", "name").lines
    assert log in listed and "a.txt" not in listed and "Дата/набор 1.csv" in listed
    pulled = json.loads(ada("data", "pull", "home", "here", "--format", "json").out)
    assert (pulled["fetched"], pulled["there"]) == (len(files), 0)
    del files["a.txt"]
    here = tree(ada.directory / "here")
    assert here.pop(log).startswith(b"attempt ") and here == files
    assert json.loads(ada("data", "pull", "home", "here", "--format", "json").out)["there"] == len(files) + 1
    ada("data", "pull", "home", "Дата/", "part", "-q")
    assert tree(ada.directory / "part") == {"Дата/набор 1.csv": files["Дата/набор 1.csv"]}
    ada("data", "pull", "home", f"./{log}", "part", "-q")
    assert (ada.directory / "part" / log).exists()
    assert "no nothing in home" in ada("data", "content", "ls", "home", "nothing", status=1).err
    ada("data", "content", "mkdir", "home", "new folder/in it")
    ada("data", "content", "rm", "home", "./-x")
    grace = person_at("grace")
    assert "volume:set" in grace("data", "content", "rm", made, ".", status=1).err
    assert "new folder/in it" in grace("data", "content", "ls", made, "--field", "name").lines
    ada("data", "rm", "home", "--yes")


def test_a_pull_of_a_volume_that_is_killed_goes_on(ada: Person) -> None:
    """And what is written anew within the same second comes again, though its size is the same."""
    data, back = ada.directory / "large", ada.directory / "back"
    fill(data, {f"{number}.bin": os.urandom(24 << 20) for number in range(2)} | {"small": b"aaaa"})
    ada("data", "new", "large", "-q")
    ada("data", "push", "large", "large")
    kill_in_the_middle(ada, ("data", "pull", "large", "back"), lambda: bool(parts(back)))
    here = sum(one.stat().st_size for one in parts(back))
    assert 0 < here <= 20 << 20 and not any(back.glob("*.bin"))
    fill(data, {"small": b"bbbb"})
    ada("data", "push", "large", "large")
    pulled = json.loads(ada("data", "pull", "large", "back", "--format", "json").out)
    assert pulled["bytes"] == (48 << 20) - here + 4
    assert tree(back) == tree(data) and not parts(back)
    ada("data", "rm", "large", "--yes")


def parts(directory: Path) -> list[Path]:
    """What is there of large files that are not whole yet."""
    return [one for one in directory.glob(".mlteam-pull-*/*") if len(one.name) == 64]


@pytest.mark.parametrize("kind", ["dataset", "volume"])
def test_all_of_it_or_a_folder_comes_as_one_archive(ada: Person, kind: str) -> None:
    files = {"train/Größe 1": b"1" * 1000, "train/sub/b": b"22", "test/c": b"333"}
    fill(ada.directory / "whole", files)
    made = ada("data", "new", "--kind", kind, f"packed-{kind}", "-q").out.strip()
    ada("data", "push", made, "whole", "-q")
    said = json.loads(ada("data", "archive", made, "new/all.zip", "--format", "json").out)
    assert said["version"] == (1 if kind == "dataset" else None)
    assert said["bytes"] == (ada.directory / "new" / "all.zip").stat().st_size
    shutil.unpack_archive(ada.directory / "new" / "all.zip", ada.directory / "all")
    assert tree(ada.directory / "all") == files
    ada("data", "archive", f"packed-{kind}", "./train/", "train.TAR", "-q")
    shutil.unpack_archive(ada.directory / "train.TAR", ada.directory / "part", format="tar")
    assert tree(ada.directory / "part") == {"Größe 1": files["train/Größe 1"], "sub/b": files["train/sub/b"]}
    assert "There is no folder nothing in " in ada("data", "archive", made, "nothing", "x.zip", status=1).err
    assert not (ada.directory / "x.zip").exists()
    ada("data", "rm", made, "--yes")


def test_every_name_goes_up_and_comes_down_as_it_is(ada: Person) -> None:
    files = names.write_all(ada.directory / "named")
    for kind in ("dataset", "volume"):
        ada("data", "new", "--kind", kind, f"named-{kind}", "--quiet")
        ada("data", "push", f"named-{kind}", "named")
        ada("data", "pull", f"named-{kind}", ".", f"back-{kind}")
        assert tree(ada.directory / f"back-{kind}") == files
    for name in names.NAMES:
        ada("data", "content", "rm", "--", "named-volume", name)
        del files[name]
    ada("data", "pull", "named-volume", ".", "after")
    assert tree(ada.directory / "after") == {}


def test_whatever_a_job_calls_its_files_they_are_seen_and_removed_one_by_one(ada: Person) -> None:
    ada("data", "new", "odd", "--quiet")
    made = r"cd /v && mkdir $'in\n\xff' && touch plain $'a\nb' $'caf\xe9' 'caf\xe9' $'\e[31mred' $'in\n\xff/x'"
    ada.submit("--wait", "--data", "odd:/v", "--", "bash", "-c", made)
    odd = ["\\x1b[31mred", "a\\x0ab", "caf\\xe9", "in\\x0a\\xff/x"]
    literal = "caf\\x5cxe9"
    listed = ada("data", "content", "ls", "odd", "--field", "name").lines
    assert sorted(listed) == sorted([*odd, literal, "in\\x0a\\xff", "plain"])
    assert ada("data", "content", "ls", "odd", "in\\x0a\\xff", "--field", "name").lines == [odd[-1]]
    pulled = ada("data", "pull", "odd", "here")
    assert all(f"Left out {name}: its path " in pulled.err for name in odd) and "it is no file" not in pulled.err
    assert tree(ada.directory / "here") == {"plain": b"", "caf\\xe9": b""}
    ada("data", "archive", "odd", "odd.tar", "-q")
    for name in [*odd, literal]:
        ada("data", "content", "rm", "odd", name)
        assert f"There is no {name} in odd." in ada("data", "content", "rm", "odd", name, status=1).err
    assert ada("data", "content", "ls", "odd", "--field", "name").lines == ["in\\x0a\\xff", "plain"]
    ada("data", "rm", "odd", "--yes")
