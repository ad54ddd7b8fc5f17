"""What is the same for every operation: who may enter, problems, limits, edits and requests made twice."""

import time

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.urls import reverse

from accounts import tokens
from accounts.models import PersonalToken
from api import limits
from api.models import Answer
from projects.models import Project
from tests.api.conftest import ROOT, Program
from tests.at_once import at_once


def problem(response, status: int, code: str) -> dict:
    """The problem document of an answer, which must be one of this status and code."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    document = response.json()
    assert (document["status"], document["code"]) == (status, code)
    assert document["detail"]
    assert document["reference"] == response["X-Reference"]
    return document


def test_nobody_is_told_how_to_come_in(program):
    answer = program(None).get("/me")
    assert "Authorization" in problem(answer, 401, "not_signed_in")["detail"]
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("text", ["Bearer", "Bearer mlt_" + "x" * 43, "Basic YTpi", "Bearer \x7f", "mlt_nothing"])
def test_a_bad_token_is_an_error_even_beside_a_session(owner, as_user, text):
    answer = as_user(owner).get(f"{ROOT}/me", headers={"Authorization": text})
    problem(answer, 401, "not_signed_in")


def test_a_token_stands_for_its_owner(program, owner):
    me = program(owner).get("/me").json()
    assert (me["username"], me["email"], me["mine"], me["token"]["name"]) == ("olga", owner.email, True, "test")


def test_a_token_that_only_reads_changes_nothing(program, owner):
    reader = program(owner, "read")
    assert reader.get("/projects").status_code == 200
    problem(reader.post("/projects", {"name": "No"}), 403, "read_only_token")
    assert not Project.objects.filter(name="No").exists()


def test_a_roles_key_is_nobody(role_program, project):
    key = role_program("project:get@{urn}")
    me = key.get("/me").json()
    assert (me["id"], me["role"]["name"], me["token"]) == (None, "ci", None)
    assert [one["id"] for one in key.get("/projects").json()["items"]] == [project.pk]
    problem(key.post("/projects", {"name": "No"}), 403, "person_needed")


def test_a_session_needs_the_token_of_its_forms_to_change_something(owner, settings):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner, backend="accounts.backends.Backend")
    assert browser.get(f"{ROOT}/me").json()["username"] == "olga"
    post = {"path": f"{ROOT}/projects", "data": {"name": "Page"}, "content_type": "application/json"}
    problem(browser.post(**post), 403, "csrf")
    browser.get(reverse("projects:new"))
    assert (
        browser.post(**post, headers={"X-CSRFToken": browser.cookies[settings.CSRF_COOKIE_NAME].value}).status_code
        == 201
    )


def test_whoever_lacks_the_second_step_that_is_required_comes_in_by_nothing(owner, as_user, program, settings):
    token = program(owner)
    settings.REQUIRE_MFA = True
    problem(as_user(owner).get(f"{ROOT}/me"), 403, "second_step_required")
    problem(token.get("/me"), 401, "not_signed_in")


def test_what_is_not_there_and_what_cannot_be_done_there_are_problems(program, owner, project):
    asks = program(owner)
    problem(asks.get("/nothing"), 404, "not_found")
    problem(asks.get("/projects/nothing"), 404, "not_found")
    answer = asks.put(f"/projects/{project.pk}", {})
    problem(answer, 405, "method_not_allowed")
    assert {one.strip() for one in answer["Allow"].split(",")} == {"GET", "PATCH", "DELETE"}
    problem(asks.client.get(f"{ROOT}/me%00", headers=asks.headers), 400, "bad_request")


def test_all_that_is_wrong_is_said_at_once_and_by_name(program, owner):
    asks = program(owner)
    wrong = problem(asks.post("/projects", {"name": "x" * 101, "colour": "red"}), 422, "invalid")
    assert {one["field"] for one in wrong["errors"]} == {"name", "colour"}
    wrong = problem(asks.get("/projects", mien="true"), 422, "invalid")
    assert wrong["errors"][0]["field"] == "mien"
    answer = asks.client.post(f"{ROOT}/projects", "{", content_type="application/json", headers=asks.headers)
    problem(answer, 400, "bad_request")


def test_only_the_fields_that_were_asked_for_are_answered(program, owner, project):
    asks = program(owner)
    assert asks.get(f"/projects/{project.pk}", fields="id,name").json() == {"id": project.pk, "name": "Vision"}
    items = asks.get("/projects", fields="slug").json()["items"]
    assert items == [{"slug": "personal-olga"}, {"slug": "vision"}]
    problem(asks.get("/me", fields="password"), 422, "invalid")


def test_pages_follow_each_other_by_cursor(program, owner, project):
    asks = program(owner)
    first = asks.get("/projects", limit=1).json()
    assert first["previous"] is None
    second = asks.get("/projects", limit=1, cursor=first["next"]).json()
    assert [one["name"] for one in first["items"] + second["items"]] == ["Personal", "Vision"]
    assert second["next"] is None
    assert asks.get("/projects", limit=1, cursor=second["previous"]).json()["items"] == first["items"]
    for nonsense in ("x", "o.", f"o.{project.pk}", "n..", "o.-.\ud7ff"):
        problem(asks.get("/projects", cursor=nonsense, sort="-created_at"), 422, "invalid")
    problem(asks.get("/projects", limit=0), 422, "invalid")
    problem(asks.get("/projects", sort="colour"), 422, "invalid")


def test_an_edit_of_what_somebody_else_has_changed_is_refused(program, owner, project):
    asks = program(owner)
    tag = asks.get(f"/projects/{project.pk}")["ETag"]
    answer = asks.patch(f"/projects/{project.pk}", {"name": "First"}, **{"If-Match": tag})
    assert (answer.status_code, answer.json()["name"]) == (200, "First")
    assert answer["ETag"] != tag
    problem(asks.patch(f"/projects/{project.pk}", {"name": "Second"}, **{"If-Match": tag}), 412, "changed")
    assert asks.get(f"/projects/{project.pk}").json()["name"] == "First"


def test_a_request_made_twice_is_done_once(program, owner):
    asks, key = program(owner), {"Idempotency-Key": "a key"}
    first = asks.post("/projects", {"name": "Once"}, **key)
    again = asks.post("/projects", {"name": "Once"}, **key)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert again["Idempotency-Replayed"] == "true"
    assert Project.objects.filter(name="Once").count() == 1
    problem(asks.post("/projects", {"name": "Other"}, **key), 422, "idempotency_mismatch")
    assert b"Once" not in bytes(Answer.objects.get().body)


def test_a_key_is_for_one_person_and_what_failed_is_tried_again(program, owner, make_user):
    key = {"Idempotency-Key": "shared"}
    problem(program(owner).post("/projects", {"name": " "}, **key), 422, "invalid")
    assert not Answer.objects.exists()
    for user in (owner, make_user("other")):
        assert program(user).post("/projects", {"name": "Theirs"}, **key).status_code == 201
    assert Project.objects.filter(name="Theirs").count() == 2
    problem(program(owner).post("/projects", {"name": "x"}, **{"Idempotency-Key": "é"}), 400, "bad_request")


@pytest.mark.django_db(transaction=True)
def test_two_requests_with_one_key_at_once_make_one_thing(make_user):
    token = tokens.make(user=make_user("olga"), name="t", scope="all", days=1)

    def ask():
        return Program(token).post("/projects", {"name": "Once"}, **{"Idempotency-Key": "k"})

    answers = at_once(ask, ask, ask)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Project.objects.filter(name="Once").count() == 1


def test_too_many_requests_are_told_when_to_come_again(program, owner, settings, redis, monkeypatch):
    minute = time.time() // limits.WINDOW * limits.WINDOW
    monkeypatch.setattr(limits.time, "time", lambda: minute + 18)
    settings.MLTEAM_API_RATE = 3
    asks = program(owner)
    answers = [asks.get("/me") for _ in range(4)]
    left = [answer["RateLimit-Remaining"] for answer in answers[:3]]
    assert left == ["2", "1", "0"]
    problem(answers[3], 429, "too_many_requests")
    assert answers[3]["Retry-After"] == "42"


def test_a_token_of_an_account_that_was_closed_is_worth_nothing(program, owner):
    asks = program(owner)
    owner.is_active = False
    owner.password = make_password(None)
    owner.save()
    problem(asks.get("/me"), 401, "not_signed_in")
    assert PersonalToken.objects.count() == 1
