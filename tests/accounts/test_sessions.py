"""Where one is signed in, the end of it, and the email about a browser that is new to the account."""

import time
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core import mail as sent
from django.test import Client
from django.utils import timezone

import access
from accounts import devices, mail, sessions, tasks
from accounts.models import OutgoingEmail
from accounts.requests import client_address
from tests.accounts.hands import SECURITY, is_in, sign_in
from tests.accounts.test_second_step import _line
from tests.conftest import PASSWORD

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1"


@pytest.fixture
def desk(owner):
    client = Client(headers={"user-agent": FIREFOX}, REMOTE_ADDR="192.0.2.7")
    sign_in(client, owner)
    return client


@pytest.fixture
def phone(owner, desk):
    client = Client(headers={"user-agent": SAFARI}, REMOTE_ADDR="2001:db8::9")
    sign_in(client, owner)
    return client


def listed(client):
    return client.get(SECURITY).context["sessions"]


def test_sessions_are_listed_this_one_first(desk, phone, read_only):
    with read_only():
        shown = [(one.browser, one.address, one.is_this) for one in listed(phone)]
    assert shown == [("Safari on an iPhone", "2001:db8::9", True), ("Firefox on Linux", "192.0.2.7", False)]


def test_a_session_ends_with_its_time(desk):
    assert is_in(desk)
    Session.objects.update(expire_date=timezone.now())
    assert not is_in(desk)


def test_nobody_sees_or_ends_anothers(desk, owner, stranger):
    other = Client()
    sign_in(other, stranger)
    (mine,) = listed(other)
    (theirs,) = listed(desk)
    assert mine.id != theirs.id
    assert other.post(f"{SECURITY}sessions/{theirs.id}/end/").status_code == 404
    other.post(f"{SECURITY}sessions/end/")
    assert is_in(desk)


def test_ending_one_ends_its_pages_and_asks_its_open_lines_again(desk, phone, project):
    before = access.generation()
    assert _line(desk) is None
    ended = next(one for one in listed(phone) if not one.is_this)
    assert phone.post(f"{SECURITY}sessions/{ended.id}/end/")["Location"] == SECURITY
    assert access.generation() > before
    assert _line(desk) == 4403
    assert not is_in(desk)
    assert [one.is_this for one in listed(phone)] == [True]
    assert phone.post(f"{SECURITY}sessions/{ended.id}/end/").status_code == 404


def test_what_is_over_is_forgotten(desk, phone, owner):
    Session.objects.filter(pk=phone.session.session_key).update(expire_date=timezone.now() - timedelta(minutes=1))
    tasks.forget_closed()
    assert list(Session.objects.values_list("pk", flat=True)) == [desk.session.session_key]
    assert [one.session_key for one in UserSession.objects.filter(user=owner)] == [desk.session.session_key]
    assert is_in(desk) and not is_in(phone)


def test_ending_all_others(owner, desk, phone, project):
    third = Client()
    sign_in(third, owner)
    before = access.generation()
    phone.post(f"{SECURITY}sessions/end/")
    assert access.generation() > before
    assert (is_in(desk), is_in(phone), is_in(third)) == (False, True, False)
    assert len(listed(phone)) == 1


def test_ending_this_one_is_signing_out(desk):
    (this,) = listed(desk)
    assert desk.post(f"{SECURITY}sessions/{this.id}/end/")["Location"] == "/accounts/login/"
    assert not is_in(desk)


def test_a_new_password_ends_the_others_and_they_are_not_listed(desk, phone):
    answer = phone.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": "another long password", "password2": "another long password"},
    )
    assert answer.status_code == 302
    assert not is_in(desk)
    assert [one.is_this for one in listed(phone)] == [True]


def test_last_seen_is_written_every_few_minutes_and_not_at_every_page(desk, owner):
    def seen():
        return desk.session[sessions.SEEN]["at"]

    first = seen()
    desk.get("/projects/")
    assert seen() == first
    session = desk.session
    session[sessions.SEEN] = {"at": int(time.time()) - sessions.NOTE_EVERY, "from": "192.0.2.1"}
    session.save()
    desk.get("/projects/")
    assert seen() >= first
    assert listed(desk)[0].address == "192.0.2.7"


def test_the_number_of_questions_does_not_grow_with_the_sessions(desk, owner, django_assert_max_num_queries):
    for _ in range(12):
        sign_in(Client(), owner)
    with django_assert_max_num_queries(2):
        assert len(sessions.of(owner, this=None)) == 13


# The email about a new browser


def notices():
    return [email for email in OutgoingEmail.objects.order_by("created_at") if "not seen before" in email.subject]


def test_an_accounts_very_first_sign_in_is_no_news(desk):
    assert notices() == []


def test_a_sign_in_from_another_browser_is_told(desk, phone, owner):
    (email,) = notices()
    assert email.to == owner.email
    assert all(one in email.body for one in ("2001:db8::9", "Safari on an iPhone", f"http://localhost:8000{SECURITY}"))


def test_the_same_browser_is_known_from_then_on(desk, phone, owner):
    for client in (desk, phone):
        client.post("/accounts/logout/")
        sign_in(client, owner)
    assert len(notices()) == 1


def test_a_browser_is_known_to_the_accounts_that_used_it_and_to_no_other(desk, owner, stranger):
    sign_in(Client(), stranger)
    desk.post("/accounts/logout/")
    sign_in(desk, stranger)
    assert [email.to for email in notices()] == [stranger.email]
    desk.post("/accounts/logout/")
    sign_in(desk, owner)
    assert len(notices()) == 1


def test_after_a_new_password_every_browser_is_new(desk, owner):
    owner.refresh_from_db()
    owner.set_password("another long password")
    owner.save()
    desk.post("/accounts/login/", {"login": owner.email, "password": "another long password"})
    assert len(notices()) == 1


@pytest.mark.parametrize("forged", ["", "x", "." * 5000, "0" * 64, "ü"])
def test_a_made_up_cookie_is_no_known_browser(desk, owner, settings, forged):
    client = Client()
    client.cookies[settings.DEVICE_COOKIE_NAME] = forged
    assert sign_in(client, owner)["Location"] == "/"
    assert len(notices()) == 1


def test_the_cookie_tells_nothing_and_cannot_be_read_by_scripts(desk, owner, settings):
    cookie = desk.cookies[settings.DEVICE_COOKIE_NAME]
    assert owner.pk not in cookie.value
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_an_address_that_is_not_proven_gets_no_notices(make_user):
    user = make_user("uma", verified=False)
    for _ in range(2):
        sign_in(Client(), user)
    assert notices() == []


def test_half_a_sign_in_is_no_news(owner, desk, clock):
    from tests.accounts.hands import add_app

    add_app(owner, clock)
    sign_in(Client(), owner)
    assert notices() == []


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (SAFARI, "Safari on an iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/140.0 Safari/537.36", "Chrome on a Mac"),
        ("<script>alert(1)</script>", "Another program"),
        ("", "Another program"),
    ],
)
def test_a_browser_in_words_of_ours(agent, words):
    assert devices.in_words(agent) == words


def test_every_email_has_a_text_and_the_same_as_html(desk, phone):
    mail.send_waiting()
    parsed = message_from_bytes(sent.outbox[-1].message().as_bytes(), policy=policy.default)
    text, html = (parsed.get_body([kind]).get_content() for kind in ("plain", "html"))
    link = f"http://localhost:8000{SECURITY}"
    assert link in text
    assert f'<a href="{link}">{link}</a>' in html
    assert "Safari on an iPhone" in text
    assert "Safari on an iPhone" in html


def test_the_html_part_takes_what_people_are_called_for_text(db):
    email = mail.put(
        to="a@example.com",
        subject="<i>s</i>",
        body="<b>Ada</b> of https://elsewhere.example & co\n\nhttp://localhost:8000/x?a=1&b=2",
    )
    (html, kind) = mail.message_of(email).alternatives[0]
    assert kind == "text/html"
    assert "<b>" not in html
    assert "&lt;b&gt;Ada&lt;/b&gt; of https://elsewhere.example &amp; co" in html
    assert html.count("<a ") == 1
    assert 'href="http://localhost:8000/x?a=1&amp;b=2"' in html


def test_the_address_is_the_one_that_our_own_proxy_saw(owner, settings):
    settings.MLTEAM_PROXIES = 1
    client = Client(headers={"x-forwarded-for": "198.51.100.1, 203.0.113.5"})
    sign_in(client, owner)
    assert listed(client)[0].address == "203.0.113.5"


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("198.51.100.1, 203.0.113.5, 10.0.0.1", "203.0.113.5"),
        ("203.0.113.5:4711,10.0.0.1", "203.0.113.5"),
        ("[2001:db8::9]:4711, 10.0.0.1", "2001:db8::9"),
        ("2001:DB8:0::9, 10.0.0.1", "2001:db8::9"),
        ("203.0.113.5", "127.0.0.1"),  # one of the two was passed by
        ("=cmd(), 10.0.0.1", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_of_two_proxies_the_outer_one_says_from_where(rf, settings, said, address):
    settings.MLTEAM_PROXIES = 2
    assert client_address(rf.get("/", headers={"x-forwarded-for": said})) == address


def test_sign_in_goes_on_where_a_proxy_was_passed_by(owner, settings):
    settings.MLTEAM_PROXIES = 2
    client = Client(headers={"x-forwarded-for": "203.0.113.5"})
    sign_in(client, owner)
    assert listed(client)[0].address == "127.0.0.1"


def test_without_a_proxy_nobody_chooses_the_address_that_is_shown(owner):
    client = Client(headers={"x-forwarded-for": "198.51.100.1"})
    sign_in(client, owner)
    assert listed(client)[0].address == "127.0.0.1"
