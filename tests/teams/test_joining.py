"""Invitations to teams: how they work, and what somebody might try with one."""

from datetime import timedelta

import pytest
from django.core import mail as sent
from django.core.exceptions import ValidationError
from django.utils import timezone

import access
from access import Refused
from accounts import mail
from accounts.errors import Impossible, InvalidInvitation, OtherAccount
from accounts.models import OutgoingEmail
from projects import actions as projects
from projects import links as project_links
from projects import team_members
from projects.levels import PRESETS
from projects.models import AuditEntry
from teams import actions, joining, links
from teams.models import Role, TeamInvitation, TeamUser
from tests.at_once import at_once

NEW = "new@example.com"
URL = "http://localhost:8000"


@pytest.fixture
def offer(team, owner):
    return joining.invite(team=team, email=NEW, role="user", by=owner)


@pytest.fixture
def invitee(make_user):
    return make_user("nick", email=NEW)


@pytest.fixture
def shared(project, team, owner):
    """A project that is shared with the team."""
    team_members.add(project=project, team=team, levels=PRESETS["Teammate"], by=owner)
    return project


def emailed(offer):
    return links.token_of(offer, links.EMAILED)


def copied(offer):
    return links.token_of(offer, links.COPIED)


def is_in(user, team):
    return TeamUser.objects.filter(user=user, team=team).exists()


def test_accepting_gives_the_role_and_at_once_what_the_team_has(offer, invitee, team, shared):
    assert not access.allowed(invitee, "job:new", shared)
    assert joining.accept(token=emailed(offer), by=invitee) == team
    assert TeamUser.objects.get(team=team, user=invitee).role == Role.USER
    assert access.allowed(invitee, "job:new", shared)
    entry = AuditEntry.objects.get(action="team:join", project_id=shared.pk)
    assert (entry.by_id, entry.after) == (invitee.pk, {"users": ["nick"]})


def test_the_new_user_of_a_team_belongs_to_the_teams_around_it(offer, invitee, team, owner):
    outer = actions.create(name="Outer", by=owner)
    actions.add_team(outer=outer, inner=team, by=owner)
    joining.accept(token=emailed(offer), by=invitee)
    assert invitee in outer.group.user_set.all()


def test_the_email_has_the_link_that_proves_and_the_inviter_sees_that_it_went_out(offer):
    mail.send_waiting()
    (email,) = sent.outbox
    assert (email.to, email.subject) == ([NEW], "Olga Owner invites you to the team Lab")
    assert links.address_of(offer, links.EMAILED) in email.body and URL in email.body
    assert copied(offer) not in email.body
    offer.refresh_from_db()
    assert offer.delivery == "sent"


def test_who_has_joined_is_told(offer, invitee, team):
    OutgoingEmail.objects.all().delete()
    joining.accept(token=emailed(offer), by=invitee)
    [email] = OutgoingEmail.objects.all()
    assert email.to == NEW and f"{URL}/t/lab" in email.body


def test_known_and_unknown_addresses_and_those_in_the_team_get_the_same(
    as_user, owner, team, stranger, viewer, take_in
):
    take_in(viewer)
    OutgoingEmail.objects.all().delete()
    client, answers = as_user(owner), []
    for email in (stranger.email, viewer.email, NEW, "UPPER@example.com"):
        page = client.post("/t/lab/users/add", {"username": email, "role": "user"}, follow=True)
        answers.append([str(message).replace(email, "X") for message in page.context["messages"]])
    assert answers == [["X is invited. The link can be copied here too."]] * 4
    mail.send_waiting()
    texts = {email.body.replace(_token_in(email.body), "TOKEN").split("until")[0] for email in sent.outbox}
    assert len(sent.outbox) == 4 and len(texts) == 1 and len({email.subject for email in sent.outbox}) == 1
    assert TeamUser.objects.filter(team=team).count() == 2


def _token_in(body):
    return next(word for word in body.split() if "/team-invitations/" in word).rstrip("/").rpartition("/")[2]


def test_it_works_once(offer, invitee, team, owner):
    joining.accept(token=emailed(offer), by=invitee)
    actions.remove_user(member=TeamUser.objects.get(user=invitee), by=owner)
    for token in (emailed(offer), copied(offer)):
        with pytest.raises(InvalidInvitation):
            joining.accept(token=token, by=invitee)
    assert not is_in(invitee, team)


def test_it_expires_after_a_week(offer, invitee):
    assert offer.expires_at - offer.created_at == timedelta(days=7)
    TeamInvitation.objects.filter(pk=offer.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(InvalidInvitation):
        joining.accept(token=emailed(offer), by=invitee)


def test_a_revoked_one_is_void(offer, invitee, owner):
    joining.revoke(invitation=offer, by=owner)
    with pytest.raises(InvalidInvitation):
        joining.accept(token=emailed(offer), by=invitee)
    for action in (joining.revoke, joining.resend):
        with pytest.raises(Impossible):
            action(invitation=offer, by=owner)


def test_one_that_was_accepted_can_no_longer_be_revoked_or_sent(offer, invitee, owner, team):
    joining.accept(token=emailed(offer), by=invitee)
    for action in (joining.revoke, joining.resend):
        with pytest.raises(Impossible):
            action(invitation=offer, by=owner)
    assert is_in(invitee, team)


def test_forwarded_to_somebody_else_it_opens_nothing(offer, stranger, team):
    for token in (emailed(offer), copied(offer)):
        with pytest.raises(OtherAccount):
            joining.accept(token=token, by=stranger)
    assert not is_in(stranger, team)
    offer.refresh_from_db()
    assert offer.accepted_at is None


@pytest.mark.parametrize("written", ["NEW@Example.COM", " new@example.com "])
def test_case_does_not_matter_and_a_tag_makes_another_address(written, team, owner, invitee):
    offer = joining.invite(team=team, email=written, role="user", by=owner)
    tagged = joining.invite(team=team, email="new+tag@example.com", role="owner", by=owner)
    with pytest.raises(OtherAccount):
        joining.accept(token=emailed(tagged), by=invitee)
    joining.accept(token=emailed(offer), by=invitee)
    assert is_in(invitee, team)


def test_a_look_alike_is_another_address(team, owner, invitee):
    offer = joining.invite(team=team, email="new@exаmple.com", role="user", by=owner)  # a Cyrillic а
    with pytest.raises(OtherAccount):
        joining.accept(token=emailed(offer), by=invitee)


def test_tokens_cannot_be_guessed_changed_or_taken_from_a_project(offer, invitee, project, owner):
    good = copied(offer)
    theirs = projects.invite(project=project, email=NEW, levels=PRESETS["Full"], by=owner)
    of_a_project = project_links.token_of(theirs, links.EMAILED)
    wrong = [
        "",
        "x",
        good[:-1],
        good.replace(".c.", ".e."),
        good.replace(offer.nonce, "a" * 16),
        good + "x",
        of_a_project,
    ]
    for token in wrong:
        with pytest.raises(InvalidInvitation):
            joining.accept(token=token, by=invitee)
    assert project_links.find(emailed(offer)) is None


def test_inviting_again_sends_again_with_the_new_role_and_older_links_die(offer, team, owner, invitee):
    old = emailed(offer)
    again = joining.invite(team=team, email="NEW@example.com", role="admin", by=owner)
    assert again.pk == offer.pk and TeamInvitation.objects.count() == 1
    with pytest.raises(InvalidInvitation):
        joining.accept(token=old, by=invitee)
    joining.accept(token=emailed(again), by=invitee)
    assert TeamUser.objects.get(user=invitee).role == Role.ADMIN


def test_resending_revives_an_expired_one(offer, owner, invitee, team):
    old = emailed(offer)
    TeamInvitation.objects.filter(pk=offer.pk).update(expires_at=timezone.now() - timedelta(days=1))
    joining.resend(invitation=offer, by=owner)
    with pytest.raises(InvalidInvitation):
        joining.accept(token=old, by=invitee)
    joining.accept(token=emailed(offer), by=invitee)
    assert is_in(invitee, team)


def test_who_is_in_already_keeps_their_role(team, owner, invitee, take_in):
    take_in(invitee, role="admin")
    offer = joining.invite(team=team, email=NEW, role="user", by=owner)
    joining.accept(token=emailed(offer), by=invitee)
    assert TeamUser.objects.get(user=invitee).role == Role.ADMIN


@pytest.mark.parametrize(
    "email", ["", "x", "x@", "@example.com", "a b@example.com", "a@example.com\nbcc: b@example.com"]
)
def test_what_is_no_address_is_refused(team, owner, email):
    with pytest.raises(ValidationError):
        joining.invite(team=team, email=email, role="user", by=owner)


def test_only_admins_of_the_team_invite_and_only_owners_make_owners(
    offer, team, owner, viewer, collaborator, stranger, admin, take_in
):
    take_in(viewer)
    take_in(collaborator, role="admin")
    for by in (viewer, stranger, admin):
        for action in (joining.revoke, joining.resend):
            with pytest.raises(Refused):
                action(invitation=offer, by=by)
        with pytest.raises(Refused):
            joining.invite(team=team, email="other@example.com", role="user", by=by)
    owners = joining.invite(team=team, email="boss@example.com", role="owner", by=owner)
    with pytest.raises(Refused):
        joining.invite(team=team, email="other@example.com", role="owner", by=collaborator)
    for action in (joining.revoke, joining.resend):
        with pytest.raises(Refused):
            action(invitation=owners, by=collaborator)
    with pytest.raises(Refused):  # and not by inviting the same address to less
        joining.invite(team=team, email="boss@example.com", role="user", by=collaborator)
    joining.resend(invitation=offer, by=collaborator)
    assert TeamInvitation.objects.get(pk=offer.pk).invited_by == collaborator


@pytest.mark.parametrize("change", ["removed", "user", "inactive"])
def test_an_invitation_by_somebody_who_may_invite_no_longer_opens_nothing(
    change, team, owner, collaborator, invitee, take_in
):
    [place] = take_in(collaborator, role="admin")
    offer = joining.invite(team=team, email=NEW, role="user", by=collaborator)
    if change == "removed":
        actions.remove_user(member=place, by=owner)
    elif change == "user":
        actions.set_role(member=place, role="user", by=owner)
    else:
        collaborator.is_active = False
        collaborator.save()
    with pytest.raises(InvalidInvitation):
        joining.accept(token=emailed(offer), by=invitee)
    assert not is_in(invitee, team)


def test_a_former_owner_leaves_no_invitation_to_be_one(team, owner, collaborator, invitee, take_in):
    [place] = take_in(collaborator, role="owner")
    boss = joining.invite(team=team, email=NEW, role="owner", by=collaborator)
    user = joining.invite(team=team, email="other@example.com", role="user", by=collaborator)
    actions.set_role(member=place, role="admin", by=owner)
    assert list(TeamInvitation.objects.open()) == [user]
    with pytest.raises(InvalidInvitation):
        joining.accept(token=emailed(boss), by=invitee)


def test_an_invitation_to_a_removed_team_opens_nothing(offer, invitee, team, owner):
    token = emailed(offer)
    actions.remove(team=team, by=owner)
    with pytest.raises(InvalidInvitation):
        joining.accept(token=token, by=invitee)


def test_the_emailed_link_proves_the_address_and_the_copied_one_does_not(team, owner, make_user):
    for kind, proven in ((links.EMAILED, True), (links.COPIED, False)):
        user = make_user(f"user-{kind}", verified=False)
        offer = joining.invite(team=team, email=user.email, role="user", by=owner)
        joining.accept(token=links.token_of(offer, kind), by=user)
        assert user.verified is proven and is_in(user, team)


@pytest.mark.parametrize("first", ["team", "project"])
def test_an_unproven_account_is_in_one_place_alone(first, team, owner, project, make_user):
    unproven = make_user("nick", email=NEW, verified=False)
    to_team = joining.invite(team=team, email=NEW, role="user", by=owner)
    to_project = projects.invite(project=project, email=NEW, levels=PRESETS["Viewer"], by=owner)
    steps = {
        "team": lambda kind: joining.accept(token=links.token_of(to_team, kind), by=unproven),
        "project": lambda kind: projects.accept(token=project_links.token_of(to_project, kind), by=unproven),
    }
    steps.pop(first)(links.COPIED)
    [second] = steps.values()
    with pytest.raises(Refused) as refusal:
        second(links.COPIED)
    assert refusal.value.decision.code == "unverified"
    second(links.EMAILED)
    assert unproven.verified


@pytest.mark.django_db(transaction=True)
def test_of_two_who_accept_at_once_one_does(make_user):
    owner = make_user("olga")
    team = actions.create(name="Lab", by=owner)
    offer = joining.invite(team=team, email=NEW, role="user", by=owner)
    user, token = make_user("nick", email=NEW), emailed(offer)

    def accept():
        try:
            joining.accept(token=token, by=user)
        except InvalidInvitation:
            return "too late"
        return "in"

    assert sorted(at_once(*[accept] * 4)) == ["in", "too late", "too late", "too late"]
    assert TeamUser.objects.filter(user=user).count() == 1


def test_an_address_without_an_account_comes_in_by_its_link(as_user, owner, team):
    page = as_user(owner).post("/t/lab/users/add", {"username": "Fresh@Example.com", "role": "admin"}, follow=True)
    [row] = page.context["invitations"]
    assert (row["email"], row["tag"]) == ("fresh@example.com", "Admin") and row["link"] in page.content.decode()
    offer = TeamInvitation.objects.get()
    assert emailed(offer) not in page.content.decode()
    path = links.address_of(offer, links.EMAILED).removeprefix(URL)
    visitor = as_user(None)
    shown = visitor.get(path)
    assert shown.context["state"] == "signed_out" and "Join Lab" in shown.content.decode()
    form = visitor.get(shown.context["sign_up_url"])
    assert form.context["invitation"].email == "fresh@example.com"
    fields = {"email": "fresh@example.com", "username": "fresh", "password1": "a long enough password"}
    visitor.post(shown.context["sign_up_url"], {**fields, "name": "Fresh"})
    assert visitor.post(path)["Location"] == "/t/lab"
    assert TeamUser.objects.get(user__username="fresh").role == Role.ADMIN
    assert visitor.post(path).context["state"] == "invalid"


def test_the_invitations_page_for_each_visitor(as_user, owner, team, offer, invitee, stranger, read_only):
    path = links.address_of(offer, links.COPIED).removeprefix(URL)
    for who, state in ((None, "signed_out"), (stranger, "other_account"), (invitee, "accept")):
        visitor = as_user(who)
        with read_only():
            page = visitor.get(path)
        assert (page.status_code, page.context["state"]) == (200, state)
    assert as_user(stranger).post(path).context["state"] == "other_account"
    assert as_user(None).get("/team-invitations/guess/").status_code == 404
    assert as_user(invitee).post(path)["Location"] == "/t/lab"


def test_invitations_are_seen_by_who_may_invite_and_of_one_team_alone(
    as_user, owner, team, offer, viewer, take_in, make_user
):
    take_in(viewer)
    for user in (viewer, make_user("stan")):
        page = as_user(user).get("/t/lab", {"q": "new@"})
        assert page.context["invitations"] == [] and NEW not in page.content.decode()
    other = make_user("other")
    actions.create(name="Theirs", by=other)
    for verb in ("resend", "revoke"):
        assert as_user(other).post(f"/t/theirs/invitations/{offer.pk}/{verb}").status_code == 404
        assert as_user(viewer).post(f"/t/lab/invitations/{offer.pk}/{verb}").status_code == 403
    client = as_user(owner)
    assert [row["email"] for row in client.get("/t/lab", {"q": "NEW@"}).context["invitations"]] == [NEW]
    assert "Sent again" in client.post(f"/t/lab/invitations/{offer.pk}/resend", follow=True).content.decode()
    assert "is void" in client.post(f"/t/lab/invitations/{offer.pk}/revoke", follow=True).content.decode()
    assert "revoked meanwhile" in client.post(f"/t/lab/invitations/{offer.pk}/resend", follow=True).content.decode()


def test_what_is_neither_a_username_nor_an_address_is_said_at_its_field(as_user, owner, team):
    for typed, said in (("<b>x", "Nobody here has this username"), ("<b>@x", "valid email address"), ("", "required")):
        page = as_user(owner).post("/t/lab/users/add", {"username": typed, "role": "user"})
        assert said in page.content.decode() and "<b>" not in page.content.decode().split("<main")[1]
    assert not TeamInvitation.objects.exists()


def test_names_are_text_in_the_email_and_on_the_page(as_user, make_user):
    owner = make_user("olga", name="<i>Olga</i>")
    team = actions.create(name="<b>Lab</b> & more", by=owner)
    offer = joining.invite(team=team, email=NEW, role="user", by=owner)
    page = as_user(None).get(links.address_of(offer, links.EMAILED).removeprefix(URL)).content.decode()
    assert "<b>Lab" not in page and "<i>Olga" not in page and "&lt;b&gt;Lab" in page
    mail.send_waiting()
    assert "<b>Lab</b> & more" in sent.outbox[0].body
