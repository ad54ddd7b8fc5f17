"""Policies as text: what they compile to, and where they are wrong."""

import pytest

from access import ACTIONS, statements
from access.decisions import FARTHEST
from access.statements import BadStatement
from projects import actions


@pytest.fixture
def child(project, owner):
    return actions.create(name="Production", by=owner, parent=project)


def rows(text):
    return {
        (row.reach.place, f"{row.reach.kind}:{row.verb}", row.reach.resource, row.reach.nearest, row.reach.farthest)
        for row in statements.read(text).rows
    }


def test_one_action_on_all_jobs_of_a_project(project):
    assert rows(f"job:get@{project.urn}:job:*") == {(project.id, "job:get", "", 0, 0)}


def test_several_actions_and_names_each_where_it_makes_sense(project):
    found = rows(f"project:get+job:get+job:stop@{project.urn}+{project.urn}:job:abc")
    assert found == {
        (project.id, "project:get", "", 0, 0),
        (project.id, "job:get", "abc", 0, 0),
        (project.id, "job:stop", "abc", 0, 0),
    }


def test_a_star_at_the_end_is_all_that_follows(project):
    found = rows(f"*:get@{project.urn}:*")
    assert (project.id, "job:get", "", 0, FARTHEST) in found
    assert (project.id, "project:get", "", 1, FARTHEST) in found  # the projects below, not the project itself
    assert {action.partition(":")[2] for _, action, *_ in found} == {"get"}


def test_a_star_between_is_one_whole_segment(project):
    assert rows(f"job:get@{project.urn}:project:*:job:*") == {(project.id, "job:get", "", 1, 1)}
    assert rows(f"project:get@{project.urn}:project:*") == {(project.id, "project:get", "", 1, FARTHEST)}
    assert rows(f"model:get@{project.urn}:project:*:project:*:model:*") == {(project.id, "model:get", "", 2, 2)}


def test_a_child_is_named_through_its_parent(project, child):
    assert child.urn == f"{project.urn}:project:{child.id}"
    assert rows(f"job:get@{child.urn}:job:*") == {(child.id, "job:get", "", 0, 0)}


def test_everything_is_every_action_that_there_is(project):
    found = {action for _, action, *_ in rows(f"*@{project.urn}+{project.urn}:*")}
    assert found == {
        f"{kind}:{verb}" for kind in ("job", "dataset", "model", "volume", "key", "project") for verb in ACTIONS[kind]
    }


def test_nothing_is_created_on_one_that_is_there(project):
    assert not any(action == "job:new" for _, action, *_ in rows(f"job:*@{project.urn}:job:abc"))


WRONG = [
    ("job:get", "one @", "job:get"),
    ("job:get@a@b", "one @", "job:get@a@b"),
    ("", "one @", ""),
    ("job@{urn}:job:*", "KIND:VERB", "job"),
    ("jobs:get@{urn}:job:*", "The kinds are", "jobs:get"),
    ("job:gett@{urn}:job:*", "no job:gett", "job:gett"),
    ("job:get+@{urn}:job:*", "KIND:VERB", ""),
    ("job:get@{urn}", "End it with :job:*", "job:get"),
    ("project:get@{urn}:job:*", "cannot be done", "project:get"),
    ("job:get@other:project:abc", "begins with", "other"),
    ("job:get@{org}:*", "project or a team", "{org}:*"),
    ("job:get@{org}:project:*:job:*", "Say which project", "{org}:project:*:job:*"),
    ("job:get@{org}:project:aaaaaaaaaaaaaaaa:job:*", "no such project", "aaaaaaaaaaaaaaaa"),
    ("job:get@{urn}:jobs:*", "After a project comes", "jobs"),
    ("job:get@{urn}:job:", "After a project comes", "job"),
    ("job:get@{urn}:job:a:b", "After a project comes", "job"),
    ("job:get@{urn}:*:job", "After a project comes", "*"),
    ("job:get@{urn}:job:*+{urn}", "None of the actions", "{urn}"),
    ("*@*", "begins with", "*"),
    ("job:get@{urn}:job:\u202ea", "one line", None),
]


@pytest.mark.parametrize(("text", "said", "marked"), WRONG)
def test_what_is_wrong_is_said_with_its_place(project, settings, text, said, marked):
    names = {"urn": project.urn, "org": settings.MLTEAM_ORGANIZATION}
    text = text.format(**names)
    with pytest.raises(BadStatement) as wrong:
        statements.read(text)
    assert said in wrong.value.message
    if marked is not None:
        assert text[wrong.value.start : wrong.value.end].startswith(marked.format(**names))


def test_a_text_too_long_is_refused(project):
    with pytest.raises(BadStatement):
        statements.read("+".join(["job:get"] * 500) + f"@{project.urn}:job:*")
