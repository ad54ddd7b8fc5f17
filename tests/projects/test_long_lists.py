"""Lists of people with many rows: what they cost, and that every row is on one of their pages."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import access
from access import crowds
from billing.prices import floor_hour
from billing.usage import PARTS
from projects import actions, team_members
from projects.levels import PRESETS
from projects.listing import SHOWN
from projects.models import record
from teams import actions as teams
from tests.billing.conftest import prices, spent  # noqa: F401 - a fixture

PAGES = [
    "/p/vision/members",
    "/p/vision/members?q=m",
    "/p/vision/audit",
    "/p/vision/audit?q=member",
    "/p/vision/usage",
    "/p/vision/access?action=job:get",
    "/usage",
    "/rules/",
    "/teams/",
    "/teams/?q=m",
    "/t/lab",
    "/t/lab?q=m",
]


@pytest.fixture
def fill(make_user, project, owner, join):
    """fill(3, 60) makes rows number 3 to 59 of every kind."""
    lab = teams.create(name="Lab", by=owner)

    def make(start, end):
        for place in range(start, end):
            user = make_user(f"m{place:02}")
            join(project, user, "Teammate" if place % 2 else "Viewer")
            actions.invite(project=project, email=f"m{place}@new.example", levels=PRESETS["Viewer"], by=owner)
            actions.create(name=f"M {place}", by=owner)
            crew = teams.create(name=f"M crew {place:02}", by=owner)
            team_members.add(project=project, team=crew, levels=PRESETS["Viewer"], by=owner)
            teams.add_user(team=lab, user=user, role="user", by=owner)
            teams.add_team(outer=lab, inner=crew, by=owner)
            record(by=owner, project=project, action="job:new", after={"name": f"m{place}"})
            used(project, user, place)

    return make


def used(project, user, place):
    cost = {"cpu_hours": place + 1, "cpu_cost": place + 1}
    spent(project, user, place + 1, floor_hour(timezone.now()), **cost)


def cost_of(client, page):
    client.get(page)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(page).status_code == 200
    return len(queries)


@pytest.mark.walk
def test_the_number_of_queries_does_not_grow_with_rows(as_user, owner, fill, prices):  # noqa: F811
    client = as_user(owner)
    fill(0, 3)
    few = {page: cost_of(client, page) for page in PAGES}
    fill(3, 60)
    many = {page: cost_of(client, page) for page in PAGES}
    # How many there are in all is asked where one page does not have them all.
    few["/p/vision/access?action=job:get"] += 1
    # Every page asks about the active project: of each source once, where it is not among those that the page shows.
    few["/rules/"] += 3
    assert {page: (few[page], many[page]) for page in PAGES if many[page] > few[page]} == {}


def walked(client, address, name, key):
    """What all pages of a list have, and the same on the way back."""
    forth = []
    while address:
        page = client.get(address)
        assert len(page.context[name]) <= SHOWN
        forth.append([key(row) for row in page.context[name]])
        address, back = page.context["pages"][name]["older"], page.context["pages"][name]["newer"]
    pages = forth[-1:]
    while back:
        page = client.get(back)
        pages.insert(0, [key(row) for row in page.context[name]])
        back = page.context["pages"][name]["newer"]
    assert pages == forth
    return [row for page in forth for row in page]


def test_members_teams_and_invitations_have_pages_of_their_own(as_user, owner, project, fill):
    fill(0, 2 * SHOWN + 2)
    client, here = as_user(owner), "/p/vision/members"
    numbers = range(2 * SHOWN + 2)
    assert walked(client, here, "members", lambda row: row["user"].username) == [f"m{n:02}" for n in numbers]
    assert walked(client, here, "teams", lambda row: row["team"].name) == [f"M crew {n:02}" for n in numbers]
    invited = walked(client, here, "invitations", lambda row: row["email"])
    assert invited == [f"m{n}@new.example" for n in reversed(numbers)]


def test_a_search_looks_at_names_teams_and_addresses(as_user, owner, project, fill, viewer):
    fill(0, 12)
    page = as_user(owner).get("/p/vision/members", {"q": "M1"})
    assert [row["user"].username for row in page.context["members"]] == ["m10", "m11"]
    assert [row["email"] for row in page.context["invitations"]] == [f"m{n}@new.example" for n in (11, 10, 1)]
    assert page.context["teams"] == []
    assert [row["team"].name for row in as_user(viewer).get("/p/vision/members?q=crew").context["teams"]][:1] == [
        "M crew 00"
    ]
    # A member does not learn of invitations or addresses by looking for them.
    theirs = as_user(viewer).get("/p/vision/members", {"q": "new.example"})
    assert theirs.context["invitations"] == [] and theirs.context["members"] == []
    assert as_user(viewer).get("/p/vision/members", {"q": "@example.com"}).context["members"] == []


@pytest.mark.parametrize("cursor", ["x", "o.1.2", "n.a.99999999999999.1", "o.a.1.999999999", "n.a.-1.-1"])
def test_cursors_that_somebody_made_up(as_user, owner, project, collaborator, cursor):
    asked = {"members": cursor, "teams": cursor, "invitations": cursor}
    assert as_user(owner).get("/p/vision/members", asked).status_code == 200


def test_levels_can_be_changed_for_each_member_of_a_page(as_user, owner, project, fill):
    fill(0, 3)
    page = as_user(owner).get("/p/vision/members").content.decode()
    assert page.count('<select name="job">') == 6
    people = page.split("<aside")[0]
    assert people.count('<option value="own" selected>') == 4 and people.count('<option value="read" selected>') == 20


def test_of_many_parts_of_a_month_the_dearest_show_and_the_rest_sums_up(as_user, owner, project, make_user, prices):  # noqa: F811
    for place in range(PARTS + 2):
        used(project, make_user(f"m{place:02}"), place)
    context = as_user(owner).get("/p/vision/usage").context
    assert [row["name"] for row in context["parts"]] == [f"m{n:02}" for n in range(PARTS + 1, 1, -1)]
    assert (context["others"]["amount"], context["others"]["cpu_hours"]) == (3, 3)
    assert context["total"]["amount"] == sum(range(1, PARTS + 3))
    assert as_user(owner).get("/usage").context["others"] is None


def test_many_who_may_by_a_team_are_counted_and_shown_once(as_user, owner, project, make_user, join, monkeypatch):
    crew = teams.create(name="Crew", by=owner)
    people = [make_user(f"m{place}") for place in range(6)]
    for user in people:
        teams.add_user(team=crew, user=user, role="user", by=owner)
    join(project, people[0], "Viewer")
    team_members.add(project=project, team=crew, levels=PRESETS["Viewer"], by=owner)
    few = access.who("job:get", project, first=4, after="m1")
    monkeypatch.setattr(crowds, "FEW", 3)
    many = access.who("job:get", project, first=4, after="m1")
    assert (many.count, [user.username for user, _ in many.first]) == (7, ["m2", "m3", "m4", "m5"])
    assert few == many
