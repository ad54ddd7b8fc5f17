"""The email of an invitation, and what became of it."""

from typing import TYPE_CHECKING

from django.template.loader import render_to_string

from accounts import mail
from projects import links
from projects.models import Invitation

if TYPE_CHECKING:
    from accounts.models import OutgoingEmail

KIND = "invitation"


def send(invitation: Invitation) -> None:
    """Puts the email in the outbox: the same text for every address, known or not."""
    context = {
        "invitation": invitation,
        "project": invitation.project,
        "inviter": invitation.invited_by.shown,
        "link": links.address_of(invitation, links.EMAILED),
    }
    mail.put(
        to=invitation.email,
        subject=f"{invitation.invited_by.shown} invites you to {invitation.project.name}",
        body=render_to_string("projects/email/invitation.txt", context),
        reference=f"{KIND}:{invitation.id}:{invitation.nonce}",
    )


def note(sender: type, email: "OutgoingEmail", error: str, **more: object) -> None:
    """Lets the inviter see whether it went out; a resent invitation no longer hears of its older email."""
    kind, _, rest = email.reference.partition(":")
    if kind == KIND:
        invitation_id, _, nonce = rest.partition(":")
        Invitation.objects.filter(pk=invitation_id, nonce=nonce).update(delivery=(error or "sent")[:300])
