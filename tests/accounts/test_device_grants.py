"""Signing in a program from a browser: its two calls, the pages, and all the ways around them that there must not be."""

import re
from datetime import timedelta

import pytest
from allauth.core.internal.ratelimit import cache
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from accounts import actions, device_grants, tasks, tokens
from accounts.device_grants import MOST_OPEN, Fetched, Refusal, State
from accounts.device_views import GRANT
from accounts.errors import Impossible
from accounts.models import DeviceGrant, OutgoingEmail, PersonalToken, User
from tests.accounts.hands import CONFIRM, SECURITY, STEP, add_app, code, sign_in
from tests.at_once import at_once, together
from tests.conftest import PASSWORD

PAGE, APPROVE, DENY, APPROVED = "/device", "/device/approve", "/device/deny", "/device/approved"
CODE, TOKEN = "/api/v1/device/code", "/api/v1/device/token"
HERE = "127.0.0.1"


def begin(machine="laptop", scope="all", address=HERE):
    return device_grants.begin(machine=machine, scope=scope, address=address)


def approve(begun, by):
    device_grants.approve(grant=device_grants.waiting(begun.user_code), by=by)


def poll_now(begun):
    """A poll as of a program that has waited as long as it was told to."""
    DeviceGrant.objects.update(next_poll_at=timezone.now())
    return device_grants.poll(begun.device_code)


def ask(client, **fields):
    return client.post(CODE, {"client_id": "mlteam", "machine": "laptop", **fields})


def fetch(client, device_code, **fields):
    return client.post(TOKEN, {"client_id": "mlteam", "grant_type": GRANT, "device_code": device_code, **fields})


def passed(**more):
    """So much time has passed for every row."""
    DeviceGrant.objects.update(expires_at=timezone.now() - timedelta(**more))


@pytest.fixture
def begun(db):
    return begin()


@pytest.fixture
def signed_in(client, owner):
    sign_in(client, owner)
    return client


def texts(page):
    return page.content.decode()


# What is waited for


def test_what_was_approved_becomes_an_ordinary_token_once(begun, owner):
    assert device_grants.poll(begun.device_code) == Refusal.PENDING
    approve(begun, owner)
    assert not PersonalToken.objects.exists()
    got = poll_now(begun)
    token = tokens.find(got.text)
    assert (token.user, token.name, token.scope) == (owner, "mlteam on laptop", "all")
    assert token.expires_at - token.created_at > timedelta(days=got.days) - timedelta(minutes=1)
    assert got.days == tokens.usual_lifetime()
    assert poll_now(begun) == Refusal.UNKNOWN
    assert PersonalToken.objects.count() == 1


def test_it_may_ask_for_no_more_than_reading(owner, db):
    begun = begin(scope="read")
    approve(begun, owner)
    assert tokens.find(poll_now(begun).text).scope == "read"


def test_the_token_lasts_as_long_as_the_installation_allows(begun, owner, settings):
    approve(begun, owner)
    settings.TOKEN_MAX_DAYS = 5
    got = poll_now(begun)
    assert got.days == 5
    assert tokens.find(got.text).expires_at < timezone.now() + timedelta(days=5)


def test_who_has_the_table_has_nothing(begun, owner):
    letters = begun.user_code.replace("-", "")
    for _ in range(2):
        row = str(DeviceGrant.objects.values().get())
        assert not [one for one in (begun.device_code, begun.user_code, letters, "mlt_", "mld_") if one in row]
        approve(begun, owner) if device_grants.waiting(begun.user_code) else None
    text = poll_now(begun).text
    assert text not in str(DeviceGrant.objects.values().get())


def test_codes_are_such_as_people_can_type(db):
    made = {begin(address=f"10.0.0.{number}").user_code for number in range(30)}
    assert len(made) == 30
    assert all(re.fullmatch("[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", one) for one in made)


@pytest.mark.parametrize(
    "change",
    [
        str.lower,
        lambda c: c.replace("-", ""),
        lambda c: c.replace("-", " "),
        lambda c: f"  {c.lower()} ",
        "–".join,
        str,
    ],
)
def test_a_code_is_found_however_it_is_typed(begun, change):
    assert device_grants.waiting(change(begun.user_code))


@pytest.mark.parametrize(
    "wrong", ["", "-", "BCDF-GHJ", "BCDF-GHJKL", "AEIO-UAEI", "BCDF-GHJ\0", "ＢＣＤＦＧＨＪＫ", "x" * 9999]
)
def test_what_is_no_code_finds_nothing(begun, wrong):
    assert device_grants.waiting(wrong) is None


def test_another_code_finds_nothing(begun):
    other = begun.user_code[:-1] + ("B" if begun.user_code[-1] != "B" else "C")
    assert device_grants.waiting(other) is None


@pytest.mark.parametrize(
    "wrong", ["", "mld_", "mld_" + "A" * 43, "mld_" + "ü" * 43, "mld_" + "\ud800" * 43, "x" * 9999]
)
def test_a_guessed_device_code_gets_nothing(begun, owner, wrong):
    approve(begun, owner)
    assert device_grants.poll(wrong) == Refusal.UNKNOWN
    assert device_grants.poll(begun.user_code) == Refusal.UNKNOWN


def test_who_polls_too_fast_waits_longer_from_then_on(begun, monkeypatch):
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    assert device_grants.poll(begun.device_code) == Refusal.PENDING
    for waits in (10, 15):
        assert device_grants.poll(begun.device_code) == Refusal.TOO_FAST
        assert DeviceGrant.objects.get().interval == waits
    assert DeviceGrant.objects.get().next_poll_at == now + timedelta(seconds=15)
    assert poll_now(begun) == Refusal.PENDING
    assert DeviceGrant.objects.get().next_poll_at == now + timedelta(seconds=15)


def test_it_waits_no_longer_than_the_code_works(begun):
    DeviceGrant.objects.update(interval=598, next_poll_at=timezone.now() + timedelta(hours=1))
    for _ in range(3):
        assert device_grants.poll(begun.device_code) == Refusal.TOO_FAST
    assert DeviceGrant.objects.get().interval == 600


def test_denied_it_hears_so(begun, owner):
    device_grants.deny(grant=device_grants.waiting(begun.user_code))
    for _ in range(2):
        assert poll_now(begun) == Refusal.DENIED
    assert device_grants.waiting(begun.user_code) is None
    assert not PersonalToken.objects.exists()


def test_an_old_code_works_no_more(begun, owner):
    grant = device_grants.waiting(begun.user_code)
    passed(seconds=1)
    assert poll_now(begun) == Refusal.EXPIRED
    assert device_grants.waiting(begun.user_code) is None
    for answer in (lambda: device_grants.approve(grant=grant, by=owner), lambda: device_grants.deny(grant=grant)):
        with pytest.raises(Impossible):
            answer()


def test_what_was_approved_and_not_fetched_in_time_is_lost(begun, owner):
    approve(begun, owner)
    passed(seconds=1)
    assert poll_now(begun) == Refusal.EXPIRED
    assert not PersonalToken.objects.exists()


def test_the_first_answer_holds(begun, owner, stranger):
    first, second = (device_grants.waiting(begun.user_code) for _ in range(2))
    device_grants.approve(grant=first, by=owner)
    for answer in (lambda: device_grants.approve(grant=second, by=stranger), lambda: device_grants.deny(grant=second)):
        with pytest.raises(Impossible, match="answered already"):
            answer()
    assert poll_now(begun).user == owner


def test_a_row_that_is_approved_says_by_whom(begun):
    with pytest.raises(IntegrityError), transaction.atomic():
        DeviceGrant.objects.update(state=State.APPROVED)


# Between the approval and the poll


def test_an_account_that_was_closed_since_gets_nothing(begun, owner):
    approve(begun, owner)
    actions.close(user=owner)
    assert poll_now(begun) == Refusal.DENIED
    assert not PersonalToken.objects.exists()


def test_when_the_row_of_the_account_has_gone_it_gets_nothing_either(begun, stranger):
    approve(begun, stranger)
    actions.close(user=stranger)
    User.objects.filter(pk=stranger.pk).update(closed_at=timezone.now())
    tasks.forget_closed()
    assert poll_now(begun) == Refusal.DENIED


def test_an_account_that_was_deactivated_since_gets_nothing(begun, owner):
    approve(begun, owner)
    User.objects.update(is_active=False)
    assert poll_now(begun) == Refusal.DENIED
    User.objects.update(is_active=True)
    assert poll_now(begun) == Refusal.DENIED
    assert not PersonalToken.objects.exists()


def test_an_account_without_the_second_step_that_is_required_by_now_gets_nothing(begun, owner, settings):
    approve(begun, owner)
    settings.REQUIRE_MFA = True
    assert poll_now(begun) == Refusal.DENIED
    assert not PersonalToken.objects.exists()


def test_an_account_with_all_the_tokens_that_it_may_have_is_told_before(begun, owner, monkeypatch):
    monkeypatch.setattr(tokens, "MOST", 1)
    made = tokens.make(user=owner, name="ci", scope="read", days=7)
    with pytest.raises(Impossible, match="Revoke one first"):
        approve(begun, owner)
    tokens.revoke(token=tokens.find(made))
    approve(begun, owner)
    tokens.make(user=owner, name="ci", scope="read", days=7)
    assert poll_now(begun) == Refusal.DENIED
    assert PersonalToken.objects.count() == 1


# Not too many


def test_one_address_does_not_fill_the_table(db):
    for _ in range(MOST_OPEN):
        begin()
    with pytest.raises(device_grants.TooManyOpen):
        begin()
    begin(address="10.0.0.1")
    device_grants.deny(grant=DeviceGrant.objects.filter(network=HERE).first())
    begin()
    passed(seconds=1)
    begin()


def test_addresses_of_one_customer_count_as_one(db):
    for number in range(MOST_OPEN):
        begin(address=f"2001:db8:1:2::{number:x}")
    with pytest.raises(device_grants.TooManyOpen):
        begin(address="2001:db8:1:2:ffff::1")
    begin(address="2001:db8:1:3::1")


def test_old_rows_are_cleared_away_a_while_after_their_end(begun):
    passed(minutes=9)
    tasks.forget_closed()
    assert poll_now(begun) == Refusal.EXPIRED
    passed(minutes=11)
    tasks.forget_closed()
    assert not DeviceGrant.objects.exists()
    assert poll_now(begun) == Refusal.UNKNOWN


# At once


@pytest.mark.django_db(transaction=True)
def test_of_polls_at_once_one_gets_the_token(begun, owner):
    approve(begun, owner)
    results = at_once(*[lambda: device_grants.poll(begun.device_code)] * 4)
    assert sorted(type(one).__name__ for one in results) == ["Fetched", "Refusal", "Refusal", "Refusal"]
    assert set(results) - {one for one in results if isinstance(one, Fetched)} == {Refusal.UNKNOWN}
    assert PersonalToken.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_answers_at_once_one_holds(begun, make_user):
    people = [make_user(name) for name in ("una", "ulla")]
    grant = device_grants.waiting(begun.user_code)
    calls = [
        *(lambda by=by: device_grants.approve(grant=grant, by=by) for by in people),
        lambda: device_grants.deny(grant=grant),
    ]
    assert sorted(together(*calls)) == ["Impossible", "Impossible", "done"]
    assert DeviceGrant.objects.get().state in {State.APPROVED, State.DENIED}


# The program's calls


def test_the_whole_way(client, owner, settings, read_only):
    settings.MLTEAM_API_RATE = 0  # there is no Redis here to count in
    program = Client(enforce_csrf_checks=True)
    told = ask(program, machine="node-7.example.org", scope="read")
    assert (told.status_code, told["Cache-Control"], told["Content-Type"]) == (200, "no-store", "application/json")
    begun = told.json()
    assert begun.keys() == {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
        "interval",
    }
    assert (begun["expires_in"], begun["interval"]) == (600, 5)
    assert begun["verification_uri"] == "http://localhost:8000/device"
    assert begun["verification_uri_complete"] == f"http://localhost:8000/device?code={begun['user_code']}"
    waits = fetch(program, begun["device_code"])
    assert (waits.status_code, waits["Cache-Control"]) == (400, "no-store")
    assert waits.json() == {"error": "authorization_pending"}
    DeviceGrant.objects.update(next_poll_at=timezone.now() + timedelta(minutes=5))
    assert fetch(program, begun["device_code"]).json() == {"error": "slow_down"}

    path = begun["verification_uri_complete"].removeprefix("http://localhost:8000")
    assert client.get(path)["Location"].startswith("/accounts/login/?next=/device%3Fcode%3D")
    assert sign_in(client, owner, next=path)["Location"] == path
    with read_only():
        page = client.get(path)
    assert f'value="{begun["user_code"]}"' in texts(page)
    assert "node-7" not in texts(page)  # the address alone tells nothing, and does nothing
    shown = client.post(PAGE, {"code": begun["user_code"].lower()})
    for text in (begun["user_code"], "node-7.example.org", HERE, "Read only", "90 days", "olga", "mlteam login"):
        assert text in texts(shown), text
    assert "no-store" in shown["Cache-Control"]
    assert client.post(APPROVE, {"code": begun["user_code"]})["Location"] == APPROVED
    with read_only():
        assert "You can close this page; the command goes on." in texts(client.get(APPROVED))
    assert not OutgoingEmail.objects.exists()

    got = fetch(program, begun["device_code"])
    assert (got.status_code, got["Cache-Control"]) == (200, "no-store")
    assert got.json() == {
        "access_token": got.json()["access_token"],
        "token_type": "Bearer",
        "expires_in": 90 * 24 * 3600,
        "scope": "read",
    }
    bearer = {"authorization": f"Bearer {got.json()['access_token']}"}
    assert program.get("/api/v1/me", headers=bearer).json()["username"] == "olga"
    assert fetch(program, begun["device_code"]).json() == {"error": "invalid_grant"}
    [email] = OutgoingEmail.objects.all()
    assert (email.to, email.subject) == (
        owner.email,
        "A program was signed in to your account by mlteam login, and got a personal token",
    )
    listed = texts(client.get("/profile/tokens/"))
    for text in ("mlteam on node-7.example.org", "read only", "Revoke", got.json()["access_token"][-4:]):
        assert text in listed, text


def test_links_are_ours_whatever_the_request_says(db, client):
    for forged in ({"HTTP_HOST": "127.0.0.1:9"}, {"HTTP_X_FORWARDED_HOST": "evil.example"}):
        told = client.post(CODE, {"client_id": "mlteam"}, **forged).json()
        assert told["verification_uri"] == "http://localhost:8000/device"


def test_a_denied_program_hears_so(signed_in):
    begun = ask(signed_in).json()
    answer = signed_in.post(DENY, {"code": begun["user_code"]}, follow=True)
    assert "Denied. The program gets nothing." in texts(answer)
    assert fetch(signed_in, begun["device_code"]).json() == {"error": "access_denied"}


def test_an_expired_one_hears_so(client, db):
    begun = ask(client).json()
    passed(seconds=1)
    assert fetch(client, begun["device_code"]).json() == {"error": "expired_token"}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "invalid_request"),
        ({"client_id": "other"}, "invalid_client"),
        ({"client_id": ["mlteam", "mlteam"]}, "invalid_request"),
        ({"client_id": "mlteam", "scope": "admin"}, "invalid_scope"),
        ({"client_id": "mlteam", "scope": "all read"}, "invalid_scope"),
        ({"client_id": "mlteam", "machine": "a\nb"}, "invalid_request"),
        ({"client_id": "mlteam", "machine": "a\0b"}, "invalid_request"),
        ({"client_id": "mlteam", "machine": "gro\u202ereve"}, "invalid_request"),
        ({"client_id": "mlteam", "machine": "\u3164"}, "invalid_request"),
    ],
)
def test_a_wrong_beginning_is_refused_by_its_name(db, client, fields, error):
    answer = client.post(CODE, fields)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer["Cache-Control"] == "no-store"
    assert not DeviceGrant.objects.exists()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"device_code": None}, "invalid_request"),
        ({"client_id": None}, "invalid_request"),
        ({"client_id": "other"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"device_code": "mld_" + "A" * 43}, "invalid_grant"),
        ({"device_code": "a\0b"}, "invalid_grant"),
        ({"device_code": ["a", "b"]}, "invalid_request"),
    ],
)
def test_a_wrong_poll_is_refused_by_its_name(client, begun, change, error):
    right = {"client_id": "mlteam", "grant_type": GRANT, "device_code": begun.device_code}
    fields = {name: value for name, value in (right | change).items() if value is not None}
    answer = client.post(TOKEN, fields)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_they_are_fields_of_a_form(db, client):
    for address in (CODE, TOKEN):
        answer = client.post(address, {"client_id": "mlteam"}, content_type="application/json")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert client.get(address).status_code == 405


def test_a_program_that_says_little_gets_a_name_and_all(db, client):
    ask(client, machine="  ", scope="")
    row = DeviceGrant.objects.get()
    assert (row.machine, row.scope, row.address) == ("a machine without a name", "all", HERE)


def test_a_long_name_is_cut(db, client, owner):
    begun = begin(machine="x" * 400)
    approve(begun, owner)
    assert tokens.find(poll_now(begun).text).name == "mlteam on " + "x" * 49 + "…"


def test_too_many_from_an_address_are_refused(db, client):
    for _ in range(MOST_OPEN):
        assert ask(client).status_code == 200
    answer = ask(client)
    assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")


def test_a_token_of_which_the_owner_could_not_be_told_is_not_made(begun, owner, monkeypatch):
    """The email is queued in the same transaction; after an error in between the program asks again and gets it."""
    approve(begun, owner)
    broken = Client(raise_request_exception=False)
    with monkeypatch.context() as patch:
        patch.setattr(OutgoingEmail.objects, "create", lambda **_: 1 / 0)
        assert fetch(broken, begun.device_code).status_code == 500
    assert not PersonalToken.objects.exists()
    assert fetch(broken, begun.device_code).status_code == 200


# The pages


def test_html_in_a_machines_name_is_text(signed_in, owner):
    begun = begin(machine="<script>alert(1)</script>&amp;")
    shown = texts(signed_in.post(PAGE, {"code": begun.user_code}))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;" in shown
    assert "<script>alert" not in shown
    approve(begun, owner)
    poll_now(begun)
    assert "<script>alert" not in texts(signed_in.get("/profile/tokens/"))


def test_html_in_the_address_is_text(signed_in):
    assert "<script>alert" not in texts(signed_in.get(PAGE, {"code": '"><script>alert(1)</script>'}))


def test_the_page_says_whether_the_program_is_at_this_address(signed_in):
    for address, says in ((HERE, "(as this browser)"), ("10.0.0.9", "(not as this browser)")):
        shown = texts(signed_in.post(PAGE, {"code": begin(address=address).user_code}))
        assert address in shown and says in shown


def test_looking_approves_nothing(signed_in, begun):
    signed_in.get(PAGE, {"code": begun.user_code})
    signed_in.post(PAGE, {"code": begun.user_code})
    signed_in.get(APPROVED)
    for address in (APPROVE, DENY):
        assert signed_in.get(address, {"code": begun.user_code}).status_code == 405
    assert device_grants.poll(begun.device_code) == Refusal.PENDING


def test_nobody_else_can_make_a_browser_answer(owner, begun):
    strict = Client(enforce_csrf_checks=True)
    page = strict.get("/accounts/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', texts(page))[1]
    sign_in(strict, owner, csrfmiddlewaretoken=token)
    for address in (PAGE, APPROVE, DENY):
        answer = strict.post(address, {"code": begun.user_code})
        assert answer.status_code == 403, address
    assert device_grants.poll(begun.device_code) == Refusal.PENDING
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', texts(strict.get(PAGE)))[1]
    answer = strict.post(APPROVE, {"code": begun.user_code, "csrfmiddlewaretoken": token})
    assert answer["Location"] == APPROVED


def test_the_second_who_answers_is_told_that_it_was_answered(signed_in, begun, stranger):
    signed_in.post(PAGE, {"code": begun.user_code})
    approve(begun, stranger)
    for address in (APPROVE, DENY, PAGE):
        assert "No program waits with this code" in texts(signed_in.post(address, {"code": begun.user_code}))
    assert poll_now(begun).user == stranger


def test_the_one_who_is_a_moment_late_is_told_too(signed_in, begun, stranger, monkeypatch):
    """Somebody else answers between the look at the code and the answer."""
    look = device_grants.waiting

    def look_then_lose(typed):
        grant = look(typed)
        device_grants.approve(grant=grant, by=stranger)
        return grant

    monkeypatch.setattr(device_grants, "waiting", look_then_lose)
    assert "has been answered already" in texts(signed_in.post(APPROVE, {"code": begun.user_code}))
    assert poll_now(begun).user == stranger


def test_an_account_full_of_tokens_is_told_on_the_page(signed_in, begun, monkeypatch):
    monkeypatch.setattr(tokens, "MOST", 0)
    assert "Revoke one first" in texts(signed_in.post(APPROVE, {"code": begun.user_code}))


def test_a_stranger_who_guesses_is_stopped(signed_in, begun):
    for _ in range(10):
        assert "No program waits" in texts(signed_in.post(PAGE, {"code": "BBBB-BBBB"}))
    for address in (PAGE, APPROVE, DENY):
        assert "Too many wrong codes" in texts(signed_in.post(address, {"code": begun.user_code}))
    assert device_grants.poll(begun.device_code) == Refusal.PENDING
    cache.clear()
    signed_in.post(APPROVE, {"code": begun.user_code})
    assert isinstance(poll_now(begun), Fetched)


def test_right_codes_are_not_counted(signed_in, begun):
    for _ in range(15):
        assert "Sign this program in?" in texts(signed_in.post(PAGE, {"code": begun.user_code}))


# No way around the sign-in


def test_who_is_not_signed_in_answers_nothing(client, begun):
    for address in (PAGE, APPROVE, DENY):
        assert client.post(address, {"code": begun.user_code})["Location"].startswith("/accounts/login/")
    assert device_grants.poll(begun.device_code) == Refusal.PENDING


def test_with_the_password_alone_nobody_gets_past_the_second_step(client, owner, begun, clock):
    secret = add_app(owner, clock)[0]
    assert sign_in(client, owner, next=f"{PAGE}?code={begun.user_code}")["Location"].startswith(STEP)
    for address in (PAGE, APPROVE, DENY):
        assert client.post(address, {"code": begun.user_code})["Location"].startswith("/accounts/login/")
    assert device_grants.poll(begun.device_code) == Refusal.PENDING
    then = client.post(STEP, {"code": code(secret, clock.step), "next": f"{PAGE}?code={begun.user_code}"})
    assert then["Location"] == f"{PAGE}?code={begun.user_code}"
    assert client.post(APPROVE, {"code": begun.user_code})["Location"] == APPROVED
    assert poll_now(begun).user == owner


def test_where_a_second_step_is_required_nobody_answers_without_one(client, owner, begun, settings):
    settings.REQUIRE_MFA = True
    sign_in(client, owner)
    assert client.get(f"{PAGE}?code={begun.user_code}")["Location"] == SECURITY
    for address in (PAGE, APPROVE, DENY):
        assert client.post(address, {"code": begun.user_code})["Location"] == SECURITY
    assert device_grants.poll(begun.device_code) == Refusal.PENDING


def test_an_older_sign_in_is_confirmed_first(client, owner, begun, settings):
    """As before a personal token is made on a page; what was asked for goes on after it."""
    sign_in(client, owner)
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 0
    assert client.get(PAGE)["Location"].startswith(CONFIRM)
    assert client.post(PAGE, {"code": begun.user_code})["Location"].startswith(CONFIRM)
    assert client.post(APPROVE, {"code": begun.user_code})["Location"].startswith(CONFIRM)
    assert device_grants.poll(begun.device_code) == Refusal.PENDING
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
    assert client.post(CONFIRM, {"password": PASSWORD, "next": APPROVE})["Location"] == APPROVED
    assert poll_now(begun).user == owner


def test_a_session_that_never_typed_a_password_confirms_first(as_user, owner, begun):
    assert as_user(owner).post(APPROVE, {"code": begun.user_code})["Location"].startswith(CONFIRM)
    assert "Denied" in texts(as_user(owner).post(DENY, {"code": begun.user_code}, follow=True))


def test_a_token_approves_no_other(client, owner, begun):
    text = tokens.make(user=owner, name="ci", scope="all", days=7)
    answer = client.post(APPROVE, {"code": begun.user_code}, headers={"authorization": f"Bearer {text}"})
    assert answer["Location"].startswith("/accounts/login/")


def test_attempts_are_counted_for_each_account(signed_in, begun, stranger):
    for _ in range(11):
        signed_in.post(PAGE, {"code": "BBBB-BBBB"})
    other = Client()
    sign_in(other, stranger)
    assert "Sign this program in?" in texts(other.post(PAGE, {"code": begun.user_code}))


def test_a_machine_has_a_name_that_can_be_shown(db):
    with pytest.raises(ValidationError):
        begin(machine="\x1b[2J")
