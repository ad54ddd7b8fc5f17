"""Pages of projects, and what every page shows around its content."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from projects import actions, links
from projects.active import COOKIE, REMEMBERED
from projects.context import MOST, Shell
from projects.levels import KINDS, PRESETS
from projects.members import levels_by_user
from projects.models import Invitation, Member, Project
from tests.access.world import job

NONE = dict.fromkeys(KINDS, "none")


def shell_of(client, path="/projects/"):
    return client.get(path).context["shell"]


def test_home_leads_to_the_personal_project_first_and_then_to_the_last_opened(as_user, owner, project):
    client = as_user(owner)
    assert client.get("/")["Location"] == "/p/personal-olga/jobs"
    client.get("/p/vision/members")
    assert client.get("/")["Location"] == "/p/vision/jobs"
    assert shell_of(client).project == project


def test_opening_a_project_stores_nothing_but_a_cookie(as_user, owner, project, read_only):
    client = as_user(owner)
    with read_only():
        assert client.get("/p/vision/settings").cookies[COOKIE].value == "vision"
        assert client.get("/projects/").status_code == 200


def test_a_fragment_of_a_forgotten_tab_does_not_change_the_active_project(as_user, owner, project):
    client = as_user(owner)
    client.get("/p/vision/members", headers={"HX-Request": "true"})
    assert client.get("/")["Location"] == "/p/personal-olga/jobs"


def test_a_project_that_one_may_no_longer_see_is_not_active(as_user, collaborator, project, owner):
    client = as_user(collaborator)
    client.get("/p/vision/members")
    actions.remove_member(member=Member.objects.get(user=collaborator), by=owner)
    assert client.get("/")["Location"] == "/p/personal-carl/jobs"
    assert shell_of(client).project.personal
    client.cookies[COOKIE] = "no such project"
    assert client.get("/")["Location"] == "/p/personal-carl/jobs"


def test_the_switcher_shows_from_the_second_project_on_and_switches(as_user, owner, stranger, project):
    assert not shell_of(as_user(stranger)).show_switcher
    client = as_user(owner)
    assert shell_of(client).show_switcher
    assert client.post("/projects/switch", {"project": "vision"})["Location"] == "/p/vision/jobs"
    assert client.get("/")["Location"] == "/p/vision/jobs"
    assert client.post("/projects/switch", {"project": "nothing"}).status_code == 404
    assert as_user(stranger).post("/projects/switch", {"project": "vision"}).status_code == 404


def test_who_may_not_see_jobs_lands_on_the_members_page(as_user, make_user, join, project):
    client = as_user(join(project, make_user("nina"), NONE).user)
    assert client.post("/projects/switch", {"project": "vision"})["Location"] == "/p/vision/members"
    assert shell_of(client, "/p/vision/members").can == {
        "jobs": False,
        "data": False,
        "new_job": False,
        "settings": False,
        "keys": False,
        "audit": False,
    }


@pytest.mark.parametrize(
    ("who", "can"),
    [
        ("owner", {"jobs": True, "data": True, "new_job": True, "settings": True, "keys": True, "audit": True}),
        (
            "collaborator",
            {"jobs": True, "data": True, "new_job": True, "settings": False, "keys": False, "audit": False},
        ),
        ("viewer", {"jobs": True, "data": True, "new_job": False, "settings": False, "keys": False, "audit": False}),
    ],
)
def test_navigation_offers_what_one_may_do(as_user, request, project, who, can):
    assert shell_of(as_user(request.getfixturevalue(who)), "/p/vision/members").can == can


def shell_with(rf, user, *slugs):
    """What a page shows around its content to somebody who has opened these projects, the last first."""
    request = rf.get("/")
    request.user, request.resolver_match = user, None
    request.COOKIES[COOKIE] = ".".join(slugs)
    return Shell(request)


def many(owner, number):
    return Project.objects.bulk_create(
        Project(name=f"P {place:03}", slug=f"p-{place}", owner=owner) for place in range(number)
    )


def test_of_many_projects_the_switcher_has_those_opened_last_and_searches_for_others(
    rf, as_user, owner, project, stranger
):
    many(owner, 2 * MOST)
    theirs = actions.create(name="Theirs", by=stranger)
    shell = shell_with(rf, owner, "p-59", theirs.slug, "p-3", "nothing")
    assert shell.search and shell.show_switcher
    assert [one.slug for one in shell.projects] == ["personal-olga", "p-59"]
    assert shell.project.slug == "p-59"
    client = as_user(owner)
    client.cookies[COOKIE] = f"p-59.{theirs.slug}.p-3.nothing"
    page = client.get("/projects/find", headers={"HX-Request": "true"})
    assert [one.slug for one in page.context["projects"]] == ["p-59", "p-3"]
    assert "Theirs" not in page.content.decode()


def test_up_to_so_many_the_switcher_has_them_all_by_name(rf, owner, project, make_user, join):
    many(owner, MOST - 3)
    other = actions.create(name="Other", by=make_user("otto"))
    join(other, owner)
    shell = shell_with(rf, owner)
    assert not shell.search
    assert [one.name for one in shell.projects] == [
        "Personal",
        "Other",
        *[f"P {n:03}" for n in range(MOST - 3)],
        "Vision",
    ]


@pytest.mark.parametrize("number", [1, 2 * MOST])
def test_the_shell_asks_six_questions_whatever_the_number_of_projects(rf, owner, project, number):
    many(owner, number)
    shell = shell_with(rf, owner, f"p-{number - 1}", "p-0")
    with CaptureQueriesContext(connection) as queries:
        assert shell.project.slug == f"p-{number - 1}"
        assert shell.project in shell.projects
        assert shell.projects[0].personal
        assert shell.show_switcher and shell.can["new_job"] and not shell.unverified
    assert len(queries) <= 6


def test_the_switcher_finds_by_name_and_address_only_what_one_may_see(as_user, owner, stranger, project):
    actions.create(name="Vision of <b>others</b>", by=stranger)
    many(owner, 2 * MOST)

    client = as_user(owner)

    def found(q):
        page = client.get("/projects/find", {"q": q}, headers={"HX-Request": "true"})
        assert "<b>others" not in page.content.decode()
        return [one.slug for one in page.context["projects"]], page.context["more"]

    assert found("VIS") == (["vision"], False)
    assert found("p-1") == (["p-1", *[f"p-{n}" for n in range(10, 20)]], False)
    assert len(found("p")[0]) == MOST and found("p")[1]
    assert found("%") == ([], False) and found("  ") == ([], False)
    assert as_user(owner).get("/projects/find", {"q": "vis ion"})["Location"] == "/projects/?q=vis+ion"


def test_the_projects_opened_last_are_remembered_in_their_order(as_user, owner, project):
    many(owner, REMEMBERED + 2)
    client = as_user(owner)
    for slug in [*(f"p-{n}" for n in range(REMEMBERED + 2)), "p-3"]:
        client.get(f"/p/{slug}/settings")
    assert client.cookies[COOKIE].value == "p-3.p-7.p-6.p-5.p-4.p-2"


def test_the_shell_asks_nothing_for_nobody(rf, db, django_assert_num_queries):
    with django_assert_num_queries(0):
        shell = Shell(rf.get("/"))
        assert (shell.project, shell.projects, shell.unverified, shell.show_switcher) == (None, [], False, False)
        assert not any(shell.can.values())


def test_without_a_sandbox_every_page_says_so(as_user, owner, settings):
    assert shell_of(as_user(owner)).notices == []
    settings.MLTEAM_UNSANDBOXED = True
    assert "without a sandbox" in as_user(owner).get("/projects/").content.decode()


def _queries(client, path):
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_lists_cost_the_same_with_many_rows(as_user, owner, project, make_user, join):
    def more(number):
        join(project, make_user(f"member{number}"), "Teammate")
        actions.invite(project=project, email=f"i{number}@example.com", levels=PRESETS["Viewer"], by=owner)
        actions.create(name=f"P {number}", by=owner)

    client = as_user(owner)
    more(0)
    few = {path: _queries(client, path) for path in ("/projects/", "/p/vision/members")}
    for number in range(1, 7):
        more(number)
    assert {path: _queries(client, path) for path in few} == few


def test_the_owner_sees_invitations_with_the_link_to_copy_and_members_do_not(as_user, owner, viewer, project):
    offer = actions.invite(project=project, email="new@example.com", levels=PRESETS["Viewer"], by=owner)
    page = as_user(owner).get("/p/vision/members")
    (shown,) = page.context["invitations"]
    assert shown["link"] == links.address_of(offer, links.COPIED)
    assert shown["link"] in page.content.decode()
    assert links.token_of(offer, links.EMAILED) not in page.content.decode()
    theirs = as_user(viewer).get("/p/vision/members")
    assert (theirs.context["invitations"], theirs.context["can_share"], theirs.context["can_leave"]) == (
        [],
        False,
        True,
    )
    assert "new@example.com" not in theirs.content.decode()


def test_a_members_address_is_shown_to_no_other_member(as_user, viewer, collaborator, project):
    assert "carl@example.com" not in as_user(viewer).get("/p/vision/members").content.decode()


@pytest.mark.parametrize(
    ("answers", "levels"),
    [
        ({}, PRESETS["Collaborator"]),
        ({"preset": "Viewer"}, PRESETS["Viewer"]),
        ({"preset": "Full", **PRESETS["Full"]}, PRESETS["Full"]),
        ({"preset": "Viewer", **PRESETS["Collaborator"]}, PRESETS["Viewer"]),  # without scripts: the preset was changed
        ({"preset": "Collaborator", **NONE, "job": "own"}, NONE | {"job": "own"}),  # or one of the levels was
        ({"preset": "", **NONE, "model": "read"}, NONE | {"model": "read"}),
    ],
)
def test_inviting_from_the_page(as_user, owner, project, answers, levels):
    chosen = answers or {"preset": "Collaborator"}
    answer = as_user(owner).post("/p/vision/members/invite", {"email": "New@example.com", **chosen})
    assert answer["Location"] == "/p/vision/members"
    assert Invitation.objects.get().levels == levels


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"email": "x", "preset": "Viewer"}, "email"),
        ({"email": "", "preset": "Viewer"}, "email"),
        ({"email": "olga@example.com", "preset": "Viewer"}, "email"),
        ({"email": "a@example.com", "preset": "King"}, "preset"),
        ({"email": "a@example.com", "preset": "", "job": "root"}, "job"),
        ({"email": "a@example.com", "preset": "", "job": "all"}, "__all__"),
    ],
)
def test_bad_invitations_say_what_is_wrong_and_keep_what_was_typed(as_user, owner, project, answers, field):
    page = as_user(owner).post("/p/vision/members/invite", answers)
    assert page.status_code == 200
    assert field in page.context["form"].errors
    assert page.context["form"]["email"].value() == answers["email"]
    assert not Invitation.objects.exists()


def test_changing_levels_from_the_page(as_user, owner, collaborator, project):
    member = Member.objects.get(user=collaborator)
    as_user(owner).post(f"/p/vision/members/{member.pk}/set", NONE | {"job": "own"})
    assert levels_by_user(project)[collaborator.pk] == NONE | {"job": "own"}
    as_user(owner).post(f"/p/vision/members/{member.pk}/set", {"job": "root"})
    assert levels_by_user(project)[collaborator.pk] == NONE | {"job": "own"}


def test_removing_a_member_from_the_page_lists_what_runs_on_and_what_is_cancelled(
    as_user, owner, collaborator, project
):
    queued, running = job(project, collaborator), job(project, collaborator)
    type(running).objects.filter(pk=running.pk).update(state="running")
    member = Member.objects.get(user=collaborator)
    page = as_user(owner).get(f"/p/vision/members/{member.pk}/remove")
    assert [one.pk for one in page.context["running"]] == [running.pk]
    assert [one.pk for one in page.context["queued"]] == [queued.pk]
    theirs = as_user(collaborator)
    assert theirs.get("/p/vision/jobs").status_code == 200
    as_user(owner).post(f"/p/vision/members/{member.pk}/remove")
    assert theirs.get("/p/vision/jobs").status_code == 404


def test_a_member_of_another_project_is_not_reached_through_ones_own(as_user, owner, project, make_user, join):
    other = make_user("otto")
    theirs = actions.create(name="Theirs", by=other)
    member = join(theirs, make_user("mia"))
    offer = actions.invite(project=theirs, email="new@example.com", levels=PRESETS["Viewer"], by=other)
    client = as_user(owner)
    for path in (
        f"/p/vision/members/{member.pk}/remove",
        f"/p/vision/members/{member.pk}/set",
        f"/p/vision/invitations/{offer.pk}/revoke",
        f"/p/vision/invitations/{offer.pk}/resend",
    ):
        assert client.post(path, {"preset": "Full"}).status_code == 404
    assert Member.objects.filter(pk=member.pk).exists()


def test_removing_a_project_asks_for_its_name_and_refuses_while_jobs_run(as_user, owner, project):
    client = as_user(owner)
    assert client.post("/p/vision/remove", {"confirm": "Visio"}).context["form"].errors.keys() == {"confirm"}
    one = job(project, owner)
    page = client.post("/p/vision/remove", {"confirm": "Vision"})
    assert page.context["running"] == 1
    assert "__all__" in page.context["form"].errors
    one.delete()
    assert client.post("/p/vision/remove", {"confirm": "Vision"})["Location"] == "/projects/"
    assert client.get("/p/vision/members").status_code == 404


def test_leaving_from_the_page(as_user, viewer, project):
    client = as_user(viewer)
    assert client.get("/p/vision/leave").status_code == 200
    assert client.post("/p/vision/leave")["Location"] == "/projects/"
    assert client.get("/p/vision/members").status_code == 404


def test_settings_rename_for_the_owner_only(as_user, owner, viewer, project):
    assert as_user(viewer).get("/p/vision/settings").context["can_set"] is False
    assert as_user(viewer).post("/p/vision/settings", {"name": "Mine"}).status_code == 403
    assert as_user(owner).post("/p/vision/settings", {"name": " "}).context["form"].errors.keys() == {"name"}
    assert as_user(owner).post("/p/vision/settings", {"name": "Sight"})["Location"] == "/p/vision/settings"
    assert as_user(owner).post("/p/personal-olga/settings", {"name": "Mine"}).status_code == 403
    project.refresh_from_db()
    assert (project.name, project.slug) == ("Sight", "vision")


def test_refusals_say_why_to_people_and_to_programs(as_user, viewer, project):
    page = as_user(viewer).post("/p/vision/members/invite", {"email": "a@example.com"})
    assert (page.status_code, page["X-Reason-Code"]) == (403, "not_granted")
    assert "can change your level" in page.content.decode()


def test_the_invitations_page_for_each_visitor(as_user, owner, project, stranger, make_user, read_only):
    offer = actions.invite(project=project, email="new@example.com", levels=PRESETS["Viewer"], by=owner)
    path = links.address_of(offer, links.EMAILED).removeprefix("http://localhost:8000")
    invitee = make_user("nick", email="new@example.com")
    for who, state in ((None, "signed_out"), (stranger, "other_account"), (invitee, "accept")):
        client = as_user(who)
        with read_only():
            page = client.get(path)
        assert (page.status_code, page.context["state"]) == (200, state)
    assert as_user(None).post(path).context["state"] == "signed_out"
    assert as_user(stranger).post(path).context["state"] == "other_account"
    assert not Member.objects.exists()
    assert as_user(invitee).post(path)["Location"] == "/p/vision/jobs"
    assert as_user(invitee).post(path).context["state"] == "invalid"
    assert as_user(invitee).get("/invitations/guess/").status_code == 404


def test_names_cannot_inject_anything(as_user, owner, project):
    actions.rename(project=project, name="<script>alert(1)</script>", by=owner)
    for path in ("/projects/", "/p/vision/members", "/p/vision/settings", "/p/vision/remove"):
        assert "<script>alert" not in as_user(owner).get(path).content.decode()
