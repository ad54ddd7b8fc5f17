"""How a project changes hands, for programs."""

from datetime import datetime
from typing import Any

from django.http import Http404
from ninja import Router, Status

import access
from accounts.api import UserOut, show_user, user_named
from api.callers import ApiRequest, person
from api.lists import In, Named, Out
from api.problems import invalid
from projects import ownership
from projects.api import ProjectOut, project_for, show_projects
from projects.models import Member, Project

router = Router(tags=["ownership"])


class OfferIn(In):
    """The member who is asked to own the project, by id or username."""

    user: Named


class OfferOut(Out):
    """An offer that waits for its answer. `mine`: it is for who asks."""

    user: UserOut
    offered_at: datetime
    mine: bool


def _shown(project: Project, by: Any) -> dict[str, Any]:
    offered = Project.objects.select_related("offered_to").get(pk=project.pk)
    if offered.offered_to is None:
        raise Http404
    user = show_user(offered.offered_to, by)
    return {"user": user, "offered_at": offered.offered_at, "mine": user["mine"]}


@router.get("/projects/{project}/offer", response=OfferOut)
@access.route("project:get")
def get_offer(request: ApiRequest, project: str) -> dict[str, Any]:
    """To whom a project is offered; for its owner, and for whom it is offered to."""
    shown, by = _shown(found := project_for(request, project, "project:get"), request.user), request.user
    if by.pk not in {found.owner_id, shown["user"]["id"]}:
        raise Http404
    return shown


@router.post("/projects/{project}/offer", response={201: OfferOut})
@access.route("project:rm")
def offer_project(request: ApiRequest, project: str, data: OfferIn) -> Status:
    """Asks a member to own a project; an older offer to somebody else is void."""
    by, found = person(request), project_for(request, project, "project:get")
    ownership.check_owner(found, by)
    members = Member.objects.filter(project=found).select_related("project__owner", "user")
    member = members.filter(user=user_named(data.user)).first()
    if member is None:
        raise invalid([("user", "Nobody of this name is a member of the project.")])
    ownership.offer(member=member, by=by)
    return Status(201, _shown(found, by))


@router.delete("/projects/{project}/offer", response={204: None})
@access.route("project:rm")
def withdraw_offer(request: ApiRequest, project: str) -> Status:
    """Takes the offer back."""
    by = person(request)
    ownership.withdraw(project=project_for(request, project, "project:get"), by=by)
    return Status(204, None)


@router.post("/projects/{project}/offer/accept", response=ProjectOut)
@access.route("project:get")
def accept_offer(request: ApiRequest, project: str) -> dict[str, Any]:
    """Makes who asks the owner, and the former owner a member with Full."""
    by, found = person(request), project_for(request, project, "project:get")
    ownership.accept(project=found, by=by)
    return show_projects([project_for(request, project, "project:get")], by)[0]


@router.post("/projects/{project}/offer/decline", response={204: None})
@access.route("project:get")
def decline_offer(request: ApiRequest, project: str) -> Status:
    """Says no."""
    by = person(request)
    ownership.decline(project=project_for(request, project, "project:get"), by=by)
    return Status(204, None)
