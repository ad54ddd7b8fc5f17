"""What programs do with invitations to teams. They and their links are for who may change the team."""

from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Status

import access
from accounts.invitation_api import AnyInvitationOut, LinkIn, show_invitation
from accounts.models import User
from api import lists
from api.callers import ApiRequest, person
from api.lists import In, Listed, Newest, Out
from api.problems import invalid
from teams import joining, links
from teams.models import Team, TeamInvitation

router = Router(tags=["invitations"])

RoleName = Literal["owner", "admin", "user"]


class TeamInvitationOut(AnyInvitationOut):
    """An offer of a role in a team."""

    role: RoleName


class TeamInvitationIn(In):
    """Whom to invite, and as what."""

    email: str = Field(max_length=254)
    role: RoleName = "user"


class JoinedOut(Out):
    """The team that one is in now."""

    id: str
    urn: str
    name: str


def show_team_invitation(one: TeamInvitation, by: User) -> dict[str, Any]:
    """An invitation, for who may change the team."""
    return show_invitation(one, links.address_of(one, links.COPIED), by) | {"role": one.role}


@router.get("/teams/{team}/invitations", response=Listed[TeamInvitationOut])
@access.route("team:set")
def list_team_invitations(
    request: ApiRequest,
    team: str,
    paging: Query[Newest],
    q: str = Query("", max_length=100, description="what occurs in the address"),
) -> dict[str, Any]:
    """The open invitations to a team, the newest first."""
    found = TeamInvitation.objects.open().filter(team=_team(request, team))
    return lists.page(
        found.filter(email__icontains=q) if q else found,
        paging,
        lambda one: show_team_invitation(one, request.user),
        order=paging.by("created_at"),
        read=lambda rows: rows.select_related("invited_by"),
    )


@router.post("/teams/{team}/invitations", response={201: TeamInvitationOut})
@access.route("team:set")
def invite_to_team(request: ApiRequest, team: str, data: TeamInvitationIn) -> Status:
    """Invites an address; one with an open invitation gets a new email, and older links die."""
    by, found = person(request), _team(request, team)
    try:
        made = joining.invite(team=found, email=data.email, role=data.role, by=by)
    except ValidationError as error:
        raise invalid(("email", said) for said in error.messages) from error
    return Status(201, show_team_invitation(made, by))


@router.get("/teams/{team}/invitations/{invitation}", response=TeamInvitationOut)
@access.route("team:set")
def get_team_invitation(request: ApiRequest, team: str, invitation: str) -> dict[str, Any]:
    """An open invitation."""
    return show_team_invitation(_open(request, team, invitation), request.user)


@router.post("/teams/{team}/invitations/{invitation}/send", response=TeamInvitationOut)
@access.route("team:set")
def send_team_invitation(request: ApiRequest, team: str, invitation: str) -> dict[str, Any]:
    """Sends an invitation again, with a new link; older ones die."""
    by, found = person(request), _open(request, team, invitation)
    joining.resend(invitation=found, by=by)
    return show_team_invitation(found, by)


@router.delete("/teams/{team}/invitations/{invitation}", response={204: None})
@access.route("team:set")
def revoke_team_invitation(request: ApiRequest, team: str, invitation: str) -> Status:
    """Takes an invitation back."""
    by = person(request)
    joining.revoke(invitation=_open(request, team, invitation), by=by)
    return Status(204, None)


@router.post("/team-invitations/accept", response=JoinedOut)
@access.route("self")
def accept_team_invitation(request: ApiRequest, data: LinkIn) -> dict[str, Any]:
    """Takes who asks into a team, by an invitation to their address."""
    team = joining.accept(token=data.token, by=person(request))
    return {"id": team.pk, "urn": team.urn, "name": team.name}


def _team(request: ApiRequest, team: str) -> Team:
    return access.fetch(person(request), "team:set", Team.objects.select_related("group"), pk=team)


def _open(request: ApiRequest, team: str, invitation: str) -> TeamInvitation:
    rows = TeamInvitation.objects.open().filter(team=_team(request, team))
    return get_object_or_404(rows.select_related("team__group", "invited_by"), pk=invitation)
