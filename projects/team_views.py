"""Pages of teams that are members of a project."""

from functools import partial

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

import access
from accounts.requests import UserRequest
from projects import actions, team_members
from projects.errors import Impossible
from projects.forms import AddTeamForm, InviteForm, LevelsForm
from projects.models import Project, TeamMember
from projects.named import BY_SLUG
from projects.views import attempt, members_page


@access.route("project:share")
@require_POST
def add(request: UserRequest, slug: str) -> HttpResponse:
    """Shares the project with a team."""
    project = _shared(request, slug)
    actions.require(request.user, "project:share", project, "shared")
    form = AddTeamForm(request.POST, prefix="team")
    if form.is_valid():
        team, levels = form.cleaned_data["team"], form.cleaned_data["levels"]
        try:
            team_members.add(project=project, team=team, levels=levels, by=request.user)
        except Impossible as error:
            form.add_error("team", str(error))
        else:
            messages.success(request, f"All in {team.name} are members now.")
            return redirect("projects:members", slug)
    return members_page(request, project, InviteForm(), form)


@access.route("project:share")
@require_POST
def change(request: UserRequest, slug: str, member_id: str) -> HttpResponse:
    """Changes a team's levels."""
    member, form = _member(request, slug, member_id), LevelsForm(request.POST)
    if form.is_valid():
        levels, done = form.cleaned_data["levels"], f"The levels of {member.team.name} are in force."
        act = partial(team_members.set_levels, member=member, levels=levels, by=request.user)
        return attempt(request, slug, act, done)
    messages.error(request, "Choose a level for each kind. Nothing was changed.")
    return redirect("projects:members", slug)


@access.route("project:share")
@require_http_methods(["GET", "POST"])
def remove(request: UserRequest, slug: str, member_id: str) -> HttpResponse:
    """Asks, then ends a team's membership."""
    member = _member(request, slug, member_id)
    if request.method == "POST":
        team_members.remove(member=member, by=request.user)
        messages.success(request, f"{member.team.name} has no access any more.")
        return redirect("projects:members", slug)
    return render(request, "projects/team_remove.html", {"project": member.project, "member": member})


def _shared(request: UserRequest, slug: str) -> Project:
    project = access.fetch(request.user, "project:get", BY_SLUG, slug=slug)
    access.require(request.user, "project:share", project)
    return project


def _member(request: UserRequest, slug: str, member_id: str) -> TeamMember:
    project = _shared(request, slug)
    return get_object_or_404(project.team_members.select_related("team__group", "project"), pk=member_id)
