"""The lists of members, teams and invitations of a project, a page of each at a time, in a constant number of queries."""

from typing import TYPE_CHECKING, Any, Final

from allauth.account.models import EmailAddress
from django.db.models import Exists, OuterRef, Q

from access.prepared import Prepared
from accounts.paging import Order, Page, paged
from projects import links, team_members
from projects.levels import KINDS, Levels, preset_of
from projects.members import levels_by_user
from projects.models import Invitation, Member, Project, TeamMember
from teams.querysets import numbers

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from accounts.models import User

NOTHING: Final = dict.fromkeys(KINDS, "none")
SHOWN: Final = 12  # of each list: there are three on the page, with forms in them
JOINED: Final = Order("joined_at", descending=False)


def members_of(project: Project, *, seen_by: "User", q: str = "", cursor: str = "") -> Page[dict[str, Any]]:
    """The members in whose name or username the text occurs, in the order in which they joined."""
    found = project.members.filter(_called(q))
    page = paged(found, cursor, order=JOINED, size=SHOWN, fetch=MEMBERS.objects)
    levels = levels_by_user(project, [member.user_id for member in page.rows])
    return page.showing(
        {
            "id": member.pk,
            "user": member.user,
            "shown": member.user.shown,
            **_held(levels.get(member.user_id, NOTHING)),
            "joined_at": member.joined_at,
            "invited_by": member.invited_by,
            "verified": member.verified,  # type: ignore[attr-defined]
            "is_me": member.user_id == seen_by.pk,
        }
        for member in page.rows
    )


def _called(q: str) -> Q:
    return Q(user__name__icontains=q) | Q(user__username__icontains=q) if q else Q()


def _members(pks: list[str]) -> "QuerySet[Member]":
    proven = EmailAddress.objects.filter(user=OuterRef("user"), email=OuterRef("user__email"), verified=True)
    rows = Member.objects.filter(pk__in=pks).select_related("user", "invited_by")
    return rows.annotate(verified=Exists(proven))


MEMBERS: Final = Prepared(_members)
TEAMS: Final = Prepared(lambda pks: TeamMember.objects.filter(pk__in=pks).select_related("team"))


def teams_of(project: Project, *, q: str = "", cursor: str = "") -> Page[dict[str, Any]]:
    """The teams that are members and are called so, in the order in which they joined; `people` is how many belong to each."""
    found = project.team_members.filter(team__name__icontains=q) if q else project.team_members.all()
    page = paged(found, cursor, order=JOINED, size=SHOWN, fetch=TEAMS.objects)
    people = numbers([member.team.group_id for member in page.rows])
    levels = team_members.levels_of_teams(project, [member.team_id for member in page.rows])
    return page.showing(
        {
            "id": member.pk,
            "team": member.team,
            "people": people.get(member.team.group_id, 0),
            **_held(levels.get(member.team_id, NOTHING)),
            "joined_at": member.joined_at,
        }
        for member in page.rows
    )


def _held(levels: Levels) -> dict[str, Any]:
    return {"levels": levels, "preset": preset_of(levels)}


def invitations_of(project: Project, *, q: str = "", cursor: str = "") -> Page[dict[str, Any]]:
    """The open invitations to such addresses, newest first, with the link to copy: it proves no address."""
    found = Invitation.objects.open().filter(project=project)
    page = paged(found.filter(email__icontains=q) if q else found, cursor, size=SHOWN)
    return links.listed(page, lambda invitation: preset_of(invitation.levels) or "Own levels")
