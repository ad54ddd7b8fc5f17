"""The pages that answer who may do what, and why."""

import re

import pytest
from django.urls import reverse

import access
from jobs.models import Job
from projects import actions
from projects.models import Member, Project
from tests.access.world import job


def ask(client, project, **question):
    return client.get(reverse("projects:access", args=[project.slug]), question)


def text_of(page, part):
    """What a section of the page says, without its tags."""
    inside = re.search(rf'<section[^>]* id="{part}".*?</section>', page.content.decode(), re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", inside[0])) if inside else ""


def test_a_member_asks_what_they_may_and_hears_where_it_comes_from(as_user, project, teammate):
    mine = job(project, teammate)
    page = ask(as_user(teammate), project, action="job:stop", resource=mine.urn)
    assert "Yes You may job:stop : allowed by membership: level own on jobs" in text_of(page, "answer")
    assert "membership: level own on jobs" in text_of(page, "rules")
    assert "only what they created" in text_of(page, "rules")


def test_a_refusal_names_the_missing_rule_and_who_can_grant_it(as_user, project, owner, teammate):
    others = job(project, owner)
    said = text_of(ask(as_user(teammate), project, action="job:stop", resource=others.urn), "answer")
    assert f"job:stop@{others.urn}" in said
    assert "only on what you created" in said
    assert f"Can be granted by {owner.initials} {owner.shown}" in said


def test_a_refused_page_names_the_rule_and_leads_to_who_can_grant_it(as_user, project, owner, viewer):
    client = as_user(viewer)
    refused = client.get(reverse("jobs:new", args=[project.slug]))
    assert refused.status_code == 403
    assert f"job:new@{access.urn('project', project.id, 'job', '*')}" in refused.content.decode()
    why = client.get(refused.context["why"])
    assert f"Can be granted by {owner.initials} {owner.shown}" in text_of(why, "answer")


def test_who_may_is_what_is_enforced(as_user, project, owner, teammate, viewer, collaborator):
    theirs = job(project, teammate)
    said = text_of(ask(as_user(viewer), project, action="job:stop", resource=theirs.urn), "who")
    may = [user for user in (owner, teammate, viewer, collaborator) if access.allowed(user, "job:stop", theirs)]
    assert may == [owner, teammate, collaborator]
    assert [user.shown in said for user in (owner, teammate, viewer, collaborator)] == [True, True, False, True]


def test_some_are_shown_at_a_time_and_all_counted(as_user, project, owner, make_user, join):
    for number in range(28):
        join(project, make_user(f"member{number:02}"), "Viewer")
    client = as_user(owner)
    first = ask(client, project, action="job:get")
    said = text_of(first, "who")
    assert said.count("level read on jobs") == 20 and " 29 " in said
    rest = text_of(ask(client, project, action="job:get", after=first.context["more_after"]), "who")
    assert rest.count("level read on jobs") == 8 and "ownership" in rest and " 29 " in rest


def test_an_owner_sees_the_project_as_a_member_holds_it(as_user, project, owner, viewer):
    page = ask(as_user(owner), project, action="job:new", person=viewer.username)
    assert f"{viewer.shown} may not job:new" in text_of(page, "answer")
    assert "level read on jobs" in text_of(page, "rules") and "ownership" not in text_of(page, "rules")


def test_members_ask_only_about_themselves(as_user, project, owner, viewer):
    page = ask(as_user(viewer), project, action="job:new", person=owner.username)
    assert "No" in text_of(page, "answer") and "person" not in page.context["form"].fields


@pytest.mark.parametrize("name", ["mlteam:project:no:job:such", "*", "mlteam:*", ":::", "x" * 5000, ""])
def test_what_is_not_there_and_what_may_not_be_seen_get_the_same_answer(
    as_user, make_user, project, viewer, owner, name
):
    elsewhere = actions.create(name="Elsewhere", by=owner)
    hidden = job(elsewhere, owner)
    client, said = as_user(viewer), "Nothing in this project that you may see has this URN."
    assert said in ask(client, project, action="job:get", resource=hidden.urn).content.decode()
    page = ask(client, project, action="job:get", resource=name)
    assert page.status_code == 200
    assert ("answer" in page.context) == (name == "")


def test_a_job_does_not_show_to_whom_jobs_are_closed(as_user, project, owner, make_user, join):
    closed = make_user("closed")
    join(project, closed, dict.fromkeys(("job", "dataset", "model", "volume"), "none"))
    page = ask(as_user(closed), project, action="job:get", resource=job(project, owner).urn)
    assert "Nothing in this project that you may see has this URN." in page.content.decode()


def test_an_action_of_another_kind_is_explained(as_user, project, owner):
    page = ask(as_user(owner), project, action="dataset:get", resource=job(project, owner).urn)
    assert "This is asked of a dataset; the resource is a job." in page.content.decode()
    assert "answer" not in page.context


def test_nobody_has_this_username(as_user, project, owner):
    page = ask(as_user(owner), project, action="job:get", person="<b>nobody</b>")
    assert "Nobody has this username." in page.content.decode() and "<b>nobody" not in page.content.decode()


def test_my_rules_are_all_that_i_hold(as_user, project, viewer, owner):
    own = Project.objects.get(owner=viewer, personal=True)
    page = as_user(viewer).get(reverse("projects:rules"))
    groups = {group["project"]: group["rules"] for group in page.context["groups"]}
    assert set(groups) == {own, project}
    for shown, rules in groups.items():
        said = {action for rule in rules for action in rule.actions if not rule.only_mine}
        held = access.abilities(viewer, shown)
        every = {f"{kind}:{verb}" for kind in access.ACTIONS for verb in access.ACTIONS[kind]}
        assert said == {action for action in every if held.any(action)}
    assert access.urn("user", viewer.id) in page.content.decode()


def test_a_removed_member_holds_nothing_more(as_user, project, owner, viewer):
    actions.remove_member(member=Member.objects.get(project=project, user=viewer), by=owner)
    page = as_user(viewer).get(reverse("projects:rules"))
    assert project not in [group["project"] for group in page.context["groups"]]


def test_the_rules_of_many_projects_come_in_pages(as_user, owner, django_assert_max_num_queries):
    Project.objects.bulk_create(Project(name=f"P {n:03}", slug=f"p-{n}", owner=owner) for n in range(50))
    client, url = as_user(owner), reverse("projects:rules")
    with django_assert_max_num_queries(20):
        first = client.get(url).content.decode()
    assert "This installation" in first and "names, never addresses" in first
    names, address = [], url
    while address:
        context = client.get(address).context
        names.append([group["project"].name for group in context["groups"]])
        address = context["older"]
    assert [len(page) for page in names] == [11, 10, 10, 10, 10]  # Personal comes besides
    assert [name for page in names for name in page] == ["Personal", *[f"P {n:03}" for n in range(50)]]
    found = client.get(url, {"q": "p 00"}).context["groups"]
    assert [group["project"].name for group in found] == [f"P {n:03}" for n in range(10)]


def test_names_find_what_is_called_so_and_nothing_else(project, owner):
    one = job(project, owner)
    assert access.find(one.urn) == one and access.find(project.urn) == project
    other = actions.create(name="Other", by=owner)
    assert access.find(access.urn("project", other.id, "job", one.id)) is None
    Job.objects.filter(pk=one.pk).delete()
    assert access.find(one.urn) is None
