"""Signing in with GitHub, against a server on loopback that answers as GitHub does."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from accounts.models import GitHubLink, OutgoingEmail, User
from tests.accounts import github as stub
from tests.accounts.hands import CONFIRM, LOGIN, SECURITY, STEP, add_app, code, confirm, is_in, sign_in

ASK, ANSWER, REMOVE = "/accounts/github/", "/accounts/github/answer/", f"{SECURITY}github/remove/"


@pytest.fixture
def github(settings):
    with stub.serving() as known:
        settings.GITHUB_CLIENT_ID, settings.GITHUB_CLIENT_SECRET = stub.KEYS.values()
        settings.GITHUB_URL, settings.GITHUB_API_URL = known.url, f"{known.url}/api/v3"
        yield known


def agree(github, address):
    """The person agrees on GitHub's page: answers the page of ours that the browser is sent back to."""
    return github.agree(address).removeprefix("http://localhost:8000")


def by_github(client, github, **fields):
    """Presses the button, agrees there, and comes back."""
    return client.get(agree(github, client.post(ASK, fields)["Location"]))


def said(client):
    """What the sign-in page says after an attempt."""
    return client.get(LOGIN).content.decode()


def test_without_keys_it_is_not_offered(client, db):
    assert "GitHub" not in client.get(LOGIN).content.decode()
    assert client.post(ASK).status_code == 404
    assert client.get(ANSWER).status_code == 404


def test_an_address_that_is_proven_on_both_sides_signs_in_and_is_told_once(client, owner, github):
    assert "Sign in with GitHub" in client.get(LOGIN).content.decode()
    assert by_github(client, github, next="/projects/")["Location"] == "/projects/"
    assert is_in(client)
    link = GitHubLink.objects.get()
    assert (link.user, link.github_id, link.login) == (owner, 7, "olga-at-github")
    by_github(Client(), github)
    subjects = [one.subject for one in OutgoingEmail.objects.filter(subject__contains="GitHub")]
    assert subjects == ["A GitHub account was connected with your account: it can sign you in from now on"]


def test_from_then_on_its_number_counts_and_not_its_addresses(client, owner, github):
    by_github(client, github)
    github.emails, github.person = [], {"id": 7, "login": "renamed"}
    again = Client()
    by_github(again, github)
    assert is_in(again)
    assert GitHubLink.objects.get().login == "renamed"


def test_an_address_that_github_has_not_seen_proven_is_worth_nothing(client, owner, github):
    github.emails[0]["verified"] = False
    assert by_github(client, github)["Location"] == LOGIN
    assert "No account here has an address that you have confirmed at GitHub" in said(client)
    assert not is_in(client)
    assert not GitHubLink.objects.exists()


def test_an_address_that_is_not_proven_here_is_worth_nothing(client, make_user, github):
    make_user("uma", verified=False)
    github.emails[0]["email"] = "uma@example.com"
    by_github(client, github)
    assert not is_in(client)
    assert not GitHubLink.objects.exists()


def test_a_look_alike_is_somebody_else(client, make_user, github):
    make_user("kay")
    github.emails[0]["email"] = "\N{KELVIN SIGN}ay@example.com"
    by_github(client, github)
    assert not is_in(client)


def test_a_stranger_gets_no_account(client, db, github):
    by_github(client, github)
    assert not is_in(client)
    assert not User.objects.exists()


def test_a_name_that_changed_hands_is_somebody_else(client, owner, github):
    by_github(client, github)
    github.person, github.emails = {"id": 8, "login": "olga-at-github"}, []
    other = Client()
    by_github(other, github)
    assert not is_in(other)


def test_a_second_github_account_with_the_same_address_is_refused(client, owner, github):
    by_github(client, github)
    github.person = {"id": 8, "login": "second"}
    other = Client()
    by_github(other, github)
    assert "connected with another GitHub account" in said(other)
    assert not is_in(other)
    assert GitHubLink.objects.get().github_id == 7


def test_who_could_be_two_is_asked_for_the_password(client, owner, stranger, github):
    github.emails.append({"email": stranger.email, "verified": True, "primary": False})
    by_github(client, github)
    assert "could be several accounts" in said(client)
    assert not is_in(client)


def test_the_second_step_is_asked_for_as_ever(client, owner, github, clock):
    secret, _ = add_app(owner, clock)
    assert by_github(client, github, next="/projects/")["Location"] == STEP
    assert not is_in(client)
    assert client.post(STEP, {"code": code(secret, clock.step)})["Location"] == "/projects/"
    assert is_in(client)


def test_where_a_second_step_is_required_github_is_no_way_around_it(client, owner, github, settings):
    settings.REQUIRE_MFA = True
    by_github(client, github)
    assert client.get("/projects/")["Location"] == SECURITY


def test_an_account_that_was_switched_off_or_deleted_does_not_get_in(client, owner, github):
    by_github(client, github)
    client.post("/accounts/logout/")
    User.objects.update(is_active=False)
    by_github(client, github)
    assert not is_in(client)
    GitHubLink.objects.all().delete()
    by_github(client, github)
    assert not GitHubLink.objects.exists()


@pytest.mark.parametrize("target", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example"])
def test_it_leads_to_no_other_site(client, owner, github, target):
    assert by_github(client, github, next=target)["Location"] == "/"


def test_an_answer_for_another_browser_signs_nobody_in(client, owner, github):
    """Else somebody could be signed in to the account of whoever sends them a link."""
    stolen = agree(github, Client().post(ASK)["Location"])
    client.post(ASK)
    for browser in (client, Client()):
        browser.get(stolen)
        assert "not for this browser" in said(browser)
        assert not is_in(browser)


def test_an_answer_counts_once(client, owner, github):
    back = agree(github, client.post(ASK)["Location"])
    client.get(back)
    client.post("/accounts/logout/")
    client.get(back)
    assert not is_in(client)


@pytest.mark.parametrize("query", ["", "?state=", "?code=x", "?code=x&state=guess", "?state=ü&code=x"])
def test_a_made_up_answer_signs_nobody_in(client, owner, github, query):
    client.post(ASK)
    assert client.get(ANSWER + query)["Location"] == LOGIN
    assert not is_in(client)


def test_who_says_no_there_is_told_so(client, owner, github):
    state = parse_qs(urlsplit(client.post(ASK)["Location"]).query)["state"][0]
    client.get(ANSWER, {"error": "access_denied", "state": state})
    assert "was told not to sign you in" in said(client)


def test_a_made_up_code_is_refused(client, owner, github):
    state = parse_qs(urlsplit(client.post(ASK)["Location"]).query)["state"][0]
    client.get(ANSWER, {"code": "guess", "state": state})
    assert "GitHub did not answer as it should" in said(client)
    assert not is_in(client)


@pytest.mark.parametrize("answer", ["", "<html>", "[]", "null", '{"access_token": 5}', '{"access_token": "\\ud800"}'])
def test_nonsense_from_there_is_told(client, owner, github, answer):
    github.broken = answer
    assert by_github(client, github)["Location"] == LOGIN
    assert "GitHub did not answer as it should" in said(client)


def test_github_being_away_is_told(client, owner, github, settings):
    back = agree(github, client.post(ASK)["Location"])
    settings.GITHUB_URL = "http://127.0.0.1:9"
    client.get(back)
    assert "GitHub did not answer as it should" in said(client)


def test_the_session_gets_a_new_key(client, owner, github):
    asked = client.post(ASK)["Location"]
    before = client.session.session_key
    client.get(agree(github, asked))
    assert client.session.session_key != before


def test_no_other_site_can_begin_it(owner, github):
    assert Client(enforce_csrf_checks=True).post(ASK).status_code == 403


def test_it_is_shown_and_disconnected_after_the_password(client, owner, github, as_user):
    by_github(Client(), github)
    open_browser = as_user(owner)
    for answer in (open_browser.get(REMOVE), open_browser.post(REMOVE)):
        assert answer["Location"].startswith(CONFIRM)
    sign_in(client, owner)
    assert "olga-at-github" in client.get(SECURITY).content.decode()
    confirm(client)
    assert "Disconnect olga-at-github?" in client.get(REMOVE).content.decode()
    assert client.post(REMOVE)["Location"] == SECURITY
    assert not GitHubLink.objects.exists()
    assert "olga-at-github" not in client.get(SECURITY).content.decode()
