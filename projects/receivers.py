"""What projects do when something happens to accounts, and how others find them."""

from typing import TYPE_CHECKING, Any

from django.urls import ResolverMatch
from django.utils import timezone

import access
from accounts.invited import Invited
from projects import actions, links, team_members
from projects.models import Invitation, Member, Project, ThirdPartyKey, record

if TYPE_CHECKING:
    from accounts.models import User
    from teams.models import Team


def account_saved(sender: type, instance: "User", created: bool, raw: bool = False, **_: object) -> None:
    """Every new account gets its Personal project, in the transaction that makes it."""
    if created and not raw:
        actions.create_personal(user=instance)


def find_invited(match: ResolverMatch) -> Invited | None:
    """The open invitation whose page this is."""
    found = links.find(match.kwargs["token"]) if match.view_name == "projects:invitation" else None
    if found is None:
        return None
    invitation, link = found
    return Invited(invitation.email, invitation.project.name, invitation.invited_by.shown, link.proves_address)


def is_member(user: "User") -> bool:
    """Whether somebody is a member of any project by themselves."""
    return Member.objects.filter(user=user).exists()


def users_joined(sender: type, team: "Team", users: set[str], by: "User | None", **_: object) -> None:
    """Who comes into a team has what it has: the trails of its projects say so."""
    team_members.note_users(team=team, users=users, joined=True, by=by)


def users_left(sender: type, team: "Team", users: set[str], by: "User | None", **_: object) -> None:
    """Who no longer belongs to a team loses what it has: the trails of its projects say so."""
    team_members.note_users(team=team, users=users, joined=False, by=by)


def team_removing(sender: type, team: "Team", by: "User | None", **_: object) -> None:
    """A team that goes leaves its projects first."""
    for member in team.memberships.select_related("project", "team__group"):
        team_members.end(member, by=by)


def rules_changed(
    sender: type, places: set[str], by: "User | None", action: str, details: dict[str, Any], **values: Any
) -> None:
    """Policies and roles are in the trails of the projects that they reach."""
    for project in Project.objects.filter(pk__in=places):
        before, after = values["before"], values["after"]
        record(by=by, project=project, action=action, before=before, after=after, **details)


def may_hold_less(sender: type, users: set[str], **_: object) -> None:
    """What somebody has invited to is offered no more when they may no longer offer it."""
    offered = Invitation.objects.open().filter(invited_by__in=users)
    for project in Project.objects.filter(pk__in=offered.values("project")):
        sharers = access.holders("project:share", project).values("pk")
        offered.filter(project=project).exclude(invited_by__in=sharers).update(revoked_at=timezone.now())


def find_key(key_id: str) -> ThirdPartyKey | None:
    """A third-party key by its id; for `access.find`."""
    rows = ThirdPartyKey.objects.filter(project__removed_at=None).select_related("project__owner")
    return rows.filter(pk=key_id).first()


def find_project(project_id: str) -> Project | None:
    """By its id; for `access.find`."""
    return Project.objects.present().select_related("owner").filter(pk=project_id).first()
