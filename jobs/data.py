"""Datasets, models and volumes that a job has: which version is meant, who may, where the job sees it, and laying it out before it
starts."""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Q

import access
from accounts.ids import is_id
from accounts.models import User
from compute import host
from datastores import blobs, room, trees, volumes
from datastores.errors import User as Use
from datastores.kinds import Kind
from datastores.models import Datastore, Version
from jobs import inputs, laying, lending, transitions
from jobs.models import Job, Mount
from jobs.spec import Spec, SpecErrors, Wanted
from jobs.states import ACTIVE, UNFINISHED, WAITING, JobState, Reason
from projects.models import Project

if TYPE_CHECKING:
    from access.keys import RoleHolder

log = logging.getLogger(__name__)

PERSONAL = "personal"  # before a name: of one's own Personal project
MEASURED_EVERY = timedelta(minutes=5)  # of a volume that a running job may write
OFFERED = 200  # datasets, models and volumes in the form


class Unusable(Exception):
    """What a job needs cannot be had; the sentence says which and why."""


@dataclass(frozen=True, slots=True)
class Found:
    """A version that a job asks for, or a volume, which has none; and how."""

    wanted: Wanted
    datastore: Datastore
    version: Version | None = None

    @property
    def pinned(self) -> str:
        """The same with the version's number."""
        return self.wanted.pinned(self.version.number) if self.version else self.wanted.of_volume

    @property
    def writes(self) -> bool:
        return self.version is None and self.wanted.mode != "ro"


def found(project: Project, spec: Spec, by: "User | RoleHolder") -> list[Found]:
    """The versions that a spec asks for, the latest ones where it says none. Raises SpecErrors for all that `by` cannot have."""
    result, wrong = [], []
    for text in spec.data:
        wanted = Wanted.of(text)
        try:
            result.append(_found(project, wanted, by))
        except Unusable as error:
            wrong.append(("data", f"{text}: {error}"))
    if wrong:
        raise SpecErrors(wrong)
    return result


def pinned(spec: Spec, those: list[Found]) -> Spec:
    """The spec with the numbers of the versions that it means now."""
    return spec.model_copy(update={"data": [one.pinned for one in those]}) if those else spec


def _found(project: Project, wanted: Wanted, by: "User | RoleHolder") -> Found:
    datastore = _datastore(project, wanted, by)
    if datastore.kind != Kind.VOLUME:
        return Found(wanted, datastore, _version(datastore, wanted))
    found = Found(wanted, datastore)
    if wanted.version:
        raise Unusable("a volume has no versions")
    if trouble := host.facts().volumes:
        raise Unusable(f"no job here can have a volume: {trouble}")
    if found.writes and not access.allowed(by, "volume:set", datastore):
        raise Unusable("you may read this volume, but not change it (volume:set): write :ro after the path")
    if found.writes and datastore.measured_at is None:
        volumes.measure(datastore, volumes.SOON)
    if found.writes and volumes.is_full(datastore):
        raise Unusable(_full(datastore))
    if wanted.sub and not volumes.has_folder(datastore, wanted.sub):
        raise Unusable(f"there is no folder {wanted.sub} in this volume")
    return found


def _full(datastore: Datastore) -> str:
    most = room.said(datastore.quota or 0)
    return f"the volume {datastore.name} is full, it may have {most}: remove content, raise its quota, or write :ro after the path"


def _version(datastore: Datastore, wanted: Wanted) -> Version:
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
    """The one that is meant, if `by` may read it: whatever is not for them is not there, also where its id is known.

    What has this id comes before what is called so: nobody chooses an id, and a name can be made to look like one."""
    every = Datastore.objects.present().for_programs()
    rows = every.filter(name=wanted.name)
    if wanted.owner in {PERSONAL, by.username} and isinstance(by, User):
        # What is one's own stays where it is; the job is only shown it.
        mine = rows.filter(project__owner=by, project__personal=True)
        rows = mine if wanted.owner == PERSONAL else mine | rows.filter(project=project, created_by=by)
    elif wanted.owner:
        rows = rows.filter(project=project, created_by__username=wanted.owner)
    else:
        rows = rows.filter(project=project) | every.filter(pk=wanted.name)
    near = sorted(rows, key=lambda one: (one.pk != wanted.name, one.project_id != project.pk))
    for datastore in chain(near, () if wanted.owner else lending.elsewhere(wanted.name)):
        if access.allowed(by, f"{datastore.kind}:get", datastore):
            if why := lending.why_not(datastore, project, by, writes=_writes(datastore, wanted)):
                raise Unusable(why)
            return datastore
    raise Unusable("there is no such dataset, model or volume in this project that you may read")


def _writes(datastore: Datastore, wanted: Wanted) -> bool:
    return datastore.kind == Kind.VOLUME and wanted.mode != "ro"


def choices(project: Project, by: "User | RoleHolder") -> tuple[list[tuple[str, str]], bool]:
    """What somebody may attach here, as (what the job file says, in words), for the form; and whether there is more. OFFERED at most: of
    this project first, then their own Personal data, then what other projects lend."""
    of_use = Q(kind=Kind.VOLUME) | Exists(Version.objects.filter(datastore=OuterRef("pk")))
    readable = Datastore.objects.present().visible_to(by).select_related("project", "created_by").order_by("name")
    sources = (
        readable.in_project(project),
        readable.filter(project__personal=True, project__owner=by.pk).exclude(project=project),
        lending.lent_to(project, by).select_related("project").order_by("project__name", "name"),
    )
    rows: list[Datastore] = []
    for source in sources:
        rows += source.filter(of_use)[: OFFERED + 1 - len(rows)]  # one more says that there is more
    offered = rows[:OFFERED]
    latest = Version.objects.latest_of(offered)
    return [_choice(row, project, by, _kind_of(row, latest.get(row.pk))) for row in offered], len(rows) > OFFERED


def _choice(row: Datastore, project: Project, by: "User | RoleHolder", said: str) -> tuple[str, str]:
    line = f"{row.name}:/data/{row.name}"
    if row.project_id == project.pk:
        other = row.created_by if row.created_by_id != by.pk else None
        name = f"{other.username}:{row.name}" if other else row.name
        return f"{name}:/data/{row.name}", f"{name} ({said})"
    if row.project.personal and row.project.owner_id == by.pk:
        return f"{PERSONAL}:{line}", f"{PERSONAL}:{row.name} ({said})"
    only = ":ro" if row.kind == Kind.VOLUME else ""
    return f"{row.project.slug}.{line}{only}", f"{row.name} of {row.project.name} ({said})"


def _kind_of(datastore: Datastore, latest: Version | None) -> str:
    return f"{datastore.kind}, version {latest.number}" if latest else f"{datastore.kind}, the job may write there"


def named(job: Job) -> list[Wanted]:
    """What the job has, as its spec says it, with the name of what this says by its id."""
    every = [Wanted.of(text) for text in job.spec.get("data", [])]
    if not any(is_id(one.name) for one in every):
        return every
    names = dict(job.mounts.values_list("datastore", "datastore__name"))
    return [replace(one, name=names.get(one.name, one.name)) for one in every]


def written(those: list[Wanted]) -> list[Wanted]:
    """The volumes among what a job has, which it may write: what has versions is pinned."""
    return [one for one in those if one.version is None and one.mode != "ro"]


def mount(job: Job, those: list[Found]) -> None:
    """Writes down what the job has, and whether that has still to be laid out; with the job's own row, in one transaction."""
    Mount.objects.bulk_create(
        Mount(
            job=job,
            datastore=one.datastore,
            version=one.version,
            writes=one.writes,
            sub=one.wanted.sub,
            path=one.wanted.path,
        )
        for one in those
    )


def waits(those: list[Found]) -> bool:
    """Whether something has to be laid out before a job with these can start."""
    return not all(trees.stands(one.version) for one in those if one.version)


# Before it starts


def bring(job_id: str) -> bool:
    """Lays out what a waiting job needs; whether it can start now. Another process may be at it: then later."""
    job = Job.objects.queued().filter(pk=job_id, waits_for_data=True).select_related("project", "created_by").first()
    if job is None:
        return False
    try:
        here = all(laying.laid_out(job, one) for one in _mounts(job)) and inputs.fetch(job)
    except (Unusable, laying.Failed) as error:
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
    for datastore, writes in {(one.datastore, one.writes) for one in mounts}:
        verb, said = ("set", "change") if writes else ("get", "read")
        if by and not access.allowed(by, f"{datastore.kind}:{verb}", datastore):
            raise Unusable(f"{by.username} may no longer {said} the {datastore.kind} {datastore.name}.")
        if why := lending.why_not(datastore, job.project, by, writes=writes):
            raise Unusable(f"The {datastore.kind} {datastore.name}: {why}.")
    return mounts


def _fail(job: Job, sentence: str) -> None:
    transitions.move(job, JobState.FAILED, reason=Reason.DATA, sentence=sentence, only_from=WAITING)


def places(job: Job) -> list[dict[str, Any]]:
    """What the job sees where, as docs/runner-protocol.md says it. Raises Unusable for what is no longer here, and for a full volume."""
    return [_place(one) if one.version else _place_of_volume(one) for one in _mounts(job)]


def _place(mount: Mount) -> dict[str, Any]:
    assert mount.version
    place: Path | None = trees.find(mount.version, mount.sub)
    if place is None:
        raise Unusable(f"{mount.version} is no longer on this host. Submit it again.")
    return {"source": str(place), "target": mount.path}


def _place_of_volume(mount: Mount) -> dict[str, Any]:
    datastore = mount.datastore
    if trouble := host.facts().volumes:
        raise Unusable(f"No job here can have a volume: {trouble}")
    root = volumes.root_of(datastore)
    if mount.writes:
        volumes.measure(datastore, volumes.SOON)
        if volumes.is_full(datastore):
            raise Unusable(f"{_full(datastore)[:1].upper()}{_full(datastore)[1:]}.")
    told = {"sub": mount.sub, "writes": mount.writes, "owner": volumes.owner(), "name": datastore.name}
    return {
        "source": str(root),
        "target": mount.path,
        "volume": told | {"quota_file": str(volumes.note_quota(datastore))},
    }


def note_writing() -> None:
    """Volumes that running jobs may be writing are measured now and then."""
    rows = Mount.objects.filter(writes=True, job__state__in=ACTIVE)
    volumes.note_written(rows.values("datastore"), older=MEASURED_EVERY)


def users_of(datastore: Datastore, by: "User | RoleHolder") -> list[Use]:
    """The jobs that have not ended and have something of it, as far as `by` may see them."""
    rows = Mount.objects.filter(datastore=datastore, job__state__in=UNFINISHED)
    writing = set(rows.filter(writes=True).values_list("job", flat=True))
    jobs = Job.objects.for_programs().filter(pk__in=rows.values("job")).order_by("created_at", "id")
    seen = set(jobs.order_by().visible_to(by).values_list("pk", flat=True))
    return [_use(job, datastore, writes=job.pk in writing, seen=job.pk in seen) for job in jobs]


def _use(job: Job, datastore: Datastore, *, writes: bool, seen: bool) -> Use:
    """What is told of a job: of one that is not to be seen, that it is there."""
    if seen:
        return Use(job.urn, f"job {job.name}", writes, job.created_by, job.by_role, job)
    near = job.project_id == datastore.project_id
    return Use("", "a job of others" if near else "a job of another project", writes)
