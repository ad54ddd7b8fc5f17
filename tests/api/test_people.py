"""One's own account and its tokens, and who else there is."""

import pytest

from accounts import tokens
from accounts.models import PersonalToken, User
from tests.api.test_door import problem


def test_what_is_said_changes_and_the_rest_stays(program, owner):
    asks = program(owner)
    answer = asks.patch("/me", {"name": "Olga O.", "time_zone": "Europe/Vienna", "emails": {"added": False}})
    me = answer.json()
    assert (me["name"], me["time_zone"], me["username"]) == ("Olga O.", "Europe/Vienna", "olga")
    assert me["emails"] == {"added": False, "membership": True, "budget": True}
    assert asks.get("/me").json() == me
    owner.refresh_from_db()
    assert (owner.name, owner.muted, owner.theme) == ("Olga O.", ["added"], "auto")
    assert asks.patch("/me", {"emails": {"budget": False}}).json()["emails"]["added"] is False
    assert asks.patch("/me", {"emails": {"added": True}}).json()["emails"] == me["emails"] | {
        "added": True,
        "budget": False,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "stan"),
        ("username", "all"),
        ("username", ""),
        ("username", None),
        ("name", "a\nb"),
        ("time_zone", "Mars/Olympus"),
        ("theme", "pink"),
        ("emails", {"letters": True}),
        ("emails", {"added": None}),
        ("email", "other@example.com"),
        ("admin", True),
    ],
)
def test_what_is_wrong_is_said_by_name_and_changes_nothing(program, owner, stranger, field, value):
    wrong = problem(program(owner).patch("/me", {"name": "New", field: value}), 422, "invalid")
    assert field in {one["field"].split(".")[0] for one in wrong["errors"]}
    assert User.objects.get(pk=owner.pk).username == "olga"
    assert field == "name" or User.objects.get(pk=owner.pk).name == "Olga Owner"


def test_of_two_who_edit_the_second_is_told(program, owner):
    asks = program(owner)
    tag = {"If-Match": asks.get("/me")["ETag"]}
    assert asks.patch("/me", {"name": "First"}, **tag).status_code == 200
    problem(asks.patch("/me", {"name": "Second"}, **tag), 412, "changed")


def test_tokens_are_listed_and_revoked(program, owner, stranger):
    asks, other = program(owner), program(owner)
    theirs = program(stranger)
    items = asks.get("/me/tokens").json()["items"]
    assert [one["name"] for one in items] == ["test", "test"]
    assert not {"digest", "text", "user"} & set(items[0])
    assert len(asks.get("/me/tokens", limit=1).json()["items"]) == 1
    mine = asks.get("/me").json()["token"]["id"]
    second = next(one["id"] for one in items if one["id"] != mine)
    problem(theirs.delete(f"/me/tokens/{second}"), 404, "not_found")
    assert asks.delete(f"/me/tokens/{second}").status_code == 204
    problem(other.get("/me"), 401, "not_signed_in")
    assert PersonalToken.objects.filter(user=owner).count() == 1


@pytest.mark.parametrize("scope", ["read", "all"])
def test_a_token_ends_itself(program, owner, scope):
    asks, stays = program(owner, scope), program(owner)
    assert asks.delete("/me/tokens/current").status_code == 204
    problem(asks.get("/me"), 401, "not_signed_in")
    assert stays.get("/me").status_code == 200


def test_a_token_that_reads_ends_no_other(program, owner):
    reads = program(owner, "read")
    other = tokens.of(owner).first()
    problem(reads.delete(f"/me/tokens/{other.pk}"), 403, "read_only_token")


def test_people_are_found_by_name_and_by_username_and_never_by_address(program, owner, stranger, make_user):
    closed = make_user("gone")
    User.objects.filter(pk=closed.pk).update(is_active=False)
    asks = program(stranger)
    answer = asks.get("/users")
    assert [(one["username"], one["mine"]) for one in answer.json()["items"]] == [("olga", False), ("stan", True)]
    assert "@" not in answer.content.decode()
    assert [one["id"] for one in asks.get("/users", q="OLGA own").json()["items"]] == [owner.pk]
    assert [one["id"] for one in asks.get("/users", username="olga").json()["items"]] == [owner.pk]
    for nothing in ({"q": "example.com"}, {"username": "gone"}, {"username": "olg"}):
        assert asks.get("/users", **nothing).json()["items"] == []
    assert asks.get(f"/users/{owner.pk}", fields="urn").json() == {"urn": f"mlteam:user:{owner.pk}"}
    problem(asks.get(f"/users/{closed.pk}"), 404, "not_found")


def test_people_are_no_business_of_a_roles_key(role_program, owner):
    key = role_program("project:get@{urn}")
    for answer in (key.get("/users"), key.get(f"/users/{owner.pk}"), key.get("/me/tokens"), key.patch("/me", {})):
        problem(answer, 403, "person_needed")
