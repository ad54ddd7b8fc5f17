"""What projects do when something happens to accounts, and how others find them."""

from typing import TYPE_CHECKING

from django.urls import ResolverMatch

from accounts.invited import Invited
from projects import actions, links
from projects.models import Project

if TYPE_CHECKING:
    from accounts.models import User


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


def find_project(project_id: str) -> Project | None:
    """By its id; for `access.find`."""
    return Project.objects.present().select_related("owner").filter(pk=project_id).first()
