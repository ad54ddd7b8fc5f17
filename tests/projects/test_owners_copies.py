"""What the pages and forms of the owners' admin site say about themselves as command, Python and curl.

That such texts run is tried where the dashboard's own pages say them (tests/sdk/test_copy_as.py).
"""

import html
import re

import pytest
from django.test import Client

from mlteam.ways import OWNERS, OWNERS_FORMS
from projects.models import Member
from tests.billing.conftest import price
from tests.projects.test_owners_site import MODELS, READ_ONLY, address, furnish

pytestmark = [pytest.mark.django_db, pytest.mark.ignore_template_errors]

SECTION = re.compile(
    r'<details name="copy-as"(?: data-of="([\w:]+)")?[^>]*><summary>.*?</summary>(.*?)</details>', re.DOTALL
)
TEXT = re.compile(r'<pre class="code"[^>]*>(.*?)</pre>', re.DOTALL)


def said(client, page) -> dict[str, list[str]]:
    """Form, or "" for the page itself -> its three texts."""
    body = client.get(page).content.decode()
    plain = {of: [re.sub(r"<[^>]+>", "", text) for text in TEXT.findall(inner)] for of, inner in SECTION.findall(body)}
    return {of: [html.unescape(text) for text in texts] for of, texts in plain.items()}


@pytest.fixture
def olga(as_user, owner) -> Client:
    return as_user(owner)


@pytest.fixture
def mine(project, make_user, join) -> dict[str, str]:
    price("cpu", "1")
    return furnish(project, join, make_user, "mine")


def test_every_list_says_how_to_ask_for_it(olga, mine, project):
    for model in MODELS:
        anywhere = said(olga, address(f"{model}_changelist"))[""]
        here = said(olga, address(f"{model}_changelist", project=project.pk))[""]
        assert len(anywhere) == len(here) == 3
        if model != "projects_project":
            assert all(project.pk in text for text in here)
            assert [text.replace(project.pk, "PROJECT").replace("'", "") for text in here] == [
                text.replace("'", "")
                for text in anywhere  # the shell quotes a blank in an address
            ]
    assert said(olga, address("index"))[""][0] == "mlteam project ls"
    assert (
        said(olga, address("projects_member_changelist", project="x'%0a<b>"))[""][0] == "mlteam project members PROJECT"
    )


def test_every_row_says_how_to_ask_for_it_and_every_form_what_it_does(olga, mine, project):
    """What has a form says the form, with the row's ids where its texts name them."""
    for model, pk in mine.items():
        found = said(olga, address(f"{model}_change", pk))
        assert all(project.pk in text for text in found[""]), model
        form = OWNERS_FORMS.get(f"owners:{model}_change")
        assert set(found) == {"", form} - {None}
        assert (form is None) == (model in READ_ONLY | {"projects_invitation"})
        if form:
            assert all(project.pk in text for text in found[form])
        for page in ("add", "delete"):
            if form := OWNERS_FORMS.get(f"owners:{model}_{page}"):
                row = [pk] if page == "delete" else []
                assert len(said(olga, address(f"{model}_{page}", *row))[form]) == 3


def test_a_member_of_the_row_is_what_its_form_is_about(olga, mine, project):
    member = Member.objects.get(pk=mine["projects_member"])
    page = olga.get(address("projects_member_change", member.pk)).content.decode()
    assert f'data-way="projects:member_set" data-project="{project.pk}" data-user="{member.user_id}"' in page


def test_every_page_of_the_site_is_named():
    rows = ("changelist", "add", "change", "delete", "history")
    assert {f"owners:{model}_{page}" for model in MODELS for page in rows} | {"owners:index"} == set(OWNERS)
    assert set(OWNERS_FORMS) < set(OWNERS)
