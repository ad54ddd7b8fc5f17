"""What becomes of somebody's projects and memberships when they delete their account."""

from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef
from django.utils import timezone

import access
from accounts.actions import Objection
from projects import actions, signals, work
from projects.errors import Impossible
from projects.models import Invitation, Member, Project, TeamMember, record

if TYPE_CHECKING:
    from accounts.models import User


def objections(sender: type, user: "User", **_: object) -> list[str]:
    """Projects that others share must get another owner or be removed first; jobs must have ended."""
    shared = Exists(Member.objects.filter(project=OuterRef("pk"))) | Exists(
        TeamMember.objects.filter(project=OuterRef("pk"))
    )
    owned = Project.objects.present().filter(owner=user).annotate(shared=shared).order_by("name", "id")
    return [reason for project in owned for reason in _objections(project)]


def _objections(project: Project) -> list[str]:
    if project.shared:  # type: ignore[attr-defined]
        return [f"You own {project.name}, which others share. Remove it first, or give it to another owner."]
    unfinished, _ = work.known().counts(project)
    if unfinished:
        return [
            f"{unfinished} job{'s' if unfinished > 1 else ''} in {project.name} must end first. Stop or await them."
        ]
    return []


def close(sender: type, user: "User", **_: object) -> None:
    """Ends the memberships, and removes all that the account owns; inside the transaction that deletes it."""
    for member in Member.objects.filter(user=user).select_related("project"):
        actions.leave(project=member.project, by=user)
    for project in Project.objects.present().filter(owner=user):
        _remove(project, user)
    Invitation.objects.open().filter(email=user.email).update(revoked_at=timezone.now())


def _remove(project: Project, user: "User") -> None:
    """As projects.actions.remove, which refuses the Personal project. Raises Objection while jobs are unfinished."""
    try:
        signals.project_removing.send(sender=Project, project=project, by=user)
    except Impossible as error:
        raise Objection([f"{project.name}: {error}"]) from None
    now = timezone.now()
    Project.objects.filter(pk=project.pk).update(removed_at=now, offered_to=None, offered_at=None)
    revoked = Invitation.objects.open().filter(project=project).update(revoked_at=now)
    access.bump()
    was = {"name": project.name, "slug": project.slug}
    record(by=user, project=project, action="project:rm", before=was, invitations_revoked=revoked)
