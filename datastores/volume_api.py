"""What is in volumes, for programs: it is there to be changed, while jobs write it too."""

from datetime import datetime
from typing import Any, Literal

from asgiref.sync import sync_to_async
from django.http import HttpResponseBase
from ninja import Field, Query, Router, Status

import access
from api.callers import ApiRequest
from api.lists import In, Listed, Out
from compute import trees
from datastores import actions, contents, listings, paths, volume_answers, volume_contents, volumes
from datastores.content_api import LINES, PARTS, ContentPaging, PackIn, answers, position
from datastores.models import Datastore
from datastores.shown import DatastoreUserOut, datastore_for, show_use

router = Router(tags=["data"])

LOOKED_INTO = Query("", max_length=paths.LONGEST_TOLD)


class VolumeContentOut(Out):
    """What lies in a folder of a volume: a file, a folder (`directory`), a link, which nobody here follows, or something other: a FIFO, a
    socket. `size`, `mode` (420 or 493) and `modified_ns` are a file's: the last says the time of `modified` in nanoseconds since 1970, by
    which a program knows later whether it was written since; null where it cannot, as the file was written a moment ago and what is
    written next may bear the same time. In a name each byte that is no UTF-8, or of a control character, is `\\x` and two digits, as in
    `\\xe9` and `\\x0a`; so is a backslash before what would read as one of these, `\\x5c`. Every `path` of a volume is told and asked
    for in these words."""

    name: str
    kind: Literal["file", "directory", "link", "other"]
    size: int
    mode: int | None
    modified: datetime
    modified_ns: int | None


class FolderIn(In):
    """A folder of a volume, by its path."""

    path: str = Field(min_length=1, max_length=paths.LONGEST_TOLD)


class FolderOut(Out):
    """A folder of a volume."""

    path: str


def _volume(request: ApiRequest, datastore: str, verb: str) -> Datastore:
    found = datastore_for(request, datastore, verb)
    volumes.check_is(found)
    return found


_there = sync_to_async(_volume)


def _folder(path: str) -> str:
    return paths.clean_there(path) if path not in {"", "."} else ""


@router.get("/datastores/{datastore}/content", response=Listed[VolumeContentOut])
@access.route("dataset:get")
def list_volume(
    request: ApiRequest, datastore: str, paging: Query[ContentPaging], path: str = LOOKED_INTO
) -> dict[str, Any]:
    """What lies in a folder of a volume; without `path` in the whole. By name."""
    found = _volume(request, datastore, "get")
    volumes.root_of(found)
    after = position(paging.cursor, text=False)
    children, last = trees.children(volumes.place_of(found), _folder(path), after=after, limit=paging.limit)
    following = listings.cursor_of(last) if last else None
    items = [{"name": paths.told(one.path)} | volume_contents.shown(one) for one in children]
    return {"items": items, "next": following, "previous": None}


@router.delete("/datastores/{datastore}/content", response={204: None})
@access.route("dataset:set")
def remove_volume_content(
    request: ApiRequest, datastore: str, path: str = Query(max_length=paths.LONGEST_TOLD)
) -> Status:
    """Removes a file of a volume, or a folder with all that is in it; `.` is all content. That cannot be undone."""
    actions.remove_content(datastore=_volume(request, datastore, "set"), path=path, by=request.user)
    return Status(204, None)


@router.post("/datastores/{datastore}/folders", response={201: FolderOut})
@access.route("dataset:set")
def new_folder(request: ApiRequest, datastore: str, data: FolderIn) -> Status:
    """Makes a folder in a volume, with those above it; one that is there stays as it is."""
    actions.make_folder(datastore=_volume(request, datastore, "set"), path=data.path, by=request.user)
    return Status(201, {"path": data.path})


@router.get("/datastores/{datastore}/users", response=list[DatastoreUserOut])
@access.route("dataset:get")
def list_users_of(request: ApiRequest, datastore: str) -> list[dict[str, Any]]:
    """What uses a dataset, a model or a volume now, and keeps it from being removed: jobs that have not ended."""
    found = datastore_for(request, datastore, "get")
    return [show_use(one, request.user) for one in actions.users_of(found, by=request.user)]


# Bytes

FILE = "/datastores/{datastore}/files/{path:path}"


@router.get(FILE, openapi_extra=PARTS)
@access.route("dataset:get")
async def get_volume_file(request: ApiRequest, datastore: str, path: str) -> HttpResponseBase:
    """A file of a volume, or the Range of it that is asked for. Where a job writes it anew meanwhile, otherwise than to add to its end, the
    connection breaks; its ETag is another one then. One that was written a moment ago has a weak ETag: what is written next may leave it as
    it is, and If-Range does not go by it."""
    return await volume_answers.file(request, await _there(request, datastore, "get"), paths.clean_there(path))


@router.api_operation(["HEAD"], FILE)
@access.route("dataset:get")
async def head_volume_file(request: ApiRequest, datastore: str, path: str) -> HttpResponseBase:
    """How long a file of a volume is."""
    return await volume_answers.file(request, await _there(request, datastore, "get"), paths.clean_there(path))


@router.get("/datastores/{datastore}/listing", openapi_extra=answers("What there is: a line of JSON each", LINES))
@access.route("dataset:get")
async def get_listing(request: ApiRequest, datastore: str, path: str = LOOKED_INTO) -> HttpResponseBase:
    """All that is in a volume, or below a folder of it: `{"path", "kind", "size", "mode", "modified", "modified_ns"}` for each, a
    line each, in no order."""
    found = await _there(request, datastore, "get")
    return await volume_answers.listing(request, found, _folder(path))


@router.post("/datastores/{datastore}/pack", openapi_extra=answers("The pack", "application/octet-stream"))
@access.route("dataset:get")
async def get_volume_pack(request: ApiRequest, datastore: str, data: PackIn) -> HttpResponseBase:
    """Many small files of a volume at once: of each its SHA-256 (32 bytes), its size (8 bytes, big-endian) and its content, in the order of
    the paths. For what is not there, is no file, has more than a MiB or is being written anew: 32 zero bytes and the largest number,
    without content."""
    found = await _there(request, datastore, "get")
    return await volume_answers.pack(request, found, [paths.clean_there(path) for path in data.paths])


@router.get("/datastores/{datastore}/archive", openapi_extra=answers("The archive", *contents.FORMATS.values()))
@access.route("dataset:get")
async def get_volume_archive(
    request: ApiRequest,
    datastore: str,
    path: str = LOOKED_INTO,
    kind: Literal["tar", "zip"] = Query("tar", alias="format"),
) -> HttpResponseBase:
    """All files of a volume, or of a folder of it, as one archive; its paths begin in that folder. Links are left out."""
    return await volume_answers.archive(request, await _there(request, datastore, "get"), _folder(path), kind)
