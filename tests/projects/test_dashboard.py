"""The dashboard of projects: what is owned and what is shared, its counts, its order, its pages, and what it costs to show."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing import ledger
from billing.models import Charge
from billing.prices import floor_hour, this_month
from billing.usage import before
from jobs import transitions
from jobs.models import Job
from projects import actions, purging, team_members, work
from projects.dashboard import SHOWN
from projects.levels import KINDS, PRESETS
from projects.models import AuditEntry, Project
from teams import actions as teams
from tests.access.world import job
from tests.billing.conftest import prices, spent  # noqa: F401 - a fixture


def dashboard(client, **asked):
    """(owned, shared) as the page lists them, and the page."""
    page = client.get("/projects/", asked)
    owned, shared = page.context["lists"]
    return owned["projects"], shared["projects"], page


def test_owned_projects_are_managed_and_shared_ones_left(as_user, owner, project, viewer):
    owned, shared, page = dashboard(as_user(owner))
    assert ([one.name for one in owned], shared) == (["Personal", "Vision"], [])
    assert "/p/vision/settings" in page.content.decode()
    owned, shared, page = dashboard(as_user(viewer))
    assert ([one.name for one in owned], [one.name for one in shared]) == (["Personal"], ["Vision"])
    assert "/p/vision/leave" in page.content.decode() and "/p/vision/settings" not in page.content.decode()


def test_who_is_in_by_a_team_is_told_which(as_user, owner, project, stranger):
    for name in ("Lab", "Crew"):
        team = teams.create(name=name, by=owner)
        teams.add_user(team=team, user=stranger, role="user", by=owner)
        team_members.add(project=project, team=team, levels=PRESETS["Viewer"], by=owner)
    _, [shared], page = dashboard(as_user(stranger))
    assert [team.name for team in shared.by_teams] == ["Crew", "Lab"] and not shared.is_member
    assert "by Crew" in page.content.decode() and "/p/vision/leave" not in page.content.decode()
    assert (shared.member_count, shared.team_count) == (0, 2)


def test_counts(as_user, owner, project, collaborator, viewer):
    one, two = job(project, owner), job(project, owner)
    job(project, owner)
    Job.objects.filter(pk=one.pk).update(state="running")
    Job.objects.filter(pk=two.pk).update(state="failed", ended_at=timezone.now())
    for user, place in ((owner, 0), (viewer, 1)):
        vision = dashboard(as_user(user))[place][-1]
        assert (vision.member_count, vision.running_count, vision.waiting_count, vision.job_count) == (2, 1, 1, 3)
        assert vision.last_activity is not None


def test_who_may_not_see_jobs_is_told_nothing_of_them(as_user, owner, project, make_user, join):
    job(project, owner)
    client = as_user(join(project, make_user("nina"), dict.fromkeys(KINDS, "none")).user)
    _, [shared], page = dashboard(client)
    assert not shared.sees_jobs
    assert "no jobs for you" in page.content.decode() and "waiting" not in page.content.decode().split("tbody")[3]
    assert shared.pages["members"] in page.content.decode()
    assert shared.pages["jobs"] not in page.content.decode()


def charge(project, member, source, cores):
    start = floor_hour(timezone.now()) - timedelta(minutes=30)
    names = {"source": "attempt", "source_id": source, "subject_id": "job-1", "subject_name": "train"}
    whose = {"project": project, "member": member, "cpu_milli": 1000 * cores}
    ledger.charge(ledger.Use(**names, **whose, start=start, until=start + timedelta(minutes=30), over=True))


def test_the_owner_sees_all_that_a_project_cost_and_others_their_own_part(as_user, owner, project, viewer, prices):  # noqa: F811
    if timezone.now().day == 1 and timezone.now().hour == 0:
        pytest.skip("the hour before belongs to another month")
    charge(project, owner, "a", 20)
    charge(project, viewer, "b", 10)
    owned, _, page = dashboard(as_user(owner))
    assert [one.cost_this_month for one in owned] == [0, 1.5] and "1.50 EUR" in page.content.decode()
    _, [shared], page = dashboard(as_user(viewer))
    assert shared.cost_this_month == 0.5 and "0.50 EUR" in page.content.decode()


def test_without_prices_nothing_about_money_shows(as_user, owner, project):
    page = dashboard(as_user(owner))[2]
    assert "This month" not in page.content.decode() and "EUR" not in page.content.decode()


def filled(owner, number):
    return Project.objects.bulk_create(
        Project(name=f"{'aB'[place % 2]} {place:03}", slug=f"p-{place}", owner=owner) for place in range(number)
    )


def walked(client, name, **asked):
    """The names on all pages of a list, and on the way back."""
    address, seen, pages, asked = "/projects/", [], [], {**asked, "view": name}
    while address:
        [listed] = client.get(address, asked).context["lists"]
        pages.append([one.name for one in listed["projects"]])
        address, asked, before = listed["older"], {}, listed["newer"]
    while before:
        [listed] = client.get(before).context["lists"]
        seen.append([one.name for one in listed["projects"]])
        before = listed["newer"]
    assert seen == pages[-2::-1]
    return [one for page in pages for one in page]


@pytest.mark.parametrize("sort", ["", "name", "-name"])
def test_pages_go_through_all_by_name_whatever_its_case_and_back(as_user, owner, sort):
    names = sorted(project.name for project in filled(owner, 3 * SHOWN + 2))
    wanted = ["Personal", *sorted(names, key=str.lower)]
    assert walked(as_user(owner), "owned", sort=sort) == (wanted[::-1] if sort == "-name" else wanted)


def test_by_last_activity_what_happened_last_comes_first(as_user, owner):
    projects = filled(owner, 2 * SHOWN + 2)
    now = timezone.now()
    for place, one in enumerate(projects):
        Project.objects.filter(pk=one.pk).update(active_at=now - timedelta(days=9 + place))
    work.note_activity(projects[-1].pk)
    work.note_activity(owner.owned_projects.get(personal=True).pk)  # made a moment ago: that is near enough
    names = [one.name for one in projects]
    assert walked(as_user(owner), "owned", sort="-activity") == [names[-1], "Personal", *names[:-1]]
    assert walked(as_user(owner), "owned", sort="activity") == [*names[-2::-1], "Personal", names[-1]]


def costs(project, amounts):
    """What each of these people used of the project this month and the month before, the second as much again."""
    for person, amount in amounts.items():
        for back, factor in ((0, 1), (1, 1000)):
            hour = datetime.combine(before(this_month(), back), time(), UTC)
            spent(project, person, Decimal(amount) * factor, hour)


def test_by_cost_the_dearest_of_this_month_comes_first(as_user, owner, stranger, join, prices):  # noqa: F811
    projects = filled(owner, 2 * SHOWN + 2)
    for place, one in enumerate(projects[:-5]):
        costs(one, {owner: "0.07", stranger: f"{place}.100001"})
    names = [one.name for one in projects]
    dearest = walked(as_user(owner), "owned", sort="-cost")
    assert dearest[:-6] == names[-6::-1]
    assert set(dearest[-6:]) == {"Personal", *names[-5:]}
    assert walked(as_user(owner), "owned", sort="cost") == dearest[::-1]
    page = as_user(owner).get("/projects/", {"sort": "-cost"}).content.decode()
    assert page.count('aria-sort="descending"') == 1 and "sort=cost" in page


def test_others_sort_by_their_own_part(as_user, owner, stranger, join, prices):  # noqa: F811
    projects = filled(owner, SHOWN + 3)
    for place, one in enumerate(projects):
        join(one, stranger, "Viewer")
        costs(one, {owner: f"{9 * place}.5", stranger: f"{100 - place}.000001"})
    names = [one.name for one in projects]
    assert walked(as_user(stranger), "shared", sort="-cost") == names
    assert walked(as_user(owner), "owned", sort="cost") == ["Personal", *names]


def test_where_nothing_costs_anything_nobody_sorts_by_it(as_user, owner):
    names = [one.name for one in filled(owner, 3)]
    assert walked(as_user(owner), "owned", sort="-cost") == ["Personal", *sorted(names, key=str.lower)]
    assert "sort=cost" not in as_user(owner).get("/projects/", {"sort": "cost"}).content.decode()


def test_each_change_of_a_jobs_state_is_activity(owner, project, django_capture_on_commit_callbacks):
    one, before = job(project, owner), timezone.now() - timedelta(days=1)
    Project.objects.filter(pk=project.pk).update(active_at=before)
    with django_capture_on_commit_callbacks(execute=True):
        transitions.move(one, "cancelled", reason="stopped")
    project.refresh_from_db()
    assert project.active_at > before + timedelta(hours=23)
    noted = project.active_at
    work.note_activity(project.pk)
    project.refresh_from_db()
    assert project.active_at == noted


def test_shared_projects_have_pages_of_their_own(as_user, owner, stranger, join):
    for one in filled(owner, SHOWN + 3):
        join(one, stranger, "Viewer")
    assert len(walked(as_user(stranger), "shared")) == SHOWN + 3
    owned, shared = as_user(stranger).get("/projects/").context["lists"]
    assert (owned["older"], owned["newer"]) == ("", "") and len(shared["projects"]) == SHOWN
    [listed] = as_user(stranger).get(shared["older"]).context["lists"]
    assert (listed["name"], len(listed["projects"])) == ("shared", 3)


def test_many_owned_projects_leave_those_that_are_shared_a_page_of_their_own(as_user, owner, stranger, join):
    theirs = actions.create(name="Theirs", by=stranger)
    join(theirs, owner)
    filled(owner, SHOWN - 1)
    client = as_user(owner)
    assert [one["name"] for one in client.get("/projects/").context["lists"]] == ["owned", "shared"]
    actions.create(name="One more", by=owner)
    page = client.get("/projects/")
    assert [one["name"] for one in page.context["lists"]] == ["owned"]
    assert 'href="/projects/?view=shared"' in page.content.decode()
    [listed] = client.get("/projects/?view=shared").context["lists"]
    assert [one.name for one in listed["projects"]] == ["Theirs"]


def test_a_search_looks_at_names_and_addresses_in_both_lists(as_user, owner, project, viewer):
    assert [one.name for one in dashboard(as_user(owner), q="visi")[0]] == ["Vision"]
    assert [one.name for one in dashboard(as_user(viewer), q="VISION")[1]] == ["Vision"]
    owned, shared, page = dashboard(as_user(owner), q="<b>_%")
    assert not owned and not shared and "<b>_%" not in page.content.decode()


CURSORS = [
    "x",
    "o.",
    "o.a.b",
    "n.a.b",
    f"o.{'9' * 40}.1",
    "n.a.99999999999999.000000",
    "n.a.-1.-1",
    "n.a.1.9999999",
]


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("sort", ["name", "-activity", "cost", "id"])
def test_cursors_and_orders_that_somebody_made_up(as_user, owner, project, cursor, sort):
    for view in ("", "owned", "shared", "x"):
        page = as_user(owner).get("/projects/", {"page": cursor, "view": view, "sort": sort})
        assert page.status_code == 200


@pytest.mark.walk
@pytest.mark.parametrize(
    "path",
    [
        "/projects/?view=owned",
        "/projects/?view=shared&sort=-activity",
        "/projects/?view=shared&q=p-",
        "/projects/?view=owned&sort=-cost",
    ],
)
def test_the_number_of_queries_does_not_grow(as_user, owner, stranger, prices, path):  # noqa: F811
    def fill(start, end):
        for place in range(start, end):
            mine = actions.create(name=f"P-{place}", by=owner)
            theirs = actions.create(name=f"P-other {place}", by=stranger)
            job(mine, owner)
            team_members.add(project=theirs, team=crew, levels=PRESETS["Viewer"], by=stranger)

    crew = teams.create(name="Crew", by=owner)
    client, counts = as_user(owner), []
    for start, end in ((0, 3), (3, 60)):
        fill(start, end)
        client.get(path)
        with CaptureQueriesContext(connection) as queries:
            assert len(client.get(path).context["lists"][0]["projects"]) >= min(SHOWN, end)
        counts.append(len(queries))
    # What Personal allows is asked of three sources for every page, unless it is in the list.
    assert counts[1] <= counts[0] + 3


def test_a_removed_project_leaves_its_ledger_and_its_trail(as_user, owner, project, prices):  # noqa: F811
    charge(project, owner, "a", 20)
    actions.remove(project=project, by=owner)
    Project.objects.filter(pk=project.pk).update(removed_at=timezone.now() - purging.KEPT - timedelta(seconds=1))
    assert purging.purge() == 1 and not Project.objects.filter(pk=project.pk).exists()
    assert Charge.objects.get(project_id=project.pk).amount == 1
    trail = AuditEntry.objects.of(project).values_list("action", flat=True)
    assert set(trail) == {"project:new", "project:rm", "project:purge"}
    assert "Vision" in as_user(owner).get("/usage").content.decode()


def test_the_box_for_keys_says_why_it_cannot_be_ticked(as_user, owner):
    page = as_user(owner).get("/projects/new").content.decode()
    assert "Copy my Personal project&#x27;s keys" in page and "has no keys yet" in page
    assert 'name="copy_keys"' in page and "disabled" in page.split('name="copy_keys"')[1].split(">")[0]
    assert as_user(owner).post("/projects/new", {"name": "New", "copy_keys": "on"})["Location"] == "/p/new/jobs"
