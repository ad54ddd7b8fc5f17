"""What teams write to people."""

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import invitations
from teams import links
from teams.models import TeamInvitation

if TYPE_CHECKING:
    from accounts.models import User
    from teams.models import Team

INVITATION: Final = "team-invitation"  # what the outbox knows it by


def added(*, team: "Team", user: "User", by: "User") -> dict[str, str]:
    """For accounts.mail.put: somebody was taken into a team."""
    address = f"{settings.MLTEAM_URL}{reverse('teams:detail', args=[team.slug])}"
    body = render_to_string("teams/email/added.txt", {"team": team, "user": user, "by": by, "address": address})
    return {"to": user.email, "subject": f"{by.shown} has added you to the team {team.name}", "body": body}


def send_invitation(invitation: TeamInvitation) -> None:
    """Puts the email of an invitation in the outbox."""
    inviter, link = invitation.invited_by.shown, links.address_of(invitation, links.EMAILED)
    context = {"invitation": invitation, "team": invitation.team, "inviter": inviter, "link": link}
    body = render_to_string("teams/email/invitation.txt", context)
    subject = f"{inviter} invites you to the team {invitation.team.name}"
    invitations.send(invitation, INVITATION, subject=subject, body=body)
