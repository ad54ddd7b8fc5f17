"""The active project: the one whose pages were opened last. It is a cookie, so that opening a page stores nothing."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

import access
from projects.models import Project

if TYPE_CHECKING:
    from access.evaluator import Abilities
    from accounts.models import User

COOKIE = f"{settings.SESSION_COOKIE_NAME}-project"
YEAR = 365 * 24 * 3600


def named(request: HttpRequest) -> list[str]:
    """The slugs that the request names: that of its address before the remembered one. Nothing says that they exist."""
    match = request.resolver_match
    named_here = match.kwargs.get("slug") if match else None
    return [slug for slug in (named_here, request.COOKIES.get(COOKIE)) if slug]


def find(user: "User", request: HttpRequest) -> Project | None:
    """The user's active project; Personal when they remember none, or one that they no longer see."""
    visible = Project.objects.visible_to(user)
    for slug in named(request):
        if found := visible.filter(slug=slug).first():
            return found
    return visible.filter(owner=user, personal=True).first()


def remember(response: HttpResponse, slug: str) -> None:
    """Makes the project active from the next request on."""
    response.set_cookie(
        COOKIE, slug, max_age=YEAR, httponly=True, secure=settings.SESSION_COOKIE_SECURE, samesite="Lax"
    )


def landing(project: Project, held: "Abilities") -> str:
    """The project's first page for somebody: its jobs, or its members for who may not see jobs."""
    page = "jobs:list" if held.any("job:get") else "projects:members"
    return reverse(page, args=[project.slug])


def landing_for(user: "User", project: Project) -> str:
    """The same, asking what the user holds."""
    return landing(project, access.abilities(user, project))
