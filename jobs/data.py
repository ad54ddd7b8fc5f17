"""Datasets and models that a job has: which version is meant, who may, where the job sees it, and laying it out before it starts."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import access
from accounts.models import User
from datastores import blobs, trees
from datastores.errors import User as Use
from datastores.models import Datastore, Version
from jobs import transitions
from jobs.models import Job, Mount
from jobs.spec import Spec, SpecErrors, Wanted
from jobs.states import UNFINISHED, WAITING, JobState, Reason
from projects.models import Project

if TYPE_CHECKING:
    from access.keys import RoleHolder

log = logging.getLogger(__name__)

PERSONAL = "personal"  # before a name: of one's own Personal project
OFFERED = 200  # datasets and models in the form


class Unusable(Exception):
    """What a job needs cannot be had; the sentence says which and why."""


@dataclass(frozen=True, slots=True)
class Found:
    """A version that a job asks for, and how."""

    wanted: Wanted
    version: Version

    @property
    def pinned(self) -> str:
        """The same with the version's number."""
        return self.wanted.pinned(self.version.number)


def found(project: Project, spec: Spec, by: "User | RoleHolder") -> list[Found]:
    """The versions that a spec asks for, the latest ones where it says none. Raises SpecErrors for all that `by` cannot have."""
    result, wrong = [], []
    for text in spec.data:
        wanted = Wanted.of(text)
        try:
            result.append(Found(wanted, _version(project, wanted, by)))
        except Unusable as error:
            wrong.append(("data", f"{text}: {error}"))
    if wrong:
        raise SpecErrors(wrong)
    return result


def pinned(spec: Spec, those: list[Found]) -> Spec:
    """The spec with the numbers of the versions that it means now."""
    return spec.model_copy(update={"data": [one.pinned for one in those]}) if those else spec


def _version(project: Project, wanted: Wanted, by: "User | RoleHolder") -> Version:
    datastore = _datastore(project, wanted, by)
    if wanted.mode == "rw":
        raise Unusable(f"a {datastore.kind} never changes; it can only be read (:ro)")
    rows = datastore.versions.order_by("-number")
    version = rows.filter(number=wanted.version).first() if wanted.version else rows.first()
    if version is None:
        raise Unusable(f"it has no version {wanted.version}" if wanted.version else "it has no version yet")
    version.datastore = datastore
    if wanted.sub and not _has(version, wanted.sub):
        raise Unusable(f"there is no {wanted.sub} in version {version.number}")
    return version


def _has(version: Version, sub: str) -> bool:
    try:
        return trees.has(version, sub)
    except blobs.Missing:
        raise Unusable("its list of files is lost; an admin has to look") from None


def _datastore(project: Project, wanted: Wanted, by: "User | RoleHolder") -> Datastore:
    """The one that is meant, if `by` may read it: whatever is not for them is not there."""
    rows = Datastore.objects.present().for_programs().filter(name=wanted.name)
    if wanted.owner in {PERSONAL, by.username} and isinstance(by, User):
        # What is one's own stays where it is; the job is only shown it.
        mine = rows.filter(project__owner=by, project__personal=True)
        rows = mine if wanted.owner == PERSONAL else mine | rows.filter(project=project, created_by=by)
    elif wanted.owner:
        rows = rows.filter(project=project, created_by__username=wanted.owner)
    else:
        rows = rows.filter(project=project)
    for datastore in sorted(rows, key=lambda one: one.project_id != project.pk):
        if access.allowed(by, f"{datastore.kind}:get", datastore):
            return datastore
    raise Unusable("there is no such dataset or model in this project that you may read")


def choices(project: Project, by: "User | RoleHolder") -> list[tuple[str, str]]:
    """What somebody may attach here, as (what the job file says, in words); for the form."""
    rows = Datastore.objects.present().in_project(project).visible_to(by).order_by("name")[:OFFERED]
    latest = Version.objects.latest_of(rows)
    return [
        (f"{row.name}:/data/{row.name}", f"{row.name} ({row.kind}, version {latest[row.pk].number})")
        for row in rows
        if row.pk in latest and Wanted.fits(row.name)
    ]


def mount(job: Job, those: list[Found]) -> None:
    """Writes down what the job has, and whether that has still to be laid out; with the job's own row, in one transaction."""
    Mount.objects.bulk_create(
        Mount(job=job, datastore=one.version.datastore, version=one.version, sub=one.wanted.sub, path=one.wanted.path)
        for one in those
    )


def waits(those: list[Found]) -> bool:
    """Whether something has to be laid out before a job with these can start."""
    return not all(trees.stands(one.version) for one in those)


# Before it starts


def bring(job_id: str) -> bool:
    """Lays out what a waiting job needs; whether it can start now. Another process may be at it: then later."""
    job = Job.objects.queued().filter(pk=job_id, waits_for_data=True).select_related("project", "created_by").first()
    if job is None:
        return False
    try:
        here = all(trees.lay_out(one.version) for one in _mounts(job) if one.version)
    except Unusable as error:
        _fail(job, str(error))
        return False
    except blobs.Missing:
        _fail(job, "Some of its data is lost. Push the dataset or model again, or choose another version.")
        return False
    return here and bool(Job.objects.queued().filter(pk=job.pk).update(waits_for_data=False))


def _mounts(job: Job) -> list[Mount]:
    """Raises Unusable when something has been removed meanwhile, or is no longer for who submitted the job."""
    if not (wanted := job.spec.get("data")):
        return []
    mounts = list(job.mounts.select_related("datastore__project", "version__datastore__project"))
    if len(mounts) != len(wanted):
        raise Unusable("Some of its data has been removed.")
    by = job.created_by  # a role's key has no person whose levels may have changed
    for datastore in {one.datastore for one in mounts} if by else ():
        if by and not access.allowed(by, f"{datastore.kind}:get", datastore):
            raise Unusable(f"{by.username} may no longer read the {datastore.kind} {datastore.name}.")
    return mounts


def _fail(job: Job, sentence: str) -> None:
    transitions.move(job, JobState.FAILED, reason=Reason.DATA, sentence=sentence, only_from=WAITING)


def places(job: Job) -> list[dict[str, str]]:
    """What the job sees where: host path and path inside. Raises Unusable for what is no longer here."""
    shown = []
    for one in _mounts(job):
        place: Path | None = trees.find(one.version, one.sub) if one.version else None
        if place is None:
            raise Unusable(f"{one.version} is no longer on this host. Submit it again.")
        shown.append({"source": str(place), "target": one.path})
    return shown


def users_of(datastore: Datastore) -> list[Use]:
    """The jobs that have not ended and have something of it."""
    rows = Mount.objects.filter(datastore=datastore, job__state__in=UNFINISHED).select_related("job__project")
    found: dict[str, Use] = {}
    for one in rows.order_by("job__created_at", "job"):
        known = found.get(one.job_id)
        writes = one.writes or (known is not None and known.writes)
        found[one.job_id] = Use(one.job.urn, f"job {one.job.name}", writes, one.job)
    return list(found.values())
