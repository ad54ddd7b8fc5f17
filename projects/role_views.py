"""Pages of roles, policies and keys: of a project, of a team, of the installation, and one's own."""

from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import access
from access import Refused, policies, roles
from access.installation import INSTALLATION, Installation
from access.models import Policy, Role, RoleKey, RoleMember
from access.statements import BadStatement
from accounts import admins
from accounts.errors import Impossible
from accounts.requests import UserRequest
from projects.access_views import rules_page
from projects.models import Project
from projects.named import BY_SLUG
from projects.role_access import (
    Place,
    changed_by,
    check_in,
    check_may_give_users,
    may_change,
    role_for,
    seen,
    take_away,
)
from projects.role_forms import KeyForm, PolicyForm, RoleForm, RoleMemberForm
from teams.models import Team

CHANGERS: Final = 50  # of who may change a team, on its page


@access.route("project:get")
@require_http_methods(["GET", "POST"])
def of_project(request: UserRequest, slug: str) -> HttpResponse:
    """The roles of a project."""
    return _list(request, access.fetch(request.user, "project:get", BY_SLUG, slug=slug))


@access.route("team:get")
@require_http_methods(["GET", "POST"])
def of_team(request: UserRequest, team: str) -> HttpResponse:
    """The roles of a team, and the policies that all in it hold; for who is in it."""
    found = access.fetch(request.user, "team:get", Team.objects.select_related("group"), slug=team)
    check_in(request.user, found)
    return _list(request, found)


@access.route("role:get")
@require_http_methods(["GET", "POST"])
def of_installation(request: UserRequest) -> HttpResponse:
    """The roles of the installation; of its own ones everybody sees those that they have, and its admins all."""
    return _list(request, INSTALLATION)


def _list(request: UserRequest, place: Place) -> HttpResponse:
    form = RoleForm(request.POST or None)
    if request.method == "POST":
        roles.may_change(request.user, place)
        if form.is_valid() and (role := _created(request, place, form)):
            return redirect("projects:role", role.id)
    return _list_page(request, place, form, PolicyForm())


def _created(request: UserRequest, place: Place, form: RoleForm) -> Role | None:
    try:
        return roles.create(place=place, name=form.cleaned_data["name"], by=request.user)
    except ValidationError as error:
        form.add_error(None, error)
        return None


def _list_page(request: UserRequest, place: Place, form: RoleForm, policy_form: PolicyForm) -> HttpResponse:
    is_team = isinstance(place, Team)
    project = place if isinstance(place, Project) else None
    personal = project is not None and project.personal
    context = {
        "place": place,
        "team": place if is_team else None,
        "project": project,
        "elsewhere": project is None,
        "who": access.who("team:set", place, first=CHANGERS) if isinstance(place, Team) else None,
        "admins": admins.all_of_them() if place is INSTALLATION else None,
        "personal": personal,
        "roles": list(seen(request.user, place)),
        "policies": place.group.policies.select_related("granted_by") if isinstance(place, Team) else [],
        "form": form,
        "policy_form": policy_form,
        "can_set": not personal and may_change(request.user, place),
        "project_urn": project.urn if project else "",
    }
    return render(request, "projects/roles.html", context)


@access.route("role:get")
@never_cache
@require_GET
def role(request: UserRequest, role_id: str) -> HttpResponse:
    """What a role gives, and to whom."""
    return _page(request, *role_for(request.user, role_id))


def _roles_of(place: Place) -> str:
    """The address of the page of all roles of a place."""
    if isinstance(place, Installation):
        return reverse("projects:installation_roles")
    return reverse("projects:team_roles" if isinstance(place, Team) else "projects:roles", args=[place.slug])


def _page(request: UserRequest, found: Role, place: Place, token: str = "", **forms: Any) -> HttpResponse:
    can_set = may_change(request.user, place)
    context = {
        "role": found,
        "place": place,
        "team": place if isinstance(place, Team) else None,
        "back": _roles_of(place),
        "elsewhere": not isinstance(place, Project),  # than in the active project
        "policies": found.policies.select_related("granted_by").order_by("created_at"),
        "members": found.members.select_related("user", "group__team", "added_by").order_by("added_at"),
        "keys": found.keys.select_related("created_by").order_by("created_at") if can_set else [],
        "can_set": can_set,
        "project_urn": place.urn if isinstance(place, Project) else "PROJECT-URN",
        "token": token,
        "policy_form": PolicyForm(),
        "member_form": RoleMemberForm(),
        "key_form": KeyForm(),
        **forms,
    }
    return render(request, "projects/role.html", context)


def _change(
    request: UserRequest, role_id: str, form: Any, name: str, do: Callable[[Role, dict[str, Any]], object], done: str
) -> HttpResponse:
    """Does what a valid form asks, and shows the role; else shows the form with what is wrong."""
    found, place = changed_by(request.user, role_id)
    if not form.is_valid() or not _done(form, lambda: do(found, form.cleaned_data)):
        return _page(request, found, place, **{name: form})
    messages.success(request, done)
    return redirect("projects:role", found.id)


def _done(form: Any, do: Callable[[], object]) -> bool:
    """Does it; says in the form what stood against it, so that what was typed is kept."""
    try:
        do()
    except (Impossible, BadStatement) as error:
        form.add_error(None, str(error))
    except Refused as error:
        missing = f" Missing: {error.decision.missing}" if error.decision.missing else ""
        form.add_error(None, f"{error.decision.reason}{missing}")
    return form.is_valid()


@access.route("role:set")
@require_http_methods(["GET", "POST"])
def role_remove(request: UserRequest, role_id: str) -> HttpResponse:
    """Asks, then removes a role."""
    found, place = changed_by(request.user, role_id)
    if request.method == "POST":
        roles.remove(role=found, by=request.user)
        messages.success(request, f"The role {found.name} is gone.")
        return redirect(_roles_of(place))
    return render(request, "projects/role_remove.html", {"role": found, "place": place})


@access.route("role:set")
@require_POST
def role_policy_add(request: UserRequest, role_id: str) -> HttpResponse:
    """Gives a role what a policy says."""

    def add(found: Role, data: dict[str, Any]) -> None:
        roles.add_policy(role=found, text=data["text"], by=request.user)

    return _change(request, role_id, PolicyForm(request.POST), "policy_form", add, "Attached.")


@access.route("role:set")
@require_POST
def role_member_add(request: UserRequest, role_id: str) -> HttpResponse:
    """Lets a user or a team assume a role."""

    def add(found: Role, data: dict[str, Any]) -> None:
        roles.add_member(role=found, by=request.user, user=data["user"], group=data["group"])

    return _change(request, role_id, RoleMemberForm(request.POST), "member_form", add, "They have the role now.")


@access.route("role:set")
@require_POST
def role_member_remove(request: UserRequest, role_id: str, member_id: str) -> HttpResponse:
    """Takes a role from somebody."""
    found, _ = role_for(request.user, role_id)
    rows = RoleMember.objects.filter(role=found).select_related("role", "user", "group__team")
    roles.remove_member(member=get_object_or_404(rows, pk=member_id), by=request.user)
    messages.success(request, "They no longer have the role.")
    return redirect("projects:role", found.id)


@access.route("role:set")
@never_cache
@require_POST
def role_key_add(request: UserRequest, role_id: str) -> HttpResponse:
    """Makes a key, and shows its token, once."""
    found, place = changed_by(request.user, role_id)
    form, made = KeyForm(request.POST), []
    if form.is_valid() and _done(form, lambda: made.append(_made(request, found, form))):
        return _page(request, found, place, made[0])
    return _page(request, found, place, key_form=form)


def _made(request: UserRequest, found: Role, form: KeyForm) -> str:
    """The token of a new key."""
    return roles.add_key(role=found, name=form.cleaned_data["name"], by=request.user)[1]


@access.route("role:set")
@require_POST
def role_key_remove(request: UserRequest, role_id: str, key_id: str) -> HttpResponse:
    """Makes a key worthless."""
    found, _ = changed_by(request.user, role_id)
    key = get_object_or_404(RoleKey.objects.filter(role=found).select_related("role"), pk=key_id)
    roles.remove_key(key=key, by=request.user)
    messages.success(request, f"The key {key.name} opens nothing any more.")
    return redirect("projects:role", found.id)


# Policies of teams and users


@access.route("team:set")
@require_POST
def team_policy_add(request: UserRequest, team: str) -> HttpResponse:
    """Gives all in a team what a policy says."""
    found = access.fetch(request.user, "team:set", Team.objects.select_related("group"), slug=team)
    form = PolicyForm(request.POST)
    if form.is_valid() and _done(form, lambda: _attach(request, form, group=found.group)):
        messages.success(request, "Attached: all in the team hold it now.")
        return redirect("projects:team_roles", found.slug)
    return _list_page(request, found, RoleForm(), form)


@access.route("self")
@require_POST
def policy_remove(request: UserRequest, policy_id: str) -> HttpResponse:
    """Takes a policy away: from a role or team that one may change, from oneself, or whatever one has granted."""
    rows = Policy.objects.select_related("user", "role", "group__team", "granted_by")
    policy = get_object_or_404(rows, pk=policy_id)
    from_rules = request.POST.get("from") == "rules" and policy.granted_by_id == request.user.pk
    take_away(policy, by=request.user, granted=from_rules)
    messages.success(request, "The policy is gone.")
    if policy.role and not from_rules:
        return redirect("projects:role", policy.role.pk)
    if policy.group and not from_rules:
        return redirect("projects:team_roles", policy.group.team.slug)
    return redirect("projects:rules")


@access.route("self")
@require_POST
def user_policy_add(request: UserRequest) -> HttpResponse:
    """Gives a user what a policy says; for the installation's admins, who may change users."""
    check_may_give_users(request.user)
    form = PolicyForm(request.POST, with_user=True)
    if form.is_valid() and _done(form, lambda: _attach(request, form, user=form.cleaned_data["username"])):
        messages.success(request, "Attached.")
        return redirect("projects:rules")
    return rules_page(request, form)


def _attach(request: UserRequest, form: PolicyForm, **holder: Any) -> None:
    policies.attach(text=form.cleaned_data["text"], by=request.user, **holder)
