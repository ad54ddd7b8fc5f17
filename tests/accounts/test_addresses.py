"""Where links lead: to this installation, whatever a request says its name is; and onwards only to our own pages."""

import html
import re

import pytest
from django.conf import settings
from django.core import mail as sent
from django.test import Client
from django.urls import reverse

from accounts import mail
from accounts.models import User
from projects import actions, links
from projects.levels import PRESETS
from projects.models import Invitation
from tests.conftest import PASSWORD

NEW = "bob@example.org"
OURS = "http://localhost:8000"
# What a proxy or a browser could be made to say. The first are names that this machine has too.
FORGED = [
    {"HTTP_HOST": "127.0.0.1:9999"},
    {"HTTP_HOST": "localhost:6666"},
    {"HTTP_HOST": "[::1]:1"},
    {"HTTP_X_FORWARDED_HOST": "evil.example"},
    {"HTTP_X_FORWARDED_SERVER": "evil.example", "HTTP_FORWARDED": "host=evil.example;proto=https"},
    {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_ORIGINAL_URL": "//evil.example/"},
]


def addresses_in(text: str) -> set[str]:
    """The beginnings of all absolute addresses in a text, without those that name a vocabulary."""
    return {one for one in re.findall(r"https?://[^/\s\"'<>]+", text) if "www.w3.org" not in one}


@pytest.mark.parametrize("forged", FORGED, ids=lambda forged: next(iter(forged.values())))
def test_links_in_emails_and_pages_are_ours_whatever_the_request_says(as_user, owner, project, stranger, forged):
    assert settings.MLTEAM_URL == OURS
    client = as_user(owner)
    page = client.post("/p/vision/members/invite", {"email": NEW, "preset": "Viewer"}, follow=True, **forged)
    invited = Invitation.objects.get(email=NEW)
    assert links.address_of(invited, links.COPIED) in page.content.decode()
    assert addresses_in(html.unescape(page.content.decode())) <= {OURS}
    Client().post("/accounts/password/reset/", {"email": stranger.email}, **forged)
    Client().post("/accounts/password/reset/", {"email": "nobody@example.org"}, **forged)
    as_user(stranger).post("/accounts/email/", {"email": "other@example.org", "action_add": "1"}, **forged)
    as_user(stranger).post("/accounts/email/", {"email": stranger.email, "action_send": "1"}, **forged)
    mail.send_waiting()
    assert len(sent.outbox) >= 4
    for email in sent.outbox:
        texts = [email.body, *(body for body, _ in getattr(email, "alternatives", ()))]
        for text in texts:
            assert addresses_in(text) <= {OURS}, email.subject
            assert "evil.example" not in text


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost:80@evil.example", "evil.example/", "a b", "", "[::1"]
)
def test_a_name_that_is_not_ours_is_not_answered(client, host):
    for path in ("/accounts/login/", "/", "/owners/"):
        answer = client.get(path, HTTP_HOST=host)
        assert answer.status_code == 400
        assert "evil.example" not in answer.content.decode()


ELSEWHERE = [
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "http:evil.example",
    "https:///evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "//localhost:8000@evil.example",
    "http://localhost:8000.evil.example",
    "/\t/evil.example",
    "\x00//evil.example",
    " //evil.example",
]


def leads_to_us(answer) -> bool:
    """Whether the answer stays here: no redirection, or one to a path of ours that no browser takes for a host."""
    location = answer.get("Location", "/")
    return re.fullmatch(r"/(?![/\\])[^\\\s\x00]*", location) is not None


@pytest.mark.parametrize("address", ELSEWHERE)
def test_nothing_leads_elsewhere(client, as_user, make_user, project, owner, address):
    user = make_user("nick")
    signed_in = as_user(user)
    offer = actions.invite(project=project, email=NEW, levels=PRESETS["Viewer"], by=owner)
    page = f"/invitations/{links.token_of(offer, links.EMAILED)}/"
    answers = [
        client.post("/accounts/login/", {"login": "nick", "password": PASSWORD, "next": address}),
        Client().post("/accounts/login/?next=" + address, {"login": "nick", "password": PASSWORD}),
        signed_in.get("/accounts/login/", {"next": address}),
        signed_in.get("/accounts/signup/", {"next": address}),
        Client().post("/accounts/signup/", {"username": "new", "password1": PASSWORD, "next": address}),
        signed_in.post("/projects/switch", {"project": "personal-nick", "next": address}),
        signed_in.post(
            "/profile/", {"name": "", "username": "nick", "time_zone": "UTC", "theme": "auto", "next": address}
        ),
        Client().get("/accounts/logout/", {"next": address}),
        as_user(user).post("/accounts/logout/", {"next": address}),
        Client().get(page, {"next": address}),
        signed_in.get("/owners/projects/project/", {"next": address, "_changelist_filters": address}),
        as_user(owner).post(
            reverse("owners:projects_project_add") + "?_changelist_filters=" + address.replace("\x00", ""),
            {"name": "More", "next": address},
        ),
    ]
    for number, answer in enumerate(answers):
        assert leads_to_us(answer), (number, answer.get("Location"))
        if answer.status_code == 200:
            assert f'href="{address}"' not in answer.content.decode()
    assert not User.objects.filter(username="new").exists()


def test_but_to_ones_own_page_it_does(client, make_user):
    make_user("nick")
    answer = client.post("/accounts/login/", {"login": "nick", "password": PASSWORD, "next": "/p/vision/jobs?mine=1"})
    assert answer["Location"] == "/p/vision/jobs?mine=1"
