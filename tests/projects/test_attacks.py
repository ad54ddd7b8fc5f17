"""What somebody might try with projects and invitations: other accounts, look-alikes, names, two at once."""

import pytest
from django.core import mail as sent
from django.core.exceptions import ValidationError

import access
from access import Refused
from accounts import actions as accounts
from accounts import mail, tokens
from accounts.models import OutgoingEmail, PersonalToken, User
from projects import actions, links, ownership, team_members
from projects.errors import Impossible, OtherAccount
from projects.levels import PRESETS
from projects.members import levels_by_user
from projects.models import AuditEntry, Invitation, Member, Project, ProjectGroupPermission
from teams import actions as teams
from teams.models import Team
from tests.at_once import together
from tests.conftest import PASSWORD

NEW = "bob@example.org"


@pytest.fixture
def offer(project, owner):
    return actions.invite(project=project, email=NEW, levels=PRESETS["Viewer"], by=owner)


def page_of(offer, kind=links.EMAILED):
    return f"/invitations/{links.token_of(offer, kind)}/"


# ---- invitations in the wrong hands


@pytest.mark.parametrize("kind", [links.EMAILED, links.COPIED])
def test_signed_in_as_somebody_else_one_is_told_so_and_gets_nothing(as_user, offer, stranger, project, kind):
    client = as_user(stranger)
    assert client.get(page_of(offer, kind)).context["state"] == "other_account"
    answer = client.post(page_of(offer, kind))
    assert (answer.status_code, answer.context["state"]) == (403, "other_account")
    assert client.get("/p/vision/members").status_code == 404
    offer.refresh_from_db()
    assert offer.accepted_at is None


def test_used_expired_and_revoked_links_all_say_the_same(as_user, make_user, owner, project):
    client, said = as_user(make_user("bob", email=NEW)), set()
    for end in ("use", "expire", "revoke", "remove"):
        offer = actions.invite(project=project, email=NEW, levels=PRESETS["Viewer"], by=owner)
        if end == "use":
            client.post(page_of(offer))
            actions.remove_member(member=Member.objects.get(), by=owner)
        elif end == "expire":
            Invitation.objects.filter(pk=offer.pk).update(expires_at=offer.created_at)
        elif end == "revoke":
            actions.revoke(invitation=offer, by=owner)
        else:
            actions.remove(project=project, by=owner)
        for answer in (client.get(page_of(offer)), client.post(page_of(offer))):
            assert answer.context["state"] == "invalid"
            said.add(answer.context["state"])
        assert not Member.objects.exists()
    assert len(said) == 1


@pytest.mark.parametrize("kind", [links.EMAILED, links.COPIED])
def test_an_account_made_by_a_link_has_the_invited_address_whatever_is_posted(client, offer, kind):
    posted = {
        "email": "mallory@evil.example",
        "username": "mallory",
        "password1": PASSWORD,
        "next": page_of(offer, kind),
    }
    client.post("/accounts/signup/", posted)
    user = User.objects.get(username="mallory")
    assert (user.email, user.verified) == (NEW, kind == links.EMAILED)


def test_a_copied_link_lets_no_account_of_another_address_in(client, offer, make_user, as_user, project):
    """Neither one that there is, nor one that would take the address without proving it."""
    mallory = make_user("mallory")
    browser = as_user(mallory)
    browser.post("/accounts/email/", {"email": NEW, "action_add": "1"})
    assert browser.post(page_of(offer, links.COPIED)).status_code == 403
    assert not Member.objects.filter(user=mallory).exists()
    mallory.refresh_from_db()
    assert mallory.email == "mallory@example.com"


# ---- addresses that look alike

ALIKE = [
    "bоb@example.org",  # a Cyrillic о
    "bob@examplе.org",  # a Cyrillic е
    "bob@exampIe.org",  # a capital i
    "bob@example.org.",
    "b\u200bob@example.org",
    "ｂｏｂ@example.org",
    "bob+tag@example.org",
    "b.o.b@example.org",
    "bob@xn--exampl-2of.org",
    "bob\u0301@example.org",
]


@pytest.mark.parametrize("written", ALIKE)
def test_an_address_that_looks_like_ones_own_is_not_ones_own(project, owner, make_user, written):
    """Such an invitation is refused, or goes to another address, which the account does not have."""
    bob = make_user("bob", email=NEW)
    try:
        offer = actions.invite(project=project, email=written, levels=PRESETS["Full"], by=owner)
    except ValidationError:
        return
    assert offer.email != NEW
    assert offer.email.isascii()  # so that what only looks like it does not look like it any more
    with pytest.raises(OtherAccount):
        actions.accept(token=links.token_of(offer, links.EMAILED), by=bob)
    assert OutgoingEmail.objects.get(reference__startswith="invitation").to == offer.email


@pytest.mark.parametrize(
    "written",
    ["BOB@EXAMPLE.ORG", "bob@ＥＸＡＭＰＬＥ.org", "bob@example\u200b.org", " bob@example.org\n"],
)
def test_one_that_the_mail_servers_take_for_the_same_is_the_same(project, owner, make_user, written):
    offer = actions.invite(project=project, email=written, levels=PRESETS["Viewer"], by=owner)
    assert offer.email == NEW
    bob = make_user("bob", email=written)
    assert bob.email == NEW
    actions.accept(token=links.token_of(offer, links.EMAILED), by=bob)
    with pytest.raises(ValidationError):
        accounts.create_account(email=written.upper(), username="bob2", password=PASSWORD, verified=True)


def test_who_signs_in_with_an_address_of_other_letters_is_found(client, make_user):
    make_user("bob", email="bob@büro.example")
    client.post("/accounts/login/", {"login": "Bob@BÜRO.example", "password": PASSWORD})
    assert client.get("/profile/").status_code == 200


@pytest.mark.parametrize(
    "email", ["x" * 10_000 + "@example.org", "x@" + "y" * 10_000 + ".org", "x@" + "y." * 130 + "org"]
)
def test_an_address_that_fits_nowhere_is_refused(as_user, project, owner, email):
    with pytest.raises(ValidationError):
        actions.invite(project=project, email=email, levels=PRESETS["Viewer"], by=owner)
    page = as_user(owner).post("/p/vision/members/invite", {"email": email, "preset": "Viewer"})
    assert page.status_code == 200
    assert page.context["form"].errors["email"]


def test_an_invitation_tells_nobody_whether_an_address_has_an_account(as_user, owner, project, stranger):
    pages = []
    for email in (stranger.email, NEW):
        page = as_user(owner).post("/p/vision/members/invite", {"email": email, "preset": "Viewer"}, follow=True)
        row = Invitation.objects.get(email=email)
        text = page.content.decode().replace(links.token_of(row, links.COPIED), "").replace(email, "")
        pages.append([line for line in text.split("<") if "is invited" in line])
        actions.revoke(invitation=row, by=owner)
    assert pages[0] == pages[1] != []


# ---- names

TOO_LONG = "x" * 10_000
BAD = [
    "",
    " ",
    "\t",
    "\u00a0",
    "\u3000",
    "\u200b",
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\u115f",
    "\u1160",
    "\u3164",
    "\uffa0",
    "\u2800",
]
BAD += [
    "\u0301",
    "\u034f",
    "\u17b4",
    "\ufe0f",
    "\u200f",
    "a\u202eb",
    "a\u2066b",
    "a\u200eb",
    "a\u200bb",
    "a\u3164b",
    "a\nb",
    "a\x1bb",
    "a\x00b",
    "\U000e0041",
    TOO_LONG,
]


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_cannot_be_seen_or_read_is_refused(as_user, owner, project, name):
    for act in (
        lambda: actions.create(name=name, by=owner),
        lambda: actions.rename(project=Project.objects.get(pk=project.pk), name=name, by=owner),
        lambda: teams.create(name=name, by=owner),
    ):
        with pytest.raises(ValidationError):
            act()
    client = as_user(owner)
    for path in ("/projects/new", "/p/vision/settings", "/teams/new"):
        page = client.post(path, {"name": name})
        assert page.status_code == 200, path
        assert page.context["form"].errors["name"], path
    assert list(Project.objects.filter(personal=False).values_list("name", flat=True)) == ["Vision"]
    assert not Team.objects.exists()


@pytest.mark.parametrize("name", BAD)
def test_nor_does_a_person_get_one(as_user, owner, name):
    """A name may be left out: then the username is shown."""
    kept = {"username": "olga", "time_zone": "UTC", "theme": "auto"}
    as_user(owner).post("/profile/", {"name": name, **kept})
    owner.refresh_from_db()
    assert owner.name == "Olga Owner" or (owner.name == "" and not name.strip())
    try:
        made = accounts.create_account(email=NEW, username="bob", name=name, password=PASSWORD, verified=True)
    except ValidationError:
        return
    assert (made.name, made.shown, made.initials) == ("", "bob", "B")


@pytest.mark.parametrize(
    "name", ["Ünïcode", "ラボ 2", "שלום", "مختبر", "видение", "Vision ❤️", "a b", "é", "e\u0301", "<b>HTML</b>", "🔬"]
)
def test_names_of_every_script_are_taken(owner, name):
    assert actions.create(name=name, by=owner).name == name
    assert teams.create(name=name, by=owner).name == name


@pytest.mark.parametrize(
    "username", ["Olga", "olga2\u200b", "οlga", "o" * 10_000, "<b>", "admin", "a b", "", "-olga", "olga\n"]
)
def test_usernames_are_plain(as_user, owner, username):
    page = as_user(owner).post("/profile/", {"name": "", "username": username, "time_zone": "UTC", "theme": "auto"})
    owner.refresh_from_db()
    assert owner.username == "olga"
    assert page.status_code in {200, 302}


def test_names_reach_no_header_of_an_email(project, owner, make_user, join):
    """Not even names that were there before there were rules."""
    Project.objects.filter(pk=project.pk).update(name="Vision\r\nBcc: evil@example.net")
    User.objects.filter(pk=owner.pk).update(name="Olga\nBcc: evil@example.net")
    found = Project.objects.get(pk=project.pk)
    actions.invite(project=found, email=NEW, levels=PRESETS["Viewer"], by=found.owner)
    mail.send_waiting()
    (email,) = sent.outbox
    assert email.recipients() == [NEW]
    assert "\n" not in email.subject
    assert "Bcc" not in email.message()


def test_names_are_text_in_both_parts_of_an_email(project, owner, make_user, join):
    evil = '<img src="https://evil.example/x">'
    Project.objects.filter(pk=project.pk).update(name=evil)
    User.objects.filter(pk=owner.pk).update(name=evil)
    found = Project.objects.select_related("owner").get(pk=project.pk)
    user = make_user("vera", name=evil)
    member = join(found, user, "Viewer")
    actions.set_levels(member=member, levels=PRESETS["Full"], by=found.owner)
    ownership.offer(member=member, by=found.owner)
    ownership.decline(project=found, by=user)
    team = teams.create(name=evil, by=found.owner)
    teams.add_user(team=team, user=user, role="user", by=found.owner)
    actions.remove_member(member=member, by=found.owner)
    while mail.send_waiting():
        pass
    assert len(sent.outbox) >= 6
    for email in sent.outbox:
        assert evil in email.subject or evil in email.body
        html = [part for part, kind in email.alternatives if kind == "text/html"]
        assert len(html) == 1
        assert "<img" not in html[0]
        assert 'href="https://evil' not in html[0]


# ---- two at once


@pytest.mark.django_db(transaction=True)
def test_two_invitations_at_once_are_one(make_user):
    owner = make_user("olga")
    project = actions.create(name="Vision", by=owner)
    results = together(*[lambda: actions.invite(project=project, email=NEW, levels=PRESETS["Viewer"], by=owner)] * 4)
    assert results == ["done"] * 4
    (offer,) = Invitation.objects.all()
    user = make_user("bob", email=NEW)
    assert actions.accept(token=links.token_of(offer, links.EMAILED), by=user) == project


@pytest.mark.django_db(transaction=True)
def test_an_account_without_a_proven_address_joins_one_project_even_by_two_links_at_once(make_user):
    offers = []
    for name in ("olga", "otto", "oscar"):
        owner = make_user(name)
        offers.append(
            actions.invite(project=actions.create(name=name, by=owner), email=NEW, levels=PRESETS["Full"], by=owner)
        )
    bob = make_user("bob", email=NEW, verified=False)
    tokens = [links.token_of(offer, links.COPIED) for offer in offers]
    results = together(*[lambda token=token: actions.accept(token=token, by=bob) for token in tokens])
    assert sorted(results) == ["Refused", "Refused", "done"]
    assert Member.objects.filter(user=bob).count() == 1
    assert Invitation.objects.open().count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_accepting_and_revoking_at_once_one_counts(make_user):
    owner, bob = make_user("olga"), make_user("bob", email=NEW)
    project = actions.create(name="Vision", by=owner)
    offer = actions.invite(project=project, email=NEW, levels=PRESETS["Viewer"], by=owner)
    token = links.token_of(offer, links.EMAILED)
    accepted, revoked = together(
        lambda: actions.accept(token=token, by=bob), lambda: actions.revoke(invitation=offer, by=owner)
    )
    assert [accepted, revoked].count("done") == 1
    assert Member.objects.filter(user=bob).exists() is (accepted == "done")


@pytest.mark.django_db(transaction=True)
def test_a_team_that_goes_while_its_levels_change_keeps_none(make_user):
    owner = make_user("olga")
    project, team = actions.create(name="Vision", by=owner), teams.create(name="Lab", by=owner)
    for _ in range(3):
        member = team_members.add(project=project, team=team, levels=PRESETS["Viewer"], by=owner)
        changed, removed = together(
            lambda member=member: team_members.set_levels(member=member, levels=PRESETS["Full"], by=owner),
            lambda member=member: team_members.remove(member=member, by=owner),
        )
        assert removed == "done"
        assert changed in {"done", "Impossible"}
        assert not ProjectGroupPermission.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_member_who_goes_while_their_levels_change_keeps_none(make_user, join):
    owner, user = make_user("olga"), make_user("vera")
    project = actions.create(name="Vision", by=owner)
    member = join(project, user)
    together(
        lambda: actions.set_levels(member=member, levels=PRESETS["Full"], by=owner),
        lambda: actions.remove_member(member=member, by=owner),
    )
    assert levels_by_user(project) == {}


@pytest.mark.django_db(transaction=True)
def test_projects_of_one_name_made_at_once_get_addresses_of_their_own(make_user):
    owner = make_user("olga")
    assert together(*[lambda: actions.create(name="Vision", by=owner)] * 4) == ["done"] * 4
    assert Project.objects.filter(personal=False).values("slug").distinct().count() == 4


# ---- pages that are still open


def test_a_page_that_still_shows_who_has_gone_says_so(as_user, owner, project, viewer, monkeypatch):
    """The row is there when the page looks, and gone when the action does."""
    member = Member.objects.get(user=viewer)
    monkeypatch.setattr(ownership, "lock", lambda project: Member.objects.filter(pk=member.pk).delete())
    page = as_user(owner).post(f"/p/vision/members/{member.pk}/set", {"preset": "Full"}, follow=True)
    assert "no member any more" in page.content.decode()


def test_so_does_one_with_a_team_that_has_gone(owner, project):
    team = teams.create(name="Lab", by=owner)
    member = team_members.add(project=project, team=team, levels=PRESETS["Viewer"], by=owner)
    kept = member.pk
    team_members.remove(member=member, by=owner)
    member.pk = kept
    with pytest.raises(Impossible):
        team_members.set_levels(member=member, levels=PRESETS["Full"], by=owner)
    assert not ProjectGroupPermission.objects.exists()


def test_what_a_removed_member_has_open_answers_nothing(as_user, project, owner, make_user, join):
    user = make_user("remy")
    member = join(project, user, "Full")
    client = as_user(user)
    assert client.get("/p/vision/jobs").status_code == 200
    token = tokens.make(user=user, name="laptop", scope=PersonalToken.Scope.ALL, days=30)
    assert access.allowed(tokens.find(token).user, "job:new", project)
    actions.remove_member(member=member, by=owner)
    assert not access.allowed(tokens.find(token).user, "project:get", project)
    before = AuditEntry.objects.count()
    for path in ("leave", "ownership/accept", "ownership/decline", "jobs/new", "members/invite", "settings", "remove"):
        assert client.post(f"/p/vision/{path}", {"name": "Mine", "command": "true"}).status_code == 404
    assert AuditEntry.objects.count() == before


def test_a_member_raises_nobodys_levels_least_of_all_their_own(as_user, project, viewer, collaborator):
    for who in (viewer, collaborator):
        for member in project.members.all():
            answer = as_user(who).post(f"/p/vision/members/{member.pk}/set", {"preset": "Full"})
            assert answer.status_code == 403
            with pytest.raises(Refused):
                actions.set_levels(member=member, levels=PRESETS["Full"], by=who)
    assert levels_by_user(project) == {viewer.pk: PRESETS["Viewer"], collaborator.pk: PRESETS["Collaborator"]}
