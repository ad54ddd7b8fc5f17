"""What becomes of somebody's projects and memberships when they delete their account."""

from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.actions import Objection
from projects import actions, work
from projects.errors import Impossible
from projects.models import Invitation, Member, Project, TeamMember

if TYPE_CHECKING:
    from accounts.models import User


def objections(sender: type, user: "User", **_: object) -> list[str]:
    """Projects that others share must get another owner or be removed first; jobs must have ended."""
    here = {"project": OuterRef("pk")}
    shared = Exists(Member.objects.filter(**here)) | Exists(TeamMember.objects.filter(**here))
    owned = Project.objects.present().filter(owner=user).annotate(shared=shared).order_by("name", "id")
    return [reason for project in owned for reason in _objections(project)]


def _objections(project: Project) -> list[str]:
    if project.shared:  # type: ignore[attr-defined]
        return [f"You own {project.name}, which others share. Remove it first, or give it to another owner."]
    unfinished, _ = work.known().counts(project)
    if unfinished:
        many = "s" if unfinished > 1 else ""
        return [f"{unfinished} job{many} in {project.name} must end first. Stop or await them."]
    return []


def close(sender: type, user: "User", **_: object) -> None:
    """Ends the memberships, and removes all that the account owns; inside the transaction that deletes it. Raises Objection."""
    for member in Member.objects.filter(user=user).select_related("project"):
        actions.leave(project=member.project, by=user)
    _remove_all(user)
    Invitation.objects.open().filter(email=user.email).update(revoked_at=timezone.now())


def _remove_all(user: "User") -> None:
    """Those in others first."""
    left = list(Project.objects.present().filter(owner=user))
    while left:
        above = {project.parent_id for project in left}
        for project in (one for one in left if one.pk not in above):
            try:
                actions.take_away(project=project, by=user)
            except Impossible as error:
                raise Objection([f"{project.name}: {error}"]) from None
        left = [project for project in left if project.pk in above]
