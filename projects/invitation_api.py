"""What programs do with invitations to projects. They and their links are for who may share the project."""

from typing import Any

from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Status

import access
from accounts.invitation_api import AnyInvitationOut, LinkIn, show_invitation
from api import lists
from api.callers import ApiRequest, person
from api.lists import Listed, Newest
from api.problems import invalid
from projects import actions, links
from projects.api import ProjectOut, show_projects
from projects.member_api import LevelsEdit, LevelsOut, levels_in, shared
from projects.models import Invitation

router = Router(tags=["invitations"])


class InvitationOut(AnyInvitationOut):
    """An offer of membership."""

    levels: LevelsOut


class InvitationIn(LevelsEdit):
    """Whom to invite, and to what."""

    email: str = Field(max_length=254)


def _shown(one: Invitation, by: Any) -> dict[str, Any]:
    return show_invitation(one, links.address_of(one, links.COPIED), by) | {"levels": one.levels}


@router.get("/projects/{project}/invitations", response=Listed[InvitationOut])
@access.route("project:share")
def list_invitations(
    request: ApiRequest,
    project: str,
    paging: Query[Newest],
    q: str = Query("", max_length=100, description="what occurs in the address"),
) -> dict[str, Any]:
    """The open invitations to a project, the newest first."""
    found = Invitation.objects.open().filter(project=shared(request, project))
    return lists.page(
        found.filter(email__icontains=q) if q else found,
        paging,
        lambda one: _shown(one, request.user),
        order=paging.by("created_at"),
        read=lambda rows: rows.select_related("invited_by"),
    )


@router.post("/projects/{project}/invitations", response={201: InvitationOut})
@access.route("project:share")
def invite(request: ApiRequest, project: str, data: InvitationIn) -> Status:
    """Invites an address; one with an open invitation gets a new email, and older links die."""
    by, levels, found = person(request), levels_in(data), shared(request, project)
    try:
        made = actions.invite(project=found, email=data.email, levels=levels, by=by)
    except ValidationError as error:
        raise invalid(("email", said) for said in error.messages) from error
    return Status(201, _shown(made, by))


@router.get("/projects/{project}/invitations/{invitation}", response=InvitationOut)
@access.route("project:share")
def get_invitation(request: ApiRequest, project: str, invitation: str) -> dict[str, Any]:
    """An open invitation."""
    return _shown(_open(request, project, invitation), request.user)


@router.post("/projects/{project}/invitations/{invitation}/send", response=InvitationOut)
@access.route("project:share")
def send_invitation(request: ApiRequest, project: str, invitation: str) -> dict[str, Any]:
    """Sends an invitation again, with a new link; older ones die."""
    by, found = person(request), _open(request, project, invitation)
    actions.resend(invitation=found, by=by)
    return _shown(found, by)


@router.delete("/projects/{project}/invitations/{invitation}", response={204: None})
@access.route("project:share")
def revoke_invitation(request: ApiRequest, project: str, invitation: str) -> Status:
    """Takes an invitation back."""
    by = person(request)
    actions.revoke(invitation=_open(request, project, invitation), by=by)
    return Status(204, None)


@router.post("/invitations/accept", response=ProjectOut)
@access.route("self")
def accept_invitation(request: ApiRequest, data: LinkIn) -> dict[str, Any]:
    """Makes who asks a member, by an invitation to their address."""
    by = person(request)
    return show_projects([actions.accept(token=data.token, by=by)], by)[0]


def _open(request: ApiRequest, project: str, invitation: str) -> Invitation:
    rows = Invitation.objects.open().filter(project=shared(request, project))
    return get_object_or_404(rows.select_related("project__owner", "invited_by"), pk=invitation)
