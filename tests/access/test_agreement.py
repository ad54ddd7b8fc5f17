"""One question, one answer: the decision, the filter, and the list of who is allowed never disagree."""

from dataclasses import replace

import pytest
from django.contrib.auth.models import AnonymousUser

import access
from access import ACTIONS
from access.evaluator import asked_once
from access.middleware import pages_ask_once
from jobs.models import Job
from projects.levels import KINDS
from projects.models import Project, ProjectUserPermission
from tests.access.world import Thing, job, populate

EVERY = [f"{kind}:{action}" for kind in (*KINDS, "project", "key") for action in sorted(ACTIONS[kind])]

SOURCES = 3  # of rules in projects; each is one query


@pytest.fixture
def world(make_user, join):
    return populate(make_user, join)


def _counted(action, one):
    """What the page that asks who may shows, by the users' ids."""
    found = access.who(action, _asked(action, one), first=1000)
    return replace(found, first=[(user.pk, why) for user, why in found.first])


def _asked(action, one):
    """What to ask about, to ask this action of the place where a job stands."""
    kind = action.partition(":")[0]
    return Thing(kind, one) if kind in KINDS else one.project


@pytest.mark.parametrize("kind", [*KINDS, "project", "key"])
def test_scope_and_who_is_allowed_agree_with_allowed_for_every_combination(world, kind):
    users, _ = world
    places = list(Job.objects.select_related("project"))
    held = {(user.pk, one.project_id): access.abilities(user, one.project) for user in users for one in places}
    granted = 0
    for action in (f"{kind}:{verb}" for verb in sorted(ACTIONS[kind])):
        who = {one.pk: set(access.who_is_allowed(action, _asked(action, one))) for one in places}
        counted = {one.pk: _counted(action, one) for one in places}
        assert {pk: found.count for pk, found in counted.items()} == {pk: len(found) for pk, found in who.items()}
        for user in users:
            allowed = {one.pk for one in places if held[user.pk, one.project_id].decide(action, _asked(action, one))}
            scoped = set(Job.objects.filter(access.scope(user, action)).values_list("pk", flat=True))
            assert scoped == allowed, f"scope: {user} {action}"
            assert {pk for pk, found in who.items() if user.pk in found} == allowed, f"who: {user} {action}"
            assert {pk for pk, found in counted.items() if user.pk in dict(found.first)} == allowed
            granted += len(allowed)
    assert granted > 20  # the world is not one in which everybody is refused everything


def test_abilities_answer_as_allowed_does(world):
    users, jobs = world
    for user in users:
        one = jobs[len(user.username) % 5]
        held = access.abilities(user, one.project)
        for action in EVERY:
            asked = _asked(action, one)
            assert bool(held.decide(action, asked)) == bool(access.allowed(user, action, asked))


def test_projects_visible_to_a_user_are_those_that_they_may_get(world):
    users, _ = world
    for user in users:
        seen = {project.pk for project in Project.objects.visible_to(user)}
        assert seen == {project.pk for project in Project.objects.all() if access.allowed(user, "project:get", project)}


def test_nobody_and_the_inactive_hold_nothing(project, owner):
    one = job(project, owner)
    owner.is_active = False
    owner.save()
    for user in (AnonymousUser(), owner):
        assert not access.allowed(user, "job:get", one)
        assert not Job.objects.filter(access.scope(user, "job:get")).exists()
    assert access.who_is_allowed("job:get", one) == {}


def test_a_removed_project_is_nobodys(world):
    gone = Project.objects.get(slug="gone")
    assert access.who_is_allowed("project:get", gone) == {}
    assert not access.allowed(gone.owner, "project:get", gone)


def test_the_number_of_queries_grows_with_nothing(world, django_assert_num_queries):
    users, _ = world
    with django_assert_num_queries(1):
        list(Job.objects.visible_to(users[0]))
    one = Job.objects.filter(project__slug="even").select_related("project").first()
    with django_assert_num_queries(SOURCES):
        access.abilities(users[3], one.project)
    with django_assert_num_queries(2 + SOURCES):
        access.who_is_allowed("job:get", one)
    projects = list(Project.objects.all())
    with django_assert_num_queries(SOURCES):
        access.rules(users[3], projects)


def test_a_page_asks_the_sources_once_for_each_reader_and_project(
    project, owner, viewer, stranger, django_assert_num_queries
):
    with asked_once():
        for user in (viewer, owner, stranger):
            with django_assert_num_queries(SOURCES):
                first = access.abilities(user, project)
                assert access.abilities(user, project) == first
    assert [bool(access.allowed(user, "project:get", project)) for user in (viewer, owner, stranger)] == [
        True,
        True,
        False,
    ]
    with django_assert_num_queries(2 * SOURCES):  # outside, each question is a fresh one
        access.abilities(viewer, project)
        access.abilities(viewer, project)


def test_what_changes_something_never_asks_an_old_answer(rf, project, viewer):
    """A request that takes a member out hears of it at once."""
    held = []

    def take_out(request):
        held.append(bool(access.allowed(viewer, "project:get", project)))
        ProjectUserPermission.objects.filter(user=viewer).delete()
        held.append(bool(access.allowed(viewer, "project:get", project)))

    pages_ask_once(take_out)(rf.post("/"))
    assert held == [True, False]
