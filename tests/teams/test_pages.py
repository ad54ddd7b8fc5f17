"""Pages of teams."""

from teams import actions
from teams.models import Role, TeamUser


def test_a_team_is_made_filled_and_left_through_its_pages(as_user, owner, stranger):
    client = as_user(owner)
    assert "Create the first team" in client.get("/teams/").content.decode()
    made = client.post("/teams/new", {"name": "Lab <b>one</b>"})
    assert made["Location"] == "/t/lab-boneb"
    page = client.post(f"{made['Location']}/users/add", {"username": stranger.username, "role": "admin"}, follow=True)
    assert stranger.shown in page.content.decode() and "<b>one" not in page.content.decode()
    member = TeamUser.objects.get(user=stranger)
    client.post(f"{made['Location']}/users/{member.pk}/set", {"role": "user"})
    assert TeamUser.objects.get(user=stranger).role == Role.USER
    assert as_user(stranger).post(f"{made['Location']}/users/{member.pk}/remove", follow=True).status_code == 200
    assert not TeamUser.objects.filter(user=stranger).exists()


def test_wrong_names_are_said_at_their_fields(as_user, owner, team, take_in, stranger):
    client = as_user(owner)
    assert (
        "Nobody here has this username"
        in client.post("/t/lab/users/add", {"username": "<i>x", "role": "user"}).content.decode()
    )
    assert "No team has this address" in client.post("/t/lab/teams/add", {"team": "nope"}).content.decode()
    take_in(stranger)
    again = client.post("/t/lab/users/add", {"username": stranger.username, "role": "user"})
    assert "is in this team already" in again.content.decode()
    assert "cannot also be the other way round" in client.post("/t/lab/teams/add", {"team": "lab"}).content.decode()


def test_the_last_owner_is_told_why_they_stay(as_user, owner, team):
    place = TeamUser.objects.get(team=team, user=owner)
    page = as_user(owner).post(f"/t/lab/users/{place.pk}/remove", follow=True)
    assert "A team keeps an owner" in page.content.decode()


def test_a_place_of_another_team_is_not_reached_through_ones_own(as_user, owner, team, make_user):
    other = make_user("other")
    theirs = actions.create(name="Theirs", by=other)
    place = TeamUser.objects.get(team=theirs)
    assert as_user(owner).post(f"/t/lab/users/{place.pk}/set", {"role": "user"}).status_code == 404
    assert as_user(owner).post(f"/t/lab/users/{place.pk}/remove").status_code == 404


def test_addresses_of_people_are_not_shown(as_user, owner, stranger, team):
    page = as_user(stranger).get("/t/lab").content.decode()
    assert owner.shown in page and owner.email not in page


def test_ones_own_teams_come_first_and_all_by_name(as_user, owner, stranger, django_assert_max_num_queries):
    for number in range(57):
        actions.create(name=f"{'Tt'[number % 2]}eam {number:02}", by=stranger)
    for name in ("Zoo", "aunt"):
        actions.create(name=name, by=owner)
    client = as_user(owner)
    with django_assert_max_num_queries(15):
        first = client.get("/teams/")
    second = client.get(first.context["older"])
    names = [team.name.lower() for page in (first, second) for team in page.context["teams"]]
    assert names == ["aunt", "zoo", *[f"team {number:02}" for number in range(57)]]
    assert [team.mine for team in first.context["teams"]] == [True, True, *[False] * 48]
    assert client.get(second.context["newer"]).context["teams"] == first.context["teams"]
    found = client.get("/teams/", {"q": "TEAM 1"}).context["teams"]
    assert [team.name.lower() for team in found] == [f"team 1{n}" for n in range(10)]


def test_the_people_of_a_large_team_come_in_pages_and_are_found_by_name(as_user, owner, team, make_user, take_in):
    people = [make_user(f"user{number:02}", name=f"{'Bo' if number % 2 else 'Al'} {number}") for number in range(44)]
    take_in(*people)
    client = as_user(owner)
    first = client.get("/t/lab")
    second = client.get(first.context["pages"]["members"]["older"])
    seen = [member.user for page in (first, second) for member in page.context["members"]]
    assert seen == [owner, *people] and first.context["people"] == 45
    found = client.get("/t/lab", {"q": "bo 4"}).context["members"]
    assert [member.user.username for member in found] == ["user41", "user43"]
    assert "Nobody is called “&lt;b&gt;”" in client.get("/t/lab", {"q": "<b>"}).content.decode()
    assert client.get("/t/lab", {"page": "o.x.1", "inner": "n.x.y"}).status_code == 200
