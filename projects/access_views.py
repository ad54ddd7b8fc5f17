"""Pages that answer questions about access: what may I do, why not, who may, and where it comes from."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

import access
from access import Decision, Grant
from accounts.models import User
from accounts.requests import UserRequest
from projects.forms import QuestionForm
from projects.models import Project

SHOWN = 50  # people or projects on a page


@dataclass(frozen=True)
class Rule:
    """A line of a list of rules: action@expression, and where it comes from."""

    actions: list[str]
    expression: str
    only_mine: bool
    source: str


@dataclass(frozen=True)
class Answer:
    """Whether `person` may do what was asked, and for a refusal who can grant the missing rule."""

    person: User
    decision: Decision
    granters: list[User]


@access.route("project:get")
@require_GET
def questions(request: UserRequest, slug: str) -> HttpResponse:
    """Of a project: may I, why not, who may; and the rules that somebody holds in it."""
    project = access.fetch(request.user, "project:get", Project.objects.present().select_related("owner"), slug=slug)
    form = QuestionForm(request.GET if "action" in request.GET else None, project=project, asker=request.user)
    person, context = request.user, {}
    if form.is_valid():
        person, action, resource = form.cleaned_data["person"], form.cleaned_data["action"], form.about
        context = {"answer": _answer(person, action, resource), **_who(action, resource)}
    context |= {
        "project": project,
        "form": form,
        "person": person,
        "rules": _rules(project, access.rules(person, [project])),
        "can_share": form.may_ask_about_others,
    }
    return render(request, "projects/access.html", context)


@access.route("self")
@require_GET
def my_rules(request: UserRequest) -> HttpResponse:
    """All rules that the person holds, project by project, with where each comes from."""
    name = request.GET.get("q", "").strip()[:100]
    seen = Project.objects.visible_to(request.user).filter(name__icontains=name)
    page = _page(request.GET.get("page", ""))
    projects = list(seen[SHOWN * (page - 1) : SHOWN * page + 1])
    held = access.rules(request.user, projects)
    context = {
        "groups": [{"project": project, "rules": _rules(project, held)} for project in projects[:SHOWN]],
        "q": name,
        "page": page,
        "previous": page - 1,
        "next": page + 1,
        "more": len(projects) > SHOWN,
        "user_urn": access.urn("user", request.user.id),
    }
    return render(request, "projects/rules.html", context)


def _page(text: str) -> int:
    return min(int(text), 10_000) if text.isascii() and text.isdigit() and int(text) else 1


def _rules(project: Project, held: dict[str, list[Grant]]) -> list[Rule]:
    above = project.access_above()
    return [
        Rule(grant.verbs, grant.expression(above), grant.only_mine, grant.source)
        for grant in held[project.id]
        if grant.nearest == 0
    ]


def _answer(person: User, action: str, resource: Any) -> Answer:
    decision = access.allowed(person, action, resource)
    granters = access.holders("project:share", resource).order_by("username")[:5]
    return Answer(person, decision, [] if decision else list(granters))


def _who(action: str, resource: Any) -> dict[str, Any]:
    """The first of those who may, with why, and how many there are."""
    everybody = access.holders(action, resource).order_by("username")
    first = list(everybody[:SHOWN])
    why = access.who_is_allowed(action, resource, [user.pk for user in first])
    count = len(first) if len(first) < SHOWN else everybody.count()
    who = [(user, why[user.pk]) for user in first if user.pk in why]
    return {"who": who, "count": count, "more": count - len(first), "asked": action}
