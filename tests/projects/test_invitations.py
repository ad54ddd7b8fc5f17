"""Invitations: how they work, and what somebody might try with one."""

from datetime import timedelta

import pytest
from django.core import mail as sent
from django.core.exceptions import ValidationError
from django.http import Http404
from django.utils import timezone

import access
from access import Refused
from accounts import mail
from projects import actions, links
from projects.errors import Impossible, InvalidInvitation, OtherAccount
from projects.levels import PRESETS
from projects.members import levels_by_user
from projects.models import AuditEntry, Invitation, Member
from tests.at_once import at_once

NEW = "new@example.com"


@pytest.fixture
def offer(project, owner):
    return actions.invite(project=project, email=NEW, levels=PRESETS["Viewer"], by=owner)


@pytest.fixture
def invitee(make_user):
    return make_user("nick", email=NEW)


@pytest.fixture
def unproven(make_user):
    return make_user("nick", email=NEW, verified=False)


def emailed(offer):
    return links.token_of(offer, links.EMAILED)


def copied(offer):
    return links.token_of(offer, links.COPIED)


def is_member(user, project):
    return Member.objects.filter(user=user, project=project).exists()


def test_accepting_makes_a_member_with_the_levels_of_the_invitation(offer, invitee, project, owner):
    assert actions.accept(token=emailed(offer), by=invitee) == project
    member = Member.objects.get(user=invitee)
    assert (member.project, member.invited_by) == (project, owner)
    assert levels_by_user(project)[invitee.pk] == PRESETS["Viewer"]
    assert access.allowed(invitee, "job:get", project)
    assert not access.allowed(invitee, "job:new", project)
    assert AuditEntry.objects.filter(action="member:new", by_id=invitee.pk).exists()


def test_the_email_has_the_link_that_proves_and_the_inviter_sees_that_it_went_out(offer, project):
    assert offer.delivery == ""
    mail.send_waiting()
    (email,) = sent.outbox
    assert email.to == [NEW]
    assert links.address_of(offer, links.EMAILED) in email.body
    assert links.token_of(offer, links.COPIED) not in email.body
    offer.refresh_from_db()
    assert offer.delivery == "sent"


def test_known_and_unknown_addresses_get_the_same_email(project, owner, stranger):
    for email in (stranger.email, NEW):
        actions.invite(project=project, email=email, levels=PRESETS["Viewer"], by=owner)
    mail.send_waiting()
    texts = {email.body.replace(_token_in(email.body), "TOKEN") for email in sent.outbox}
    assert len(sent.outbox) == 2
    assert len({text.split("until")[0] for text in texts}) == 1
    assert len({email.subject for email in sent.outbox}) == 1


def _token_in(body):
    return next(word for word in body.split() if "/invitations/" in word).rstrip("/").rpartition("/")[2]


def test_it_works_once(offer, invitee, project, owner):
    actions.accept(token=emailed(offer), by=invitee)
    actions.remove_member(member=Member.objects.get(user=invitee), by=owner)
    for token in (emailed(offer), copied(offer)):
        with pytest.raises(InvalidInvitation):
            actions.accept(token=token, by=invitee)
    assert not is_member(invitee, project)


def test_it_expires(offer, invitee):
    Invitation.objects.filter(pk=offer.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(InvalidInvitation):
        actions.accept(token=emailed(offer), by=invitee)


def test_it_lasts_a_week(offer):
    assert offer.expires_at - offer.created_at == timedelta(days=7)


def test_a_revoked_one_is_void(offer, invitee, owner):
    actions.revoke(invitation=offer, by=owner)
    with pytest.raises(InvalidInvitation):
        actions.accept(token=emailed(offer), by=invitee)
    with pytest.raises(Impossible):
        actions.revoke(invitation=offer, by=owner)
    with pytest.raises(Impossible):
        actions.resend(invitation=offer, by=owner)


def test_one_that_was_accepted_can_no_longer_be_revoked_or_sent(offer, invitee, owner, project):
    actions.accept(token=emailed(offer), by=invitee)
    with pytest.raises(Impossible):
        actions.revoke(invitation=offer, by=owner)
    with pytest.raises(Impossible):
        actions.resend(invitation=offer, by=owner)
    assert is_member(invitee, project)


def test_forwarded_to_somebody_else_it_opens_nothing(offer, stranger, project):
    for token in (emailed(offer), copied(offer)):
        with pytest.raises(OtherAccount):
            actions.accept(token=token, by=stranger)
    assert not is_member(stranger, project)
    offer.refresh_from_db()
    assert offer.accepted_at is None


@pytest.mark.parametrize("written", ["NEW@Example.COM", " new@example.com ", "New@example.com"])
def test_case_does_not_matter(written, project, owner, invitee):
    offer = actions.invite(project=project, email=written, levels=PRESETS["Viewer"], by=owner)
    assert offer.email == NEW
    actions.accept(token=emailed(offer), by=invitee)
    assert is_member(invitee, project)


def test_a_tag_makes_another_address(project, owner, invitee):
    offer = actions.invite(project=project, email="new+tag@example.com", levels=PRESETS["Viewer"], by=owner)
    with pytest.raises(OtherAccount):
        actions.accept(token=emailed(offer), by=invitee)


def test_tokens_cannot_be_guessed_or_changed(offer, invitee):
    good = copied(offer)
    upgraded = good.replace(".c.", ".e.")
    other_nonce = good.replace(offer.nonce, "a" * 16)
    for token in ("", "x", good[:-1], upgraded, other_nonce, good + "x", good.rpartition(".")[0]):
        assert links.find(token) is None
        with pytest.raises(InvalidInvitation):
            actions.accept(token=token, by=invitee)


def test_inviting_again_sends_again_with_the_new_levels_and_older_links_die(offer, project, owner, invitee):
    old = emailed(offer)
    again = actions.invite(project=project, email="NEW@example.com", levels=PRESETS["Full"], by=owner)
    assert again.pk == offer.pk
    assert Invitation.objects.count() == 1
    with pytest.raises(InvalidInvitation):
        actions.accept(token=old, by=invitee)
    actions.accept(token=emailed(again), by=invitee)
    assert levels_by_user(project)[invitee.pk] == PRESETS["Full"]


def test_resending_revives_an_expired_one(offer, owner, invitee, project):
    old = emailed(offer)
    Invitation.objects.filter(pk=offer.pk).update(expires_at=timezone.now() - timedelta(days=1))
    actions.resend(invitation=offer, by=owner)
    with pytest.raises(InvalidInvitation):
        actions.accept(token=old, by=invitee)
    actions.accept(token=emailed(offer), by=invitee)
    assert is_member(invitee, project)


def test_the_owner_and_members_are_not_invited(project, owner, collaborator):
    for email in (owner.email, owner.email.upper(), collaborator.email):
        with pytest.raises(ValidationError):
            actions.invite(project=project, email=email, levels=PRESETS["Full"], by=owner)


@pytest.mark.parametrize(
    "email", ["", "x", "x@", "@example.com", "a b@example.com", "a@example.com\nbcc: b@example.com"]
)
def test_what_is_no_address_is_refused(project, owner, email):
    with pytest.raises(ValidationError):
        actions.invite(project=project, email=email, levels=PRESETS["Viewer"], by=owner)


@pytest.mark.parametrize("who", ["collaborator", "stranger", "removed", "admin"])
def test_only_the_owner_handles_invitations(who, offer, request):
    by = request.getfixturevalue(who)
    expected = Refused if who == "collaborator" else Http404
    with pytest.raises(expected):
        actions.resend(invitation=offer, by=by)
    with pytest.raises(expected):
        actions.revoke(invitation=offer, by=by)
    assert Invitation.objects.open().filter(pk=offer.pk, nonce=offer.nonce).exists()


def test_an_invitation_to_a_removed_project_opens_nothing(offer, invitee, project, owner):
    actions.remove(project=project, by=owner)
    with pytest.raises(InvalidInvitation):
        actions.accept(token=emailed(offer), by=invitee)


def test_the_emailed_link_proves_the_address_and_the_copied_one_does_not(project, owner, make_user):
    for kind, proven in ((links.EMAILED, True), (links.COPIED, False)):
        user = make_user(f"user-{kind}", verified=False)
        offer = actions.invite(project=project, email=user.email, levels=PRESETS["Viewer"], by=owner)
        actions.accept(token=links.token_of(offer, kind), by=user)
        assert user.verified is proven
        assert is_member(user, project)


def test_an_unproven_account_uses_the_one_project_that_it_was_invited_to(offer, unproven, project, owner, make_user):
    actions.accept(token=copied(offer), by=unproven)
    assert access.allowed(unproven, "job:get", project)

    other = actions.create(name="Other", by=make_user("otto"))
    second = actions.invite(project=other, email=NEW, levels=PRESETS["Full"], by=other.owner)
    with pytest.raises(Refused) as refusal:
        actions.accept(token=copied(second), by=unproven)
    assert refusal.value.decision.code == "unverified"
    with pytest.raises(Refused):
        actions.create(name="Mine", by=unproven)
    assert not access.allowed(unproven, "job:new", unproven.owned_projects.get(personal=True))

    actions.accept(token=emailed(second), by=unproven)  # this one proves the address
    assert actions.create(name="Mine", by=unproven)
    assert access.allowed(unproven, "job:new", unproven.owned_projects.get(personal=True))


def test_a_member_who_is_invited_elsewhere_keeps_what_they_have(project, owner, collaborator):
    """Two invitations to one person through two addresses, the second accepted after the first."""
    offer = actions.invite(project=project, email="second@example.com", levels=PRESETS["Viewer"], by=owner)
    collaborator.email = "second@example.com"
    collaborator.save()
    actions.accept(token=emailed(offer), by=collaborator)
    assert levels_by_user(project)[collaborator.pk] == PRESETS["Collaborator"]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_accept_at_once_one_does(make_user):
    owner = make_user("olga")
    project = actions.create(name="Vision", by=owner)
    offer = actions.invite(project=project, email=NEW, levels=PRESETS["Viewer"], by=owner)
    user, token = make_user("nick", email=NEW), emailed(offer)

    def accept():
        try:
            actions.accept(token=token, by=user)
        except InvalidInvitation:
            return "too late"
        return "in"

    assert sorted(at_once(*[accept] * 4)) == ["in", "too late", "too late", "too late"]
    assert Member.objects.filter(user=user).count() == 1
    assert AuditEntry.objects.filter(action="member:new").count() == 1
