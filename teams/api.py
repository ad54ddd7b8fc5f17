"""What programs do with teams. A team is a person's matter: a role's key asks nothing here."""

from datetime import datetime
from typing import Any, Literal

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from ninja import Field, Query, Router, Schema, Status

import access
from accounts.adapter import absolute
from accounts.api import UserOut, called, show_user
from accounts.models import User
from api import etags, lists
from api.callers import ApiRequest, person
from api.lists import ByJoining, ByName, ByUsername, In, Listed, Named, Out
from api.problems import invalid
from teams import actions, joining
from teams.forms import AddUserForm
from teams.invitation_api import RoleName, TeamInvitationOut, show_team_invitation
from teams.models import Nesting, Team, TeamUser
from teams.querysets import counted

router = Router(tags=["teams"])


class TeamRef(Out):
    """A team, as what it is in names it."""

    id: str
    urn: str
    name: str


class TeamOut(TeamRef):
    """A team; `people`: how many belong to it, also by a team in it. `mine`: who asks does."""

    slug: str
    people: int
    created_at: datetime
    url: str
    mine: bool


class TeamMemberOut(Out):
    """Somebody who is in a team by themselves. `mine`: it is who asks."""

    user: UserOut
    role: RoleName
    joined_at: datetime
    mine: bool


class NestedOut(Out):
    """A team that is in another. `mine`: who asks belongs to it."""

    team: TeamRef
    mine: bool


class TeamNameIn(In):
    name: str = Field(max_length=100)


class TeamPersonIn(In):
    """Somebody by username; an email address is invited."""

    user: str = Field(max_length=254)
    role: RoleName = "user"


class TeamRoleIn(In):
    role: RoleName


class NestedTeamIn(In):
    """A team, by its id or its address (`slug`)."""

    team: Named


class TeamFilter(Schema):
    """Which teams: called like `q`, just so (`name`), at an address (`slug`), those that one belongs to (`mine`) or the others."""

    q: str = Field("", max_length=100)
    name: str | None = Field(None, max_length=100)
    slug: str | None = Field(None, max_length=60)
    mine: bool | None = None


def show_team_ref(team: Team) -> dict[str, str]:
    """A team, as what it is in names it."""
    return {"id": team.pk, "urn": team.urn, "name": team.name}


def _mine(teams: list[Team], by: User) -> set[str]:
    return set(Team.objects.of(by).filter(pk__in=[team.pk for team in teams]).values_list("pk", flat=True))


def _show(teams: list[Team], by: User) -> list[dict[str, Any]]:
    mine = _mine(teams, by)
    return [
        show_team_ref(team)
        | {"slug": team.slug, "people": team.people, "created_at": team.created_at, "mine": team.pk in mine}
        | {"url": absolute(reverse("teams:detail", args=[team.slug]))}
        for team in teams
    ]


def team_for(request: ApiRequest, team: str, action: str) -> Team:
    """The team with this id, when who asks may do the action with it."""
    return access.fetch(person(request), action, Team.objects.select_related("group"), pk=team)


def team_named(text: str) -> Team:
    """The team with this id, or else at this address. Raises Problem for none."""
    found = Team.objects.filter(Q(pk=text) | Q(slug=text)).select_related("group")
    if team := lists.meant(found, text):
        return team
    raise invalid([("team", "No team has this id or address.")])


def _shown(request: ApiRequest, team: Team, response: HttpResponse) -> dict[str, Any]:
    etags.tell(response, _tag(team))
    return _show(counted([team.pk]), request.user)[0]


def _tag(team: Team) -> str:
    return etags.tag_of(team.pk, team.name)


def _locked(team: Team) -> Team:
    return Team.objects.select_for_update(no_key=True).get(pk=team.pk)


@router.get("/teams", response=Listed[TeamOut])
@access.route("team:get")
def list_teams(request: ApiRequest, where: Query[TeamFilter], paging: Query[ByName]) -> dict[str, Any]:
    """The teams of the installation, by name."""
    by, found = person(request), Team.objects.called(where.q)
    if where.name is not None:
        found = found.filter(name=where.name)
    if where.slug is not None:
        found = found.filter(slug=where.slug)
    if where.mine is not None:
        mine = Team.objects.of(by).values("pk")
        found = found.filter(pk__in=mine) if where.mine else found.exclude(pk__in=mine)
    return lists.page(
        found.annotate(lower_name=Lower("name")),
        paging,
        lambda shown: shown,
        order=paging.by("lower_name"),
        fetch=counted,
        prepare=lambda teams: _show(teams, by),
    )


@router.post("/teams", response={201: TeamOut})
@access.route("self")
def new_team(request: ApiRequest, data: TeamNameIn, response: HttpResponse) -> Status:
    """Creates a team, whose first owner is who asks."""
    team = actions.create(name=data.name, by=person(request))
    return Status(201, _shown(request, team, response))


@router.get("/teams/{team}", response=TeamOut)
@access.route("team:get")
def get_team(request: ApiRequest, team: str, response: HttpResponse) -> dict[str, Any]:
    """A team."""
    return _shown(request, team_for(request, team, "team:get"), response)


@router.patch("/teams/{team}", response=TeamOut)
@access.route("team:set")
def set_team(request: ApiRequest, team: str, data: TeamNameIn, response: HttpResponse) -> dict[str, Any]:
    """Changes a team's name; its address stays."""
    with transaction.atomic():
        found = team_for(request, team, "team:set")
        etags.check(request, _tag(_locked(found)))
        actions.rename(team=found, name=data.name, by=person(request))
    return _shown(request, found, response)


@router.delete("/teams/{team}", response={204: None})
@access.route("team:rm")
def remove_team(request: ApiRequest, team: str) -> Status:
    """Takes a team away, and with it at once what it gave to those in it."""
    with transaction.atomic():
        found = team_for(request, team, "team:rm")
        access.bump()  # its row lets one change of teams happen at a time
        etags.check(request, _tag(_locked(found)))
        actions.remove(team=found, by=person(request))
    return Status(204, None)


# Who is in it


@router.get("/teams/{team}/members", response=Listed[TeamMemberOut])
@access.route("team:get")
def list_team_members(
    request: ApiRequest, team: str, paging: Query[ByJoining], q: str = Query("", max_length=100)
) -> dict[str, Any]:
    """Who is in a team by themselves, with their roles."""
    rows = team_for(request, team, "team:get").members.filter(called(q))
    return lists.page(
        rows,
        paging,
        lambda row: _show_member(row, request.user),
        order=paging.by("joined_at"),
        read=lambda rows: rows.select_related("user"),
    )


@router.get("/teams/{team}/people", response=Listed[UserOut])
@access.route("team:get")
def list_team_people(request: ApiRequest, team: str, paging: Query[ByUsername]) -> dict[str, Any]:
    """All who belong to a team, by themselves or by a team in it."""
    found = User.objects.filter(groups=team_for(request, team, "team:get").group, is_active=True)
    return lists.page(found, paging, lambda user: show_user(user, request.user), order=paging.by("username"))


@router.post("/teams/{team}/members", response={201: TeamMemberOut, 202: TeamInvitationOut})
@access.route("team:set")
def add_team_member(request: ApiRequest, team: str, data: TeamPersonIn, response: HttpResponse) -> Status:
    """Takes somebody into a team; an email address is invited instead (202), whether it has an account or not."""
    by, found = person(request), team_for(request, team, "team:set")
    form = AddUserForm({"username": data.user, "role": data.role})
    if not form.is_valid():
        raise invalid(("user", said) for said in _said(form))
    user, email = form.cleaned_data["user"], form.cleaned_data["email"]
    if user is None:
        sent = joining.invite(team=found, email=email, role=data.role, by=by)
        return Status(202, show_team_invitation(sent, by))
    return Status(201, _member_shown(request, actions.add_user(team=found, user=user, role=data.role, by=by), response))


def _said(form: Form) -> list[str]:
    return [str(said) for errors in form.errors.values() for said in errors]


@router.get("/teams/{team}/members/{user}", response=TeamMemberOut)
@access.route("team:get")
def get_team_member(request: ApiRequest, team: str, user: str, response: HttpResponse) -> dict[str, Any]:
    """Somebody in a team, by the user's id."""
    return _member_shown(request, _member(team_for(request, team, "team:get"), user), response)


@router.patch("/teams/{team}/members/{user}", response=TeamMemberOut)
@access.route("team:set")
def set_team_member(
    request: ApiRequest, team: str, user: str, data: TeamRoleIn, response: HttpResponse
) -> dict[str, Any]:
    """Changes somebody's role. Only owners make and unmake owners, and a team keeps one."""
    with transaction.atomic():
        found = team_for(request, team, "team:set")
        access.bump()
        member = _member(found, user)
        etags.check(request, _member_tag(member))
        actions.set_role(member=member, role=data.role, by=person(request))
        member = _member(found, user)
    return _member_shown(request, member, response)


@router.delete("/teams/{team}/members/{user}", response={204: None})
@access.route("team:get")
def remove_team_member(request: ApiRequest, team: str, user: str) -> Status:
    """Takes somebody out of a team; oneself without being its admin."""
    by = person(request)
    with transaction.atomic():
        found = team_for(request, team, "team:get" if user == by.pk else "team:set")
        access.bump()
        member = _member(found, user)
        etags.check(request, _member_tag(member))
        actions.remove_user(member=member, by=by)
    return Status(204, None)


@router.post("/teams/{team}/leave", response={204: None})
@access.route("team:get")
def leave_team(request: ApiRequest, team: str) -> Status:
    """Ends one's own place in a team."""
    by = person(request)
    actions.remove_user(member=_member(team_for(request, team, "team:get"), by.pk), by=by)
    return Status(204, None)


def _member(team: Team, user: str) -> TeamUser:
    return get_object_or_404(team.members.select_related("user", "team__group"), user=user)


def _show_member(member: TeamUser, by: User) -> dict[str, Any]:
    whose = {"user": show_user(member.user, by), "mine": member.user_id == by.pk}
    return {"role": member.role, "joined_at": member.joined_at, **whose}


def _member_shown(request: ApiRequest, member: TeamUser, response: HttpResponse) -> dict[str, Any]:
    etags.tell(response, _member_tag(member))
    return _show_member(member, request.user)


def _member_tag(member: TeamUser) -> str:
    return etags.tag_of(member.pk, member.role)


# Teams in it


@router.get("/teams/{team}/teams", response=Listed[NestedOut])
@access.route("team:get")
def list_nested_teams(
    request: ApiRequest, team: str, paging: Query[ByName], which: Literal["inner", "outer"] = "inner"
) -> dict[str, Any]:
    """The teams in a team; with `which=outer` those that it is in."""
    found = team_for(request, team, "team:get")
    near = {"outer_links__outer": found} if which == "inner" else {"inner_links__inner": found}
    return lists.page(
        Team.objects.filter(**near),
        paging,
        lambda shown: shown,
        order=paging.by("name"),
        prepare=lambda teams: _show_nested(teams, request.user),
    )


@router.post("/teams/{team}/teams", response={201: NestedOut})
@access.route("team:set")
def nest_team(request: ApiRequest, team: str, data: NestedTeamIn) -> Status:
    """Puts a team into another: all in it belong to the other too."""
    by, found = person(request), team_for(request, team, "team:set")
    inner = team_named(data.team)
    actions.add_team(outer=found, inner=inner, by=by)
    return Status(201, _show_nested([inner], by)[0])


@router.delete("/teams/{team}/teams/{inner}", response={204: None})
@access.route("team:set")
def unnest_team(request: ApiRequest, team: str, inner: str) -> Status:
    """Takes a team out of another."""
    by, found = person(request), team_for(request, team, "team:set")
    link = get_object_or_404(Nesting.objects.select_related("inner__group"), outer=found, inner=inner)
    actions.remove_team(outer=found, inner=link.inner, by=by)
    return Status(204, None)


def _show_nested(teams: list[Team], by: User) -> list[dict[str, Any]]:
    mine = _mine(teams, by)
    return [{"team": show_team_ref(team), "mine": team.pk in mine} for team in teams]
