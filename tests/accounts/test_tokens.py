"""Personal tokens, and what becomes of them."""

import hashlib
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import actions, tokens
from accounts.models import OutgoingEmail, PersonalToken, User
from tests.accounts.hands import CONFIRM, SECURITY, add_app, confirm, sign_in

TOKENS, NEW = "/profile/tokens/", "/profile/tokens/new/"
CI = {"name": "ci", "scope": "read", "days": 90}


@pytest.fixture
def text(owner):
    return tokens.make(user=owner, **CI)


@pytest.fixture
def signed_in(client, owner):
    sign_in(client, owner)
    confirm(client)
    return client


def test_a_token_stands_for_its_owner_with_its_scope(owner, text):
    token = tokens.find(text)
    assert (token.user, token.scope, token.name) == (owner, "read", "ci")
    other = tokens.find(tokens.make(user=owner, name="laptop", scope="all", days=7))
    assert (other.user, other.scope) == (owner, "all")


def test_who_has_the_database_has_no_tokens(text):
    row = PersonalToken.objects.values().get()
    assert text not in str(row)
    assert row["digest"] == hashlib.sha256(text.encode()).hexdigest()
    assert text.startswith("mlt_")
    assert len(text) == 4 + 43
    assert text.endswith(row["ending"])


def test_no_two_are_the_same(owner):
    assert len({tokens.make(user=owner, **CI) for _ in range(20)}) == 20


@pytest.mark.parametrize("change", [str.upper, str.strip, lambda t: t[4:], lambda t: t[:-1], lambda t: "mlx_" + t[4:]])
def test_what_is_nearly_a_token_is_none(text, change):
    changed = change(text)
    assert (tokens.find(changed) is None) == (changed != text)


@pytest.mark.parametrize(
    "wrong", ["", "mlt_", "mlt_" + "A" * 43, "mlt_" + "ü" * 43, "x" * 10_000, "mlt_" + "\ud800" * 43]
)
def test_a_guess_is_none(text, wrong):
    assert tokens.find(wrong) is None


def test_an_expired_one_is_worth_nothing_and_is_shown_so(signed_in, text):
    PersonalToken.objects.update(expires_at=timezone.now())
    assert tokens.find(text) is None
    assert ">expired<" in signed_in.get(TOKENS).content.decode()


def test_a_revoked_one_is_worth_nothing(signed_in, text):
    token = PersonalToken.objects.get()
    assert "Revoke ci?" in signed_in.get(f"{TOKENS}{token.pk}/revoke/").content.decode()
    assert tokens.find(text)
    assert signed_in.post(f"{TOKENS}{token.pk}/revoke/")["Location"] == TOKENS
    assert tokens.find(text) is None


def test_with_its_account_closed_it_is_worth_nothing(owner, text):
    User.objects.update(is_active=False)
    assert tokens.find(text) is None
    User.objects.update(is_active=True)
    assert tokens.find(text)
    actions.close(user=owner)
    assert not PersonalToken.objects.exists()


def test_a_new_password_leaves_programs_running(owner, text):
    owner.set_password("another long password")
    owner.save()
    assert tokens.find(text)


def test_where_a_second_step_is_required_it_works_only_for_who_has_one(owner, text, settings, clock):
    settings.REQUIRE_MFA = True
    assert tokens.find(text) is None
    add_app(owner, clock)
    assert tokens.find(text)


def test_its_use_is_noted_once_a_minute(text, django_assert_num_queries):
    used = tokens.find(text).last_used_at
    assert used
    with django_assert_num_queries(1):
        assert tokens.find(text).last_used_at == used
    before = timezone.now() - timedelta(seconds=61)
    PersonalToken.objects.update(last_used_at=before)
    tokens.find(text)
    assert PersonalToken.objects.get().last_used_at > before


@pytest.mark.parametrize("days", [0, -1, 366, 10_000, None])
def test_none_lasts_longer_than_a_year(owner, days):
    with pytest.raises(ValidationError):
        tokens.make(user=owner, name="ci", scope="read", days=days)


def test_the_installation_says_how_long(owner, settings):
    settings.TOKEN_MAX_DAYS = 60
    assert [days for days, _ in tokens.lifetimes()] == ["7", "30", "60"]
    assert tokens.usual_lifetime() == 60
    with pytest.raises(ValidationError):
        tokens.make(user=owner, name="ci", scope="read", days=61)
    settings.TOKEN_MAX_DAYS = 0
    assert tokens.lifetimes()[-1] == ("0", "For ever")
    assert tokens.find(tokens.make(user=owner, name="ci", scope="read", days=None)).expires_at is None


# Its pages


def test_it_is_made_after_the_password_and_shown_once(signed_in, owner, as_user):
    open_browser = as_user(owner)
    for answer in (open_browser.get(NEW), open_browser.post(NEW, CI)):
        assert answer["Location"].startswith(CONFIRM)
    assert not PersonalToken.objects.exists()
    assert signed_in.get(NEW).context["form"]["days"].initial == 90
    page = signed_in.post(NEW, CI)
    text = page.context["text"]
    assert page.content.decode().count(text) == 2  # to read and to copy
    assert "no-store" in page["Cache-Control"]
    assert tokens.find(text).user == owner
    assert text not in signed_in.get(TOKENS).content.decode()
    assert [one.subject for one in OutgoingEmail.objects.all()] == ["A personal token was made for your account"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("name", "a\nb"), ("name", "x" * 61), ("scope", "admin"), ("days", "366"), ("days", "0")],
)
def test_bad_wishes_are_refused(signed_in, field, value):
    assert signed_in.post(NEW, CI | {field: value}).context["form"].errors.keys() == {field}
    assert not PersonalToken.objects.exists()


def test_for_ever_is_chosen_where_the_installation_allows_it(signed_in, settings):
    settings.TOKEN_MAX_DAYS = 0
    assert "text" in signed_in.post(NEW, CI | {"days": "0"}).context
    assert PersonalToken.objects.get().expires_at is None
    assert "does not expire" in signed_in.get(TOKENS).content.decode()


def test_a_name_with_html_is_a_name(signed_in):
    page = signed_in.post(NEW, CI | {"name": "<b>ci</b>"})
    for text in (page.content.decode(), signed_in.get(TOKENS).content.decode()):
        assert "&lt;b&gt;ci&lt;/b&gt;" in text


def test_nobody_sees_or_revokes_anothers(signed_in, stranger):
    tokens.make(user=stranger, name="theirs", scope="all", days=7)
    token = PersonalToken.objects.get()
    assert "theirs" not in signed_in.get(TOKENS).content.decode()
    assert signed_in.get(f"{TOKENS}{token.pk}/revoke/").status_code == 404
    assert signed_in.post(f"{TOKENS}{token.pk}/revoke/").status_code == 404
    assert PersonalToken.objects.exists()


def test_an_account_has_so_many_and_no_more(owner, monkeypatch):
    monkeypatch.setattr(tokens, "MOST", 2)
    for _ in range(2):
        tokens.make(user=owner, **CI)
    with pytest.raises(ValidationError, match="at most 2"):
        tokens.make(user=owner, **CI)


def test_a_token_is_no_way_past_the_password(client, owner, text):
    """It is for programs: the pages do not know it."""
    answer = client.get(SECURITY, headers={"authorization": f"Bearer {text}"})
    assert answer["Location"].startswith("/accounts/login/")
    assert confirm(client).status_code == 302
