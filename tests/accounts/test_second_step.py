"""The second step at sign-in: setting it up, being asked for it, and all the ways around it that there must not be."""

import re
from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.urls.converters import IntConverter

from accounts import mail, second_step
from accounts.middleware import BEFORE_ENROLMENT
from accounts.models import AuthenticatorApp, OutgoingEmail
from mlteam.asgi import websocket_urlpatterns
from tests.access.test_routes import routes
from tests.accounts.hands import APP_NEW, CODES, CONFIRM, SECURITY, STEP, add_app, code, confirm, is_in, sign_in
from tests.at_once import at_once
from tests.conftest import PASSWORD

WRONG = "000000"


@pytest.fixture
def secret(owner, clock):
    """The owner's app; the code of the step before now is used up."""
    return add_app(owner, clock)[0]


def subjects():
    return [email.subject for email in OutgoingEmail.objects.all()]


# Setting it up


def test_the_secret_comes_before_the_picture_and_a_code_confirms_it(client, owner, clock, read_only):
    sign_in(client, owner)
    with read_only():
        page = client.get(APP_NEW)
    text, secret = page.content.decode(), page.context["secret"]
    assert 0 < text.index(f">{secret}<") < text.index("data:image/svg+xml;base64,")
    answer = client.post(APP_NEW, {"name": "Phone", "code": code(secret, clock.step)})
    assert len(set(answer.context["codes"])) == 10
    app = AuthenticatorApp.objects.get()
    assert (app.name, app.authenticator.user) == ("Phone", owner)
    assert secret not in app.secret
    assert "Phone" in client.get(SECURITY).content.decode()
    assert subjects() == ["An authenticator app was added to your account"]


def test_a_wrong_code_sets_up_nothing_and_keeps_the_secret(client, owner, clock):
    sign_in(client, owner)
    secret = client.get(APP_NEW).context["secret"]
    page = client.post(APP_NEW, {"name": "Phone", "code": code(secret, clock.step + 5)})
    assert page.context["form"].errors.keys() == {"code"}
    assert page.context["secret"] == secret
    assert not second_step.is_on(owner)
    assert client.get(APP_NEW).context["secret"] != secret


def test_a_code_for_a_secret_that_was_never_shown_sets_up_nothing(client, owner, clock):
    sign_in(client, owner)
    page = client.post(APP_NEW, {"name": "Phone", "code": WRONG, "secret": "A" * 32})
    assert page.context["form"].errors.keys() == {"code"}


def test_the_name_may_be_left_out(client, owner, clock):
    sign_in(client, owner)
    secret = client.get(APP_NEW).context["secret"]
    client.post(APP_NEW, {"name": " ", "code": code(secret, clock.step)})
    assert [app.name for app in second_step.apps_of(owner)] == ["Authenticator app"]


@pytest.mark.parametrize("name", ["x" * 61, "a\nb", "\u202edeno"])
def test_a_device_has_a_name_that_can_be_shown(client, owner, clock, name):
    sign_in(client, owner)
    secret = client.get(APP_NEW).context["secret"]
    assert client.post(APP_NEW, {"name": name, "code": code(secret, clock.step)}).context["form"].errors.keys() == {
        "name"
    }
    assert not second_step.is_on(owner)


def test_a_name_with_html_is_a_name(client, owner, clock):
    add_app(owner, clock, name="<b>Phone</b>")
    sign_in(client, owner)
    client.post(STEP, {"code": second_step.new_codes(user=owner)[0]})
    assert "&lt;b&gt;Phone&lt;/b&gt;" in client.get(SECURITY).content.decode()


def test_the_first_one_needs_no_second_password_just_after_the_sign_in_and_any_other_does(client, owner, clock):
    sign_in(client, owner)
    assert client.get(APP_NEW).status_code == 200
    add_app(owner, clock)
    assert client.get(APP_NEW)["Location"].startswith(CONFIRM)


def test_somebody_at_an_open_browser_sets_up_nothing_without_the_password(as_user, owner):
    client = as_user(owner)
    assert client.get(APP_NEW)["Location"].startswith(CONFIRM)
    assert client.get(f"{SECURITY}passkeys/new/")["Location"].startswith(CONFIRM)


def test_who_has_not_proven_the_address_sets_up_nothing(client, make_user):
    user = make_user("uma", verified=False)
    sign_in(client, user)
    assert client.get(APP_NEW)["Location"] == SECURITY
    assert client.get(f"{SECURITY}passkeys/new/")["Location"] == SECURITY
    assert "Confirm your address first" in client.get(SECURITY).content.decode()


def test_recovery_codes_are_in_the_one_answer_that_makes_them(client, owner, clock, secret):
    sign_in(client, owner)
    client.post(STEP, {"code": code(secret, clock.step)})
    confirm(client)
    page = client.get(CODES)
    assert "codes" not in page.context
    codes = client.post(CODES).context["codes"]
    assert len(set(codes)) == 10
    assert not any(one in client.get(CODES).content.decode() for one in codes)
    assert subjects() == ["New recovery codes were made for your account"]
    older = second_step.new_codes(user=owner)
    client.post(CODES)
    assert second_step.use_code(owner, older[0]) is None


def test_without_a_second_step_there_are_no_recovery_codes(client, owner):
    sign_in(client, owner)
    confirm(client)
    assert client.post(CODES)["Location"] == SECURITY
    assert not Authenticator.objects.exists()


# Being asked


def test_every_sign_in_asks_and_leads_where_one_wanted_to_go(client, owner, project, clock, secret):
    answer = sign_in(client, owner, next="/p/vision/jobs")
    assert answer["Location"] == STEP
    assert not is_in(client)
    assert client.get(STEP).status_code == 200
    assert client.post(STEP, {"code": code(secret, clock.step)})["Location"] == "/p/vision/jobs"
    assert is_in(client)
    client.post("/accounts/logout/")
    assert sign_in(client, owner)["Location"] == STEP


@pytest.mark.parametrize("target", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)"])
def test_the_second_step_leads_to_no_other_site(client, owner, clock, secret, target):
    sign_in(client, owner, next=target)
    assert client.post(f"{STEP}?next={target}", {"code": code(secret, clock.step), "next": target})["Location"] == "/"


def test_half_signed_in_is_not_signed_in(client, owner, project, secret):
    sign_in(client, owner)
    for page in ("/", "/projects/", "/p/vision/jobs", SECURITY, APP_NEW, CODES, CONFIRM, "/profile/delete/"):
        assert client.get(page)["Location"].startswith("/accounts/login/?next="), page
    assert _line(client) == 4403


def test_nobody_comes_to_the_second_step_without_the_first(client, owner, clock, secret):
    assert client.get(STEP)["Location"] == "/accounts/login/"
    assert client.post(STEP, {"code": code(secret, clock.step)})["Location"] == "/accounts/login/"
    assert not is_in(client)


def test_a_code_works_once(owner, clock, secret):
    first, second = Client(), Client()
    for one in (first, second):
        sign_in(one, owner)
    right = {"code": code(secret, clock.step)}
    assert first.post(STEP, right)["Location"] == "/"
    assert "used before" in str(second.post(STEP, right).context["form"].errors)
    assert not is_in(second)
    clock.step += 1
    assert second.post(STEP, {"code": code(secret, clock.step)})["Location"] == "/"


def test_an_older_code_is_worthless_after_a_newer_one(owner, clock, secret):
    assert second_step.use_code(owner, code(secret, clock.step + 1))
    assert second_step.use_code(owner, code(secret, clock.step)) is None


def test_the_code_that_set_the_app_up_is_used_up(owner, clock, secret):
    assert second_step.use_code(owner, code(secret, clock.step - 1)) is None


@pytest.mark.parametrize(
    "shown", ["{}", " {} ", "{0[0]}{0[1]}{0[2]} {0[3]}{0[4]}{0[5]}", "{0[0]}{0[1]}{0[2]}-{0[3]}{0[4]}{0[5]}"]
)
def test_a_code_may_be_typed_as_it_is_shown(owner, clock, secret, shown):
    assert second_step.use_code(owner, shown.format(code(secret, clock.step)))


@pytest.mark.parametrize("typed", ["", "1", "ünicode", "０" * 6, "9" * 40, "-", "000000"])
def test_nonsense_is_no_code(client, owner, clock, secret, typed):
    sign_in(client, owner)
    assert client.post(STEP, {"code": typed}).context["form"].errors.keys() == {"code"}
    assert not is_in(client)


def test_another_accounts_code_is_wrong(owner, stranger, clock, secret):
    other, codes = add_app(stranger, clock)
    assert second_step.use_code(owner, code(other, clock.step)) is None
    assert second_step.use_code(owner, codes[0]) is None


def test_several_apps_sign_in(owner, clock, secret):
    tablet, codes = add_app(owner, clock, name="Tablet")
    assert codes == []
    assert second_step.use_code(owner, code(tablet, clock.step))
    assert second_step.use_code(owner, code(secret, clock.step))
    assert [app.name for app in second_step.apps_of(owner)] == ["Phone", "Tablet"]


def test_a_recovery_code_works_once(client, owner, clock):
    _, codes = add_app(owner, clock)
    sign_in(client, owner)
    assert client.post(STEP, {"code": codes[3]})["Location"] == "/"
    assert second_step.codes_left(owner) == 9
    other = Client()
    sign_in(other, owner)
    assert other.post(STEP, {"code": codes[3]}).context["form"].errors
    assert other.post(STEP, {"code": codes[4]})["Location"] == "/"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_of_two_at_once_with_the_same_code_one_gets_in(owner, clock, kind):
    secret, codes = add_app(owner, clock)
    typed = code(secret, clock.step) if kind == "app" else codes[0]
    results = at_once(*[lambda: second_step.use_code(owner, typed) is not None] * 4)
    assert sorted(results) == [False, False, False, True]


def test_after_a_few_wrong_codes_even_the_right_one_waits_in_every_browser_and_the_owner_is_told_once(
    owner, clock, secret
):
    clients = [Client(REMOTE_ADDR=f"192.0.2.{number}") for number in range(3)]
    for client in clients:
        sign_in(client, owner)
    for number in range(5):
        clients[number % 2].post(STEP, {"code": WRONG})
    for client in clients:
        page = client.post(STEP, {"code": code(secret, clock.step)})
        assert "Too many" in str(page.context["form"].errors)
        assert not is_in(client)
    assert len([one for one in subjects() if "too many wrong codes" in one]) == 1


def test_nobody_guesses_for_ever(client, owner, clock, secret, settings):
    """Twenty wrong codes in a day, however slowly; a new password begins anew, for it puts out whoever guessed."""
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "1000/m/key"}
    sign_in(client, owner)
    for _ in range(20):
        client.post(STEP, {"code": WRONG})
    page = client.post(STEP, {"code": code(secret, clock.step)})
    assert "Too many wrong codes in a day" in str(page.context["form"].errors)
    owner.set_password(PASSWORD)
    owner.save()
    again = Client()
    sign_in(again, owner)
    assert again.post(STEP, {"code": code(secret, clock.step)})["Location"] == "/"


def test_right_codes_do_not_count(owner, clock, secret):
    for _ in range(25):
        client = Client()
        sign_in(client, owner)
        clock.step += 1
        assert client.post(STEP, {"code": code(secret, clock.step)})["Location"] == "/"


def test_both_steps_give_the_session_a_new_key(client, owner, clock, secret):
    """What somebody has planted in this browser is worth nothing after the sign-in."""
    client.get("/accounts/login/")
    keys = [client.session.session_key]
    sign_in(client, owner)
    keys.append(client.session.session_key)
    client.post(STEP, {"code": code(secret, clock.step)})
    keys.append(client.session.session_key)
    assert keys[-1] not in keys[:-1]
    planted = Client()
    planted.cookies[django_settings.SESSION_COOKIE_NAME] = keys[1] or "x"
    assert not is_in(planted)


def test_wrong_codes_before_a_change_count_too(client, owner, clock, secret):
    sign_in(client, owner)
    client.post(STEP, {"code": code(secret, clock.step)})
    for _ in range(5):
        client.post("/accounts/confirm/code/", {"code": WRONG})
    page = client.post("/accounts/confirm/code/", {"code": code(secret, clock.step + 1)})
    assert "Too many" in str(page.context["form"].errors)


def test_a_new_password_does_not_get_around_it(client, owner, secret):
    client.post("/accounts/password/reset/", {"email": owner.email})
    mail.send_waiting()
    from django.core import mail as sent

    (link,) = re.findall(r"http://\S+", sent.outbox[0].body)
    form = client.get(link.removeprefix("http://localhost:8000"), follow=True)
    client.post(form.request["PATH_INFO"], {"password1": PASSWORD + "!", "password2": PASSWORD + "!"})
    assert not is_in(client)
    answer = client.post("/accounts/login/", {"login": owner.email, "password": PASSWORD + "!"})
    assert answer["Location"] == STEP


def test_what_is_typed_wrong_at_the_first_step_never_tells_of_the_second(client, owner, stranger, secret):
    pages = [
        client.post("/accounts/login/", {"login": login, "password": "wrong"})
        for login in (owner.email, stranger.email, "nobody@example.com")
    ]
    assert len({(page.status_code, str(page.context["form"].errors)) for page in pages}) == 1


# Taking it away


@pytest.fixture
def signed_in(client, owner, clock, secret):
    sign_in(client, owner)
    client.post(STEP, {"code": code(secret, clock.step)})
    return client


def _removal(owner):
    return f"{SECURITY}apps/{second_step.apps_of(owner)[0].pk}/remove/"


def test_nothing_is_taken_away_without_the_password_or_a_code(signed_in, owner):
    removal = _removal(owner)
    for answer in (signed_in.get(removal), signed_in.post(removal), signed_in.post(CODES)):
        assert answer["Location"].startswith(f"{CONFIRM}?next=")
    assert second_step.is_on(owner)
    signed_in.post(CONFIRM, {"password": "wrong"})
    assert signed_in.post(removal)["Location"].startswith(CONFIRM)
    assert second_step.is_on(owner)


def test_with_the_password_the_last_one_goes_and_the_recovery_codes_with_it(signed_in, owner):
    confirm(signed_in)
    assert signed_in.post(_removal(owner))["Location"] == SECURITY
    assert not Authenticator.objects.exists()
    assert subjects() == ["An authenticator app was removed from your account"]
    assert sign_in(Client(), owner)["Location"] == "/"


def test_recovery_codes_of_a_time_before_are_worth_nothing(signed_in, owner, clock):
    old = second_step.new_codes(user=owner)
    confirm(signed_in)
    signed_in.post(_removal(owner))
    assert second_step.use_code(owner, old[0]) is None
    _, new = add_app(owner, clock)
    assert not set(old) & set(new)
    assert second_step.use_code(owner, old[0]) is None
    assert second_step.use_code(owner, new[0])


@pytest.mark.django_db(transaction=True)
def test_two_first_apps_at_once_come_with_one_set_of_recovery_codes(owner, clock):
    results = at_once(*[lambda name=name: len(add_app(owner, clock, name)[1]) for name in ("Phone", "Tablet")])
    assert sorted(results) == [0, 10]
    assert second_step.codes_left(owner) == 10


@pytest.mark.parametrize("target", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)"])
def test_confirming_leads_to_no_other_site(signed_in, target):
    for page in (CONFIRM, "/accounts/confirm/code/"):
        signed_in.get(f"{page}?next={target}")
    answer = signed_in.post(f"{CONFIRM}?next={target}", {"password": PASSWORD, "next": target})
    assert "elsewhere" not in answer["Location"]
    assert answer["Location"].startswith("/")


def test_a_code_will_do_in_place_of_the_password(signed_in, owner, clock, secret):
    removal = _removal(owner)
    signed_in.get(removal)
    clock.step += 1
    answer = signed_in.post("/accounts/confirm/code/", {"code": code(secret, clock.step), "next": removal})
    assert answer["Location"] == removal
    assert signed_in.get(removal).status_code == 200


def test_one_of_two_goes_and_the_other_goes_on(signed_in, owner, clock):
    tablet, _ = add_app(owner, clock, name="Tablet")
    confirm(signed_in)
    signed_in.post(_removal(owner))
    assert [app.name for app in second_step.apps_of(owner)] == ["Tablet"]
    assert second_step.codes_left(owner) == 10
    assert second_step.use_code(owner, code(tablet, clock.step))


def test_nobody_takes_away_anothers(signed_in, stranger, clock):
    add_app(stranger, clock)
    confirm(signed_in)
    for method in (signed_in.get, signed_in.post):
        assert method(_removal(stranger)).status_code == 404
        row = Authenticator.objects.create(user=stranger, type="webauthn", data={"name": "Key"})
        assert method(f"{SECURITY}passkeys/{row.pk}/remove/").status_code == 404
    assert second_step.is_on(stranger)


@pytest.mark.parametrize(
    "page",
    [
        APP_NEW,
        f"{SECURITY}apps/x/remove/",
        f"{SECURITY}passkeys/1/remove/",
        CODES,
        CONFIRM,
        STEP,
        f"{SECURITY}passkeys/new/",
        f"{SECURITY}sessions/end/",
        f"{SECURITY}sessions/1/end/",
        "/accounts/confirm/code/",
        "/accounts/confirm/passkey/",
        "/profile/delete/",
        "/profile/tokens/new/",
        "/profile/tokens/x/revoke/",
        "/profile/emails/",
        f"{SECURITY}github/remove/",
    ],
)
def test_no_other_site_can_press_our_buttons(owner, page):
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner, backend="accounts.backends.Backend")
    assert client.post(page, {"code": "1", "password": PASSWORD}).status_code == 403


def test_whoever_runs_the_server_can_take_it_away(owner, clock, secret):
    add_app(owner, clock, name="Tablet")
    out = StringIO()
    call_command("forget_second_step", "olga", stdout=out)
    assert out.getvalue() == "2 devices of olga forgotten.\n"
    assert not Authenticator.objects.exists()
    assert not AuthenticatorApp.objects.exists()
    assert subjects() == ["The second step of your account was taken away by whoever runs this server"]
    assert "the server itself" in OutgoingEmail.objects.get().body
    with pytest.raises(CommandError, match="no account called"):
        call_command("forget_second_step", "nobody")


# Passkeys (their ceremony is in tests/browser)


def test_a_passkey_belongs_to_our_own_name_whatever_name_the_request_used(client, owner):
    sign_in(client, owner)
    page = client.get(f"{SECURITY}passkeys/new/", headers={"host": "127.0.0.1"})
    options = page.context["js_data"]["creation_options"]["publicKey"]
    assert options["rp"]["id"] == "localhost"
    assert options["user"]["name"] == owner.email


@pytest.mark.parametrize("credential", ["", "x", "{}", "[]", "null", '{"id": "x"}', '{"response": {}}', "9" * 5000])
def test_nonsense_is_no_passkey(client, owner, credential):
    sign_in(client, owner)
    client.get(f"{SECURITY}passkeys/new/")
    page = client.post(f"{SECURITY}passkeys/new/", {"name": "Key", "credential": credential})
    assert page.status_code == 200
    assert page.context["form"].errors
    assert not second_step.is_on(owner)


@pytest.mark.parametrize("credential", ["", "x", "{}", "[]", "null", '{"id": "x"}', '{"response": {}}', "9" * 5000])
def test_nonsense_signs_nobody_in(client, owner, secret, credential):
    sign_in(client, owner)
    client.get(STEP)
    assert client.post(STEP, {"credential": credential}).status_code == 200
    assert not is_in(client)


# Where it is required


@pytest.fixture
def world_of_routes(project):
    """Every address there is, for things that are or are not there."""
    made = []
    for name, pattern in routes():
        wanted = set(pattern.pattern.converters) | set(re.findall(r"\?P<(\w+)>", str(pattern.pattern)))
        known = dict.fromkeys(wanted, "guess") | {"slug": "vision", "app_label": "billing", "uidb36": "a", "key": "b-c"}
        known |= dict.fromkeys(
            [one for one, of in pattern.pattern.converters.items() if isinstance(of, IntConverter)], 1
        )
        made.append((name, reverse(name, kwargs={one: known[one] for one in wanted})))
    return sorted(made, key=lambda one: one[0] == "account_logout")


@pytest.fixture
def required(settings):
    settings.REQUIRE_MFA = True


def _line(client):
    """What a line to the project's jobs answers in this browser: a close code, or None when it is open."""
    consumer = websocket_urlpatterns[0].callback.consumer_class()
    consumer.scope = {"session": client.session, "url_route": {"kwargs": {"slug": "vision"}}}
    return consumer._refusal()


def test_nobody_gets_past_setting_it_up(client, owner, project, required):
    sign_in(client, owner)
    for page in ("/", "/projects/", "/p/vision/jobs", "/profile/", "/p/vision/members", "/profile/delete/"):
        assert client.get(page)["Location"] == SECURITY, page
        assert client.post(page)["Location"] == SECURITY, page
    assert client.get("/projects/", headers={"hx-request": "true"})["HX-Redirect"] == SECURITY
    assert _line(client) == 4403
    for page in (SECURITY, APP_NEW, f"{SECURITY}passkeys/new/", "/accounts/email/"):
        text = client.get(page).content.decode()
        assert "Vision" not in text, page
    assert "requires one for every account" in client.get(SECURITY).content.decode()


def test_pages_of_errors_tell_nothing_either(client, owner, project, required):
    sign_in(client, owner)
    for page in (client.get("/nowhere"), client.get("/p/vision/nowhere")):
        assert page.status_code == 404
        assert "Vision" not in page.content.decode()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    page = strict.post("/projects/new", {"name": "x"})
    assert page.status_code == 403
    assert "Vision" not in page.content.decode()


def test_no_address_leads_past_it(client, owner, world_of_routes, required):
    sign_in(client, owner)
    for name, address in world_of_routes:
        for method in (client.get, client.post):
            answer = method(address)
            if name in BEFORE_ENROLMENT:
                assert "/p/" not in answer.get("Location", ""), name
            else:
                assert (answer.status_code, answer.get("Location")) == (302, SECURITY), name


def test_setting_it_up_opens_everything_and_leads_where_one_wanted_to_go(client, owner, project, clock, required):
    answer = sign_in(client, owner, next="/p/vision/jobs?q=x")
    assert client.get(answer["Location"])["Location"] == SECURITY
    secret = client.get(APP_NEW).context["secret"]
    page = client.post(APP_NEW, {"name": "Phone", "code": code(secret, clock.step)})
    assert page.context["codes"]
    assert 'href="/p/vision/jobs?q=x">I have kept them' in page.content.decode()
    assert is_in(client)
    assert _line(client) is None


def test_the_last_one_stays_where_it_is_required(signed_in, owner, clock, required):
    confirm(signed_in)
    signed_in.post(_removal(owner))
    assert second_step.is_on(owner)
    add_app(owner, clock, name="Tablet")
    signed_in.post(_removal(owner))
    assert [app.name for app in second_step.apps_of(owner)] == ["Tablet"]
    with pytest.raises(second_step.LastOne):
        second_step.remove_app(app=second_step.apps_of(owner)[0])


def test_who_has_not_proven_the_address_is_sent_to_do_that_first(client, make_user, required):
    sign_in(client, make_user("uma", verified=False))
    assert client.get("/projects/")["Location"] == SECURITY
    assert client.get(APP_NEW)["Location"] == "/accounts/email/"
    assert client.get("/accounts/email/").status_code == 200


def test_signing_out_is_always_open(client, owner, required):
    sign_in(client, owner)
    client.post("/accounts/logout/")
    assert django_settings.SESSION_COOKIE_NAME not in client.cookies or not client.session.keys()


def test_people_who_are_not_signed_in_see_what_they_always_see(client, db, required):
    assert client.get("/accounts/login/").status_code == 200
    assert client.get("/projects/")["Location"].startswith("/accounts/login/")
