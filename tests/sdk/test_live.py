"""The installed wheel against a whole server, with scripts as people write them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.site import Site

BEGIN = "import asyncio, json, sys\nfrom pathlib import Path\n"
WITHOUT_AWAIT = BEGIN + "from mlteam_sdk.sync import MLTeam\nwith MLTeam() as client:\n"
WITH_AWAIT = BEGIN + "from mlteam_sdk import MLTeam\nasync def main():\n  async with MLTeam() as client:\n"


def script(lines: str) -> str:
    """A script without await, of lines that have `client`."""
    return WITHOUT_AWAIT + "".join(f"    {line}\n" for line in lines.strip().splitlines())


def awaited(lines: str) -> str:
    """A script with await."""
    return WITH_AWAIT + "".join(f"    {line}\n" for line in lines.strip().splitlines()) + "asyncio.run(main())\n"


def says(site: Site, name: str | None, text: str, *arguments: str, **more: str) -> Any:
    """What a script prints, as JSON."""
    return json.loads(site.python(name, text, *arguments, **more))


def test_who_asks_is_known(site):
    line = "me = {}client.me()\nprint(json.dumps([me.username, me.email, me.token.scope]))"
    assert says(site, "ada", script(line.format(""))) == ["ada", "ada@example.com", "all"]
    assert says(site, "grace", awaited(line.format("await "))) == ["grace", "grace@example.com", "all"]


def test_nobody_is_told_to_sign_in(site):
    text = script(
        "try:\n    client.me()\nexcept Exception as error:\n    print(json.dumps([type(error).__name__, str(error)]))"
    )
    name, sentence = says(site, None, text)
    assert name == "NotSignedIn"
    assert "mlteam login" in sentence


def test_the_project_is_an_id_and_a_name_is_told_its_id(site):
    text = script(
        "try:\n    print(json.dumps(client.project_id()))\nexcept Exception as error:\n    print(json.dumps(str(error)))"
    )
    assert says(site, "ada", text, MLTEAM_PROJECT=site.vision) == site.vision
    sentence = says(site, "ada", text, MLTEAM_PROJECT="Vision")
    assert sentence == f"MLTEAM_PROJECT is given by its id, and “Vision” is none. The id of Vision is {site.vision}."
    assert "mlteam project list" in says(site, "ada", text, MLTEAM_PROJECT="Nothing")
    personal = says(site, "ada", text)
    shown = script(f"print(json.dumps(client.projects.get({personal!r}).personal))")
    assert says(site, "ada", shown) is True


def test_projects_are_listed_made_renamed_and_removed(site):
    text = awaited("""
made = await client.projects.create("Sound")
await made.rename("Sounds")
lends = [made.lends_data, (await made.lend_data()).lends_data, (await made.lend_data(False)).lends_data]
listed = {one.name: one.mine async for one in client.projects.each()}
await made.remove(confirm="Sounds")
left = [one.name for one in await client.projects.list(q="Sound")]
print(json.dumps([made.name, made.full_name, listed, left, lends]))
""")
    name, full_name, listed, left, lends = says(site, "ada", text)
    assert lends == [False, True, False]
    assert (name, full_name, left) == ("Sounds", "sound", [])
    assert {"Personal", "Sounds", "Vision"} <= set(listed)


def test_what_one_may_not_do_is_refused(site):
    text = script(f"""
from mlteam_sdk import Refused, NotFound
def of(run):
    try:
        run()
    except (Refused, NotFound) as error:
        return [type(error).__name__, error.code]
found = of(lambda: client.projects.get("{site.vision}"))
made = of(lambda: client.jobs.create(project="{site.vision}", command="true"))
print(json.dumps([found, made]))
""")
    assert says(site, "stan", text) == [["NotFound", "not_found"], ["NotFound", "not_found"]]
    assert says(site, "grace", text)[1][0] == "Refused"


def test_what_is_wrong_is_said_all_at_once(site):
    text = script("""
from mlteam_sdk import Invalid
try:
    client.jobs.check(command="", cpu=-1, colour="red")
except Invalid as error:
    print(json.dumps(sorted(one["field"] for one in error.errors)))
""")
    fields = says(site, "ada", text, MLTEAM_PROJECT=site.vision)
    assert {field.removeprefix("spec.") for field in fields} == {"colour", "command", "resources.cpu"}


def test_a_job_runs_from_a_script(site, tmp_path):
    (tmp_path / "hello.txt").write_text("hello\n")
    (tmp_path / "job.yml").write_text(
        "name: greeter\ncommand: cat hello.txt; echo $WHOM; exit 3\nfiles: [hello.txt]\ntags: [a]\n"
    )
    text = awaited(f"""
checked = await client.jobs.check(spec_file="{tmp_path}/job.yml", cpu=0.5)
job = await client.jobs.create(spec_file="{tmp_path}/job.yml", env={{"WHOM": "world"}}, tags=["b"], cpu=0.5)
await job.wait(timeout=60)
history = [move.state for move in await job.history()]
last = await client.jobs.last(mine=True)
listed = [one.id for one in await client.jobs.list(state=["failed"], tag="b", project="Vision")]
facts = [job.name, job.state, job.exit_status, job.tags, job.resources.cpu, job.files, job.project.id]
print(json.dumps([checked.spec["resources"], facts, history[0], history[-1], last.id == job.id, job.id in listed]))
""")
    resources, facts, first, final, is_last, is_listed = says(site, "ada", text, MLTEAM_PROJECT=site.vision)
    assert resources["cpu"] == 0.5
    assert facts == ["greeter", "failed", 3, ["b"], 0.5, ["hello.txt"], site.vision]
    assert (first, final, is_last, is_listed) == ("queued", "failed", True, True)


def test_data_of_personal_in_a_job_elsewhere_come_with_a_notice(site, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("a\n")
    text = awaited(f"""
mine = await client.datastores.create("noticed", project="Personal")
await mine.push("{tmp_path}/mine")
wish = dict(command="true", data=["personal:noticed:/m"], cpu=0.1, mem=0.1)
planned = await client.jobs.check(**wish)
job = await client.jobs.create(**wish)
await job.wait(timeout=60)
[listed] = await client.jobs.list(limit=1)
print(json.dumps([planned.notices, job.notices, listed.notices]))
await job.remove()
await mine.remove()
""")
    said = [
        "noticed stays in your Personal project: nothing is copied, and whoever can open this job can see what it reads."
    ]
    assert says(site, "ada", text, MLTEAM_PROJECT=site.vision) == [said, said, []]


def test_a_job_is_stopped_cloned_and_removed(site, tmp_path):
    (tmp_path / "data.txt").write_text("data\n")
    text = script(f"""
job = client.jobs.create(name="long", command="cat data.txt; sleep 600", files=["{tmp_path}/data.txt"])
job.stop().wait(timeout=60)
again = job.clone(command="cat data.txt", name="short").wait(timeout=60)
states = [job.state, again.state, again.cloned_from == job.id, again.files]
for one in (job, again):
    one.remove()
from mlteam_sdk import NotFound
try:
    job.refresh()
except NotFound:
    states.append("gone")
print(json.dumps(states))
""")
    found = says(site, "ada", text, MLTEAM_PROJECT=site.vision)
    assert found == ["cancelled", "succeeded", True, ["data.txt"], "gone"]


def test_one_key_makes_one_job(site):
    text = script("""
jobs = {client.jobs.create(command="true", idempotency_key="once").id for _ in range(3)}
from mlteam_sdk import Invalid
try:
    client.jobs.create(command="false", idempotency_key="once")
except Invalid as error:
    print(json.dumps([len(jobs), error.code]))
""")
    assert says(site, "ada", text, MLTEAM_PROJECT=site.vision) == [1, "idempotency_mismatch"]


def test_waiting_ends_after_the_time_that_was_given(site):
    text = script("""
from mlteam_sdk import WaitedInVain
job = client.jobs.create(name="slow", command="sleep 600")
try:
    job.wait(timeout=0.2)
except WaitedInVain as error:
    print(json.dumps(str(error)))
job.stop()
""")
    assert "slow" in says(site, "ada", text, MLTEAM_PROJECT=site.vision)


STORY = """
job = {await_}client.jobs.create(name="story", command=["python3", "story.py"], files=[sys.argv[1]])
print(job.id, flush=True)
{async_}for line in job.logs(follow=True):
    print(line, flush=True)
{await_}job.wait()
[checked] = {await_}job.verify()
print(job.state, checked.complete, checked.problems, checked.lines)
"""
PROGRAM = """
import os, pathlib, time
out = pathlib.Path(os.environ["MLTEAM_OUTPUT"])
(out / "deep" / "er").mkdir(parents=True)
for number in range(60):
    print("step", number, "Grüße", flush=True)
    time.sleep(0.1)
(out / "deep" / "er" / "model.bin").write_bytes(bytes(range(256)) * 4000)
(out / "metrics.json").write_text('{"accuracy": 0.97}')
(out / "away").symlink_to("/etc/passwd")
"""


@pytest.mark.parametrize("kind", ["sync", "await"])
def test_a_log_is_followed_while_the_server_is_killed(site, tmp_path, kind):
    (tmp_path / "story.py").write_text(PROGRAM)
    text = (
        script(STORY.format(await_="", async_=""))
        if kind == "sync"
        else awaited(STORY.format(await_="await ", async_="async "))
    )
    process = site.start("ada", "python", "-c", text, str(tmp_path / "story.py"), MLTEAM_PROJECT=site.vision)
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(8)]
    site.server.kill("web")
    # The rest by the same reader: it may hold lines already, which `communicate` would not see.
    lines += process.stdout.readlines()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    job, *written, end = (line.rstrip("\n") for line in lines)
    assert written == [f"step {number} Grüße" for number in range(60)]
    assert end == "succeeded True [] 60"
    fetched = script(f"""
job = client.jobs.get("{job}")
paths = job.artifacts.download(to=sys.argv[1])
one = job.artifacts.download("metrics.json", to=Path(sys.argv[1]) / "one")
parts = b"".join(job.log_bytes(offset=5, end=11))
found = [(one.line, one.offset) for one in job.search("step 59")]
names = sorted(str(path.relative_to(sys.argv[1])) for path in [*paths, *one])
print(json.dumps([names, parts.decode(), list(job.logs(tail=2)), list(job.logs(tail=3, follow=True)), found]))
""")
    paths, parts, tail, followed, found = says(site, "ada", fetched, str(tmp_path / "out"))
    assert paths == ["deep/er/model.bin", "metrics.json", "one/metrics.json"]
    assert (tmp_path / "out/deep/er/model.bin").read_bytes() == bytes(range(256)) * 4000
    assert not Path(tmp_path / "out/away").exists()
    assert parts == "0 Grü"
    assert tail == ["step 58 Grüße", "step 59 Grüße"]
    assert found == [[60, sum(len(f"step {number} Grüße\n".encode()) for number in range(59))]]
    assert followed == ["step 57 Grüße", *tail]
    assert list((tmp_path / "out").rglob("*.part")) == []
