"""Pages that answer questions about access: what may I do, why not, who may, and where it comes from."""

from contextlib import nullcontext
from typing import Any, Final

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

import access
from access import roles
from access.models import Policy, Role
from access.prepared import Prepared, planned_once
from accounts.models import User
from accounts.paging import Order, addresses_of, paged, searched
from accounts.requests import UserRequest
from projects import viewing
from projects.errors import Impossible
from projects.forms import QuestionForm
from projects.named import BY_SLUG
from projects.questions import (
    answer,
    personal_of,
    rules_in,
    rules_of_everybody,
    shareable_for,
    teams_to_change,
    unseen_by,
)
from projects.role_forms import PolicyForm

SHOWN: Final = 20  # people on a page
PROJECTS: Final = 10  # on a page, with all rules in each
TEAMS: Final = 50


@access.route("project:get")
@require_GET
def questions(request: UserRequest, slug: str) -> HttpResponse:
    """Of a project: may I, why not, who may; and the rules that somebody holds in it."""
    project = access.fetch(request.user, "project:get", BY_SLUG, slug=slug)
    form = QuestionForm(request.GET if "action" in request.GET else None, project=project, asker=request.user)
    person, context = request.user, {}
    if form.is_valid():
        person, action, resource = form.cleaned_data["person"], form.cleaned_data["action"], form.about
        context = {"answer": answer(person, action, resource), **_who(request, action, resource)}
    context |= {
        "project": project,
        "form": form,
        "person": person,
        "rules": rules_in(project, access.rules(person, [project])),
        "can_share": form.may_ask_about_others,
    }
    return render(request, "projects/access.html", context)


@access.route("project:share")
@require_POST
def view_as(request: UserRequest, slug: str) -> HttpResponse:
    """Shows its owner the project as somebody else sees it."""
    project = access.fetch(request.user, "project:share", BY_SLUG, slug=slug)
    person = get_object_or_404(User, username=request.POST.get("person", ""))
    try:
        viewing.start(request, project, person)
    except Impossible as error:
        messages.error(request, str(error))
        return redirect("projects:members", slug)
    return redirect("projects:settings", slug)


@access.route("project:get")
@require_POST
def view_end(request: UserRequest, slug: str) -> HttpResponse:
    """Ends that."""
    project = access.fetch(request.user, "project:get", BY_SLUG, slug=slug)
    viewing.stop(request)
    return redirect("projects:members", project.slug)


@access.route("self")
@require_GET
def my_rules(request: UserRequest) -> HttpResponse:
    """All rules that the person holds, project by project, with where each comes from."""
    return rules_page(request, PolicyForm(with_user=True))


def rules_page(request: UserRequest, policy_form: PolicyForm) -> HttpResponse:
    """The page of one's rules, policies and roles; admins have a form to give a user a policy."""
    q = searched(request)
    seen, personal = shareable_for(request.user), personal_of(request.user)
    order = Order("key", descending=False)
    with nullcontext() if q else planned_once():  # as in projects.dashboard
        page = paged(seen.matching(q) if q else seen, request.GET.get("page", ""), order=order, size=PROJECTS)
    first = [] if page.newer else personal.matching(q) if q else personal
    projects = [*first, *page.rows]
    held = access.rules(request.user, projects)
    teams = list(teams_to_change(request.user)[:TEAMS]) if not (q or page.newer) else []
    of_teams = access.rules(request.user, teams, kind="team")
    unseen = unseen_by(request.user) if not (q or page.newer) else []
    of_things = access.rules(request.user, unseen)
    context = {
        "groups": [{"project": project, "rules": rules_in(project, held)} for project in projects],
        "teams": [{"team": team, "rules": rules_in(team, of_teams)} for team in teams],
        "things": [rule for project in unseen for rule in rules_in(project, of_things)],
        "q": q,
        **addresses_of(request, page),
        "user_urn": access.urn("user", request.user.id),
        "everybody": rules_of_everybody(request.user),
        "policies": OWN_POLICIES.objects(user=request.user.pk),
        "given": GIVEN.objects(user=request.user.pk),
        "my_roles": roles.roles_of(request.user),
        "policy_form": policy_form if request.user.is_superuser else None,
    }
    return render(request, "projects/rules.html", context)


def _given(user: str) -> "QuerySet[Policy]":
    """The policies that somebody has granted to others than a project's roles, which have pages where their granters see them."""
    elsewhere = Q(role=None) | Q(role__place_kind=Role.PlaceKind.INSTALLATION)
    found = Policy.objects.filter(elsewhere, granted_by=user)
    return found.select_related("user", "group__team", "role").order_by("created_at")


GIVEN: Final = Prepared(_given, planned="anew")
OWN_POLICIES: Final = Prepared(
    lambda user: Policy.objects.filter(user=user).select_related("granted_by").order_by("created_at"), planned="anew"
)


def _who(request: UserRequest, action: str, resource: Any) -> dict[str, Any]:
    """Some of those who may, by username, with why, and how many there are in all."""
    after = request.GET.get("after", "")[:100]
    found = access.who(action, resource, first=SHOWN + 1, after=after)
    more = len(found.first) > SHOWN
    return {
        "who": found.first[:SHOWN],
        "count": found.count,
        "after": after,
        "more_after": found.first[SHOWN - 1][0].username if more else "",
        "asked": action,
    }
