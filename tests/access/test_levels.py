"""What each level allows: the table of levels, word for word."""

import pytest

import access
from access import ACTIONS
from projects.levels import KINDS, PRESETS, permission
from tests.access.world import Thing, job

ANY, OWN = "any", "own"
DATA = {
    "none": {},
    "read": {"get": ANY},
    "own": {"get": ANY, "new": ANY, "set": OWN, "rm": OWN},
    "all": {"get": ANY, "new": ANY, "set": ANY, "rm": ANY},
}
TABLE = {
    "job": {
        "none": {},
        "read": {"get": ANY, "connect": ANY},
        "own": {"get": ANY, "connect": ANY, "new": ANY, "set": OWN, "stop": OWN, "rm": OWN, "exec": OWN},
        "all": dict.fromkeys(("get", "connect", "new", "set", "stop", "rm", "exec"), ANY),
    },
    "dataset": DATA,
    "model": DATA,
    "volume": DATA,
}
ROWS = [
    (kind, level, action, theirs, TABLE[kind][level].get(action) in ({ANY, OWN} if theirs else {ANY}))
    for kind in KINDS
    for level in TABLE[kind]
    for action in sorted(ACTIONS[kind])
    for theirs in (True, False)
]


@pytest.fixture
def member(make_user, project, join):
    """member(levels) is a member with these levels, and others at none."""

    def make(levels):
        return join(project, make_user("mia"), dict.fromkeys(KINDS, "none") | levels).user

    return make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", ["none", "read", "own", "all"])
def test_a_level_allows_what_the_table_says(kind, level, member, project, owner):
    user = member({kind: level})
    things = {True: Thing(kind, job(project, user)), False: Thing(kind, job(project, owner))}
    for _, _, action, theirs, expected in (row for row in ROWS if row[:2] == (kind, level)):
        decision = access.allowed(user, f"{kind}:{action}", things[theirs])
        assert bool(decision) is expected, f"{level} {kind}:{action} theirs={theirs}: {decision}"


@pytest.mark.parametrize("level", ["none", "read", "own", "all"])
def test_a_level_on_one_kind_says_nothing_about_the_others(level, member, project, owner):
    user = member({"job": level})
    for kind in ("dataset", "model", "volume"):
        thing = Thing(kind, job(project, user))
        assert not any(access.allowed(user, f"{kind}:{action}", thing) for action in ACTIONS[kind])


def test_the_owner_may_do_everything(project, owner, viewer):
    for kind in KINDS:
        thing = Thing(kind, job(project, viewer))
        assert all(access.allowed(owner, f"{kind}:{action}", thing) for action in ACTIONS[kind])
    assert all(access.allowed(owner, f"project:{action}", project) for action in ACTIONS["project"])
    assert all(access.allowed(owner, f"key:{action}", project) for action in ACTIONS["key"])


def test_members_only_see_the_project_itself(project, collaborator):
    allowed = {action for action in ACTIONS["project"] if access.allowed(collaborator, f"project:{action}", project)}
    assert allowed == {"get"}


@pytest.mark.parametrize(("level", "may"), [("none", False), ("read", False), ("own", True), ("all", True)])
def test_who_may_create_jobs_may_attach_keys_and_nobody_but_the_owner_sets_them(level, may, member, project):
    user = member({"job": level})
    assert bool(access.allowed(user, "key:use", project)) is may
    assert not access.allowed(user, "key:set", project)


def test_a_personal_project_is_never_shared_or_removed(owner):
    personal = owner.owned_projects.get(personal=True)
    allowed = {action for action in ACTIONS["project"] if access.allowed(owner, f"project:{action}", personal)}
    assert allowed == {"get", "set"}
    assert access.allowed(owner, "job:new", personal)


def test_an_unproven_account_only_looks_at_its_personal_project(make_user):
    user = make_user("uma", verified=False)
    personal = user.owned_projects.get(personal=True)
    for kind in (*KINDS, "project", "key"):
        thing = personal if kind in {"project", "key"} else Thing(kind, job(personal, user))
        assert {a for a in ACTIONS[kind] if access.allowed(user, f"{kind}:{a}", thing)} <= {"get"}


def test_the_installations_admin_sees_nothing_that_is_not_shared_with_them(project, owner, admin):
    assert admin.is_superuser
    assert not access.allowed(admin, "project:get", project)
    assert not access.allowed(admin, "job:get", job(project, owner))


@pytest.mark.parametrize("preset", PRESETS)
def test_standard_object_permissions_agree(preset, make_user, project, join):
    user = join(project, make_user("mia"), preset).user
    thing_of = {kind: Thing(kind, job(project, None)) for kind in KINDS}
    for kind in KINDS:
        for level, action in (("read", "get"), ("own", "new"), ("all", "set")):
            held = user.has_perm(f"projects.{permission(kind, level)}", project)
            assert held == bool(access.allowed(user, f"{kind}:{action}", thing_of[kind])), (kind, level)


def test_a_refusal_says_why_and_who_can_change_it(project, owner, teammate, stranger):
    theirs = job(project, owner)
    refusal = access.allowed(teammate, "job:stop", theirs)
    assert refusal.code == "not_yours"
    assert "another member's" in refusal.reason
    assert access.allowed(teammate, "project:share", project).code == "not_granted"
    assert access.allowed(stranger, "job:get", theirs).code == "no_access"


def test_an_action_that_does_not_exist_is_a_bug(project, owner):
    with pytest.raises(ValueError, match="no such action"):
        access.allowed(owner, "job:destroy", project)
    with pytest.raises(ValueError, match="asked about a job"):
        access.allowed(owner, "dataset:get", job(project, owner))
