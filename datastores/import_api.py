"""What programs do with versions that the server makes of what lies at an address."""

from datetime import datetime
from typing import Any, Literal

from django.http import Http404
from ninja import Field, Query, Router, Status

import access
from accounts.api import UserOut, show_user
from accounts.requests import UserRequest
from api.callers import ApiRequest
from api.lists import In, Listed, Newest, Out, page
from datastores import imports
from datastores.models import Import
from datastores.shown import datastore_for

router = Router(tags=["data"])


class ImportOut(Out):
    """A version that the server makes of what lies at an `address` (shown without what follows a question mark).

    `state`: waiting, fetching, unpacking, storing; then done, with the number of the `version`, failed or stopped. `files` and `bytes`:
    how much there is of what is being done now, null while nobody knows. `said`: why it failed or is tried again, or what was left out.
    """

    id: str
    datastore: str
    address: str
    key: str | None
    unpack: bool
    note: str
    state: Literal["waiting", "fetching", "unpacking", "storing", "done", "failed", "stopped"]
    files: int | None
    files_done: int
    bytes: int | None
    bytes_done: int
    said: str
    version: int | None
    created_by: UserOut | None
    by_role: str | None
    created_at: datetime
    ended_at: datetime | None


class ImportIn(In):
    """What a version is made of: an `address` (https://, s3://, gs://), the name of the project's `key` that opens it where one is needed,
    whether an archive is to be unpacked, and what is said of the version."""

    address: str = Field(max_length=4096)
    key: str = Field("", max_length=60)
    unpack: bool = True
    note: str = Field("", max_length=1000)


def show(row: Import, by: Any) -> dict[str, Any]:
    """For an answer."""
    same = (
        "id",
        "unpack",
        "note",
        "state",
        "files",
        "files_done",
        "bytes",
        "bytes_done",
        "said",
        "version",
        "created_at",
        "ended_at",
    )
    return {name: getattr(row, name) for name in same} | {
        "datastore": row.datastore_id,
        "address": row.shown_address,
        "key": row.key_name or None,
        "created_by": show_user(row.created_by, by) if row.created_by else None,
        "by_role": row.by_role or None,
    }


def import_for(request: ApiRequest | UserRequest, import_id: str, verb: str, **where: str) -> Import:
    """The import with this id, when who asks may do this to what it is for; `where`: what else is known of that."""
    row = Import.objects.select_related("created_by").filter(pk=import_id).first()
    if row is None:
        raise Http404
    row.datastore = datastore_for(request, row.datastore_id, verb, **where)
    return row


@router.post("/datastores/{datastore}/imports", response={201: ImportOut})
@access.route("dataset:set")
def new_import(request: ApiRequest, datastore: str, data: ImportIn) -> Status:
    """Has the server make a version of what lies at an address: a file, an archive, or all files in a folder of a bucket."""
    made = imports.start(datastore=datastore_for(request, datastore, "set"), by=request.user, **data.dict())
    return Status(201, show(made, request.user))


@router.get("/datastores/{datastore}/imports", response=Listed[ImportOut])
@access.route("dataset:get")
def list_imports(request: ApiRequest, datastore: str, paging: Query[Newest]) -> dict[str, Any]:
    """What the server has fetched, or fetches, for a dataset or model; newest first."""
    rows = datastore_for(request, datastore, "get").imports.all()
    told = lambda one: show(one, request.user)  # noqa: E731 - said once
    return page(
        rows, paging, told, order=paging.by("created_at"), read=lambda found: found.select_related("created_by")
    )


@router.get("/imports/{import_id}", response=ImportOut)
@access.route("dataset:get")
def get_import(request: ApiRequest, import_id: str) -> dict[str, Any]:
    """How far an import is, or what became of it."""
    return show(import_for(request, import_id, "get"), request.user)


@router.post("/imports/{import_id}/stop", response=ImportOut)
@access.route("dataset:set")
def stop_import(request: ApiRequest, import_id: str) -> dict[str, Any]:
    """Ends an import without a version; what has arrived goes. Of one that has ended nothing changes."""
    row = import_for(request, import_id, "set")
    imports.stop(row=row, by=request.user)
    return show(row, request.user)


@router.post("/imports/{import_id}/again", response=ImportOut)
@access.route("dataset:set")
def import_again(request: ApiRequest, import_id: str) -> dict[str, Any]:
    """Takes up an import that failed, where it was."""
    row = import_for(request, import_id, "set")
    imports.again(row=row, by=request.user)
    return show(row, request.user)
