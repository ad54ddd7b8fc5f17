"""Who is in a project, by programs alone: members, teams, invitations, owners."""

import pytest

from accounts.models import OutgoingEmail
from projects import actions, links, team_members
from projects.levels import PRESETS
from projects.models import Invitation, Member
from teams import actions as teams
from tests.api.conftest import cost_of
from tests.api.test_door import problem
from tests.conftest import no_writes

ALL = dict.fromkeys(("job", "dataset", "model", "volume"), "all")


@pytest.fixture
def here(project) -> str:
    return f"/projects/{project.pk}"


def test_members_are_listed_without_their_addresses(program, viewer, collaborator, here):
    asks = program(viewer)
    asks.get("/me")  # notes that the token is used
    with no_writes():
        answer = asks.get(f"{here}/members")
    items = answer.json()["items"]
    assert [(one["user"]["username"], one["mine"]) for one in items] == [("vera", True), ("carl", False)]
    assert items[1]["levels"] == PRESETS["Collaborator"]
    assert "@" not in answer.content.decode()
    assert len(program(viewer).get(f"{here}/members", q="CAR").json()["items"]) == 1


def test_levels_are_changed_by_whoever_saw_them_last(program, owner, viewer, here):
    asks, path = program(owner), f"{here}/members/{viewer.pk}"
    tag = asks.get(path)["ETag"]
    answer = asks.patch(path, {"preset": "Teammate"}, **{"If-Match": tag})
    assert answer.json()["levels"] == PRESETS["Teammate"]
    problem(asks.patch(path, {"levels": ALL}, **{"If-Match": tag}), 412, "changed")
    problem(asks.delete(path, **{"If-Match": tag}), 412, "changed")
    assert asks.patch(path, {"levels": ALL}, **{"If-Match": answer["ETag"]}).json()["levels"] == ALL
    assert asks.delete(path).status_code == 204
    problem(asks.get(path), 404, "not_found")
    problem(program(viewer).get(here), 404, "not_found")


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "levels"),
        ({"levels": ALL, "preset": "Full"}, "levels"),
        ({"levels": ALL | {"job": "some"}}, "levels.job"),
        ({"levels": {"job": "all"}}, "levels.dataset"),
        ({"preset": "Everything"}, "preset"),
        ({"preset": "Full", "colour": "red"}, "colour"),
    ],
)
def test_levels_that_make_no_sense_are_refused_by_field(program, owner, viewer, here, sent, field):
    wrong = problem(program(owner).patch(f"{here}/members/{viewer.pk}", sent), 422, "invalid")
    assert field in {one["field"] for one in wrong["errors"]}


def test_whoever_may_not_share_changes_nobody(program, viewer, collaborator, stranger, here):
    path = f"{here}/members/{viewer.pk}"
    problem(program(collaborator).patch(path, {"preset": "Full"}), 403, "not_granted")
    problem(program(collaborator).delete(path), 403, "not_granted")
    problem(program(collaborator).get(f"{here}/invitations"), 403, "not_granted")
    for answer in (program(stranger).get(f"{here}/members"), program(stranger).delete(path)):
        problem(answer, 404, "not_found")


def test_nothing_of_another_project_is_reached_through_this_one(program, owner, make_user, join, here):
    other = actions.create(name="Other", by=owner)
    member = join(other, make_user("dora"))
    sent = actions.invite(project=other, email="x@example.com", levels=ALL, by=owner)
    team = teams.create(name="Lab", by=owner)
    team_members.add(project=other, team=team, levels=ALL, by=owner)
    asks = program(owner)
    for path in (f"members/{member.user_id}", f"members/{member.pk}", f"invitations/{sent.pk}", f"teams/{team.pk}"):
        problem(asks.get(f"{here}/{path}"), 404, "not_found")
        problem(asks.delete(f"{here}/{path}"), 404, "not_found")
    problem(asks.patch(f"{here}/members/{member.user_id}", {"preset": "Full"}), 404, "not_found")
    problem(asks.patch(f"{here}/teams/{team.pk}", {"preset": "Full"}), 404, "not_found")
    problem(asks.post(f"{here}/invitations/{sent.pk}/send"), 404, "not_found")
    problem(asks.post(f"{here}/offer", {"user": member.user_id}), 422, "invalid")
    assert Member.objects.filter(pk=member.pk).exists()


def test_a_roles_key_reads_members_and_changes_none(role_program, viewer, here):
    key = role_program("project:*@{urn}")
    [one] = key.get(f"{here}/members").json()["items"]
    assert not one["mine"]
    for answer in (
        key.patch(f"{here}/members/{viewer.pk}", {"preset": "Full"}),
        key.delete(f"{here}/members/{viewer.pk}"),
        key.post(f"{here}/invitations", {"email": "x@example.com", "preset": "Viewer"}),
        key.post(f"{here}/leave"),
        key.post(f"{here}/offer", {"user": viewer.pk}),
    ):
        problem(answer, 403, "person_needed")


def test_one_leaves_by_oneself(program, owner, viewer, here):
    assert program(viewer).post(f"{here}/leave").status_code == 204
    problem(program(viewer).post(f"{here}/leave"), 404, "not_found")
    problem(program(owner).post(f"{here}/leave"), 403, "owner")


# Invitations


def test_an_invitation_is_made_once_seen_sent_again_and_taken_back(program, owner, here):
    asks, key = program(owner), {"Idempotency-Key": "once"}
    sent = {"email": "New@Example.com", "preset": "Viewer"}
    made = asks.post(f"{here}/invitations", sent, **key)
    assert (made.status_code, made.json()["email"], made.json()["sent"]) == (201, "new@example.com", "waiting")
    assert asks.post(f"{here}/invitations", sent, **key).json() == made.json()
    assert OutgoingEmail.objects.count() == Invitation.objects.count() == 1
    [listed] = asks.get(f"{here}/invitations").json()["items"]
    assert listed == made.json()
    assert listed["levels"] == PRESETS["Viewer"]
    again = asks.post(f"{here}/invitations/{listed['id']}/send").json()
    assert again["link"] != listed["link"]
    assert asks.delete(f"{here}/invitations/{listed['id']}").status_code == 204
    problem(asks.delete(f"{here}/invitations/{listed['id']}"), 404, "not_found")


@pytest.mark.parametrize("email", ["nobody", "", "olga@example.com", "a b@example.com"])
def test_who_cannot_be_invited_is_refused_by_field(program, owner, here, email):
    wrong = problem(program(owner).post(f"{here}/invitations", {"email": email, "preset": "Full"}), 422, "invalid")
    assert [one["field"] for one in wrong["errors"]] == ["email"]


def test_an_invitation_is_accepted_by_whom_it_is_for(program, owner, stranger, make_user, project):
    dora = make_user("dora")
    offer = actions.invite(project=project, email=dora.email, levels=PRESETS["Viewer"], by=owner)
    token = links.token_of(offer, links.EMAILED)
    problem(program(stranger).post("/invitations/accept", {"token": token}), 403, "other_account")
    problem(program(dora).post("/invitations/accept", {"token": token + "x"}), 404, "not_found")
    assert program(dora).post("/invitations/accept", {"token": token}).json()["id"] == project.pk
    problem(program(dora).post("/invitations/accept", {"token": token}), 404, "not_found")


def test_a_personal_project_is_shared_with_nobody(program, owner):
    personal = owner.owned_projects.get(personal=True)
    sent = {"email": "x@example.com", "preset": "Viewer"}
    problem(program(owner).post(f"/projects/{personal.pk}/invitations", sent), 403, "personal")
    assert not Invitation.objects.exists()


# Teams


def test_a_project_is_shared_with_a_team(program, owner, viewer, here):
    asks, team = program(owner), teams.create(name="Lab", by=viewer)
    made = asks.post(f"{here}/teams", {"team": team.pk, "preset": "Teammate"})
    assert (made.status_code, made.json()["team"]["name"]) == (201, "Lab")
    problem(asks.post(f"{here}/teams", {"team": team.pk, "preset": "Full"}), 409, "conflict")
    path = f"{here}/teams/{team.pk}"
    changed = asks.patch(path, {"levels": ALL}, **{"If-Match": made["ETag"]})
    assert changed.json()["levels"] == ALL
    problem(asks.patch(path, {"preset": "Viewer"}, **{"If-Match": made["ETag"]}), 412, "changed")
    [listed] = program(viewer).get(f"{here}/teams").json()["items"]
    assert listed["mine"]
    assert not asks.get(path).json()["mine"]
    assert asks.delete(path, **{"If-Match": changed["ETag"]}).status_code == 204
    assert asks.get(f"{here}/teams").json()["items"] == []


@pytest.mark.parametrize("team", ["a" * 16, "nothing", "\0" * 16])
def test_a_team_that_is_not_there_is_refused_by_field(program, owner, here, team):
    wrong = problem(program(owner).post(f"{here}/teams", {"team": team, "preset": "Full"}), 422, "invalid")
    assert [one["field"] for one in wrong["errors"]] == ["team"]


# Owners


def test_a_project_changes_hands(program, owner, viewer, collaborator, here):
    asks, theirs = program(owner), program(viewer)
    problem(asks.get(f"{here}/offer"), 404, "not_found")
    problem(theirs.post(f"{here}/offer", {"user": viewer.pk}), 403, "not_granted")
    offered = asks.post(f"{here}/offer", {"user": viewer.pk})
    assert (offered.status_code, offered.json()["user"]["id"]) == (201, viewer.pk)
    problem(program(collaborator).get(f"{here}/offer"), 404, "not_found")
    problem(program(collaborator).post(f"{here}/offer/accept"), 409, "conflict")
    assert theirs.get(f"{here}/offer").json()["mine"]
    taken = theirs.post(f"{here}/offer/accept").json()
    assert (taken["owner"]["id"], taken["mine"]) == (viewer.pk, True)
    assert [one["user"]["id"] for one in asks.get(f"{here}/members").json()["items"]] == [collaborator.pk, owner.pk]


def test_an_offer_is_declined_or_taken_back(program, owner, viewer, here):
    asks = program(owner)
    asks.post(f"{here}/offer", {"user": viewer.pk})
    assert program(viewer).post(f"{here}/offer/decline").status_code == 204
    problem(asks.delete(f"{here}/offer"), 409, "conflict")
    asks.post(f"{here}/offer", {"user": viewer.pk})
    assert asks.delete(f"{here}/offer").status_code == 204
    problem(program(viewer).post(f"{here}/offer/accept"), 409, "conflict")


def test_long_lists_cost_as_many_queries_as_short_ones(program, owner, make_user, join, project, here):
    def grow(since: int, until: int) -> None:
        for number in range(since, until):
            user = make_user(f"user{number}")
            join(project, user)
            actions.invite(project=project, email=f"x{number}@example.com", levels=ALL, by=owner)
            team = teams.create(name=f"Team {number}", by=user)
            team_members.add(project=project, team=team, levels=ALL, by=owner)

    def cost() -> list[int]:
        return cost_of(program(owner), f"{here}/members", f"{here}/teams", f"{here}/invitations")

    grow(0, 3)
    number, *few = cost()
    grow(3, 30)
    assert number == 3
    assert cost() == [30, *few]
