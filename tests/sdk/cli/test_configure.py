"""`mlteam configure`: exactly the dialogue of the seed, and what is stored."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.cli.conftest import Command, Desk, project

PERSONAL = project("Personal", 2, personal=True)
OTHER = project("My Other Project", 3)
SHARED = project("Project Shared With Me", 4, "bob")


@pytest.fixture(autouse=True)
def three_projects(desk: Desk) -> None:
    projects = [SHARED, PERSONAL, OTHER]
    desk.on("GET /projects", projects)
    for one in projects:
        desk.on(f"GET /projects/{one['id']}", one)


def stored(home: Path) -> Any:
    return json.loads((home / "config.json").read_text())


def test_the_dialogue_is_that_of_the_seed(at: Command, home: Path) -> None:
    ran = at("configure", input="My Other Project\n")
    assert ran.out == (
        "Current Active Project: UNSET\n"
        "Select Active Project: (My Other Project, Personal, Project Shared With Me) [Personal]: "
    )
    assert stored(home)["project"] == OTHER["id"]
    again = at("configure", input="\n")
    assert again.out == (
        "Current Active Project: My Other Project\n"
        "Select Active Project: (My Other Project, Personal, Project Shared With Me) [My Other Project]: "
    )
    assert stored(home)["project"] == OTHER["id"]


def test_enter_takes_personal_where_nothing_is_stored(at: Command, home: Path) -> None:
    assert at("configure", input="\n").status == 0
    assert not (home / "config.json").exists() or "project" not in stored(home)


def test_what_is_no_choice_is_asked_again(at: Command, home: Path) -> None:
    ran = at("configure", input="Nothing\nproject shared with me\n")
    assert ran.status == 0 and ran.out.count("Select Active Project:") == 2 and "no project Nothing" in ran.err
    assert stored(home)["project"] == SHARED["id"]


def test_equal_names_have_their_owners_in_brackets(at: Command, desk: Desk, home: Path) -> None:
    desk.on("GET /projects", [PERSONAL, project("Vision", 4, "bob"), project("Vision", 3), project("vision", 5, "eve")])
    ran = at("configure", input="Vision (bob)\n")
    assert "(Personal, vision, Vision (ada), Vision (bob)) [Personal]:" in ran.out
    assert stored(home)["project"] == project("Vision", 4)["id"]


def test_equal_names_of_one_owner_have_their_full_names(at: Command, desk: Desk, home: Path) -> None:
    lab = project("Lab", 5)
    desk.on("GET /projects", [PERSONAL, lab, project("Vision", 3), project("Vision", 4, parent=lab)])
    ran = at("configure", input="Vision (ada, lab.vision)\n")
    assert "(Lab, Personal, Vision (ada, lab.vision), Vision (ada, vision)) [Personal]:" in ran.out
    assert stored(home)["project"] == project("Vision", 4)["id"]


def test_equal_full_names_of_one_owner_have_their_ids(at: Command, desk: Desk, home: Path) -> None:
    desk.on("GET /projects", [PERSONAL, project("Vision", 3), project("Vision", 4)])
    first, second = project("Vision", 3)["id"], project("Vision", 4)["id"]
    ran = at("configure", input=f"Vision (ada) ({second})\n")
    assert f"Vision (ada) ({first}), Vision (ada) ({second})" in ran.out and stored(home)["project"] == second


def test_a_name_that_several_have_lists_them(at: Command, desk: Desk, home: Path) -> None:
    desk.on("GET /projects", [PERSONAL, project("Vision", 4, "bob"), project("Vision", 3)])
    ran = at("configure", input="vision\nVision (bob)\n")
    assert ran.status == 0 and ran.err.splitlines()[:3] == [
        "2 projects are named vision. Type one of these as it stands here, or its id:",
        f"  Vision (ada)  {project('Vision', 3)['id']}",
        f"  Vision (bob)  {project('Vision', 4)['id']}",
    ]
    assert stored(home)["project"] == project("Vision", 4)["id"]


@pytest.mark.parametrize("typed", ["", "Nothing\n"])
def test_the_end_of_input_is_an_error_and_no_choice(at: Command, home: Path, typed: str) -> None:
    ran = at("configure", input=typed)
    assert ran.status == 1 and "input ended" in ran.err and not (home / "config.json").exists()


def test_other_settings_stay(at: Command, desk: Desk, home: Path) -> None:
    home.mkdir(parents=True)
    (home / "config.json").write_text('{"theirs": [1], "project": "x", "url": "http://elsewhere"}')
    assert at("configure", input="Personal\n").status == 0
    assert stored(home) == {"theirs": [1]}
    assert at("configure", "--project", "My Other Project").status == 0
    assert stored(home) == {"theirs": [1], "project": OTHER["id"], "url": desk.url}


@pytest.mark.parametrize("said", ["Project Shared With Me", SHARED["id"], SHARED["urn"]])
def test_without_a_dialogue(at: Command, home: Path, said: str) -> None:
    ran = at("configure", "--project", said)
    assert (ran.status, ran.out) == (0, "") and SHARED["id"] in ran.err
    assert stored(home)["project"] == SHARED["id"]
    assert at("project", "use", "Personal").status == 0 and "project" not in stored(home)


def test_an_ambiguous_name_lists_the_candidates_and_stores_nothing(at: Command, desk: Desk, home: Path) -> None:
    desk.on("GET /projects", [project("Vision", 3), project("Vision", 4, "bob")])
    ran = at("configure", "--project", "Vision")
    assert ran.status == 1 and not (home / "config.json").exists()
    assert f"  {project('Vision', 3)['id']}  vision  of ada" in ran.err.splitlines()
    assert f"  {project('Vision', 4)['id']}  vision  of bob" in ran.err.splitlines()


def test_a_project_that_is_gone_is_shown_by_its_id(at: Command, home: Path, desk: Desk) -> None:
    home.mkdir(parents=True)
    (home / "config.json").write_text(json.dumps({"project": "z" * 16, "url": desk.url}))
    ran = at("configure", input="Personal\n")
    assert f"Current Active Project: {'z' * 16}\n" in ran.out and "project" not in stored(home)


def test_a_name_in_the_variable_gets_an_error_that_tells_its_id(at: Command) -> None:
    ran = at("job", "ls", MLTEAM_PROJECT="My Other Project")
    assert ran.status == 1 and OTHER["id"] in ran.err and "MLTEAM_PROJECT" in ran.err
    assert at("job", "ls", MLTEAM_PROJECT="Nothing").err.count("project list") == 1


def test_the_variable_comes_before_what_is_stored_and_the_option_before_both(at: Command, desk: Desk) -> None:
    desk.on("GET /jobs", [])
    at("configure", "--project", SHARED["id"])
    seen = []
    for more, variables in (
        ((), {}),
        ((), {"MLTEAM_PROJECT": OTHER["id"]}),
        (("--project", "Personal"), {"MLTEAM_PROJECT": OTHER["id"]}),
    ):
        assert at("job", "ls", *more, **variables).status == 0
        seen += desk.asked[-1].query["project"]
    assert seen == [SHARED["id"], OTHER["id"], PERSONAL["id"]]
