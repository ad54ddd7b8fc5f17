"""Pages of a project's third-party keys: what there is, and what puts in, replaces and removes them. No page shows a value."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import access
from accounts.requests import UserRequest
from projects import third_party
from projects.errors import Impossible
from projects.models import Project, ThirdPartyKey
from projects.named import BY_SLUG
from projects.third_party_forms import ThirdPartyKeyForm
from projects.third_party_tries import TRIES
from projects.third_party_types import TYPES, Type


@access.route("key:set")
@require_GET
def keys(request: UserRequest, slug: str) -> HttpResponse:
    """The keys of a project, by type and name, with what is no secret of them; for who may set them."""
    project = _project(request, slug)
    rows = project.third_party_keys.select_related("created_by").order_by("name")
    context = {"project": project, "keys": [_shown(key) for key in rows], "types": TYPES.values()}
    return render(request, "projects/keys.html", context)


def _shown(key: ThirdPartyKey) -> dict[str, Any]:
    labels = {field.name: field.label for field in TYPES[key.type].fields}
    about = [(labels.get(name, name.replace("_", " ").capitalize()), value) for name, value in key.about.items()]
    return {"key": key, "type": TYPES[key.type].label, "about": about, "testable": key.type in TRIES}


@sensitive_post_parameters()
@access.route("key:set")
@never_cache
@require_http_methods(["GET", "POST"])
def add(request: UserRequest, slug: str, kind: str) -> HttpResponse:
    """Asks for what a type of key has, and keeps it."""
    project = _project(request, slug)
    if kind not in TYPES:
        raise Http404
    form = ThirdPartyKeyForm(request.POST or None, request.FILES or None, kind=TYPES[kind], named=True)

    def act() -> str:
        name = form.cleaned_data["name"]
        key = third_party.add(project=project, kind=kind, name=name, values=form.values, by=request.user)
        return f"{key.name} is kept. Nobody is shown its values again."

    return _answer(request, project, form, TYPES[kind], act)


@sensitive_post_parameters()
@access.route("key:set")
@never_cache
@require_http_methods(["GET", "POST"])
def replace(request: UserRequest, slug: str, third_party_id: str) -> HttpResponse:
    """Asks for other values of a key, and keeps those in the place of what it had."""
    project, key = _key(request, slug, third_party_id)
    kind = TYPES[key.type]
    form = ThirdPartyKeyForm(request.POST or None, request.FILES or None, kind=kind, named=False, initial=key.about)

    def act() -> str:
        third_party.replace(key=key, values=form.values, by=request.user)
        return f"{key.name} has its new values."

    return _answer(request, project, form, kind, act, key)


@access.route("key:set")
@require_http_methods(["GET", "POST"])
def remove(request: UserRequest, slug: str, third_party_id: str) -> HttpResponse:
    """Asks, then removes a key."""
    project, key = _key(request, slug, third_party_id)
    if request.method == "POST":
        third_party.remove(key=key, by=request.user)
        messages.success(request, f"{key.name} is removed. Revoke it also where it comes from.")
        return redirect("projects:keys", slug)
    return render(request, "projects/key_remove.html", {"project": project, "key": key})


@access.route("key:set")
@require_POST
def test(request: UserRequest, slug: str, third_party_id: str) -> HttpResponse:
    """Tries a key where it opens something, and says what came of it."""
    _, key = _key(request, slug, third_party_id)
    try:
        outcome = third_party.test(key=key, by=request.user)
    except Impossible as error:
        messages.error(request, f"{key.name} was not tested. {error}")
    else:
        say = messages.success if outcome.works else messages.error
        say(request, f"{key.name} {'works' if outcome.works else 'does not work'}. {outcome.said}")
    return redirect("projects:keys", slug)


def _answer(
    request: UserRequest,
    project: Project,
    form: ThirdPartyKeyForm,
    kind: Type,
    act: Callable[[], str],
    key: ThirdPartyKey | None = None,
) -> HttpResponse:
    if form.is_valid():
        try:
            done = act()
        except ValidationError as error:
            form.refuse(error)
        except Impossible as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, done)
            return redirect("projects:keys", project.slug)
    way = f"projects:key_{'replace' if key else 'add'}_{kind.name}"
    context = {"project": project, "form": form, "type": kind, "key": key, "way": way}
    return render(request, "projects/key.html", context)


def _project(request: UserRequest, slug: str) -> Project:
    project = access.fetch(request.user, "project:get", BY_SLUG, slug=slug)
    access.require(request.user, "key:set", project)
    return project


def _key(request: UserRequest, slug: str, third_party_id: str) -> tuple[Project, ThirdPartyKey]:
    project = _project(request, slug)
    rows = ThirdPartyKey.objects.filter(project=project).select_related("project")
    return project, get_object_or_404(rows, pk=third_party_id)
