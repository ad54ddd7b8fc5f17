"""`mlteam login`, `logout`, `whoami`, `open`, `doctor`: a device grant, what is kept and how, what is opened."""

import json
import stat
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.sdk.cli.conftest import Asked, Command, Desk, job, person, project

ME = {**person("ada"), "email": "ada@example.com", "token": {"id": "x", "name": "laptop", "scope": "all"}, "role": None}
GRANT = {
    "device_code": "mld_secret",
    "user_code": "BCDF-GHJK",
    "verification_uri": "http://gpu/device",
    "interval": 0.05,
    "expires_in": 600,
}


@pytest.fixture(autouse=True)
def me(desk: Desk) -> None:
    desk.on(
        "GET /me",
        lambda asked: (
            (200, ME)
            if asked.headers["Authorization"] == "Bearer mlt_good"
            else (401, {"code": "not_signed_in", "detail": "This token is worth nothing."})
        ),
    )


def credentials(home: Path) -> Any:
    return json.loads((home / "credentials.json").read_text())


def test_a_code_is_approved_elsewhere(mlteam: Command, desk: Desk, home: Path) -> None:
    polls: list[dict[str, list[str]]] = []

    def token(asked: Asked) -> tuple[int, Any]:
        polls.append(parse_qs(asked.body.decode()))
        return (400, {"error": "authorization_pending"}) if len(polls) < 3 else (200, {"access_token": "mlt_good"})

    desk.on("POST /device/code", GRANT)
    desk.on("POST /device/token", token)
    ran = mlteam("login", desk.url)
    assert ran.status == 0, ran.err
    assert "Open http://gpu/device in a browser and enter this code: BCDF-GHJK" in ran.err and ran.out == ""
    assert f"Signed in at {desk.url} as ada." in ran.err
    assert polls[0] == {
        "grant_type": ["urn:ietf:params:oauth:grant-type:device_code"],
        "device_code": ["mld_secret"],
        "client_id": ["mlteam"],
    }
    assert "Authorization" not in desk.asked[0].headers
    assert credentials(home)["profiles"]["default"]["token"] == "mlt_good"
    assert stat.S_IMODE((home / "credentials.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("access_denied", "declined"),
        ("expired_token", "not approved in time"),
        ("invalid_grant", "did not sign this machine in"),
    ],
)
def test_a_code_that_is_not_approved_leaves_nothing(
    mlteam: Command, desk: Desk, home: Path, error: str, said: str
) -> None:
    desk.on("POST /device/code", GRANT)
    desk.on("POST /device/token", {"error": error}, 400)
    ran = mlteam("login", desk.url)
    assert ran.status == 1 and said in ran.err and not (home / "credentials.json").exists()


def test_machines_give_a_token(mlteam: Command, desk: Desk, home: Path) -> None:
    assert mlteam("login", desk.url, "--token-stdin", input="mlt_good\n").status == 0
    assert mlteam("login", desk.url, "--token", "mlt_good", "--profile", "work").status == 0
    assert set(credentials(home)["profiles"]) == {"default", "work"}
    bad = mlteam("login", desk.url, "--token", "mlt_bad", "--profile", "bad")
    assert bad.status == 1 and "worth nothing" in bad.err and "bad" not in credentials(home)["profiles"]
    assert mlteam("login", desk.url, "--token-stdin", input="").status == 1
    assert "mlt_good" not in mlteam("login", desk.url, "--token", "mlt_good", "--debug").err


def test_who_is_signed_in(mlteam: Command, desk: Desk) -> None:
    mlteam("login", desk.url, "--token", "mlt_good")
    said = dict(line.split(maxsplit=1) for line in mlteam("whoami").lines)
    assert said["username"] == "ada" and said["server"] == desk.url and said["token"] == "laptop"
    assert mlteam("whoami", "--field", "email").out == "ada@example.com\n"
    assert mlteam("user", "get", "--field", "urn").out == "acme:user:ada\n"


def test_signing_out_revokes_the_token_and_forgets_it(mlteam: Command, desk: Desk, home: Path) -> None:
    mlteam("login", desk.url, "--token", "mlt_good")
    desk.on("DELETE /me/tokens/current", b"", 200)
    ran = mlteam("logout")
    assert ran.status == 0 and "revoked" in ran.err
    assert desk.asked[-1].headers["Authorization"] == "Bearer mlt_good"
    assert credentials(home).get("profiles") == {} and "mlt_good" not in (home / "credentials.json").read_text()


def test_a_token_that_could_not_be_revoked_stays_until_it_is_said_that_it_shall_not(
    mlteam: Command, desk: Desk, home: Path
) -> None:
    mlteam("login", desk.url, "--token", "mlt_good")
    desk.refuse("DELETE /me/tokens/current", 500, "failed", "Something went wrong.", reference="abc")
    ran = mlteam("logout")
    assert ran.status == 1 and "could not be asked" in ran.err and "--forget" in ran.err
    assert credentials(home)["profiles"]["default"]["token"] == "mlt_good"
    ran = mlteam("logout", "--forget")
    assert ran.status == 1 and "page Tokens" in ran.err and "mlt_good" not in (home / "credentials.json").read_text()


def test_signing_out_a_variables_token_leaves_what_is_stored(mlteam: Command, desk: Desk, home: Path) -> None:
    mlteam("login", desk.url, "--token", "mlt_good")
    desk.on("DELETE /me/tokens/current", b"", 200)
    ran = mlteam("logout", MLTEAM_TOKEN="mlt_other")
    assert ran.status == 0 and "The token in MLTEAM_TOKEN is revoked." in ran.err and "unset it" in ran.err
    assert "(profile default) stays" in ran.err
    assert desk.asked[-1].headers["Authorization"] == "Bearer mlt_other"
    assert credentials(home)["profiles"]["default"]["token"] == "mlt_good"
    assert mlteam("logout", MLTEAM_TOKEN="mlt_good").status == 0 and credentials(home)["profiles"] == {}


def test_what_is_worth_nothing_any_more_is_forgotten(mlteam: Command, desk: Desk, home: Path) -> None:
    mlteam("login", desk.url, "--token", "mlt_good")
    desk.refuse("DELETE /me/tokens/current", 401, "not_signed_in", "Send a token.")
    ran = mlteam("logout")
    assert ran.status == 0 and "worth nothing" in ran.err and credentials(home)["profiles"] == {}


@pytest.mark.parametrize("variables", [{}, {"MLTEAM_TOKEN": "mlr_key"}])
def test_a_roles_key_is_revoked_where_it_was_made(
    mlteam: Command, desk: Desk, home: Path, variables: dict[str, str]
) -> None:
    desk.on("GET /me", {**ME, "id": None, "username": "", "role": {"id": "r", "name": "ci"}})
    mlteam("login", desk.url, "--token", "mlr_stored")
    desk.refuse("DELETE /me/tokens/current", 403, "person_needed", "A role's key cannot do this.")
    ran = mlteam("logout", **variables)
    assert ran.status == 1 and "revoked where it was made" in ran.err and "mlteam role key rm" in ran.err
    assert credentials(home)["profiles"]["default"]["token"] == "mlr_stored"


def test_a_variable_that_is_empty_is_said(mlteam: Command, desk: Desk, home: Path) -> None:
    mlteam("login", desk.url, "--token", "mlt_good")
    for empty in ("", "  "):
        ran = mlteam("whoami", MLTEAM_TOKEN=empty)
        assert (ran.status, ran.out) == (1, "") and "MLTEAM_TOKEN is set but empty" in ran.err


@pytest.mark.parametrize("held", [{"profiles": 3}, {"profiles": {"default": 3}}, {"profiles": {"default": {"url": 3}}}])
def test_a_damaged_file_is_said_to_be_damaged(mlteam: Command, home: Path, held: Any) -> None:
    home.mkdir(parents=True)
    (home / "credentials.json").write_text(json.dumps(held))
    ran = mlteam("whoami")
    assert ran.status == 1 and "credentials.json is damaged" in ran.err and "mlteam login" in ran.err


def test_a_token_that_is_not_valid_is_said_and_what_to_do(mlteam: Command, desk: Desk) -> None:
    desk.refuse("GET /jobs", 401, "not_signed_in", "Send a token: `Authorization: Bearer mlt_…`.")
    desk.on("GET /projects", [project("Personal", 2, personal=True)])
    ran = mlteam("status", MLTEAM_URL=desk.url, MLTEAM_TOKEN="mlt_revoked")
    assert (
        ran.status == 1 and ran.err.startswith("Error: The token in MLTEAM_TOKEN is not valid") and "login" in ran.err
    )
    ran = mlteam("status", MLTEAM_URL=desk.url)
    assert ran.status == 1 and ran.err.startswith("Error: Nobody is signed in here.") and "Authorization" not in ran.err
    mlteam("login", desk.url, "--token", "mlt_good")
    ran = mlteam("status")
    assert ran.status == 1 and ran.err.startswith("Error: The token of this machine is not valid any more")
    running = job("train", 3, state="running")
    desk.on(f"GET /jobs/{running['id']}", running)
    desk.refuse(
        f"POST /jobs/{running['id']}/stop", 401, "not_signed_in", "Send a token: `Authorization: Bearer mlt_…`."
    )
    assert "Authorization" not in mlteam("job", "kill", running["id"]).err


def test_pages_are_opened_by_name(mlteam: Command, desk: Desk, tmp_path: Path) -> None:
    one = job("train", 3, url=f"{desk.url}/p/vision/jobs/x")
    desk.on("GET /projects", [project("Personal", 2, personal=True)])
    desk.on("GET /jobs", [one])
    opened = tmp_path / "opened"
    (tmp_path / "browser").write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
    (tmp_path / "browser").chmod(0o755)
    more = {"MLTEAM_URL": desk.url, "MLTEAM_TOKEN": "mlt_good", "BROWSER": f"{tmp_path}/browser %s"}
    assert mlteam("open", "train", **more).out == one["url"] + "\n"
    assert opened.read_text() == one["url"] + "\n"
    assert mlteam("open", "--print", "train", **more).out == one["url"] + "\n"
    desk.on("GET /jobs", [{**one, "url": "http://elsewhere.example/x"}])
    assert "no browser" in mlteam("open", "train", **more).err
    desk.on("GET /jobs", [{**one, "url": "file:///etc/passwd"}])
    mlteam("open", "train", **more)
    assert opened.read_text() == one["url"] + "\n"


def test_roles_and_people_are_opened_too(at: Command, desk: Desk) -> None:
    vision, ada, bob = project("Vision", 2), person("ada", 1), person("bob", 2)
    role = {"id": "rrrrrrrrrrrrrrr2", "urn": f"acme:project:{vision['id']}:role:rrrrrrrrrrrrrrr2", "name": "job_access"}
    desk.on("GET /projects", lambda asked: (200, {"items": [vision] if asked.query.get("q") == ["vision"] else []}))
    for empty in ("jobs", "teams"):
        desk.on(f"GET /{empty}", [])
    desk.on(f"GET /projects/{vision['id']}/roles", [role])
    desk.on(f"GET /roles/{role['id']}", role)
    desk.on(
        "GET /users",
        lambda asked: (200, {"items": [one for one in (ada, bob) if one["username"] in asked.query["username"]]}),
    )
    for one in (ada, bob):
        desk.on(f"GET /users/{one['id']}", one)
    urns = [f"acme:user:{one['id']}" for one in (ada, bob)]
    here = {"MLTEAM_PROJECT": vision["id"]}
    for word in ("job_access", "vision.job_access", role["id"], role["urn"]):
        ran = at("open", "--print", word, **here)
        assert ran.out == f"{desk.url}/roles/{role['id']}\n", (word, ran.err)
    for word in ("ada", "me", ada["id"], urns[0]):
        desk.on("GET /me", ada)
        assert at("open", "--print", word, **here).out == f"{desk.url}/profile/\n", word
    for word in ("bob", bob["id"], urns[1]):
        ran = at("open", "--print", word, **here)
        assert ran.status == 1 and "bob is a person" in ran.err and "mlteam user get bob" in ran.err
    assert "nothing called" in at("open", "--print", "job_nothing", **here).err


def test_without_a_browser_the_address_is_printed(at: Command, desk: Desk) -> None:
    ran = at("open")
    assert (ran.status, ran.out) == (0, desk.url + "/\n") and "no browser" in ran.err


def healthy(desk: Desk) -> None:
    desk.on(
        "GET /health",
        {"status": "ok", "version": "0.1.0", "parts": [{"name": "queue", "status": "ok", "detail": "0 s"}]},
    )
    desk.on("GET /projects", [project("Personal", 2, personal=True)])
    desk.on(f"GET /projects/{project('x', 2)['id']}", project("Personal", 2, personal=True))


def test_the_doctor_finds_nothing_wrong(mlteam: Command, desk: Desk) -> None:
    healthy(desk)
    mlteam("login", desk.url, "--token", "mlt_good")
    ran = mlteam("doctor")
    assert ran.status == 0, ran.out + ran.err
    assert "All is well" in ran.err and "queue" in ran.out
    assert {line.split()[2] for line in ran.lines[1:]} == {"ok"}


def test_the_doctor_says_whose_fault_it_is(mlteam: Command, desk: Desk, home: Path) -> None:
    healthy(desk)
    assert "It is this machine." in mlteam("doctor").err
    mlteam("login", desk.url, "--token", "mlt_good")
    (home / "credentials.json").chmod(0o644)
    ran = mlteam("doctor")
    assert ran.status == 1 and "chmod 600" in ran.out and "It is this machine." in ran.err
    (home / "credentials.json").chmod(0o600)
    desk.on(
        "GET /health",
        {
            "status": "degraded",
            "version": "0.1.0",
            "parts": [{"name": "disk", "status": "full", "detail": "2 GB left"}],
        },
    )
    ran = mlteam("doctor")
    assert ran.status == 1 and "2 GB left" in ran.out and "It is the server." in ran.err
    assert "It is the server." in mlteam("doctor", "--url", "http://127.0.0.1:1", MLTEAM_TOKEN="mlt_good").err


def test_clocks_are_compared() -> None:
    from mlteam_sdk.cli.doctor import _clock

    assert [check["status"] for check in _clock(formatdate(time.time() - 3600))] == ["wrong"]
    assert [check["status"] for check in _clock(formatdate(time.time()))] == ["ok"]
