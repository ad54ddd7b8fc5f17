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


def test_many_teams_are_found_by_name(as_user, owner, django_assert_max_num_queries):
    for number in range(120):
        actions.create(name=f"Team {number:03}", by=owner)
    client = as_user(owner)
    with django_assert_max_num_queries(12):
        page = client.get("/teams/")
    assert len(page.context["teams"]) == 100 and page.context["more"]
    assert [team.name for team in client.get("/teams/", {"q": "team 11"}).context["teams"]] == [
        f"Team 11{n}" for n in range(10)
    ]
