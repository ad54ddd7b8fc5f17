"""The email of an invitation."""

from django.template.loader import render_to_string

from accounts import invitations
from projects import links
from projects.models import Invitation

KIND = "invitation"


def send(invitation: Invitation) -> None:
    """Puts it in the outbox."""
    context = {
        "invitation": invitation,
        "project": invitation.project,
        "inviter": invitation.invited_by.shown,
        "link": links.address_of(invitation, links.EMAILED),
    }
    subject = f"{invitation.invited_by.shown} invites you to {invitation.project.name}"
    body = render_to_string("projects/email/invitation.txt", context)
    invitations.send(invitation, KIND, subject=subject, body=body)
