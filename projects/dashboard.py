"""The dashboard of projects: those that one owns, and those shared with one; each list in a constant number of queries."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count, F
from django.db.models.functions import Lower
from django.urls import reverse

import access
from access.prepared import Prepared, planned_once
from accounts.paging import Order, Page, paged
from projects import work
from projects.models import NAME, Member, Project, TeamMember

if TYPE_CHECKING:
    from accounts.models import User
    from projects.querysets import ProjectQuerySet

SHOWN: Final = 20  # projects of a list: there may be two on the page
OWNED, SHARED = "owned", "shared"
# Pages of a project to which its row leads.
PAGES: Final = {
    "jobs": "jobs:list",
    "members": "projects:members",
    "usage": "billing:project",
    "settings": "projects:settings",
    "leave": "projects:leave",
    "access": "projects:access",
}
PLACE: Final = "slug-of-the-project"
# Of these projects those of which somebody is a member, and by which teams they are in them: it may be all projects and teams.
OWN: Final = Prepared(
    lambda projects, user: Member.objects.filter(project__in=projects, user=user).order_by().values_list("project_id"),
    planned="anew",
)
BY_TEAMS: Final = Prepared(
    lambda projects, user: TeamMember.objects.filter(project__in=projects, team__group__user=user).select_related(
        "team"
    ),
    planned="anew",
)
BY: Final = {
    "name": lambda projects, owned: projects.annotate(key=NAME if owned else Lower("name")),
    "activity": lambda projects, owned: projects.annotate(key=F("active_at")),
}


@dataclass(frozen=True)
class Listed:
    """One of the lists: a page of it.

    Each project has `member_count`, `team_count` and what `work.Work.listed` adds; `sees_jobs`, without which none of its
    counts of jobs are shown; for who shares it `is_member`, and `by_teams`, the teams by which they are in it; and `pages`,
    the addresses of the project's PAGES.
    """

    name: str
    page: Page[Project]


@dataclass
class Dashboard:
    """What the user may see, searched by `q` in names and addresses, in the order that `sort` names: a column, "-" for falling.

    By name where there is no such column: there is one of costs where anything costs anything.
    """

    user: "User"
    q: str
    sort: str

    def __post_init__(self) -> None:
        if self.sort.removeprefix("-") not in self.keys:
            self.sort = "name"

    @cached_property
    def keys(self) -> "dict[str, Callable[[ProjectQuerySet, bool], ProjectQuerySet | list[ProjectQuerySet]]]":
        """By what a list can be sorted: what adds the `key` to projects, all of them owned or none."""
        return {**BY, "cost": self._by_cost} if self.money else BY

    def _by_cost(self, projects: "ProjectQuerySet", owned: bool) -> "list[ProjectQuerySet]":
        return work.known().by_cost(projects, self.user, owned=owned)

    @cached_property
    def money(self) -> bool:
        """Whether the lists say what projects cost."""
        return work.known().money_shows()

    def lists(self, view: str = "", cursor: str = "") -> list[Listed]:
        """Both lists, owned and shared; of many owned projects that list alone. `view` names one, which begins at the cursor."""
        found = []
        if view != SHARED:
            found.append(
                Listed(OWNED, self._list(Project.objects.present().filter(owner=self.user), cursor, owned=True))
            )
        if view == SHARED or (not view and not found[0].page.older):
            seen = Project.objects.shareable().sorted_for(self.user, walked=True).exclude(owner=self.user)
            found.append(Listed(SHARED, self._list(seen, cursor if view else "", owned=False)))
        self._prepare([project for one in found for project in one.page.rows])
        return found

    def _list(self, projects: "ProjectQuerySet", cursor: str, *, owned: bool) -> Page[Project]:
        by = self.sort.removeprefix("-")
        order = Order("key", descending=self.sort.startswith("-"))
        projects = projects.matching(self.q) if self.q else projects
        fetch = partial(work.known().listed, seen_by=self.user.pk, money=self.money)
        # What somebody sees is walked through in its order; but how long until a text occurs, PostgreSQL knows best when it knows the text.
        with nullcontext() if owned or self.q else planned_once():
            return paged(self.keys[by](projects, owned), cursor, order=order, size=SHOWN, fetch=fetch)

    def _prepare(self, projects: list[Project]) -> None:
        """Adds what is asked about a page of projects at once."""
        ids = [project.pk for project in projects]
        pages = _addresses()
        shared = [project for project in projects if project.owner_id != self.user.pk]
        held = access.abilities_in(self.user, shared)
        members, teams = numbers(Member, ids), numbers(TeamMember, ids)
        own = {project for (project,) in OWN.rows(projects=ids, user=self.user.pk)}
        by_teams = defaultdict(list)
        for member in BY_TEAMS.objects(projects=ids, user=self.user.pk):
            by_teams[member.project_id].append(member.team)
        for project in projects:
            project.member_count, project.team_count = members.get(project.pk, 0), teams.get(project.pk, 0)
            project.sees_jobs = project.pk not in held or held[project.pk].any("job:get")
            project.is_member = project.pk in own
            project.pages = pages(project.slug)
            project.by_teams = sorted(by_teams[project.pk], key=lambda team: (team.name, team.pk))


def _addresses() -> Callable[[str], dict[str, str]]:
    """Given a slug, the addresses of PAGES. Each is looked up once, and not for every project of the page."""
    patterns = {name: reverse(route, args=[PLACE]) for name, route in PAGES.items()}
    return lambda slug: {name: pattern.replace(PLACE, slug) for name, pattern in patterns.items()}


def numbers(model: Any, projects: list[str]) -> dict[str, int]:
    """Project id -> how many rows of the model it has; none for none."""
    return dict(_numbers(model).rows(projects=projects))


@cache
def _numbers(model: Any) -> Prepared:
    def counted(projects: list[str]) -> Any:
        rows = model.objects.filter(project__in=projects).order_by()
        return rows.values_list("project").annotate(number=Count("*"))  # an index alone counts

    return Prepared(counted)
