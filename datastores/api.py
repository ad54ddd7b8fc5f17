"""What programs do with datasets, models and volumes. What comes in as bytes is in datastores.transfer, what goes out in
datastores.content_api and, of volumes, in datastores.volume_api."""

from typing import Any, Literal

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from ninja import Field, Query, Router, Schema, Status

import access
import datastores.problems  # noqa: F401 - it says what goes wrong here
from api import etags, lists
from api.callers import ApiRequest
from api.lists import ByName, In, Listed, Sorted
from datastores import actions, content_api, import_api, imports, volume_api, volumes
from datastores.kinds import Kind
from datastores.models import Datastore
from datastores.querysets import DatastoreQuerySet
from datastores.shown import DatastoreOut, VersionOut, datastore_for, show_datastores, show_version, tag_of, version_of
from datastores.transfer import upload_for
from projects.api import project_for

router = Router(tags=["data"])
router.add_router("", content_api.router)
router.add_router("", import_api.router)
router.add_router("", volume_api.router)


class DatastoreFilter(Schema):
    """Which datastores: of a `project` (its id), of a `kind`, `mine` (or those of others), with just this name; `q` is looked for in
    names and descriptions."""

    project: str | None = Field(None, max_length=16)
    kind: Kind | None = None
    q: str = Field("", max_length=100)
    name: str | None = Field(None, max_length=100)
    mine: bool | None = None


class DatastoreIn(In):
    """A new dataset, model or volume; `description` is Markdown. `quota`: bytes that a volume may have, else as many as the server's
    setting says. Of a dataset or model: the `address` (https://, s3://, gs://) from which the server fetches its first version, the name of
    the project's `key` that opens it where one is needed, and whether an archive is to be unpacked."""

    kind: Literal["dataset", "model", "volume"]
    name: str = Field(max_length=100)
    description: str = Field("", max_length=20_000)
    quota: int | None = Field(None, ge=1, le=volumes.LARGEST)
    address: str = Field("", max_length=4096)
    key: str = Field("", max_length=60)
    unpack: bool = True


class DatastoreEdit(In):
    """What is changed; what is left out stays. `quota` is a volume's. `project` can only be the one that it is in: nothing moves between
    projects."""

    name: str | None = Field(None, max_length=100)
    description: str | None = Field(None, max_length=20_000)
    quota: int | None = Field(None, ge=1, le=volumes.LARGEST)
    project: str | None = Field(None, max_length=400)


class CommitIn(In):
    """What is said of a new version."""

    note: str = Field("", max_length=1000)


# A route names the action of datasets; of a model, its own is asked for: `datastore_for`.


@router.get("/datastores", response=Listed[DatastoreOut])
@access.route("dataset:get")
def list_datastores(request: ApiRequest, where: Query[DatastoreFilter], paging: Query[ByName]) -> dict[str, Any]:
    """The datasets, models and volumes that one may read, by name."""
    by = request.user
    found = _filtered(Datastore.objects.present().visible_to(by), where, by)
    return lists.page(
        found,
        paging,
        lambda one: one,
        order=paging.by("name"),
        read=DatastoreQuerySet.for_programs,
        prepare=lambda rows: show_datastores(rows, by),
    )


def _filtered(datastores: Any, where: DatastoreFilter, by: Any) -> QuerySet[Datastore]:
    exactly = {"project": where.project, "kind": where.kind, "name": where.name}
    found = datastores.filter(**{name: value for name, value in exactly.items() if value is not None})
    if where.mine is not None:
        found = found.made_by(by, others=not where.mine)
    return found.matching(where.q) if where.q else found


@router.post("/projects/{project}/datastores", response={201: DatastoreOut})
@access.route("dataset:new")
def new_datastore(request: ApiRequest, project: str, data: DatastoreIn, response: HttpResponse) -> Status:
    """Creates a dataset or a model, without versions, or an empty volume. With an address the server fetches the first version: see the
    imports of what was made. Where that cannot begin, nothing is created."""
    found = project_for(request, project, f"{actions.check_kind(data.kind)}:new")
    made = imports.create(project=found, by=request.user, **data.dict())
    return Status(201, _told(request, made, response))


@router.get("/datastores/{datastore}", response=DatastoreOut)
@access.route("dataset:get")
def get_datastore(request: ApiRequest, datastore: str, response: HttpResponse) -> dict[str, Any]:
    """A dataset, a model or a volume."""
    return _told(request, datastore_for(request, datastore, "get"), response)


@router.patch("/datastores/{datastore}", response=DatastoreOut)
@access.route("dataset:set")
def set_datastore(request: ApiRequest, datastore: str, data: DatastoreEdit, response: HttpResponse) -> dict[str, Any]:
    """Renames or describes a dataset, a model or a volume, or gives a volume another quota."""
    with transaction.atomic():
        found = _locked(request, datastore, "set")
        actions.check_stays(found, data.project)
        actions.edit(datastore=found, by=request.user, **data.dict(exclude={"project"}))
    return _told(request, found, response)


@router.delete("/datastores/{datastore}", response={204: None})
@access.route("dataset:rm")
def remove_datastore(request: ApiRequest, datastore: str) -> Status:
    """Removes a dataset or a model with all its versions, or a volume with its content, for good; refused while something uses it."""
    with transaction.atomic():
        actions.remove(datastore=_locked(request, datastore, "rm"), by=request.user)
    return Status(204, None)


def _locked(request: ApiRequest, datastore: str, verb: str) -> Datastore:
    """The datastore, to be changed in this transaction; in the state that If-Match says."""
    found = datastore_for(request, datastore, verb)
    etags.check(request, tag_of(Datastore.objects.select_for_update().get(pk=found.pk)))
    return found


def _told(request: ApiRequest, datastore: Datastore, response: HttpResponse) -> dict[str, Any]:
    etags.tell(response, tag_of(datastore))
    return show_datastores([datastore], request.user)[0]


class ByNumber(Sorted):
    sort: Literal["number", "-number"] = "-number"


@router.get("/datastores/{datastore}/versions", response=Listed[VersionOut])
@access.route("dataset:get")
def list_versions(request: ApiRequest, datastore: str, paging: Query[ByNumber]) -> dict[str, Any]:
    """The versions of a dataset or model, newest first."""
    rows = datastore_for(request, datastore, "get").versions.all()
    show = lambda one: show_version(one, request.user)  # noqa: E731 - said once
    return lists.page(
        rows, paging, show, order=paging.by("number"), read=lambda found: found.select_related("created_by")
    )


@router.get("/datastores/{datastore}/versions/{version}", response=VersionOut)
@access.route("dataset:get")
def get_version(request: ApiRequest, datastore: str, version: str) -> dict[str, Any]:
    """A version, by its number or as `latest`."""
    return show_version(version_of(datastore_for(request, datastore, "get"), version), request.user)


@router.post("/uploads/{upload}/commit", response={200: VersionOut, 201: VersionOut, 204: None})
@access.route("dataset:set")
def commit_upload(request: ApiRequest, upload: str, data: CommitIn) -> Status:
    """Makes a version of an upload that is here whole; answers 200 and the latest version where that is the same.

    An upload to a volume is put into its place there, in the stead of files that are there: 204. Interrupted, it goes on when asked
    again."""
    found = upload_for(upload, request.user)
    if found.datastore.kind == Kind.VOLUME:
        actions.lay_out(upload=found, by=request.user)
        return Status(204, None)
    version, new = actions.commit(upload=found, note=data.note, by=request.user)
    return Status(201 if new else 200, show_version(version, request.user))


@router.delete("/uploads/{upload}", response={204: None})
@access.route("dataset:get")
def abandon_upload(request: ApiRequest, upload: str) -> Status:
    """Ends an upload without a version; what has arrived of it goes."""
    actions.abandon(upload=upload_for(upload, request.user), by=request.user)
    return Status(204, None)
