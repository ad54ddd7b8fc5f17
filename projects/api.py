"""What programs do with projects."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Literal

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.http import HttpResponse
from django.urls import reverse
from ninja import Field, Query, Router, Schema, Status

import access
from accounts.adapter import absolute
from accounts.api import UserOut, show_user
from api import etags, lists
from api.callers import ApiRequest, person
from api.lists import Id, In, Listed, Out, Sorted
from api.problems import Problem
from projects import actions, work
from projects.dashboard import numbers
from projects.models import Member, Project, TeamMember

router = Router(tags=["projects"])

COLUMNS: Final = {"name": "lower_name", "created_at": "created_at", "activity": "active_at"}
COUNTS: Final = {"jobs": "job_count", "running": "running_count", "waiting": "waiting_count"}


class ProjectRef(Out):
    """A project, as what stands in it names it."""

    id: str
    name: str
    full_name: str


class ProjectOut(ProjectRef):
    """A project. What is counted of jobs is null for whoever may not see them. `mine`: who asks owns it."""

    urn: str
    slug: str
    owner: UserOut
    parent: ProjectRef | None
    personal: bool
    lends_data: bool
    created_at: datetime
    active_at: datetime
    member_count: int
    team_count: int
    jobs: int | None
    running: int | None
    waiting: int | None
    cost_this_month: str | None
    mine: bool
    url: str


class ProjectIn(In):
    """A new project; `parent`: the id of the one that it is to be in; `copy_keys`: it begins with the keys of one's Personal project."""

    name: str = Field(max_length=100)
    parent: Id | None = None
    copy_keys: bool = False


class ProjectEdit(In):
    """What is changed; what is left out stays. `lends_data`: who may read its data may also have them in jobs of other projects."""

    name: str | None = Field(None, max_length=100)
    lends_data: bool | None = None


class ProjectFilter(Schema):
    """Which projects: `mine` those that one owns (or those of others), `parent` those in one, `full_name` the one."""

    q: str = Field("", max_length=100)
    mine: bool | None = None
    parent: str | None = Field(None, max_length=16)
    full_name: str | None = Field(None, max_length=400)


def project_for(request: ApiRequest, project: str, action: str) -> Project:
    """The project with this id, when who asks may do the action in it."""
    return access.fetch(request.user, action, Project.objects.present().select_related("owner"), pk=project)


def show_refs(projects: Iterable[Project]) -> dict[str, dict[str, str]]:
    """Id -> a project as others name it, of these and of all that they are in: its full name is the path of slugs, with dots
    between. One query for many."""
    known = {project.pk: project for project in projects}
    above = {key for project in known.values() for key in project.access_above()} - set(known)
    known |= {project.pk: project for project in Project.objects.filter(pk__in=above)} if above else {}
    paths = {key: [*reversed(one.access_above()), key] for key, one in known.items()}
    names = {key: ".".join(known[step].slug for step in steps) for key, steps in paths.items()}
    return {key: {"id": key, "name": one.name, "full_name": names[key]} for key, one in known.items()}


def show_projects(projects: list[Project], by: Any) -> list[dict[str, Any]]:
    """Projects for an answer to `by`; a constant number of queries."""
    ids = [project.pk for project in projects]
    jobs = work.known()
    counted = {one.pk: one for one in jobs.listed(pks=ids, seen_by=by.pk, money=jobs.money_shows())}
    held, refs = access.abilities_in(by, projects), show_refs(projects)
    members, teams = numbers(Member, ids), numbers(TeamMember, ids)
    shown = []
    for project in projects:
        sees = held[project.pk].any("job:get")
        of_jobs = {name: getattr(counted[project.pk], column) if sees else None for name, column in COUNTS.items()}
        cost = getattr(counted[project.pk], "cost_this_month", None)
        plain = {
            name: getattr(project, name)
            for name in ("urn", "slug", "personal", "lends_data", "created_at", "active_at")
        }
        people = {"member_count": members.get(project.pk, 0), "team_count": teams.get(project.pk, 0)}
        mine = {"owner": show_user(project.owner, by), "mine": project.owner_id == by.pk}
        parent = {"parent": refs[project.parent_id] if project.parent_id else None}
        more = {"cost_this_month": None if cost is None else f"{cost:f}", "url": absolute(_page_of(project))}
        shown.append(refs[project.pk] | plain | people | mine | parent | of_jobs | more)
    return shown


def _page_of(project: Project) -> str:
    return reverse("jobs:list", args=[project.slug])


class ProjectsSorted(Sorted):
    sort: Literal["name", "-name", "created_at", "-created_at", "activity", "-activity"] = "name"


@router.get("/projects", response=Listed[ProjectOut])
@access.route("project:get")
def list_projects(request: ApiRequest, where: Query[ProjectFilter], paging: Query[ProjectsSorted]) -> dict[str, Any]:
    """The projects that one may see."""
    found = _filtered(Project.objects.sorted_for(request.user).annotate(lower_name=Lower("name")), where, request.user)
    return lists.page(
        found,
        paging,
        lambda shown: shown,
        order=paging.by(COLUMNS[paging.sort.removeprefix("-")]),
        read=lambda rows: rows.select_related("owner"),
        prepare=lambda rows: show_projects(rows, request.user),
    )


def _filtered(projects: Any, where: ProjectFilter, by: Any) -> QuerySet[Project]:
    if where.q:
        projects = projects.matching(where.q)
    if where.mine is not None:
        projects = projects.filter(owner=by.pk) if where.mine else projects.exclude(owner=by.pk)
    if where.parent is not None:
        projects = projects.filter(parent=where.parent)
    if where.full_name is not None:
        *above, slug = where.full_name.split(".")
        for depth, name in enumerate(reversed(above), 1):
            projects = projects.filter(**{f"{'parent__' * depth}slug": name})
        projects = projects.filter(slug=slug, **{f"{'parent__' * (len(above) + 1)}isnull": True})
    return projects


@router.post("/projects", response={201: ProjectOut})
@access.route("project:new")
def new_project(request: ApiRequest, data: ProjectIn, response: HttpResponse) -> Status:
    """Creates a project, in another one perhaps."""
    by = person(request)
    parent = project_for(request, data.parent, "project:new") if data.parent else None
    project = actions.create(name=data.name, by=by, parent=parent, copy_keys=data.copy_keys)
    return Status(201, _shown(request, project, response))


@router.get("/projects/{project}", response=ProjectOut)
@access.route("project:get")
def get_project(request: ApiRequest, project: str, response: HttpResponse) -> dict[str, Any]:
    """A project."""
    return _shown(request, project_for(request, project, "project:get"), response)


@router.patch("/projects/{project}", response=ProjectOut)
@access.route("project:set")
def set_project(request: ApiRequest, project: str, data: ProjectEdit, response: HttpResponse) -> dict[str, Any]:
    """Changes a project's name, and whether jobs of other projects may read its data."""
    by = person(request)
    with transaction.atomic():
        found = project_for(request, project, "project:get")
        etags.check(request, _tag(Project.objects.select_for_update().get(pk=found.pk)))
        actions.edit(project=found, name=data.name, lends_data=data.lends_data, by=by)
    return _shown(request, found, response)


@router.delete("/projects/{project}", response={204: None})
@access.route("project:rm")
def remove_project(request: ApiRequest, project: str, confirm: str = Query(max_length=100)) -> Status:
    """Removes a project with all that is in it; `confirm` is its name."""
    by = person(request)
    with transaction.atomic():
        found = project_for(request, project, "project:get")
        etags.check(request, _tag(Project.objects.select_for_update().get(pk=found.pk)))
        actions.require(by, "project:rm", found, "removed")
        if confirm != found.name:
            raise Problem(409, "not_confirmed", f"To remove it, say its name: ?confirm={found.name}")
        actions.remove(project=found, by=by)
    return Status(204, None)


def _shown(request: ApiRequest, project: Project, response: HttpResponse) -> dict[str, Any]:
    etags.tell(response, _tag(project))
    return show_projects([project], request.user)[0]


def _tag(project: Project) -> str:
    return etags.tag_of(project.pk, project.name, project.owner_id, project.lends_data)
