"""From names to things: ids, URNs, full names, USER:NAME; several of one name; what is refused."""

import pytest

from tests.sdk.cli.conftest import Command, Desk, job, person, project

ADA, BOB = person("ada", 1), person("bob", 2)
VISION = project("Vision", 2)
CHILD = project("Production", 3, parent=VISION)


@pytest.fixture(autouse=True)
def people(desk: Desk) -> None:
    desk.on("GET /me", ADA)
    desk.on(
        "GET /users",
        lambda asked: (
            200,
            {"items": [one for one in (ADA, BOB) if [one["username"]] == asked.query.get("username")], "next": None},
        ),
    )
    desk.on("GET /projects", [VISION])
    desk.on(f"GET /projects/{VISION['id']}", VISION)


def test_of_jobs_of_one_name_the_newest_of_mine_is_taken_and_said(at: Command, desk: Desk) -> None:
    desk.on("GET /jobs", [job("train", 5), job("train", 3)])
    desk.on(f"GET /jobs/{job('train', 5)['id']}", job("train", 5))
    ran = at("job", "get", "--field", "id", "train", MLTEAM_PROJECT=VISION["id"])
    assert ran.out == job("train", 5)["id"] + "\n"
    assert ran.err.startswith("2 jobs are named train; this is the newest:")
    assert desk.asked[0].query["mine"] == ["true"] and desk.asked[0].query["project"] == [VISION["id"]]


def test_a_job_of_somebody_else_is_found_by_its_name_and_said_whose_it_is(at: Command, desk: Desk) -> None:
    theirs = job("train", 5, "bob")
    desk.on("GET /jobs", lambda asked: (200, {"items": [] if "mine" in asked.query else [theirs], "next": None}))
    desk.on(f"GET /jobs/{theirs['id']}", theirs)
    ran = at("job", "get", "--field", "id", "train", MLTEAM_PROJECT=VISION["id"])
    assert ran.out == theirs["id"] + "\n" and "of bob" in ran.err


def test_user_and_name(at: Command, desk: Desk) -> None:
    theirs = job("train", 5, "bob")
    desk.on("GET /jobs", [theirs])
    desk.on(f"GET /jobs/{theirs['id']}", theirs)
    ran = at("job", "get", "--field", "id", "bob:train")
    assert ran.out == theirs["id"] + "\n" and ran.err == ""
    asked = desk.those("GET /jobs")[0].query
    assert (asked["user"], asked["name"]) == (["bob"], ["train"])


def test_a_user_who_is_not_there(at: Command) -> None:
    ran = at("logs", "nobody:train")
    assert ran.status == 1 and "no user nobody" in ran.err and "mlteam user ls" in ran.err


def test_a_name_that_looks_like_an_id_is_still_a_name(at: Command, desk: Desk) -> None:
    one = job("aaaabbbbccccdddd", 5)
    desk.on("GET /jobs", [one])
    desk.on(f"GET /jobs/{one['id']}", one)
    assert at("job", "get", "--field", "id", "aaaabbbbccccdddd", MLTEAM_PROJECT=VISION["id"]).out == one["id"] + "\n"


def test_a_name_that_several_have_is_not_stopped_and_the_candidates_are_listed(at: Command, desk: Desk) -> None:
    desk.on("GET /jobs", [job("train", 5, state="running"), job("train", 3, state="running")])
    ran = at("job", "kill", "train", MLTEAM_PROJECT=VISION["id"])
    assert ran.status == 1 and ran.out == ""
    assert "2 jobs are named train" in ran.err and job("train", 5)["id"] in ran.err and job("train", 3)["id"] in ran.err
    assert not [one for one in desk.asked if one.method == "POST"]


def test_killing_takes_the_one_that_runs(at: Command, desk: Desk) -> None:
    running = job("train", 5, state="running")
    desk.on("GET /jobs", [job("train", 6), running])
    desk.on(f"POST /jobs/{running['id']}/stop", {**running, "state": "cancelling"})
    ran = at("job", "kill", "train", MLTEAM_PROJECT=VISION["id"])
    assert ran.status == 0, ran.err
    assert ran.lines[1].split() == [running["id"], "cancelling", "train"]


def test_a_refusal_is_a_warning_that_says_whose_it_is_and_the_others_are_stopped(at: Command, desk: Desk) -> None:
    theirs, mine = job("theirs", 5, "bob", state="running"), job("mine", 3, state="running")
    for one in (theirs, mine):
        desk.on(f"GET /jobs/{one['id']}", one)
    missing = f"job:stop@{theirs['urn']}"
    desk.refuse(
        f"POST /jobs/{theirs['id']}/stop", 403, "not_yours", "You may see this job, not stop it.", missing=missing
    )
    desk.on(f"POST /jobs/{mine['id']}/stop", {**mine, "state": "cancelling"})
    ran = at("job", "kill", theirs["id"], mine["id"])
    assert ran.status == 1
    assert ran.err.splitlines() == [
        f"Warning: theirs ({theirs['id']}): You may see this job, not stop it.",
        "  It is Bob's (bob).",
        f"  Missing: {missing}",
    ]
    assert mine["id"] in ran.out and theirs["id"] not in ran.out


def test_killing_by_tag(at: Command, desk: Desk) -> None:
    found = [job("a", 3, state="running"), job("b", 4, state="queued"), job("c", 5)]
    desk.on("GET /jobs", found)
    for one in found:
        desk.on(f"POST /jobs/{one['id']}/stop", {**one, "state": "cancelling"})
    ran = at("job", "kill", "--tag", "night", "--field", "id")
    assert ran.lines == [found[0]["id"], found[1]["id"]]
    assert desk.asked[0].query["tag"] == ["night"] and desk.asked[0].query["mine"] == ["true"]


def test_removing_asks_for_the_name(at: Command, desk: Desk) -> None:
    desk.on(f"DELETE /projects/{VISION['id']}", {})
    refused = at("project", "rm", "Vision")
    assert refused.status == 1 and "--yes" in refused.err
    assert not desk.those(f"DELETE /projects/{VISION['id']}")
    assert at("project", "rm", "Vision", "--yes").status == 0
    assert desk.those(f"DELETE /projects/{VISION['id']}")[0].query == {"confirm": ["Vision"]}


def test_a_full_name_is_a_path(at: Command, desk: Desk) -> None:
    desk.on(
        "GET /projects",
        lambda asked: (
            200,
            {"items": [CHILD] if asked.query.get("full_name") == ["vision.production"] else [], "next": None},
        ),
    )
    desk.on(f"GET /projects/{CHILD['id']}", CHILD)
    assert at("project", "get", "--field", "id", "vision.production").out == CHILD["id"] + "\n"


def test_a_child_project_is_made_in_its_parent(at: Command, desk: Desk) -> None:
    desk.on("POST /projects", CHILD, 201)
    ran = at("project", "new", "vision.production")
    assert desk.asked[-1].json == {"name": "production", "parent": VISION["id"]}
    assert ran.lines[0].split() == ["id", "name", "organization", "parent"]
    assert ran.lines[1].split() == [CHILD["id"], "Production", "acme", "vision"]


def test_roles_are_named_by_their_place(at: Command, desk: Desk) -> None:
    role = {"id": "r" * 15 + "2", "name": "job_access", "place": {"kind": "project"}}
    desk.on(f"GET /projects/{VISION['id']}/roles", [role])
    desk.on(
        f"POST /roles/{role['id']}/policies",
        {"id": "p2", "text": "job:get@x", "holder": {"kind": "role", "name": "job_access"}},
        201,
    )
    ran = at("role", "policy", "new", "vision.job_access", "job:get@acme:project:x:job:y")
    assert ran.status == 0, ran.err
    assert desk.asked[-1].json == {"text": "job:get@acme:project:x:job:y"}


def test_the_members_of_a_role_are_printed_after_a_change(at: Command, desk: Desk) -> None:
    role = {"id": "r" * 15 + "2", "name": "admin"}
    desk.on(f"GET /roles/{role['id']}", role)
    left = [{"id": ADA["id"], "name": "ada", "type": "user", "member_id": "x"}]
    desk.on(f"DELETE /roles/{role['id']}/members/{BOB['id']}", {}, 200)
    desk.on(f"GET /roles/{role['id']}/members", left)
    ran = at("organization", "role", "member", "rm", role["id"], "--user", "bob")
    assert ran.status == 0, ran.err
    assert [line.split() for line in ran.lines] == [["id", "name", "type"], [ADA["id"], "ada", "user"]]


def test_allowed_is_told_by_the_exit_status(at: Command, desk: Desk) -> None:
    decision = {
        "allowed": False,
        "action": "job:stop",
        "urn": "acme:x",
        "reason": "You are not a member.",
        "missing": "job:stop@acme:x",
        "who_can_grant": [BOB],
    }
    desk.on("GET /rules/allowed", decision)
    ran = at("rule", "allowed", "job:stop@acme:x")
    assert ran.status == 1 and ran.lines[1].split() == ["no", "job:stop", "acme:x"]
    assert ran.err.splitlines() == ["You are not a member.", "Missing: job:stop@acme:x", "Who can grant it: bob"]
    desk.on("GET /rules/allowed", decision | {"allowed": True})
    assert at("rule", "allowed", "job:stop@acme:x").status == 0
    assert at("rule", "allowed", "job:stop").status == 2


def test_a_team_by_its_name_alone(at: Command, desk: Desk) -> None:
    team = {"id": "t" * 15 + "2", "urn": "acme:team:x", "name": "vision", "mine": True, "people": 1}
    desk.on("GET /teams", [team])
    desk.on(f"GET /teams/{team['id']}", team)
    desk.on(f"GET /teams/{team['id']}/members", [{"user": BOB, "role": "owner", "mine": False}])
    desk.on(f"GET /teams/{team['id']}/teams", [])
    for words in (("team", "vision"), ("teams", "vision"), ("team", "get", "vision")):
        ran = at(*words)
        assert [line.split() for line in ran.lines] == [
            ["id", "name", "type", "role"],
            [BOB["id"], "bob", "user", "owner"],
        ], ran.err
    assert at("team", "ls").lines[1].split()[1] == "vision"
    assert at("team", "vision", "--field", "urn").out == "acme:team:x\n"


def test_status_is_mine_and_global_is_everyones(at: Command, desk: Desk) -> None:
    desk.on("GET /jobs", [job("train", 5, "bob")])
    mine = at("status")
    assert "Created By" not in mine.out and desk.asked[-1].query["mine"] == ["true"]
    everyone = at("status", "--global")
    assert "Created By" in everyone.lines[0] and "bob" in everyone.lines[1] and "mine" not in desk.asked[-1].query
    assert at("status", "--user", "bob").status == 0 and desk.asked[-1].query["user"] == ["bob"]
    assert "project" not in desk.asked[-1].query


def test_sessions_are_listed_as_grid_does(at: Command) -> None:
    assert at("session").lines == ["id  name  state  created"]
    assert at("session", "--global").lines == ["id  name  Created By  state  created"]
    assert at("session", "--global", "bob").lines == ["id  name  Created By  state  created"]
    assert at("session", "--global", "nobody").status == 1


def test_states_and_tags_are_asked_of_the_server(at: Command, desk: Desk) -> None:
    desk.on("GET /jobs", [])
    assert at("job", "ls", "--state", "running", "--state", "queued", "--tag", "a", "--all", "-n", "7").status == 0
    asked = desk.asked[-1].query
    assert (asked["state"], asked["tag"], asked["limit"]) == (
        ["running", "queued"],
        ["a"],
        ["200"],
    ) and "project" not in asked
    assert at("job", "ls", "--state", "sleeping").status == 2


def test_a_token_that_is_worth_nothing(at: Command, desk: Desk) -> None:
    desk.refuse("GET /jobs", 401, "not_signed_in", "This token is unknown, or it has ended.")
    ran = at("status")
    assert ran.status == 1 and ran.err.startswith("Error: The token in MLTEAM_TOKEN is not valid")
    assert "Put another one there" in ran.err and "`mlteam login`" in ran.err


def test_nothing_is_a_traceback(at: Command, mlteam: Command, desk: Desk) -> None:
    desk.answers["GET /jobs"] = (200, {"strange": 1})
    for ran in (
        at("status"),
        mlteam("status"),
        mlteam("status", MLTEAM_URL="http://127.0.0.1:1"),
        at("status", MLTEAM_URL="nonsense"),
    ):
        assert ran.status == 1 and ran.err.startswith("Error: ") and len(ran.err.splitlines()) == 1, ran.err
    assert "Traceback" in at("status", "--debug").err


@pytest.mark.parametrize("words", [("job", "get"), ("role", "member", "ls"), ("project", "get")])
def test_an_id_that_is_not_to_be_seen_is_no_fault_of_the_active_project(
    at: Command, desk: Desk, words: tuple[str, ...]
) -> None:
    unseen, secret = "a234567a234567a7", "b234567b234567b2"
    desk.on(
        "GET /jobs",
        lambda asked: (404, {"detail": "No project."}) if "project" in asked.query else (200, {"items": []}),
    )
    ran = at(*words, secret, MLTEAM_PROJECT=unseen)
    assert ran.status == 1 and secret in ran.err and "active project" not in ran.err


def test_a_jobs_urn_that_is_not_to_be_seen_is_no_persons_name(at: Command) -> None:
    ran = at("job", "get", job("train", 3)["urn"])
    assert ran.status == 1 and "There is no job" in ran.err
