"""The installed command against a whole server: rules, roles, policies, keys and people, as the toolkit's users know them."""

import json
import re
from collections.abc import Callable

import pytest

from tests.sdk.cli.live import Person
from tests.sdk.site import Site

pytestmark = [pytest.mark.needs("bwrap", "slirp4netns"), pytest.mark.xdist_group("site")]

Sit = Callable[..., Person]


@pytest.fixture
def ada(person_at: Sit) -> Person:
    """Owns Vision, and is an admin of the installation."""
    ada = person_at("ada")
    ada("configure", "--project", "Vision")
    return ada


def test_my_urn_and_my_name(ada: Person, site: Site) -> None:
    assert ada("user", "get", "--field", "urn").out == f"mlteam:user:{site.ids['ada']}\n"
    assert ada("user", "set", "--name", "joe", "--field", "name").out == "joe\n"
    assert ada("user", "get", "ada").lines[1].split() == [
        *(site.ids["ada"], f"mlteam:user:{site.ids['ada']}", "ada", "joe")
    ]
    ada("user", "set", "--name", "Ada Byron")
    assert {"ada", "grace", "stan"} <= set(ada("user", "ls", "--field", "username").lines)
    assert ada("organization", "get", "--field", "name").out == "mlteam\n"


def test_the_rules_that_i_hold(ada: Person, site: Site, person_at: Sit) -> None:
    lines = ada("rule", "ls").lines
    assert lines[0].split()[:2] == ["action", "expression"]
    assert any(site.vision in line for line in lines)
    grace = person_at("grace")
    assert any(site.vision in line for line in grace("rule", "ls", "--in", "Vision", "-H").lines)
    assert {"action", "expression", "source"} <= set(grace.rows("rule", "ls")[0])


def test_whether_i_may_and_who_may(ada: Person, site: Site, person_at: Sit) -> None:
    job = ada.submit("--", "true")
    urn = ada("job", "get", "--field", "urn", job).out.strip()
    grace = person_at("grace")
    assert ada("rule", "allowed", f"job:stop@{urn}").lines[1].split() == ["yes", "job:stop", urn]
    assert grace("rule", "allowed", f"job:get@{urn}").status == 0
    no = grace("rule", "allowed", f"job:stop@{urn}", status=1)
    assert no.lines[1].split()[0] == "no" and "Missing: job:stop@" in no.err and "ada" in no.err
    who = ada("rule", "who-is-allowed", f"job:stop@{urn}")
    assert who.lines[0].split() == ["id", "name", "type", "source"]
    assert [line.split()[1] for line in who.lines[1:]] == ["ada"]
    # as written in the seed
    ada.shell('mlteam rule who-is-allowed "job:get@$(mlteam job get --last --field urn)" | grep -q grace')
    ada.shell('mlteam rule allowed "job:set@$(mlteam job get --last --field urn)"')
    ada("rule", "allowed", "nonsense", status=2)


def test_roles_are_listed_where_they_are(ada: Person, site: Site) -> None:
    made = ada("role", "new", "organization.operators", "--field", "id").out.strip()
    listed = ada("organization", "role", "ls", "--fields", "id,name")
    assert [line.split() for line in listed.lines[:3]] == [["id", "name"], ["admin", "admin"], ["user", "user"]]
    assert site.ids["ada"] in ada("organization", "role", "member", "ls", "admin").out
    assert [made, "operators"] in [line.split() for line in listed.lines]
    member = ("organization", "role", "member")
    assert ada(*member, "add", made, "--user", "grace").lines[1].split() == [site.ids["grace"], "grace", "user"]
    assert ada(*member, "ls", "operators").lines[1:] == ada(*member, "ls", "organization.operators", "-H").lines
    assert ada(*member, "rm", made, "--user", site.ids["grace"]).lines == ["id  name  type"]
    here = ada("project", "role", "ls")
    assert {line.split()[1] for line in here.lines[1:]} >= {"admin"}
    assert ada("project", "role", "ls", "Vision").out == here.out
    assert "operators" in ada("role", "ls", "--organization", "--field", "name").lines
    ada("role", "rm", "organization.operators", "--yes")


def test_members_of_a_role_come_and_go_as_in_the_seed(ada: Person, site: Site) -> None:
    ids = {line.split()[1]: line.split()[0] for line in ada("project", "role", "ls", "-H").lines}
    role, grace = ids["user"] if "user" in ids else ids["admin"], site.ids["grace"]
    before = ada("project", "role", "member", "ls", role)
    assert before.lines[0].split() == ["id", "name", "type"]
    added = ada("project", "role", "member", "add", role, "--user", grace)
    assert f"{grace}  grace  user" in added.out
    removed = ada("project", "role", "member", "rm", role, "--user", "grace")
    assert removed.out == before.out
    assert ada("project", "role", "member", "add", role, status=2).err.startswith("Error: Say who:")


def test_a_program_does_what_its_role_allows_and_nothing_else(ada: Person, person_at: Sit, site: Site) -> None:
    script = """
    JOB_ID=$(mlteam job submit -q --wait --name served --cpu 0.1 --mem 0.1 -- echo served)
    mlteam role new vision.job_access
    mlteam role policy new vision.job_access "job:get@"$(mlteam job get --field urn $JOB_ID)
    mlteam role key new vision.job_access --field token > key
    echo $JOB_ID
    """
    ran = ada.shell(script)
    job, token = ran.lines[-1], (ada.directory / "key").read_text().strip()
    assert token.startswith("mlr_") and "only now" in ran.err
    program = person_at(None)
    assert program("job", "get", "--field", "name", job, MLTEAM_TOKEN=token).out == "served\n"
    assert program("logs", job, MLTEAM_TOKEN=token).out == "served\n"
    refused = program("job", "rm", job, "--yes", status=1, MLTEAM_TOKEN=token)
    assert refused.err and ada("job", "get", "--field", "id", job).out.strip() == job
    assert "job_access" in program("whoami", MLTEAM_TOKEN=token).out
    assert program("user", "set", "--name", "x", status=1, MLTEAM_TOKEN=token).err.startswith("Warning:")
    policy = ada("role", "policy", "ls", "vision.job_access", "--field", "id").lines[0]
    assert ada("role", "key", "ls", "vision.job_access", "--field", "name").lines == ["job_access"]
    ada("role", "policy", "rm", policy)
    program("job", "get", job, status=1, MLTEAM_TOKEN=token)
    ada("role", "key", "rm", "vision.job_access", "job_access")
    assert "mlteam login" in program("whoami", status=1, MLTEAM_TOKEN=token).err
    ada("role", "rm", "vision.job_access", "--yes")
    assert "no role vision.job_access" in ada("role", "policy", "ls", "vision.job_access", status=1).err


def test_a_policy_of_a_person(ada: Person, site: Site, person_at: Sit) -> None:
    job = ada.submit("--", "true")
    urn = ada("job", "get", "--field", "urn", job).out.strip()
    stan = person_at("stan")
    stan("job", "get", job, status=1)
    made = json.loads(ada("user", "policy", "new", "stan", f"job:get@{urn}", "--format", "json").out)
    assert stan("job", "get", "--field", "id", job).out.strip() == job
    assert made["id"] in ada("user", "policy", "ls", "stan").out
    ada("user", "policy", "rm", made["id"])
    stan("job", "get", job, status=1)
    wrong = ada("user", "policy", "new", "stan", "nonsense", status=1)
    assert wrong.err.startswith("Error:") and len(wrong.err.splitlines()) <= 2


def test_the_doctor_asks_the_server(ada: Person, person_at: Sit) -> None:
    ran = ada("doctor", status=None)
    checks = {line.split()[1] for line in ran.lines[1:]}
    assert {"command", "connection", "clock", "health", "token", "project"} <= checks, ran.out
    assert re.search(r"here +token +ok", ran.out)
    worthless = person_at(None)("doctor", status=1, MLTEAM_TOKEN="mlt_worthless")
    assert re.search(r"here +token +wrong", worthless.out) and re.search(r"server +connection +ok", worthless.out)
