"""Where the link of an invitation leads: what one is invited to, and how to accept it."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from accounts import invitations

if TYPE_CHECKING:
    from accounts.invitations import InvitationBase
    from accounts.requests import UserRequest


def page(request: "UserRequest", template: str, invitation: "InvitationBase | None", **about: Any) -> HttpResponse:
    """The page of an invitation, or of a link that opens nothing (None): nobody is told why it does not."""
    if invitation is None:
        return render(request, template, {"state": "invalid"}, status=404)
    back = urlencode({"next": request.path})
    shown = {
        "inviter": invitation.invited_by.shown,
        "email": invitation.email,
        "expires_at": invitation.expires_at,
        **about,
    }
    context = {
        "invitation": shown,
        "state": _state(request, invitation),
        "sign_in_url": f"{reverse('account_login')}?{back}",
        "sign_up_url": f"{reverse('account_signup')}?{back}",
    }
    return render(request, template, context, status=403 if request.method == "POST" else 200)


def _state(request: "UserRequest", invitation: "InvitationBase") -> str:
    if not request.user.is_authenticated:
        return "signed_out"
    return "accept" if invitations.is_for(invitation, request.user) else "other_account"
