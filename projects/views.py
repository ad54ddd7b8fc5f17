"""Pages of projects, members and invitations."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import access
from access.prepared import Prepared
from accounts import invitation_pages
from accounts.paging import NO_PAGE, Page, addresses_of, searched
from accounts.requests import UserRequest
from projects import actions, active, links, listing, tree, work
from projects.context import MOST
from projects.dashboard import OWNED, SHARED, Dashboard, Listed
from projects.errors import Impossible, InvalidInvitation, OtherAccount
from projects.forms import KIND_LABELS, AddTeamForm, InviteForm, LevelsForm, NewProjectForm, RemoveForm, SettingsForm
from projects.levels import PRESETS, Level, preset_of
from projects.models import Invitation, Member, Project
from projects.named import BY_SLUG

# One's own membership of a project.
OWN: Final = Prepared(lambda project, user: Member.objects.filter(project=project, user=user).values_list("pk"))


@access.route("self")
@require_GET
def home(request: UserRequest) -> HttpResponse:
    """To the active project."""
    project = active.find(request.user, request)
    return redirect(active.landing_for(request.user, project) if project else reverse("projects:list"))


@access.route("self")
@require_GET
def index(request: UserRequest) -> HttpResponse:
    """All projects that one sees: one's own, and those that others share."""
    asked = request.GET
    q = searched(request)
    shown = Dashboard(request.user, q, asked.get("sort", ""))
    view = asked.get("view", "")
    lists = shown.lists(view if view in {OWNED, SHARED} else "", asked.get("page", ""))
    context = {
        "lists": [_listed(request, one) for one in lists],
        "columns": _columns(shown),
        "money": shown.money,
        "q": q,
        "sort": "" if shown.sort == "name" else shown.sort,
        "user_may_create": request.user.verified,
    }
    return render(request, "projects/list.html", context)


def _listed(request: UserRequest, listed: Listed) -> dict[str, Any]:
    """A list; the pages beside this one have it alone."""
    pages = addresses_of(request, listed.page)
    if request.GET.get("view") != listed.name:
        pages = {way: f"{address}&view={listed.name}" if address else "" for way, address in pages.items()}
    return {"name": listed.name, "mine": listed.name == OWNED, "projects": listed.page.rows, **pages}


def _columns(shown: Dashboard) -> dict[str, dict[str, str]]:
    """For the heads of the table: column -> the order that a click on it asks for, and how the list is sorted by it now."""
    by, falling = shown.sort.removeprefix("-"), shown.sort.startswith("-")
    first = {name: name if name == "name" else f"-{name}" for name in shown.keys}  # of others most come first
    turned = by if falling else f"-{by}"
    said = "descending" if falling else "ascending"
    return {name: {"next": turned if name == by else first[name], "now": said if name == by else ""} for name in first}


@access.route("self")
@require_http_methods(["GET", "POST"])
def new(request: UserRequest) -> HttpResponse:
    """A new project; `in` names one in which it is to be."""
    inside = request.GET.get("in", "")
    rows = Project.objects.present().select_related("owner")
    parent = access.fetch(request.user, "project:new", rows, slug=inside) if inside else None
    form = NewProjectForm(request.POST or None, creator=request.user, parent=parent)
    if form.is_valid():
        try:
            project = actions.create(**form.cleaned_data, by=request.user, parent=parent)
        except Impossible as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{project.name} is ready. Invite your team, or start a job.")
            return redirect(active.landing_for(request.user, project))
    return render(request, "projects/new.html", {"form": form, "parent": parent})


@access.route("project:get")
@require_POST
def switch(request: UserRequest) -> HttpResponse:
    """Makes another project the active one."""
    project = project_for(request, request.POST.get("project", "").replace("\0", ""))
    response = redirect(active.landing_for(request.user, project))
    active.remember(request, response, project.slug)
    return response


@access.route("self")
@require_GET
def find(request: UserRequest) -> HttpResponse:
    """The entries of the switcher: those opened last, or what fits what is typed into it. As a page, the list of projects."""
    q = searched(request)
    if not request.htmx:
        return redirect(f"{reverse('projects:list')}?{urlencode({'q': q})}")
    fitting = Project.objects.sorted_for(request.user).matching(q)[: MOST + 1]
    found = list(fitting) if q else active.opened_last(request.user, request)
    context = {"projects": found[:MOST], "more": len(found) > MOST, "q": q}
    return render(request, "projects/_found.html", context)


@access.route("project:get")
@require_GET
def members(request: UserRequest, slug: str) -> HttpResponse:
    """Who is in the project; its owner also sees invitations and invites."""
    return members_page(request, project_for(request, slug), InviteForm())


@access.route("project:share")
@require_POST
def invite(request: UserRequest, slug: str) -> HttpResponse:
    """Invites an address."""
    project = project_for(request, slug)
    actions.require(request.user, "project:share", project, "shared")
    form = InviteForm(request.POST)
    if form.is_valid():
        email, levels = form.cleaned_data["email"], form.cleaned_data["levels"]
        try:
            actions.invite(project=project, email=email, levels=levels, by=request.user)
        except ValidationError as error:
            form.add_error("email", error)
        else:
            messages.success(request, f"{email} is invited. The link can be copied here too.")
            return redirect("projects:members", slug)
    return members_page(request, project, form)


@access.route("project:share")
@require_POST
def member_set(request: UserRequest, slug: str, member_id: str) -> HttpResponse:
    """Changes a member's levels."""
    member = _member(request, slug, member_id)
    form = LevelsForm(request.POST)
    if form.is_valid():
        levels, done = form.cleaned_data["levels"], f"The levels of {member.user.shown} are in force."
        return attempt(request, slug, lambda: actions.set_levels(member=member, levels=levels, by=request.user), done)
    messages.error(request, "Choose a level for each kind. Nothing was changed.")
    return redirect("projects:members", slug)


@access.route("project:share")
@require_http_methods(["GET", "POST"])
def member_remove(request: UserRequest, slug: str, member_id: str) -> HttpResponse:
    """Asks, then ends a membership."""
    member = _member(request, slug, member_id)
    if request.method == "POST":
        actions.remove_member(member=member, by=request.user)
        messages.success(request, f"{member.user.shown} has no access any more.")
        return redirect("projects:members", slug)
    running, queued = work.known().of_member(member.project, member.user)
    context = {"project": member.project, "member": member, "running": running, "queued": queued}
    return render(request, "projects/member_remove.html", context)


@access.route("project:share")
@require_POST
def invitation_resend(request: UserRequest, slug: str, invitation_id: str) -> HttpResponse:
    """Sends an invitation again."""
    found = _invitation(request, slug, invitation_id)
    return attempt(request, slug, lambda: actions.resend(invitation=found, by=request.user), "Sent again.")


@access.route("project:share")
@require_POST
def invitation_revoke(request: UserRequest, slug: str, invitation_id: str) -> HttpResponse:
    """Takes an invitation back."""
    found = _invitation(request, slug, invitation_id)
    done = f"The invitation of {found.email} is void."
    return attempt(request, slug, lambda: actions.revoke(invitation=found, by=request.user), done)


@access.route("project:get")
@require_http_methods(["GET", "POST"])
def leave(request: UserRequest, slug: str) -> HttpResponse:
    """Asks, then ends one's own membership."""
    project = project_for(request, slug)
    actions.require_member(project, request.user)
    if request.method == "POST":
        actions.leave(project=project, by=request.user)
        messages.success(request, f"You have left {project.name}.")
        return redirect("projects:list")
    return render(request, "projects/leave.html", {"project": project})


@access.route("project:get")
@require_http_methods(["GET", "POST"])
def settings(request: UserRequest, slug: str) -> HttpResponse:
    """About the project; its owner renames it here."""
    project = project_for(request, slug)
    held = access.abilities(request.user, project)
    form = SettingsForm(request.POST or None, initial={"name": project.name, "lends_data": project.lends_data})
    if request.method == "POST":
        actions.require(request.user, "project:set", project, "renamed")
        if form.is_valid():
            actions.edit(project=project, **form.cleaned_data, by=request.user)
            messages.success(request, "Saved.")
            return redirect("projects:settings", slug)
    context = {
        "project": project,
        "form": form,
        "can_set": bool(held.decide("project:set", project)),
        "can_remove": bool(held.decide("project:rm", project)),
        "can_hand_over": _can_hand_over(request, project),
        "can_nest": bool(held.decide("project:new", project)),
        "children": tree.below(project, request.user),
        "personal": project.personal,
    }
    return render(request, "projects/settings.html", context)


@access.route("project:rm")
@require_http_methods(["GET", "POST"])
def remove(request: UserRequest, slug: str) -> HttpResponse:
    """Asks for the name, then removes the project."""
    project = project_for(request, slug)
    actions.require(request.user, "project:rm", project, "removed")
    form = RemoveForm(request.POST or None, name=project.name)
    if request.method == "POST" and form.is_valid():
        try:
            actions.remove(project=project, by=request.user)
        except Impossible as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{project.name} is removed.")
            return redirect("projects:list")
    running, job_count = work.known().counts(project)
    context = {"project": project, "form": form, "running": running, "job_count": job_count}
    return render(request, "projects/remove.html", context)


@access.route("token")
@login_not_required
@never_cache
@require_http_methods(["GET", "POST"])
def invitation(request: UserRequest, token: str) -> HttpResponse:
    """Where an invitation's link leads: what one is invited to, and how to accept it."""
    if request.method == "POST" and request.user.is_authenticated:
        return _accept(request, token)
    return _show_invitation(request, token)


def _accept(request: UserRequest, token: str) -> HttpResponse:
    try:
        project = actions.accept(token=token, by=request.user)
    except (InvalidInvitation, OtherAccount):
        return _show_invitation(request, token)
    messages.success(request, f"Welcome to {project.name}.")
    return redirect(active.landing_for(request.user, project))


def _show_invitation(request: UserRequest, token: str) -> HttpResponse:
    found, _ = links.find(token) or (None, None)
    about = {"place": found.project.name, "levels": found.levels, "preset": preset_of(found.levels)} if found else {}
    return invitation_pages.page(request, "projects/invitation.html", found, **about)


def members_page(
    request: UserRequest, project: Project, form: Form, team_form: AddTeamForm | None = None
) -> HttpResponse:
    """Who is in the project, with the forms as they were filled in."""
    can_share = bool(access.abilities(request.user, project).decide("project:share", project))
    lists = _lists(request, project, can_share)
    context: dict[str, Any] = {
        "project": project,
        "owner": project.owner,
        "here": reverse("projects:members", args=[project.slug]).removesuffix("/members"),
        **{name: page.rows for name, page in lists.items()},
        "pages": {name: addresses_of(request, page, name) for name, page in lists.items()},
        "q": searched(request),
        "first": not request.GET.get("members"),
        "team_form": team_form or AddTeamForm(prefix="team"),
        "can_share": can_share,
        "can_hand_over": _can_hand_over(request, project),
        "can_leave": bool(OWN.objects(project=project.pk, user=request.user.pk)),
        "form": form,
        "presets": PRESETS,
    }
    _show_levels([*context["members"], *context["teams"]], change=can_share)
    fragment = request.htmx and not request.htmx.boosted
    return render(request, "projects/_members.html" if fragment else "projects/members.html", context)


def _show_levels(rows: list[dict[str, Any]], *, change: bool) -> None:
    """Adds the levels of each in words, and the fields that change them; for members with the same levels they are made once."""
    made: dict[str, dict[str, str]] = {}
    for row in rows:
        held = str(row["levels"])
        if held not in made:
            made[held] = {"said": render_to_string("components/levels.html", {"levels": row["levels"]})}
            kinds = [(kind, label, row["levels"][kind]) for kind, label in KIND_LABELS]
            shown = {"kinds": kinds, "choices": Level.choices}
            made[held]["fields"] = render_to_string("projects/_level_fields.html", shown) if change else ""
        row |= made[held]


def _lists(request: UserRequest, project: Project, can_share: bool) -> dict[str, Page]:
    """The lists of the page, each at its cursor; invitations are for who may share the project."""
    q, at = searched(request), request.GET
    members = listing.members_of(project, seen_by=request.user, q=q, cursor=at.get("members", ""))
    teams = listing.teams_of(project, q=q, cursor=at.get("teams", ""))
    open_ones = listing.invitations_of(project, q=q, cursor=at.get("invitations", "")) if can_share else NO_PAGE
    return {"members": members, "teams": teams, "invitations": open_ones}


def _can_hand_over(request: UserRequest, project: Project) -> bool:
    mine = project.owner_id == request.user.pk and not project.personal
    return mine and bool(access.allowed(request.user, "project:rm", project))


def project_for(request: UserRequest, slug: str) -> Project:
    """The project of an address, when the user may see it."""
    return access.fetch(request.user, "project:get", BY_SLUG, slug=slug)


def _shared(request: UserRequest, slug: str) -> Project:
    project = project_for(request, slug)
    access.require(request.user, "project:share", project)
    return project


def _member(request: UserRequest, slug: str, member_id: str) -> Member:
    rows = Member.objects.filter(project=_shared(request, slug)).select_related("project", "user")
    return get_object_or_404(rows, pk=member_id)


def _invitation(request: UserRequest, slug: str, invitation_id: str) -> Invitation:
    rows = Invitation.objects.filter(project=_shared(request, slug)).select_related("project", "invited_by")
    return get_object_or_404(rows, pk=invitation_id)


def attempt(request: UserRequest, slug: str, action: Callable[[], None], done: str) -> HttpResponse:
    """Does it, says what came of it, and shows the members."""
    try:
        action()
    except Impossible as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    return redirect("projects:members", slug)
