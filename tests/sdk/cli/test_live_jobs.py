"""The installed command against a whole server: projects, jobs and logs as the seeds show them."""

import json
import re
from collections.abc import Callable

import pytest

from tests.sdk.cli.live import SMALL, Person
from tests.sdk.site import Site
from tests.server import PATIENCE

pytestmark = [pytest.mark.needs("bwrap", "slirp4netns"), pytest.mark.xdist_group("site")]

Sit = Callable[..., Person]


@pytest.fixture
def ada(person_at: Sit) -> Person:
    """Owns Vision and has made it her active project."""
    ada = person_at("ada")
    ada("configure", "--project", "Vision")
    return ada


@pytest.fixture
def grace(person_at: Sit) -> Person:
    """A viewer of Vision."""
    return person_at("grace")


def test_the_active_project_is_chosen_as_in_the_seed(person_at: Sit, site: Site) -> None:
    grace = person_at("grace")
    first = grace("configure", input="Vision\n")
    assert first.out.startswith("Current Active Project: UNSET\nSelect Active Project: (Personal, Vision) [Personal]:")
    assert json.loads((grace.settings / "config.json").read_text())["project"] == site.vision
    assert grace("configure", input="\n").out.startswith("Current Active Project: Vision\n")
    assert f"{site.vision}  Vision" in grace("project", "list").out
    wrong = grace("job", "ls", status=1, MLTEAM_PROJECT="Vision")
    assert f"The id of Vision is {site.vision}." in wrong.err and len(wrong.err.splitlines()) == 1
    assert grace("job", "ls", MLTEAM_PROJECT=site.vision).lines[0].split()[0] == "id"


def test_a_project_in_a_project(ada: Person) -> None:
    made = ada("project", "new", "vision.production")
    assert made.lines[0].split() == ["id", "name", "organization", "parent"]
    found = made.lines[1].split()
    assert ada("project", "ls", "vision").lines[1].split() == [found[0], "production", "mlteam", "vision"]
    assert ada("project", "get", "--field", "id", "vision.production").out.strip() == found[0]
    assert "no project nothing" in ada("project", "new", "nothing.production", status=1).err
    assert "--yes" in ada("project", "rm", "vision.production", status=1).err
    ada("project", "rm", "vision.production", "--yes")
    assert ada("project", "ls", "vision").lines == ["id  name  organization  parent"]


def test_a_job_file_with_files_is_submitted_followed_and_verified(ada: Person) -> None:
    (ada.directory / "train.py").write_text("import os\nprint('größe', os.environ['LR'])\nraise SystemExit(4)\n")
    (ada.directory / "job.yml").write_text(
        "name: train\ncommand: [python3, train.py]\nfiles: [train.py]\nresources: {cpu: 0.1, mem: 0.25}\ntags: [night]\n"
    )
    ran = ada("job", "submit", "-f", "job.yml", "--follow", "--env", "LR=a=b", status=4)
    assert ran.out == "größe a=b\n"
    assert ada("job", "get", "--last", "--fields", "name,state,attempts.exit_code,tags", "-H").out.split() == [
        *("train", "failed", "4", "night")
    ]
    assert ada("job", "logs").out == ada("logs", "train").out == ada("logs", "ada:train").out == "größe a=b\n"
    dry = ada("job", "submit", "-f", "job.yml", "--dry-run", "--cpu", "0.5", "--tag", "late")
    assert dry.out.splitlines()[0] == "name: train" and "cpu: 0.5" in dry.out and "- late" in dry.out


def test_the_seeds_words_and_columns(ada: Person) -> None:
    ran = ada("job", "submit", *SMALL, "echo", "--", "--host", "0.0.0.0", "--auth", "none")
    assert ran.lines[0].split() == ["id", "state", "name", "created", "command", "attempts.exit_code"]
    row = re.fullmatch(
        r"(\S{16}) +queued +job +(20\d\d-\d\d-\d\dT[\d:]{8}Z) +(\[.*\]) +-", ran.lines[1].replace("running", "queued")
    )
    assert row and row[3] == "[echo --host 0.0.0.0 --auth none]"
    assert ada("job", "logs", "-f").out == "--host 0.0.0.0 --auth none\n"
    assert ada("job", "get", "--field", "urn", row[1]).out.endswith(f":job:{row[1]}\n")


@pytest.mark.parametrize(("command", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_waiting_ends_with_the_jobs_status(ada: Person, command: str, status: int) -> None:
    ran = ada("job", "submit", "--wait", *SMALL, "--", "bash", "-c", command, status=status)
    assert ran.lines[1].split()[1] == ("succeeded" if status == 0 else "failed")


def test_what_is_wrong_is_said_by_field_and_nothing_is_made(ada: Person) -> None:
    before = ada.rows("job", "ls")
    ran = ada("job", "submit", "--cpu", "-1", "--bid", "101", "--image", "x", "true", status=1)
    assert {"spec.resources.cpu", "spec.bid", "spec.image"} <= set(re.findall(r"spec\.[\w.]+", ran.err))
    assert ada.rows("job", "ls") == before


def test_jobs_are_stopped_by_tag_and_removed(ada: Person) -> None:
    made = [ada.submit("--tag", "stop-me", "--name", f"sleeper-{number}", "--", "sleep", "600") for number in range(2)]
    listed = ada("job", "ls", "--tag", "stop-me", "--field", "id").lines
    assert set(listed) == set(made)
    assert set(ada("job", "kill", "--tag", "stop-me", "--field", "id").lines) == set(made)
    assert ada("job", "get", "--field", "state", made[0]).out.strip() in ("cancelling", "cancelled")
    ada.shell(f"until mlteam job get --field state {made[1]} | grep -q cancelled; do sleep 0.2; done")
    ada.shell(f"until mlteam job get --field state {made[0]} | grep -q cancelled; do sleep 0.2; done")
    ada("job", "rm", "--yes", *made)
    assert "no job" in ada("job", "get", made[0], status=1).err


def test_a_viewer_reads_and_is_warned_off_the_rest(ada: Person, grace: Person) -> None:
    made = ada.submit("--name", "hers", "--wait", "--", "echo", "hers")
    assert grace("logs", "ada:hers").out == "hers\n"
    running = ada.submit("--name", "runs", "--", "sleep", "600")
    refused = grace("job", "kill", "ada:runs", status=1)
    assert refused.err.startswith(f"Warning: runs ({running}): You may not stop jobs")
    assert (
        "(ada)." in refused.err and f"Missing: job:stop@mlteam:project:{ada.site.vision}:job:{running}" in refused.err
    )
    assert ada("job", "get", "--field", "state", running).out.strip() in ("queued", "preparing", "running")
    assert made in grace("status", "--global").out and "Created By" in grace("status", "--global").lines[0]
    assert grace("status").lines[1:] == []
    assert made in grace("status", "--user", "ada").out
    ada("job", "kill", running)
    stan = Person(ada.site, "stan", ada.directory)  # where Vision is the active project
    assert "no job" in stan("job", "get", made, status=1).err  # an id, wherever it is
    assert "`mlteam configure` chooses another" in stan("job", "get", "hers", status=1).err
    assert "no job" in stan("job", "get", made, "--project", "Personal", status=1).err


def test_a_clone_is_the_same_job_with_what_flags_change(ada: Person) -> None:
    (ada.directory / "data.txt").write_text("data\n")
    first = ada.submit("--file", "data.txt", "--env", "WHO=one", "--wait", "--", "sh", "-c", "cat data.txt; echo $WHO")
    again = ada("job", "clone", first, "--env", "WHO=two", "--follow")
    assert again.out == "data\ntwo\n"
    assert ada("job", "get", "--last", "--field", "cloned_from").out == f"{first}\n"


def test_a_dry_run_of_a_clone_says_what_is_kept_and_not_shown(ada: Person) -> None:
    job = ada.submit("--input", "https://127.0.0.1:1/a.csv?sig=5ecret:/input", "true")
    dry = ada("job", "clone", job, "--dry-run", "--tag", "late")
    assert "from: https://127.0.0.1:1/a.csv?…\n" in dry.out and "- late" in dry.out
    assert "is not shown: a clone keeps it" in dry.err and "5ecret" not in dry.out + dry.err
    (ada.directory / "job.yml").write_text(dry.out)
    refused = ada("job", "submit", "-f", "job.yml", "--dry-run", status=1)
    assert "write the whole address" in refused.err


def test_a_script_in_the_seeds_style_runs_as_written(ada: Person) -> None:
    script = """
    id=$(mlteam job submit --quiet --wait --cpu 0.1 --mem 0.1 --name nested -- echo "$(mlteam user get --field username)" last)
    test "$(mlteam job get --field id --last)" = "$id"
    test "$(mlteam job logs --last)" = "ada last"
    mlteam job ls --state succeeded --fields id,name --no-header | grep -q "^$id *nested$"
    mlteam job ls --format csv --fields id,attempts.exit_code | grep -q "^$id,0$"
    mlteam job submit --wait --quiet --cpu 0.1 --mem 0.1 -- false || echo "status $?"
    """
    assert ada.shell(script).lines[-1] == "status 1"


def test_a_submit_with_a_key_is_done_once(ada: Person) -> None:
    key = ("--idempotency-key", f"night-{ada.directory.name}-{id(ada)}")
    first, second = (ada.submit(*key, "--", "true") for _ in range(2))
    assert first == second
    assert "--idempotency-key" not in ada("job", "submit", *key, *SMALL, "--", "false", status=1).out


def test_signing_in_by_a_code_and_out_again(person_at: Sit, site: Site) -> None:
    nobody = person_at(None)
    assert "mlteam login" in nobody("whoami", status=1).err
    with nobody.start("login", site.server.url) as process:
        assert process.stderr
        code = re.search(r"enter this code: (\S+)", process.stderr.readline())
        assert code
        site.server.manage("shell", "--no-imports", "-v", "0", "-c", APPROVE.format(code=code[1]))
        said = process.stderr.read()
        assert process.wait(PATIENCE) == 0, said
    assert f"Signed in at {site.server.url} as grace." in said
    kept = nobody.settings / "credentials.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert nobody("whoami", "--field", "email").out == "grace@example.com\n"
    token = json.loads(kept.read_text())["profiles"]["default"]["token"]
    assert "is revoked" in nobody("logout").err and token not in kept.read_text()
    gone = nobody("whoami", status=1, MLTEAM_TOKEN=token)
    assert gone.err.startswith("Error:") and "mlteam login" in gone.err


APPROVE = """
from accounts import device_grants
from accounts.models import User
device_grants.approve(grant=device_grants.waiting("{code}"), by=User.objects.get(username="grace"))
"""


def test_a_log_is_followed_through_a_restart_of_the_server(ada: Person) -> None:
    command = "for i in $(seq 40); do echo line $i; sleep 0.2; done"
    with ada.start("job", "submit", "--follow", *SMALL, command) as process:
        assert process.stdout
        first = process.stdout.readline()
        ada.site.server.kill("web")
        rest = process.stdout.read()
    assert process.wait(PATIENCE) == 0
    assert first + rest == "".join(f"line {number}\n" for number in range(1, 41))


def test_names_are_completed(ada: Person) -> None:
    line = "mlteam project use vi"
    more = {
        "_MLTEAM_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": "3",
        "MLTEAM_COMPLETION_SECONDS": "60",
    }
    assert ada(**more).out == "plain,vision\n"


def test_pages_of_things(ada: Person, site: Site) -> None:
    made = ada.submit("--name", "with-a-page", "--", "true")
    assert ada("open", "--print", "with-a-page").out == f"{site.server.url}/p/vision/jobs/{made}\n"
    assert ada("open", "vision", "--print").out.startswith(f"{site.server.url}/p/vision/")


def test_artifacts_are_listed_and_fetched_and_logs_verified(ada: Person, grace: Person) -> None:
    lines = (
        "mkdir -p $MLTEAM_OUTPUT/plots; cd $MLTEAM_OUTPUT",
        "echo 1 > model.bin",
        "echo 22 > plots/a\\ b.txt",
        "echo done",
    )
    command = "; ".join(lines)
    made = ada.submit("--name", "artist", "--wait", command)
    listed = ada.rows("job", "artifacts", made)
    assert {str(one["path"]) for one in listed} >= {"model.bin", "plots/a b.txt"}
    grace("artifacts", "ada:artist")
    target = grace.directory / f"artist-{made}"
    assert (target / "plots" / "a b.txt").read_text() == "22\n" and (target / "model.bin").read_text() == "1\n"
    ada("job", "artifacts", made, "--download", "elsewhere")
    assert (ada.directory / "elsewhere" / "model.bin").read_text() == "1\n"
    verified = ada("logs", "--verify", made)
    assert "complete, 1 lines" in verified.err
    assert verified.lines[1].split() == ["0", "5", "1", "yes", "yes"]
