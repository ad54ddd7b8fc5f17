"""The first account: one token, one admin, and nothing without it."""

from functools import partial
from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.urls import reverse

from accounts import first
from accounts.actions import SetupClosed, create_first_account
from accounts.models import Installation, User
from tests.at_once import at_once

ANSWERS = {"email": "Ada@Example.com", "username": "ada", "name": "Ada L", "password": "correct horse battery"}


@pytest.fixture
def token():
    yield first.make_token()
    first.discard_token()


def test_the_token_makes_the_admin_with_a_proven_address_and_a_personal_project(db, token):
    user = create_first_account(token=token, **ANSWERS)
    user.refresh_from_db()
    assert (user.email, user.is_superuser, user.is_staff, user.verified) == ("ada@example.com", True, True, True)
    assert user.check_password(ANSWERS["password"])
    assert user.owned_projects.get().personal


def test_the_token_works_once(db, token, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        create_first_account(token=token, **ANSWERS)
    assert first.is_set_up()
    for tried in (token, first.make_token()):  # not even with a token of a file that came back
        with pytest.raises(SetupClosed):
            create_first_account(token=tried, **ANSWERS | {"email": "eve@example.com", "username": "eve"})
    assert User.objects.count() == 1


@pytest.mark.parametrize("guess", ["", "x", "A" * 64, "ümlaut"])
def test_nobody_without_the_token(db, token, guess):
    with pytest.raises(SetupClosed):
        create_first_account(token=guess, **ANSWERS)
    assert not User.objects.exists()
    assert Installation.objects.filter(set_up_at=None).exists()


def test_where_no_token_was_made_none_is_right_and_asking_makes_none(db):
    first.discard_token()
    assert not first.opens("")
    assert not first.opens("None")
    assert not first._file().exists()


def test_an_installation_with_accounts_has_no_setup(db, token, make_user):
    make_user("olga")
    with pytest.raises(SetupClosed):
        create_first_account(token=token, **ANSWERS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("password", "short"),
        ("password", "password123456"),
        ("password", "ada@example.com"),
        ("username", "admin"),
        ("username", "Ada"),
        ("username", "-ada"),
        ("username", "a"),
        ("email", "ada"),
    ],
)
def test_bad_answers_name_their_field_and_leave_the_setup_open(db, token, field, value):
    with pytest.raises(ValidationError) as error:
        create_first_account(token=token, **ANSWERS | {field: value})
    assert set(error.value.message_dict) == {field}
    assert first.opens(token)
    assert create_first_account(token=token, **ANSWERS)


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_becomes_admin(token):
    def attempt(number):
        answers = ANSWERS | {"email": f"ada{number}@example.com", "username": f"ada{number}"}
        try:
            return create_first_account(token=token, **answers).username
        except SetupClosed:
            return "closed"

    results = at_once(*[partial(attempt, number) for number in range(4)])
    assert results.count("closed") == 3
    assert User.objects.count() == 1


def test_the_page_creates_the_account_and_signs_in(db, token, client, read_only):
    url = reverse("setup", args=[token])
    with read_only():
        page = client.get(url)
    assert page.status_code == 200
    assert "Create account" in page.content.decode()
    answer = client.post(url, ANSWERS)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.get("/")["Location"] == "/p/personal-ada/jobs"
    assert client.get(url).status_code == 404


def test_the_page_is_not_there_without_the_token(db, token, client):
    assert client.get("/setup/guess/").status_code == 404
    assert client.post("/setup/guess/", ANSWERS).status_code == 404
    assert not User.objects.exists()


def test_the_page_keeps_what_was_typed_and_says_what_is_wrong(db, token, client):
    page = client.post(reverse("setup", args=[token]), ANSWERS | {"username": "admin", "password": "short"})
    assert page.status_code == 200
    assert page.context["form"].errors.keys() == {"password"}
    assert "ada@example.com" in page.content.decode().lower()
    page = client.post(reverse("setup", args=[token]), ANSWERS | {"username": "admin"})
    assert page.context["form"].errors.keys() == {"username"}


def test_prepare_prints_the_path_to_open_and_nothing_else(db, monkeypatch, make_user):
    ran = []
    monkeypatch.setattr("mlteam.management.commands.prepare.call_command", lambda name, **_: ran.append(name))
    monkeypatch.setattr("mlteam.static_files.collect", lambda: ran.append("static files"))
    assert _prepare() == f"/setup/{first.make_token()}/\n"
    assert _prepare() == f"/setup/{first.make_token()}/\n"
    make_user("olga")
    assert _prepare() == "/\n"
    assert not first._file().exists()
    assert ran == ["migrate", "static files"] * 3


def _prepare():
    out = StringIO()
    call_command("prepare", stdout=out)
    return out.getvalue()


def test_the_path_to_open_first_is_that_of_the_page(db):
    assert first.path() == reverse("setup", args=[first.make_token()])
