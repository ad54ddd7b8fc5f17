"""What programs do with those who are in a project: members and teams."""

from datetime import datetime
from typing import Any, Literal

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Status

import access
from accounts.api import UserOut, called, show_user
from api import etags, lists
from api.callers import ApiRequest, person
from api.lists import ByJoining, In, Listed, Named, Out
from api.problems import invalid
from projects import actions, ownership, team_members
from projects.api import project_for
from projects.levels import PRESETS, Levels
from projects.listing import NOTHING
from projects.members import levels_by_user
from projects.models import Member, Project, TeamMember
from teams.api import TeamRef, show_team_ref, team_named
from teams.models import Team

router = Router(tags=["members"])

Level = Literal["none", "read", "own", "all"]
Preset = Literal["Viewer", "Teammate", "Collaborator", "Full"]


class LevelsOut(Out):
    """What one may do, for each kind of resource."""

    job: Level
    dataset: Level
    model: Level
    volume: Level


class LevelsIn(In):
    """A level for each kind of resource."""

    job: Level
    dataset: Level
    model: Level
    volume: Level


class LevelsEdit(In):
    """Levels, each by itself or by the name of a preset."""

    levels: LevelsIn | None = None
    preset: Preset | None = None


class MemberOut(Out):
    """Somebody with whom a project is shared. `mine`: it is who asks."""

    user: UserOut
    levels: LevelsOut
    joined_at: datetime
    mine: bool


class ProjectTeamOut(Out):
    """A team with which a project is shared. `mine`: who asks belongs to it."""

    team: TeamRef
    levels: LevelsOut
    added_at: datetime
    mine: bool


class ProjectTeamIn(LevelsEdit):
    """A team, by its id or its address (`slug`), and what it is to be able to do."""

    team: Named


def levels_in(data: LevelsEdit) -> Levels:
    """The levels that were sent, in one of the two ways. Raises Problem for both, or neither."""
    if (data.levels is None) == (data.preset is None):
        raise invalid([("levels", "give levels, or a preset instead")])
    return data.levels.dict() if data.levels else PRESETS[str(data.preset)]


# Members


@router.get("/projects/{project}/members", response=Listed[MemberOut])
@access.route("project:get")
def list_members(
    request: ApiRequest,
    project: str,
    paging: Query[ByJoining],
    q: str = Query("", max_length=100, description="what occurs in the name or the username"),
) -> dict[str, Any]:
    """With whom a project is shared; its owner is not among them."""
    found = project_for(request, project, "project:get")
    return lists.page(
        found.members.filter(called(q)),
        paging,
        lambda shown: shown,
        order=paging.by("joined_at"),
        read=lambda rows: rows.select_related("user"),
        prepare=lambda rows: _show_members(found, rows, request.user),
    )


@router.get("/projects/{project}/members/{user}", response=MemberOut)
@access.route("project:get")
def get_member(request: ApiRequest, project: str, user: str, response: HttpResponse) -> dict[str, Any]:
    """A member, by the user's id."""
    return _shown(request, _member(project_for(request, project, "project:get"), user), response)


@router.patch("/projects/{project}/members/{user}", response=MemberOut)
@access.route("project:share")
def set_member(
    request: ApiRequest, project: str, user: str, data: LevelsEdit, response: HttpResponse
) -> dict[str, Any]:
    """Changes what a member may do, at once also in what they have open."""
    by, levels = person(request), levels_in(data)
    with transaction.atomic():
        member = _member(shared(request, project), user)
        ownership.lock(member.project)
        etags.check(request, _tag(member))
        actions.set_levels(member=member, levels=levels, by=by)
    return _shown(request, member, response)


@router.delete("/projects/{project}/members/{user}", response={204: None})
@access.route("project:share")
def remove_member(request: ApiRequest, project: str, user: str) -> Status:
    """Ends a membership at once. Their jobs stay; queued ones are cancelled."""
    by = person(request)
    with transaction.atomic():
        member = _member(shared(request, project), user)
        ownership.lock(member.project)
        etags.check(request, _tag(member))
        actions.remove_member(member=member, by=by)
    return Status(204, None)


@router.post("/projects/{project}/leave", response={204: None})
@access.route("project:get")
def leave_project(request: ApiRequest, project: str) -> Status:
    """Ends one's own membership."""
    by = person(request)
    actions.leave(project=project_for(request, project, "project:get"), by=by)
    return Status(204, None)


def shared(request: ApiRequest, project: str) -> Project:
    """The project, when who asks may share it; its address answers strangers as if it were not there."""
    found = project_for(request, project, "project:get")
    actions.require(request.user, "project:share", found, "shared")
    return found


def _member(project: Project, user: str) -> Member:
    return get_object_or_404(Member.objects.filter(project=project).select_related("project", "user"), user=user)


def _show_members(project: Project, rows: list[Member], by: Any) -> list[dict[str, Any]]:
    levels = levels_by_user(project, [row.user_id for row in rows])
    return [
        {
            "user": show_user(row.user, by),
            "levels": levels.get(row.user_id, NOTHING),
            "joined_at": row.joined_at,
            "mine": row.user_id == by.pk,
        }
        for row in rows
    ]


def _shown(request: ApiRequest, member: Member, response: HttpResponse) -> dict[str, Any]:
    [shown] = _show_members(member.project, [member], request.user)
    etags.tell(response, etags.tag_of(member.pk, shown["levels"]))
    return shown


def _tag(member: Member) -> str:
    held = levels_by_user(member.project, [member.user_id])
    return etags.tag_of(member.pk, held.get(member.user_id, NOTHING))


# Teams


@router.get("/projects/{project}/teams", response=Listed[ProjectTeamOut])
@access.route("project:get")
def list_project_teams(
    request: ApiRequest, project: str, paging: Query[ByJoining], q: str = Query("", max_length=100)
) -> dict[str, Any]:
    """The teams with which a project is shared."""
    found = project_for(request, project, "project:get")
    rows: QuerySet[TeamMember] = found.team_members.filter(team__name__icontains=q) if q else found.team_members.all()
    return lists.page(
        rows,
        paging,
        lambda shown: shown,
        order=paging.by("joined_at"),
        read=lambda rows: rows.select_related("team"),
        prepare=lambda rows: _show_teams(found, rows, request.user),
    )


@router.post("/projects/{project}/teams", response={201: ProjectTeamOut})
@access.route("project:share")
def add_project_team(request: ApiRequest, project: str, data: ProjectTeamIn, response: HttpResponse) -> Status:
    """Shares a project with a team: all in it are members at once."""
    by, levels, found = person(request), levels_in(data), shared(request, project)
    member = team_members.add(project=found, team=team_named(data.team), levels=levels, by=by)
    return Status(201, _team_shown(request, member, response))


@router.get("/projects/{project}/teams/{team}", response=ProjectTeamOut)
@access.route("project:get")
def get_project_team(request: ApiRequest, project: str, team: str, response: HttpResponse) -> dict[str, Any]:
    """A team with which a project is shared, by the team's id."""
    return _team_shown(request, _team(project_for(request, project, "project:get"), team), response)


@router.patch("/projects/{project}/teams/{team}", response=ProjectTeamOut)
@access.route("project:share")
def set_project_team(
    request: ApiRequest, project: str, team: str, data: LevelsEdit, response: HttpResponse
) -> dict[str, Any]:
    """Changes what all in a team may do."""
    by, levels = person(request), levels_in(data)
    with transaction.atomic():
        member = _team(shared(request, project), team)
        access.bump()  # its row lets one such change happen at a time
        etags.check(request, _team_tag(member))
        team_members.set_levels(member=member, levels=levels, by=by)
    return _team_shown(request, member, response)


@router.delete("/projects/{project}/teams/{team}", response={204: None})
@access.route("project:share")
def remove_project_team(request: ApiRequest, project: str, team: str) -> Status:
    """Ends a team's membership; who is a member besides stays one."""
    by = person(request)
    with transaction.atomic():
        member = _team(shared(request, project), team)
        access.bump()
        etags.check(request, _team_tag(member))
        team_members.remove(member=member, by=by)
    return Status(204, None)


def _team(project: Project, team: str) -> TeamMember:
    return get_object_or_404(project.team_members.select_related("project", "team__group"), team=team)


def _show_teams(project: Project, rows: list[TeamMember], by: Any) -> list[dict[str, Any]]:
    ids = [row.team_id for row in rows]
    levels = team_members.levels_of_teams(project, ids)
    mine = set(Team.objects.filter(pk__in=ids, group__user__in=[by.pk]).values_list("pk", flat=True))
    return [
        {
            "team": show_team_ref(row.team),
            "levels": levels.get(row.team_id, NOTHING),
            "added_at": row.joined_at,
            "mine": row.team_id in mine,
        }
        for row in rows
    ]


def _team_shown(request: ApiRequest, member: TeamMember, response: HttpResponse) -> dict[str, Any]:
    [shown] = _show_teams(member.project, [member], request.user)
    etags.tell(response, etags.tag_of(member.pk, shown["levels"]))
    return shown


def _team_tag(member: TeamMember) -> str:
    return etags.tag_of(member.pk, team_members.levels_of_team(member.project, member.team))
