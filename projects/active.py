"""The active project: the one whose pages were opened last. It is a cookie, so that opening a page stores nothing.

The cookie has the slugs of the last few, newest first: who has many projects finds them in the switcher.
"""

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
REMEMBERED = 6  # projects


def named(request: HttpRequest) -> list[str]:
    """The slugs that the request names: that of its address before the one remembered last. Nothing says that they exist."""
    match = request.resolver_match
    named_here = match.kwargs.get("slug") if match else None
    return [slug for slug in (named_here, *recent(request)[:1]) if slug]


def recent(request: HttpRequest) -> list[str]:
    """The slugs of the projects that were opened last, newest first."""
    return [slug for slug in request.COOKIES.get(COOKIE, "").split(".") if slug][:REMEMBERED]


def find(user: "User", request: HttpRequest) -> Project | None:
    """The user's active project; Personal when they remember none, or one that they no longer see."""
    visible = Project.objects.visible_to(user)
    for slug in named(request):
        if found := visible.filter(slug=slug).first():
            return found
    return visible.filter(owner=user, personal=True).first()


def opened_last(user: "User", request: HttpRequest) -> list[Project]:
    """The projects that were opened last, of those that the user may see, the newest first."""
    slugs = recent(request)
    known = list(Project.objects.present().filter(slug__in=slugs))
    held = access.abilities_in(user, known)
    seen = [project for project in known if held[project.pk].any("project:get")]
    return sorted(seen, key=lambda project: slugs.index(project.slug))


def remember(request: HttpRequest, response: HttpResponse, slug: str) -> None:
    """Makes the project active from the next request on."""
    last = [slug, *(other for other in recent(request) if other != slug)][:REMEMBERED]
    if request.COOKIES.get(COOKIE) == ".".join(last):
        return
    response.set_cookie(
        COOKIE, ".".join(last), max_age=YEAR, httponly=True, secure=settings.SESSION_COOKIE_SECURE, samesite="Lax"
    )


def landing(project: Project, held: "Abilities") -> str:
    """The project's first page for somebody: its jobs, or its members for who may not see jobs."""
    page = "jobs:list" if held.any("job:get") else "projects:members"
    return reverse(page, args=[project.slug])


def landing_for(user: "User", project: Project) -> str:
    """The same, asking what the user holds."""
    return landing(project, access.abilities(user, project))
