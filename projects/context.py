"""What every page shows around its content."""

from functools import cached_property
from typing import TYPE_CHECKING, Final

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db.models import Exists, Q, QuerySet
from django.http import HttpRequest

import access
from access import Abilities
from access.prepared import Prepared
from projects import active, trail, viewing
from projects.models import Project

if TYPE_CHECKING:
    from accounts.models import User

MOST = 30  # projects in the switcher; of more it finds those that one types

UNSANDBOXED = (
    "This server runs jobs without a sandbox (MLTEAM_UNSANDBOXED): whoever may start a job can read all of it."
)


def _known(user: str, email: str, slugs: list[str]) -> QuerySet:
    """A user's Personal project and those of these slugs, with whether this address of the user's is proven."""
    proven = Exists(EmailAddress.objects.filter(user=user, email=email, verified=True))
    wanted = Q(slug__in=slugs) | Q(owner=user, personal=True)
    return Project.objects.present().filter(wanted).annotate(mine_proven=proven)


KNOWN: Final = Prepared(_known)


class Shell:
    """Asks nothing until a template looks, and six queries at most then, whatever the number of projects."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        user = getattr(request, "user", None)  # an error before the sign-in was looked at
        self._user = user if user is not None and user.is_authenticated else None
        self._held: dict[str, Abilities] = {}

    @cached_property
    def projects(self) -> list[Project]:
        """Those of the switcher, Personal first: all that the user may see; of many only the active one and Personal."""
        found = {project.pk: project for project in (*(self._few or []), *self._known)}
        return sorted(found.values(), key=lambda project: (not project.personal, project.name, project.id))

    @property
    def search(self) -> bool:
        """Whether there are so many projects that the switcher searches for them."""
        return self._few is None

    @cached_property
    def _few(self) -> list[Project] | None:
        """All that the user may see; None where they are more than the switcher shows."""
        return Project.objects.few_visible_to(self._user, MOST) if self._user else []

    @cached_property
    def _known(self) -> list[Project]:
        """Personal, and what the user may see of what the request names."""
        if self._user is None:
            return []
        slugs = active.named(self._request)
        found = KNOWN.objects(user=self._user.pk, email=self._user.email, slugs=slugs)
        # Whether somebody sees their own Personal project need not be asked, and on most pages nothing else about it is.
        self._held = access.abilities_in(self._user, [project for project in found if not self._own(project)])
        return [one for one in found if self._own(one) or self._held[one.pk].any("project:get")]

    def _own(self, project: Project) -> bool:
        return project.personal and self._user is not None and project.owner_id == self._user.pk

    @cached_property
    def project(self) -> Project | None:
        """The active project."""
        seen = {project.slug: project for project in self._known}
        named = (seen[slug] for slug in active.named(self._request) if slug in seen)
        return next(named, self._personal)

    @property
    def show_switcher(self) -> bool:
        return len(self.projects) > 1 or self.search

    @cached_property
    def can(self) -> dict[str, bool]:
        """What the navigation of the active project offers."""
        if self._user is None or self.project is None:
            return dict.fromkeys(("jobs", "data", "new_job", "settings", "keys", "audit"), False)
        held = self._held.get(self.project.pk) or access.abilities(self._user, self.project)
        asked = {"jobs": "job:get", "new_job": "job:new", "settings": "project:set", "keys": "key:set"}
        asked["audit"] = trail.may_see(self.project)
        data = {"data": held.any("dataset:get") or held.any("model:get")}
        return data | {name: held.any(action) for name, action in asked.items()}

    @property
    def unverified(self) -> bool:
        """Whether the account has yet to prove its address."""
        return self._personal is not None and not self._personal.mine_proven  # type: ignore[attr-defined]

    @property
    def seen_as(self) -> "User | None":
        """As whom the owner sees this page; None for themselves."""
        return viewing.person_of(self._request)  # type: ignore[arg-type]

    @property
    def notices(self) -> list[str]:
        return [UNSANDBOXED] if settings.MLTEAM_UNSANDBOXED and self._user else []

    @property
    def _personal(self) -> Project | None:
        return next((project for project in self._known if project.personal), None)  # nobody sees another's


def shell(request: HttpRequest) -> dict[str, Shell]:
    """Context processor."""
    return {"shell": Shell(request)}
