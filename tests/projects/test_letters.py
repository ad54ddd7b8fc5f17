"""The emails about members: to whom, saying what, with links of ours alone. Every part of each is looked at."""

import re
from html.parser import HTMLParser

import pytest
from django.core import mail as sent

from accounts import mail
from projects import actions, ownership
from projects.levels import PRESETS
from projects.models import Member, Project

URL = "http://localhost:8000"
ADDRESS = re.compile(r"https?://[^\s<>\"]+")


def emails():
    """All that wait, sent now: (to, subject, body)."""
    sent.outbox.clear()
    mail.send_waiting()
    return sent.outbox


class Tags(HTMLParser):
    """The tags of a page, and where its links lead."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.links = set(), []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.links += [value for name, value in attributes if name in {"href", "src"}]


def check(email):
    """Links lead to this installation, and nothing that somebody typed is more than text."""
    assert all(found.startswith(f"{URL}/") for found in ADDRESS.findall(email.body)), email.body
    assert "\n" not in email.subject
    for page, kind in email.alternatives if hasattr(email, "alternatives") else ():
        assert kind == "text/html"
        read = Tags(page)
        assert not {"script", "img", "form"} & read.tags
        assert all(link.startswith(f"{URL}/") for link in read.links)


@pytest.fixture
def member(project, viewer):
    emails()
    return Member.objects.get(user=viewer)


def test_who_has_joined_is_told_their_levels(project, join, make_user):
    join(project, make_user("mia"), "Viewer")
    invitation, added = emails()
    assert invitation.subject == "Olga Owner invites you to Vision"
    assert (added.to, added.subject) == (["mia@example.com"], "You are a member of Vision")
    assert "Viewer (jobs read, datasets read, models read, volumes read)" in added.body
    assert f"{URL}/p/vision/members" in added.body


def test_changed_levels(project, owner, member):
    actions.set_levels(member=member, levels={**PRESETS["Viewer"], "job": "own"}, by=owner)
    (email,) = emails()
    assert email.to == ["vera@example.com"]
    assert "Until now: Viewer (jobs read," in email.body
    assert "From now on: jobs own, datasets read" in email.body
    actions.set_levels(member=member, levels={**PRESETS["Viewer"], "job": "own"}, by=owner)
    assert emails() == []


def test_who_is_removed_is_told_and_who_leaves_knows(project, owner, member, collaborator):
    emails()
    actions.remove_member(member=member, by=owner)
    actions.leave(project=project, by=collaborator)
    (email,) = emails()
    assert (email.to, email.subject) == (["vera@example.com"], "You are no longer a member of Vision")
    assert "/p/vision" not in email.body


def test_an_offer_and_each_answer(project, owner, viewer, member):
    ownership.offer(member=member, by=owner)
    (email,) = emails()
    assert email.to == ["vera@example.com"]
    assert f"{URL}/p/vision/ownership" in email.body
    ownership.decline(project=project, by=viewer)
    (email,) = emails()
    assert (email.to, email.subject) == (["olga@example.com"], "vera does not take over Vision")
    ownership.offer(member=member, by=owner)
    ownership.accept(project=project, by=viewer)
    assert sorted(email.to[0] for email in emails()) == ["olga@example.com", "vera@example.com", "vera@example.com"]


def test_none_of_a_change_that_did_not_happen(project, owner, member):
    ownership.offer(member=member, by=owner)
    emails()
    actions.remove_member(member=member, by=owner)
    emails()
    actions.remove_member(member=member, by=owner)
    assert emails() == []


NAMES = ["<img src=x onerror=alert(1)>", "https://evil.example/", "x" * 100, "{{ settings.SECRET_KEY }}", '& "quoted"']


@pytest.mark.parametrize("name", NAMES)
def test_names_are_text_in_every_part(owner, make_user, join, name):
    project = actions.create(name=name, by=owner)
    user = make_user("mia", name=name)
    member = join(project, user, "Viewer")
    actions.set_levels(member=member, levels=PRESETS["Full"], by=owner)
    ownership.offer(member=member, by=owner)
    ownership.accept(project=project, by=user)
    actions.remove_member(member=Member.objects.get(user=owner), by=user)
    found = emails()
    assert len(found) == 7
    for email in found:
        assert name in email.body
        email.body = email.body.replace(name, "NAME")
        check(email)


def test_a_forged_host_is_in_no_link(as_user, owner, member, project, settings):
    settings.ALLOWED_HOSTS = ["*"]
    path = f"/p/vision/members/{member.pk}/set"
    as_user(owner).post(path, PRESETS["Full"], headers={"Host": "evil.example"})
    (email,) = emails()
    assert "evil" not in email.message().as_string()
    check(email)


def test_a_project_that_is_gone_by_then_is_still_named(project, owner, member):
    actions.remove_member(member=member, by=owner)
    Project.objects.filter(pk=project.pk).update(name="Other")
    (email,) = emails()
    assert "“Vision”" in email.body
