"""Invitations to teams. Each action checks access and is one transaction; what an address is invited to is a role.

An invitation is worth what its inviter may do when it is accepted: somebody who no longer may take people in, or make
owners, leaves no invitation that does.
"""

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

import access
from access import refused
from accounts import invitations
from accounts.actions import prove_address
from accounts.errors import InvalidInvitation, OtherAccount
from accounts.names import fold_email
from teams import closure, emails, links
from teams.models import Role, Team, TeamInvitation, TeamUser
from teams.roles import check_role

if TYPE_CHECKING:
    from accounts.models import User


@transaction.atomic
def invite(*, team: Team, email: str, role: str, by: "User") -> TeamInvitation:
    """Invites an address; one that has an open invitation gets a new email with the new role, and older links die.

    The answer is the same whether the address has an account or not, and whether that is in the team or not. Raises
    ValidationError for what is no address.
    """
    access.require(by, "team:set", team)
    check_role(role, team, by)
    email = TeamInvitation._meta.get_field("email").clean(fold_email(email), None)
    same: dict[str, Any] = {"team": team, "email": email, "accepted_at": None, "revoked_at": None}
    older = TeamInvitation.objects.filter(**same).first()
    if older:
        check_role(older.role, team, by)
    begun = {"role": role, "invited_by": by, **invitations.fresh()}
    invitation, _ = TeamInvitation.objects.update_or_create(**same, defaults=begun)
    emails.send_invitation(invitation)
    return invitation


@transaction.atomic
def resend(*, invitation: TeamInvitation, by: "User") -> None:
    """Sends the email again, with a new link that is valid from now; older links die. Raises Impossible."""
    _require(invitation, by)
    invitations.renew(invitation, invited_by=by)
    emails.send_invitation(invitation)


@transaction.atomic
def revoke(*, invitation: TeamInvitation, by: "User") -> None:
    """Makes the invitation's links worthless. Raises Impossible when it was accepted a moment before."""
    _require(invitation, by)
    invitations.revoke(invitation)


@transaction.atomic
def accept(*, token: str, by: "User") -> Team:
    """Takes the invited one in, once. Raises InvalidInvitation, OtherAccount, or Refused for an unverified account."""
    invitation, link = links.find(token) or (None, None)
    if invitation is None or link is None:
        raise InvalidInvitation
    if not invitations.is_for(invitation, by):
        raise OtherAccount
    if not invitations.is_enough(link, by):
        raise refused("team:get", "unverified", "Confirm your address first; then you can join more teams.")
    access.bump()
    if not may_give(invitation.invited_by, invitation.role, invitation.team):
        raise InvalidInvitation
    if not invitations.use(invitation):
        raise InvalidInvitation
    if link.proves_address:
        prove_address(user=by)
    _take_in(invitation, by)
    return invitation.team


def _take_in(invitation: TeamInvitation, user: "User") -> None:
    """Who is in the team already keeps the role that they have."""
    team = invitation.team
    if TeamUser.objects.get_or_create(team=team, user=user, defaults={"role": invitation.role})[1]:
        closure.refresh(closure.outer_of(team.pk), by=user)
        emails.added(team=team, user=user, by=invitation.invited_by)


def may_give(user: "User", role: str, team: Team) -> bool:
    """Whether somebody may take people into the team with this role."""
    return bool(access.allowed(user, "team:rm" if role == Role.OWNER else "team:set", team))


def lapse(team: Team, user: "User") -> None:
    """Revokes those of somebody's invitations that they could no longer make; call when their role has changed."""
    theirs = TeamInvitation.objects.open().filter(team=team, invited_by=user)
    lost = [role for role in Role.values if not may_give(user, role, team)]
    theirs.filter(role__in=lost).update(revoked_at=timezone.now())


def is_in_a_team(user: "User") -> bool:
    """Whether somebody is in any team by themselves."""
    return TeamUser.objects.filter(user=user).exists()


def _require(invitation: TeamInvitation, by: "User") -> None:
    access.require(by, "team:set", invitation.team)
    check_role(invitation.role, invitation.team, by)
