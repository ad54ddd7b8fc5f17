"""What teams write to people."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse

if TYPE_CHECKING:
    from accounts.models import User
    from teams.models import Team


def added(*, team: "Team", user: "User", by: "User") -> dict[str, str]:
    """For accounts.mail.put: somebody was taken into a team."""
    address = f"{settings.MLTEAM_URL}{reverse('teams:detail', args=[team.slug])}"
    body = render_to_string("teams/email/added.txt", {"team": team, "user": user, "by": by, "address": address})
    return {"to": user.email, "subject": f"{by.shown} has added you to the team {team.name}", "body": body}
