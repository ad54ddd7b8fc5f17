"""An owner looks at a project as a member sees it: pages alone, and nothing can be changed meanwhile.

It is in the session, for one project; elsewhere the owner is themselves. Whether it still holds is asked with every page.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.urls import reverse

import access
from access import Seen, refused
from accounts.errors import Impossible
from projects.models import Project

if TYPE_CHECKING:
    from accounts.models import User
    from accounts.requests import UserRequest

KEY: Final = "projects.seen_as"
READS: Final = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class Viewing:
    """Of which project (by id and address), and as whom (by id)."""

    project: str
    slug: str
    person: str


def start(request: "UserRequest", project: Project, person: "User") -> None:
    """From now on the project's pages are as this person sees them. Raises Impossible for whoever does not see it at all."""
    _check_owner(request.user, project)
    if person.pk == project.owner_id or not access.allowed(person, "project:get", project):
        raise Impossible(f"{person.shown} is no member of this project.")
    request.session[KEY] = asdict(Viewing(project.pk, project.slug, person.pk))


def stop(request: "UserRequest") -> None:
    """The owner sees the project as themselves again."""
    request.session.pop(KEY, None)


def person_of(request: "UserRequest") -> "User | None":
    """As whom this page is seen; None for oneself."""
    return getattr(request, "seen_as", None)


def as_a_member(get_response: "Callable[[UserRequest], HttpResponse]") -> "Callable[[UserRequest], HttpResponse]":
    """Middleware: shows the pages of the project as the chosen person sees them, and refuses to change anything."""

    def middleware(request: "UserRequest") -> HttpResponse:
        chosen = _chosen(request)
        if chosen is None:
            return get_response(request)
        person = _person(request, chosen)
        if person is None:
            stop(request)
            return get_response(request)
        if request.method not in READS:
            said = f"You see this project as {person.shown} does, and so change nothing in it. Stop that first."
            raise refused("project:set", "seen_as", said)
        request.seen_as = person  # type: ignore[attr-defined]
        with access.seen_as(Seen(by=request.user.pk, person=person.pk, project=chosen.project)):
            return get_response(request)

    return middleware


def _chosen(request: "UserRequest") -> Viewing | None:
    """What the session says, when this page is one of that project's and not the one that ends it."""
    found = request.session.get(KEY) if request.user.is_authenticated else None
    if not found:
        return None
    viewing = Viewing(**found)
    within = request.path.startswith(f"/p/{viewing.slug}/")
    return viewing if within and request.path != reverse("projects:view_end", args=[viewing.slug]) else None


def _person(request: "UserRequest", viewing: Viewing) -> "User | None":
    """As whom, while the one who looks still owns the project, and the other one still sees it."""
    project = Project.objects.present().filter(pk=viewing.project, owner=request.user).first()
    person = get_user_model().objects.filter(pk=viewing.person, is_active=True).first()
    return person if project and person and access.allowed(person, "project:get", project) else None


def _check_owner(user: "User", project: Project) -> None:
    access.require(user, "project:share", project)
    if project.owner_id != user.pk:
        raise refused("project:share", "owner", "Only its owner sees a project as its members do.")
