"""How others find what is the teams'."""

from django.urls import ResolverMatch

from accounts.invited import Invited
from teams import links


def find_invited(match: ResolverMatch) -> Invited | None:
    """The open invitation whose page this is."""
    found = links.find(match.kwargs["token"]) if match.view_name == "teams:invitation" else None
    if found is None:
        return None
    invitation, link = found
    return Invited(invitation.email, invitation.team.name, invitation.invited_by.shown, link.proves_address)
