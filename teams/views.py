"""Pages of teams."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db.models import Q
from django.forms import Form
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import access
from access.prepared import Prepared
from accounts import invitation_pages
from accounts.errors import Impossible, InvalidInvitation, OtherAccount
from accounts.paging import NO_PAGE, Order, Page, addresses_of, paged, searched
from accounts.requests import UserRequest
from teams import actions, joining, links
from teams.forms import AddTeamForm, AddUserForm, TeamForm
from teams.models import Role, Team, TeamInvitation, TeamUser
from teams.querysets import JOINED, NAMED, counted

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from accounts.models import User

USERS: Final = Prepared(lambda pks: TeamUser.objects.filter(pk__in=pks).select_related("user"))
ROWS: Final = 25  # of each list: there are forms in them
SHOWN: Final = 50  # of those who are here through a team in it
ME: Final = Prepared(lambda team, user: TeamUser.objects.filter(team=team, user=user))
OUTER: Final = Prepared(
    lambda team: Team.objects.filter(inner_links__inner=team).order_by("name")[:SHOWN], planned="anew"
)


@access.route("self")
@require_GET
def index(request: UserRequest) -> HttpResponse:
    """One's own teams, and then all others."""
    q = searched(request)
    teams = Team.objects.called(q).mine_first(request.user)
    order = Order("key", descending=False)
    page = paged(teams, request.GET.get("page", ""), order=order, fetch=counted)
    shown = Team.objects.of(request.user).filter(pk__in=[team.pk for team in page.rows])
    mine = set(shown.values_list("pk", flat=True))
    for team in page.rows:
        team.mine = team.pk in mine
    context = {
        "teams": page.rows,
        **addresses_of(request, page),
        "q": q,
        "may_create": actions.may_create(request.user),
    }
    return render(request, "teams/list.html", context)


@access.route("self")
@require_http_methods(["GET", "POST"])
def new(request: UserRequest) -> HttpResponse:
    """A new team."""
    form = TeamForm(request.POST or None)
    if form.is_valid():
        team = actions.create(name=form.cleaned_data["name"], by=request.user)
        messages.success(request, f"{team.name} is there. Add its people.")
        return redirect("teams:detail", team.slug)
    return render(request, "teams/new.html", {"form": form})


@access.route("team:get")
@require_GET
def detail(request: UserRequest, team: str) -> HttpResponse:
    """Who is in the team, and in which teams it is."""
    return _detail(request, _team(request, team, "team:get"), AddUserForm(), AddTeamForm())


@access.route("team:set")
@require_http_methods(["GET", "POST"])
def rename(request: UserRequest, team: str) -> HttpResponse:
    """Another name."""
    found = _team(request, team, "team:set")
    form = TeamForm(request.POST or None, initial={"name": found.name})
    if form.is_valid():
        actions.rename(team=found, name=form.cleaned_data["name"], by=request.user)
        return redirect("teams:detail", team)
    return render(request, "teams/rename.html", {"team": Team.objects.get(pk=found.pk), "form": form})


@access.route("team:rm")
@require_http_methods(["GET", "POST"])
def remove(request: UserRequest, team: str) -> HttpResponse:
    """Asks, then takes the team away."""
    found = _team(request, team, "team:rm")
    if request.method == "POST":
        actions.remove(team=found, by=request.user)
        messages.success(request, f"{found.name} is removed.")
        return redirect("teams:list")
    return render(request, "teams/remove.html", {"team": found, "people": found.group.user_set.count()})


@access.route("team:set")
@require_POST
def user_add(request: UserRequest, team: str) -> HttpResponse:
    """Takes a user in."""
    found, form = _team(request, team, "team:set"), AddUserForm(request.POST)
    if form.is_valid():
        try:
            messages.success(request, _take_in(request, found, **form.cleaned_data))
        except Impossible as error:
            form.add_error("username", str(error))
        else:
            return redirect("teams:detail", team)
    return _detail(request, found, form, AddTeamForm())


def _take_in(request: UserRequest, team: Team, *, user: "User | None", email: str, role: str, **_: str) -> str:
    """Adds the user, or invites the address; what to say of it."""
    if user is None:
        joining.invite(team=team, email=email, role=role, by=request.user)
        return f"{email} is invited. The link can be copied here too."
    actions.add_user(team=team, user=user, role=role, by=request.user)
    return f"{user.shown} is in {team.name} now, and is told by email."


@access.route("team:set")
@require_POST
def invitation_resend(request: UserRequest, team: str, invitation_id: str) -> HttpResponse:
    """Sends an invitation again."""
    found = _invitation(request, team, invitation_id)
    return _attempt(request, team, lambda: joining.resend(invitation=found, by=request.user), "Sent again.")


@access.route("team:set")
@require_POST
def invitation_revoke(request: UserRequest, team: str, invitation_id: str) -> HttpResponse:
    """Takes an invitation back."""
    found = _invitation(request, team, invitation_id)
    done = f"The invitation of {found.email} is void."
    return _attempt(request, team, lambda: joining.revoke(invitation=found, by=request.user), done)


@access.route("token")
@login_not_required
@never_cache
@require_http_methods(["GET", "POST"])
def invitation(request: UserRequest, token: str) -> HttpResponse:
    """Where an invitation's link leads: to which team, and how to accept it."""
    if request.method == "POST" and request.user.is_authenticated:
        try:
            team = joining.accept(token=token, by=request.user)
        except (InvalidInvitation, OtherAccount):
            return _show_invitation(request, token)
        messages.success(request, f"Welcome to {team.name}.")
        return redirect("teams:detail", team.slug)
    return _show_invitation(request, token)


def _show_invitation(request: UserRequest, token: str) -> HttpResponse:
    found, _ = links.find(token) or (None, None)
    about = {"place": found.team.name, "role": found.get_role_display()} if found else {}
    return invitation_pages.page(request, "teams/invitation.html", found, **about)


@access.route("team:set")
@require_POST
def user_set(request: UserRequest, team: str, member_id: str) -> HttpResponse:
    """Changes a role."""
    found = _team(request, team, "team:set")
    member, role = _member(found, member_id), request.POST.get("role", "")
    if role not in Role.values:
        raise Http404
    return _attempt(
        request, team, lambda: actions.set_role(member=member, role=role, by=request.user), "The role is changed."
    )


@access.route("team:get")
@require_http_methods(["GET", "POST"])
def user_remove(request: UserRequest, team: str, member_id: str) -> HttpResponse:
    """Asks, then takes a user out, or lets them leave by themselves."""
    found = _team(request, team, "team:get")
    member = _member(found, member_id)
    if member.user != request.user:
        access.require(request.user, "team:set", found)
    if request.method == "GET":
        return render(request, "teams/user_remove.html", {"team": found, "member": member})
    done = f"{member.user.shown} is no longer in {found.name}."
    return _attempt(request, team, lambda: actions.remove_user(member=member, by=request.user), done)


@access.route("team:set")
@require_POST
def team_add(request: UserRequest, team: str) -> HttpResponse:
    """Puts a team into this one."""
    found, form = _team(request, team, "team:set"), AddTeamForm(request.POST)
    if form.is_valid():
        inner = form.cleaned_data["team"]
        try:
            actions.add_team(outer=found, inner=inner, by=request.user)
        except Impossible as error:
            form.add_error("team", str(error))
        else:
            messages.success(request, f"All of {inner.name} are in {found.name} now.")
            return redirect("teams:detail", team)
    return _detail(request, found, AddUserForm(), form)


@access.route("team:set")
@require_POST
def team_remove(request: UserRequest, team: str, inner: str) -> HttpResponse:
    """Takes a team out of this one."""
    found = _team(request, team, "team:set")
    other = get_object_or_404(Team, slug=inner)
    done = f"{other.name} is no longer in {found.name}."
    return _attempt(request, team, lambda: actions.remove_team(outer=found, inner=other, by=request.user), done)


def _team(request: UserRequest, slug: str, action: str) -> Team:
    return access.fetch(request.user, action, Team.objects.select_related("group"), slug=slug)


def _member(team: Team, member_id: str) -> TeamUser:
    return get_object_or_404(team.members.select_related("user", "team"), pk=member_id)


def _invitation(request: UserRequest, slug: str, invitation_id: str) -> TeamInvitation:
    rows = TeamInvitation.objects.filter(team=_team(request, slug, "team:set")).select_related("team", "invited_by")
    return get_object_or_404(rows, pk=invitation_id)


def _attempt(request: UserRequest, slug: str, action: Callable[[], None], done: str) -> HttpResponse:
    try:
        action()
    except Impossible as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    return redirect("teams:detail", slug)


def _detail(request: UserRequest, team: Team, add_user: Form, add_team: Form) -> HttpResponse:
    held, q = access.abilities(request.user, team), searched(request)
    called = Q(user__name__icontains=q) | Q(user__username__icontains=q) if q else Q()
    found = team.members.filter(called)
    members = paged(found, request.GET.get("page", ""), order=JOINED, size=ROWS, fetch=USERS.objects)
    inside = Team.objects.filter(outer_links__outer=team)
    inner = paged(inside, request.GET.get("inner", ""), order=NAMED, size=ROWS, fetch=counted)
    can_set = bool(held.decide("team:set", team))
    open_ones = _invitations(request, team, q) if can_set else NO_PAGE
    pages = {"members": addresses_of(request, members), "inner": addresses_of(request, inner, "inner")}
    pages["invitations"] = addresses_of(request, open_ones, "invitations")
    context: dict[str, Any] = {
        "team": team,
        "here": reverse("teams:detail", args=[team.slug]),
        "q": q,
        "members": members.rows,
        "people": team.members.count(),
        "pages": pages,
        "invitations": open_ones.rows,
        "inherited": _inherited(team) if inner.rows else [],
        "inner": inner.rows,
        "outer": OUTER.objects(team=team.pk),
        "me": ME.first(team=team.pk, user=request.user.pk),
        "can_set": can_set,
        "can_remove": bool(held.decide("team:rm", team)),
        "add_user": add_user,
        "add_team": add_team,
    }
    _offer_roles(members.rows, Role.choices if context["can_remove"] else Role.choices[1:])
    return render(request, "teams/detail.html", context)


def _offer_roles(members: list[TeamUser], roles: list[tuple[str, str]]) -> None:
    """Adds the `options` from which the role of each is chosen; for all with the same role they are made once."""
    made: dict[str, str] = {}
    for member in members:
        if member.role not in made:
            made[member.role] = render_to_string("teams/_roles.html", {"roles": roles, "held": member.role})
        member.options = made[member.role]  # type: ignore[attr-defined]


def _invitations(request: UserRequest, team: Team, q: str) -> Page:
    found = TeamInvitation.objects.open().filter(team=team, **({"email__icontains": q} if q else {}))
    page = paged(found, request.GET.get("invitations", ""), size=ROWS)
    return links.listed(page, TeamInvitation.get_role_display)


def _inherited(team: Team) -> "QuerySet[User]":
    """Some of those who belong to the team through a team in it alone."""
    return team.group.user_set.exclude(pk__in=team.members.values("user")).order_by("username")[:SHOWN]
