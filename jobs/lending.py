"""Data of other projects in a job. Nothing of it moves and none is copied: the job is shown it where it is.

One's own Personal data come along by themselves. Those of other projects do where their owner has switched that on
(`Project.lends_data`) and who submits the job may read them there; a job names them by their full name, `PROJECT.NAME`.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from django.db.models import Q

from datastores.models import Datastore
from jobs.models import Job
from projects.models import Project

if TYPE_CHECKING:
    from access.keys import RoleHolder
    from accounts.models import User
    from datastores.querysets import DatastoreQuerySet

STAYS: Final = "nothing is copied, and whoever can open this job can see what it reads"
DEEPEST: Final = 8  # names of a project and those above it that are looked for


def elsewhere(name: str) -> Iterator[Datastore]:
    """What `PROJECT.NAME` may mean: the project is said by its address, alone or after those of the projects above it, and
    names may have dots too. Whether they may be read or lent is not asked here."""
    wanted = {}
    for place in [at for at, sign in enumerate(name) if sign == "."][:DEEPEST]:
        wanted[tuple(name[:place].split("."))] = name[place + 1 :]
    if not wanted:
        return
    meant = Q()
    for path, rest in wanted.items():
        meant |= Q(project__slug=path[-1], name=rest)
    for datastore in Datastore.objects.present().for_programs().filter(meant).order_by("-project__slug", "id"):
        if any(datastore.name == rest and _is_called(datastore.project, path) for path, rest in wanted.items()):
            yield datastore


def _is_called(project: Project, path: tuple[str, ...]) -> bool:
    if len(path) == 1:
        return project.slug == path[0]
    slugs = dict(Project.objects.filter(pk__in=project.access_above()).values_list("pk", "slug"))
    return (*(slugs.get(key) for key in reversed(project.access_above())), project.slug) == path


def why_not(datastore: Datastore, project: Project, by: "User | RoleHolder | None", *, writes: bool) -> str:
    """Why a job of this project cannot have it although who submits the job (None: a role's key) may; "" when it can."""
    home = datastore.project
    own = home.personal and home.owner_id == getattr(by, "pk", None)
    if home == project or own or (home.lends_data and not writes):
        return ""
    if home.lends_data:
        return f"it is in {home.name}, and jobs of other projects only read its data: write :ro after the path"
    return (
        f"it is in {home.name}, and only jobs of that project read its data. "
        f"{home.owner.shown} can let jobs of other projects do so in its settings"
    )


def why_no_clone(job: Job, project: Project) -> str:
    """Why a job cannot be repeated in this project; "" when it can."""
    if job.project_id == project.pk:
        return ""
    return "nothing moves or is copied between projects: submit the job's job.yml there, with its files"


def lent_to(project: Project, by: "User | RoleHolder") -> "DatastoreQuerySet":
    """What other projects lend to jobs of this one that somebody submits."""
    rows = Datastore.objects.present().visible_to(by).filter(project__lends_data=True)
    return rows.exclude(project=project).for_programs()


def borrowed(job: Job) -> list[Datastore]:
    """What the job has of other projects."""
    if not job.spec.get("data"):
        return []
    found = Datastore.objects.filter(pk__in=job.mounts.values("datastore")).exclude(project=job.project_id)
    return list(found.select_related("project").order_by("name"))


def notices(those: Iterable[Datastore], project: Project, by: "User | RoleHolder") -> list[str]:
    """What is said to `by` of a job of this project that has these: a sentence for each that is of another project."""
    others = {one.pk: one for one in those if one.project_id != project.pk}.values()
    return [
        f"{one.name} stays in {_home(one.project, by)}: {STAYS}." for one in sorted(others, key=lambda one: one.name)
    ]


def _home(project: Project, by: "User | RoleHolder") -> str:
    if not project.personal:
        return project.name
    return "your Personal project" if project.owner_id == by.pk else "its owner's Personal project"


def borrowers(project: Project) -> int:
    """How many unfinished jobs of other projects have data of this one."""
    jobs = Job.objects.unfinished().filter(mounts__datastore__project=project)
    return jobs.exclude(project=project).distinct().count()
