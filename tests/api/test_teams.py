"""Teams, and who is in them, by programs alone."""

import pytest

from accounts.models import OutgoingEmail
from teams import actions, joining, links
from teams.models import Nesting, Team, TeamInvitation, TeamUser
from tests.api.conftest import cost_of
from tests.api.test_door import problem
from tests.conftest import no_writes


@pytest.fixture
def team(owner) -> Team:
    return actions.create(name="Lab", by=owner)


@pytest.fixture
def here(team) -> str:
    return f"/teams/{team.pk}"


@pytest.fixture
def member(team, owner, make_user):
    """In the team, without a say in it."""
    user = make_user("mia")
    actions.add_user(team=team, user=user, role="user", by=owner)
    return user


def test_a_team_is_made_found_renamed_and_removed(program, owner, stranger):
    asks = program(owner)
    made = asks.post("/teams", {"name": "Radio Lab"})
    team = made.json()
    assert (made.status_code, team["slug"], team["people"], team["mine"]) == (201, "radio-lab", 1, True)
    path = f"/teams/{team['id']}"
    assert program(stranger).get(path).json() == team | {"mine": False}
    for where in ({"q": "RADIO"}, {"name": "Radio Lab"}, {"mine": "true"}):
        assert [one["id"] for one in asks.get("/teams", **where).json()["items"]] == [team["id"]]
    assert asks.get("/teams", mine="false").json()["items"] == []
    changed = asks.patch(path, {"name": "Lab"}, **{"If-Match": made["ETag"]})
    assert changed.json()["name"] == "Lab"
    problem(asks.patch(path, {"name": "Other"}, **{"If-Match": made["ETag"]}), 412, "changed")
    problem(asks.delete(path, **{"If-Match": made["ETag"]}), 412, "changed")
    assert asks.delete(path, **{"If-Match": changed["ETag"]}).status_code == 204
    problem(asks.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("sent", "field"),
    [({"name": " "}, "name"), ({}, "name"), ({"name": "a\0b"}, "name"), ({"name": "a", "slug": "a"}, "slug")],
)
def test_teams_that_make_no_sense_are_refused_by_field(program, owner, sent, field):
    wrong = problem(program(owner).post("/teams", sent), 422, "invalid")
    assert [one["field"] for one in wrong["errors"]] == [field]
    assert not Team.objects.exists()


def test_whoever_may_not_change_a_team_is_told_so(program, member, stranger, owner, here):
    for asks in (program(member), program(stranger)):
        for answer in (
            asks.patch(here, {"name": "Mine"}),
            asks.delete(here),
            asks.post(f"{here}/members", {"user": "stan"}),
            asks.patch(f"{here}/members/{member.pk}", {"role": "owner"}),
            asks.delete(f"{here}/members/{owner.pk}"),
            asks.post(f"{here}/invitations", {"email": "x@example.com"}),
            asks.get(f"{here}/invitations"),
        ):
            problem(answer, 403, "not_granted")
    assert TeamUser.objects.count() == 2


def test_a_roles_key_asks_nothing_about_teams(role_program, here):
    key = role_program("project:*@{urn}")
    for answer in (key.get("/teams"), key.get(here), key.get(f"{here}/members"), key.post("/teams", {"name": "x"})):
        problem(answer, 403, "person_needed")


def test_people_are_taken_in_changed_and_taken_out(program, owner, stranger, here):
    asks = program(owner)
    added = asks.post(f"{here}/members", {"user": "stan", "role": "admin"})
    assert (added.status_code, added.json()["role"], added.json()["user"]["id"]) == (201, "admin", stranger.pk)
    problem(asks.post(f"{here}/members", {"user": "stan"}), 409, "conflict")
    path = f"{here}/members/{stranger.pk}"
    with no_writes():
        answer = asks.get(f"{here}/members")
    assert [(one["user"]["username"], one["role"]) for one in answer.json()["items"]] == [
        ("olga", "owner"),
        ("stan", "admin"),
    ]
    assert "@" not in answer.content.decode()
    problem(program(stranger).patch(path, {"role": "owner"}), 403, "not_granted")
    changed = asks.patch(path, {"role": "user"}, **{"If-Match": added["ETag"]})
    assert changed.json()["role"] == "user"
    problem(asks.patch(path, {"role": "admin"}, **{"If-Match": added["ETag"]}), 412, "changed")
    problem(asks.delete(path, **{"If-Match": added["ETag"]}), 412, "changed")
    assert asks.delete(path, **{"If-Match": changed["ETag"]}).status_code == 204
    problem(asks.get(path), 404, "not_found")


def test_one_leaves_by_oneself_but_the_last_owner_stays(program, owner, member, here):
    problem(program(owner).post(f"{here}/leave"), 409, "conflict")
    assert program(member).post(f"{here}/leave").status_code == 204
    problem(program(member).post(f"{here}/leave"), 404, "not_found")


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"user": "nobody"}, "user"),
        ({"user": "no body@example.com"}, "user"),
        ({"user": "a\0b"}, "user"),
        ({"user": ""}, "user"),
        ({"user": "stan", "role": "king"}, "role"),
    ],
)
def test_who_cannot_be_taken_in_is_refused_by_field(program, owner, stranger, here, sent, field):
    wrong = problem(program(owner).post(f"{here}/members", sent), 422, "invalid")
    assert [one["field"] for one in wrong["errors"]] == [field]


def test_an_address_is_invited_whether_it_is_known_or_not(program, owner, stranger, here):
    asks = program(owner)
    answers = [asks.post(f"{here}/members", {"user": email}) for email in (stranger.email, "new@example.com")]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json().keys() == answers[1].json().keys()
    assert not TeamUser.objects.filter(user=stranger).exists()


def test_an_invitation_is_made_once_sent_again_and_taken_back(program, owner, here):
    asks, key = program(owner), {"Idempotency-Key": "once"}
    made = asks.post(f"{here}/invitations", {"email": "New@example.com", "role": "admin"}, **key).json()
    again = asks.post(f"{here}/invitations", {"email": "New@example.com", "role": "admin"}, **key).json()
    assert again == made
    assert OutgoingEmail.objects.count() == TeamInvitation.objects.count() == 1
    assert asks.get(f"{here}/invitations").json()["items"] == [made]
    sent = asks.post(f"{here}/invitations/{made['id']}/send").json()
    assert sent["link"] != made["link"]
    assert asks.delete(f"{here}/invitations/{made['id']}").status_code == 204
    problem(asks.get(f"{here}/invitations/{made['id']}"), 404, "not_found")
    wrong = problem(asks.post(f"{here}/invitations", {"email": "nobody"}), 422, "invalid")
    assert [one["field"] for one in wrong["errors"]] == ["email"]


def test_an_invitation_is_accepted_by_whom_it_is_for(program, owner, stranger, make_user, team):
    dora = make_user("dora")
    offer = joining.invite(team=team, email=dora.email, role="user", by=owner)
    token = links.token_of(offer, links.EMAILED)
    problem(program(stranger).post("/team-invitations/accept", {"token": token}), 403, "other_account")
    assert program(dora).post("/team-invitations/accept", {"token": token}).json()["id"] == team.pk
    problem(program(dora).post("/team-invitations/accept", {"token": token}), 404, "not_found")


def test_teams_are_in_teams(program, owner, member, stranger, team, here):
    asks, outer = program(owner), actions.create(name="Institute", by=owner)
    path = f"/teams/{outer.pk}"
    assert asks.post(f"{path}/teams", {"team": team.pk}).json() == {
        "team": {"id": team.pk, "urn": team.urn, "name": "Lab"},
        "mine": True,
    }
    problem(asks.post(f"{here}/teams", {"team": outer.pk}), 409, "conflict")
    assert [one["team"]["id"] for one in asks.get(f"{path}/teams").json()["items"]] == [team.pk]
    assert [one["team"]["id"] for one in asks.get(f"{here}/teams", which="outer").json()["items"]] == [outer.pk]
    assert [one["username"] for one in asks.get(f"{path}/people").json()["items"]] == ["mia", "olga"]
    assert len(asks.get(f"{path}/members").json()["items"]) == 1
    problem(program(stranger).delete(f"{path}/teams/{team.pk}"), 403, "not_granted")
    assert asks.delete(f"{path}/teams/{team.pk}").status_code == 204
    problem(asks.delete(f"{path}/teams/{team.pk}"), 404, "not_found")
    for wrong in ("a" * 16, "\0"):
        problem(asks.post(f"{path}/teams", {"team": wrong}), 422, "invalid")


def test_nothing_of_another_team_is_reached_through_this_one(program, owner, member, team, here):
    other = actions.create(name="Other", by=owner)
    sent = joining.invite(team=team, email="x@example.com", role="user", by=owner)
    third = actions.create(name="Third", by=owner)
    actions.add_team(outer=team, inner=third, by=owner)
    asks, path = program(owner), f"/teams/{other.pk}"
    for what in (f"members/{member.pk}", f"invitations/{sent.pk}", f"teams/{third.pk}"):
        problem(asks.delete(f"{path}/{what}"), 404, "not_found")
    problem(asks.patch(f"{path}/members/{member.pk}", {"role": "admin"}), 404, "not_found")
    problem(asks.post(f"{path}/invitations/{sent.pk}/send"), 404, "not_found")
    assert Nesting.objects.count() == 1


def test_long_lists_cost_as_many_queries_as_short_ones(program, owner, make_user, team, here):
    def grow(since: int, until: int) -> None:
        for number in range(since, until):
            user = make_user(f"user{number}")
            actions.add_user(team=team, user=user, role="user", by=owner)
            joining.invite(team=team, email=f"x{number}@example.com", role="user", by=owner)
            actions.add_team(outer=team, inner=actions.create(name=f"Inner {number}", by=user), by=owner)

    def cost() -> list[int]:
        return cost_of(
            program(owner), "/teams", f"{here}/members", f"{here}/people", f"{here}/invitations", f"{here}/teams"
        )

    grow(0, 3)
    number, *few = cost()
    grow(3, 30)
    assert number == 3
    assert cost() == [30, *few]
