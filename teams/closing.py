"""What becomes of somebody's place in teams when they delete their account."""

from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from teams import actions
from teams.models import Role, Team, TeamUser

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from accounts.models import User


def objections(sender: type, user: "User", **_: object) -> list[str]:
    """A team that others are in keeps an owner."""
    others = TeamUser.objects.filter(team=OuterRef("pk"), user__is_active=True).exclude(user=user)
    orphaned = _owned(user).filter(Exists(others)).exclude(Exists(others.filter(role=Role.OWNER)))
    return [
        f"You are the only owner of the team {team.name}, which others are in. Make somebody an owner, or remove it."
        for team in orphaned.order_by("name", "id")
    ]


def close(sender: type, user: "User", **_: object) -> None:
    """Ends one's place in every team, and every team that nobody else owns; inside the transaction that deletes the account."""
    others = TeamUser.objects.filter(team=OuterRef("pk"), user__is_active=True, role=Role.OWNER).exclude(user=user)
    for team in _owned(user).exclude(Exists(others)):
        actions.remove(team=team, by=user)
    for member in TeamUser.objects.filter(user=user).select_related("team"):
        actions.remove_user(member=member, by=user)


def _owned(user: "User") -> "QuerySet[Team]":
    return Team.objects.filter(members__user=user, members__role=Role.OWNER)
