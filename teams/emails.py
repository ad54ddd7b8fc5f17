"""What teams write to people."""

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import invitations, mail, wishes
from teams import links
from teams.models import Role, TeamInvitation

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from accounts.models import User
    from teams.models import Team, TeamUser

INVITATION: Final = "team-invitation"  # what the outbox knows it by


def added(*, team: "Team", user: "User", by: "User") -> None:
    """Somebody was taken into a team."""
    subject = f"{by.shown} has added you to the team {team.name}"
    _send(user, wishes.ADDED, subject, "added", team=team, by=by, address=_page_of(team))


def role_changed(*, member: "TeamUser", before: str, after: str, by: "User") -> None:
    """Somebody has another role."""
    subject = f"Your role in the team {member.team.name} has changed"
    roles = {"before": Role(before).label, "after": Role(after).label}
    _send(
        member.user, wishes.MEMBERSHIP, subject, "role", team=member.team, by=by, address=_page_of(member.team), **roles
    )


def removed(*, member: "TeamUser", by: "User") -> None:
    """Somebody was taken out of a team."""
    subject = f"You are no longer in the team {member.team.name}"
    _send(member.user, wishes.MEMBERSHIP, subject, "removed", team=member.team, by=by, address=_home())


def ended(*, team: "Team", by: "User") -> None:
    """A team is about to go; all who belong to it are told."""
    everybody = team.group.user_set.all()
    subject = f"The team {team.name} is removed"
    _send_all(everybody, wishes.MEMBERSHIP, subject, "ended", team=team, by=by, address=_home())


def nested(*, team: "Team", inner: "Team", users: set[str], by: "User") -> None:
    """These users belong to a team by one that was put into it."""
    subject = f"Your team {inner.name} is in the team {team.name}"
    _send_all(_users(users), wishes.ADDED, subject, "nested", team=team, inner=inner, by=by, address=_page_of(team))


def unnested(*, team: "Team", inner: "Team", users: set[str], by: "User") -> None:
    """These users no longer belong to a team, because one was taken out of it."""
    subject = f"Your team {inner.name} is no longer in the team {team.name}"
    _send_all(_users(users), wishes.MEMBERSHIP, subject, "unnested", team=team, inner=inner, by=by, address=_home())


def send_invitation(invitation: TeamInvitation) -> None:
    """Puts the email of an invitation in the outbox."""
    inviter, link = invitation.invited_by.shown, links.address_of(invitation, links.EMAILED)
    context = {"invitation": invitation, "team": invitation.team, "inviter": inviter, "link": link}
    body = render_to_string("teams/email/invitation.txt", context)
    subject = f"{inviter} invites you to the team {invitation.team.name}"
    invitations.send(invitation, INVITATION, subject=subject, body=body)


def _send(to: "User", wish: str, subject: str, template: str, *, by: "User", **context: Any) -> None:
    """To one person, unless they did it themselves or do without such emails."""
    if to != by and wishes.wants(to, wish):
        body = render_to_string(f"teams/email/{template}.txt", {"by": by, **context})
        mail.put(to=to.email, subject=subject, body=body)


def _send_all(to: "QuerySet[User]", wish: str, subject: str, template: str, *, by: "User", **context: Any) -> None:
    body = render_to_string(f"teams/email/{template}.txt", {"by": by, **context})
    mail.put_all(to=wishes.addresses(to, wish, but=by), subject=subject, body=body)


def _users(ids: set[str]) -> "QuerySet[User]":
    return get_user_model().objects.filter(pk__in=ids)


def _page_of(team: "Team") -> str:
    return settings.MLTEAM_URL + reverse("teams:detail", args=[team.slug])


def _home() -> str:
    return settings.MLTEAM_URL + reverse("home")
