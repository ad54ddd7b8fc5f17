"""What the lists of members and invitations show; each in a constant number of queries."""

from typing import TYPE_CHECKING, Any

from allauth.account.models import EmailAddress
from django.db.models import Count, Exists, OuterRef
from django.utils import timezone

from projects import links, team_members
from projects.levels import KINDS, levels_of, preset_of
from projects.members import levels_by_user
from projects.models import Invitation, Project

if TYPE_CHECKING:
    from accounts.models import User

NOTHING = dict.fromkeys(KINDS, "none")


def members_of(project: Project, *, seen_by: "User") -> list[dict[str, Any]]:
    """The members in the order in which they joined."""
    levels = levels_by_user(project)
    proven = EmailAddress.objects.filter(user=OuterRef("user"), email=OuterRef("user__email"), verified=True)
    rows = project.members.select_related("user", "invited_by").annotate(verified=Exists(proven))
    return [
        {
            "id": member.pk,
            "user": member.user,
            "levels": levels.get(member.user_id, NOTHING),
            "preset": preset_of(levels.get(member.user_id, NOTHING)),
            "joined_at": member.joined_at,
            "invited_by": member.invited_by,
            "verified": member.verified,
            "is_me": member.user_id == seen_by.pk,
        }
        for member in rows.order_by("joined_at", "pk")
    ]


def teams_of(project: Project) -> list[dict[str, Any]]:
    """The teams that are members, in the order in which they joined; `people` is how many belong to each."""
    held = team_members.levels_of_teams(project)
    people = Count("team__group__user", distinct=True)
    rows = project.team_members.select_related("team").annotate(people=people).order_by("joined_at", "pk")
    levels = {member.pk: levels_of(held.get(member.team_id, set())) for member in rows}
    return [
        {
            "id": member.pk,
            "team": member.team,
            "people": member.people,
            "levels": levels[member.pk],
            "preset": preset_of(levels[member.pk]),
            "joined_at": member.joined_at,
        }
        for member in rows
    ]


def invitations_of(project: Project) -> list[dict[str, Any]]:
    """The open invitations, newest first, with the link to copy: it proves no address."""
    now = timezone.now()
    return [
        {
            "id": invitation.pk,
            "email": invitation.email,
            "preset": preset_of(invitation.levels),
            "levels": invitation.levels,
            "created_at": invitation.created_at,
            "expires_at": invitation.expires_at,
            "expired": invitation.expires_at <= now,
            "delivery": invitation.delivery,
            "link": links.address_of(invitation, links.COPIED),
        }
        for invitation in Invitation.objects.open().filter(project=project).order_by("-created_at")
    ]
