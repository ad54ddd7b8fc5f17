"""What every page shows around its content."""

from functools import cached_property
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Case, Value, When
from django.http import HttpRequest

import access
from projects import active, trail, viewing
from projects.models import Project
from projects.rules import owner_proven

if TYPE_CHECKING:
    from accounts.models import User

MOST = 30  # projects in the switcher; the list of projects has all

UNSANDBOXED = (
    "This server runs jobs without a sandbox (MLTEAM_UNSANDBOXED): whoever may start a job can read all of it."
)


class Shell:
    """Asks nothing until a template looks, and four queries at most then, whatever the number of projects."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        user = getattr(request, "user", None)  # an error before the sign-in was looked at
        self._user = user if user is not None and user.is_authenticated else None

    @cached_property
    def projects(self) -> list[Project]:
        """Those that the user may see, Personal first; the active one is always among them."""
        if self._user is None:
            return []
        named = active.named(self._request)
        first = Case(
            *(When(slug=slug, then=Value(place)) for place, slug in enumerate(named)), default=Value(len(named))
        )
        visible = Project.objects.visible_to(self._user)
        ordered = visible.order_by(first, *visible.query.order_by) if named else visible
        # Picked first: what is asked about each is then asked of a page of them, not of all that can be seen.
        rows = Project.objects.filter(pk__in=ordered.values("pk")[:MOST]).annotate(owner_proven=owner_proven())
        return sorted(rows, key=lambda project: (not project.personal, project.name, project.id))

    @cached_property
    def project(self) -> Project | None:
        """The active project."""
        seen = {project.slug: project for project in self.projects}
        named = (seen[slug] for slug in active.named(self._request) if slug in seen)
        return next(named, self._personal)

    @property
    def show_switcher(self) -> bool:
        return len(self.projects) > 1

    @cached_property
    def can(self) -> dict[str, bool]:
        """What the navigation of the active project offers."""
        if self._user is None or self.project is None:
            return {"jobs": False, "new_job": False, "settings": False, "audit": False}
        held = access.abilities(self._user, self.project)
        asked = {"jobs": "job:get", "new_job": "job:new", "settings": "project:set"}
        asked["audit"] = trail.may_see(self.project)
        return {name: held.any(action) for name, action in asked.items()}

    @property
    def unverified(self) -> bool:
        """Whether the account has yet to prove its address."""
        return self._personal is not None and not self._personal.owner_proven  # type: ignore[attr-defined]

    @property
    def seen_as(self) -> "User | None":
        """As whom the owner sees this page; None for themselves."""
        return viewing.person_of(self._request)  # type: ignore[arg-type]

    @property
    def notices(self) -> list[str]:
        return [UNSANDBOXED] if settings.MLTEAM_UNSANDBOXED and self._user else []

    @property
    def _personal(self) -> Project | None:
        return next((project for project in self.projects if project.personal), None)  # nobody sees another's


def shell(request: HttpRequest) -> dict[str, Shell]:
    """Context processor."""
    return {"shell": Shell(request)}
