"""What versions consist of, for programs: folders, files, packs, archives, differences."""

import json
from itertools import islice
from typing import Any, Final, Literal

from asgiref.sync import sync_to_async
from django.http import Http404, HttpResponseBase, StreamingHttpResponse
from ninja import Field, Query, Router

import access
from accounts.downloads import NOTHING_SHOWN, one_by_one
from api.callers import ApiRequest
from api.lists import In, Listed, Out, Paging
from api.problems import invalid
from api.replays import each_time
from datastores import compare, content_answers, contents, faults, listings, paths, uploads
from datastores.content_answers import in_files
from datastores.manifests import Entry
from datastores.models import Version
from datastores.shown import datastore_for, version_of
from datastores.transfer import upload_for

router = Router(tags=["data"])

VERSION: Final = "/datastores/{datastore}/versions/{version}"
FILE: Final = VERSION + "/files/{path:path}"
PACK_OUT: Final = 64 * 2**20  # bytes of the files of one pack
FILES_OUT: Final = 2000
LINES: Final = "application/x-ndjson"


def _media(kind: str, said: str) -> dict[str, Any]:
    return {"description": said, "content": {kind: {"schema": {"type": "string", "format": "binary"}}}}


def answers(said: str, *kinds: str) -> dict[str, Any]:
    """For the document: what is answered is bytes of one of these kinds."""
    both = [_media(kind, said)["content"] for kind in kinds]
    return {
        "responses": {200: {"description": said, "content": {name: one for kind in both for name, one in kind.items()}}}
    }


PARTS: Final = {
    "responses": {
        200: _media("application/octet-stream", "The file"),
        206: _media("application/octet-stream", "The range that Range asks for"),
    }
}


class ContentOut(Out):
    """What lies in a folder: a file, or a folder with so many `files` below it, which have so many bytes. `sha256` and `mode` (420 or
    493) are a file's, else null."""

    name: str
    kind: Literal["file", "directory"]
    size: int
    files: int
    sha256: str | None
    mode: int | None


class ChangeOut(Out):
    """A file that is not the same in two versions; a size is null where it is not there."""

    path: str
    change: Literal["added", "removed", "changed"]
    old_size: int | None
    new_size: int | None


class DoubtOut(Out):
    """How a file of a version is on the server: `whole`, or `missing` or `damaged`, which a push of a folder that has it heals; `later`: it
    is large, or others are being looked at, so ask again in a while."""

    path: str
    state: Literal["whole", "missing", "damaged", "later"]


class PackIn(In):
    """Which files, by their paths."""

    paths: list[str] = Field(min_length=1, max_length=FILES_OUT)


def position(cursor: str, *, text: bool = True) -> bytes:
    """Where a page of a list begins. What is in a version is `text`, what is in a volume may have a name that is none."""
    try:
        key = listings.position(cursor)
        if text:
            key.decode()
        return key
    except ValueError:
        raise invalid([("cursor", "is none of this list: take `next` of another page of it")]) from None


def _version(request: ApiRequest, datastore: str, version: str) -> Version:
    return version_of(datastore_for(request, datastore, "get"), version)


class ContentPaging(Paging):
    """Which page of a list; a cursor can be as long as a path."""

    cursor: str = Field("", max_length=6000, description="`next` of another page; empty for the first")


@router.get(f"{VERSION}/content", response=Listed[ContentOut])
@access.route("dataset:get")
def list_content(
    request: ApiRequest,
    datastore: str,
    version: str,
    paging: Query[ContentPaging],
    path: str = Query("", max_length=4096),
) -> dict[str, Any]:
    """What lies in a folder of a version; without `path` in the whole."""
    found, folder = _version(request, datastore, version), paths.clean_folder(path)
    with listings.opened(listings.of(found)) as listing:
        start, end = listing.folder(folder)
        if start == end:
            raise Http404
        children = listing.children(folder, after=position(paging.cursor))
        shown = list(islice(children, paging.limit + 1))
    more, shown = len(shown) > paging.limit, shown[: paging.limit]
    following = listings.cursor_of(shown[-1].key) if more else None
    return {"items": [_show(one) for one in shown], "next": following, "previous": None}


def _show(child: listings.Child) -> dict[str, Any]:
    file = child.entry
    kind = {"kind": "file" if file else "directory", "sha256": file.sha256 if file else None}
    more = {"mode": file.mode if file else None}
    return {"name": child.name, "size": child.size, "files": child.files} | kind | more


@router.get("/datastores/{datastore}/compare", response=Listed[ChangeOut])
@access.route("dataset:get")
def compare_versions(
    request: ApiRequest,
    datastore: str,
    paging: Query[ContentPaging],
    old: str = Query(max_length=10),
    new: str = Query("latest", max_length=10),
) -> dict[str, Any]:
    """Which files differ between two versions, by path."""
    found = datastore_for(request, datastore, "get")
    before, now = version_of(found, old), version_of(found, new)
    after = position(paging.cursor).decode()
    with listings.opened(listings.of(before)) as first, listings.opened(listings.of(now)) as second:
        shown = list(islice(compare.changes(first, second, after=after), paging.limit + 1))
    more, shown = len(shown) > paging.limit, shown[: paging.limit]
    following = listings.cursor_of(shown[-1].path.encode()) if more else None
    names = ("path", "change", "old_size", "new_size")
    return {
        "items": [{name: getattr(one, name) for name in names} for one in shown],
        "next": following,
        "previous": None,
    }


# Bytes


@sync_to_async
def _there(request: ApiRequest, datastore: str, version: str) -> Version:
    return _version(request, datastore, version)


@router.get(f"{VERSION}/manifest", openapi_extra=answers("The manifest: a line of JSON for each file", LINES))
@access.route("dataset:get")
async def get_manifest(request: ApiRequest, datastore: str, version: str) -> HttpResponseBase:
    """The manifest of a version: `{"path", "sha256", "size", "mode"}` for each file, a line each.

    Its SHA-256 is the digest, and the ETag."""
    found = await _there(request, datastore, version)
    place = await in_files(listings.of)(found)
    size = str((await in_files(place.stat)()).st_size)
    pieces = contents.manifest(found)
    return content_answers.stream(request, found, pieces, LINES, ETag=f'"{found.digest}"', Content_Length=size)


@router.get(FILE, openapi_extra=PARTS)
@access.route("dataset:get")
async def get_file(request: ApiRequest, datastore: str, version: str, path: str) -> HttpResponseBase:
    """A file of a version, or the Range of it that is asked for."""
    return await content_answers.file(request, await _there(request, datastore, version), path)


@router.api_operation(["HEAD"], FILE)
@access.route("dataset:get")
async def head_file(request: ApiRequest, datastore: str, version: str, path: str) -> HttpResponseBase:
    """How long a file of a version is."""
    return await content_answers.file(request, await _there(request, datastore, version), path)


@router.post(f"{VERSION}/pack", openapi_extra=answers("The pack", "application/octet-stream"))
@access.route("dataset:get")
async def get_pack(request: ApiRequest, datastore: str, version: str, data: PackIn) -> HttpResponseBase:
    """Many small files at once, at most 64 MiB: of each its SHA-256 (32 bytes), its size (8 bytes, big-endian) and its content, in the
    order of the paths."""
    found = await _there(request, datastore, version)
    entries = await in_files(_entries)(found, data.paths)
    length = sum(entry.size + uploads.RECORD.size for entry in entries)
    if length > PACK_OUT:
        raise invalid([("paths", f"are {length:,} bytes, of {PACK_OUT:,} in a pack")])
    pieces = contents.gathered(contents.packed(found.datastore.project_id, entries))
    return content_answers.stream(request, found, pieces, "application/octet-stream", Content_Length=str(length))


@router.post(f"{VERSION}/doubts", response=list[DoubtOut])
@access.route("dataset:get")
@each_time
def doubt_files(request: ApiRequest, datastore: str, version: str, data: PackIn) -> list[dict[str, str]]:
    """Has the server compare files with their hashes, because they arrived damaged, or not at all."""
    found = _version(request, datastore, version)
    return [{"path": one.path, "state": state} for one, state in faults.doubted(found, _listed(found, data.paths))]


def _entries(version: Version, wanted: list[str]) -> list[Entry]:
    entries = _listed(version, wanted)
    for entry in entries:
        contents.check_there(version.datastore.project_id, entry)
    return entries


def _listed(version: Version, wanted: list[str]) -> list[Entry]:
    with listings.opened(listings.of(version)) as listing:
        found = {path: listing.find(path) if paths.is_clean(path) else None for path in wanted}
    if unknown := [place for place, path in enumerate(wanted) if found[path] is None]:
        raise invalid((f"paths.{place}", "is no file of this version") for place in unknown[:10])
    return [entry for path in wanted if (entry := found[path])]


@router.get(f"{VERSION}/archive", openapi_extra=answers("The archive", *contents.FORMATS.values()))
@access.route("dataset:get")
async def get_archive(
    request: ApiRequest,
    datastore: str,
    version: str,
    path: str = Query("", max_length=4096),
    kind: Literal["tar", "zip"] = Query("tar", alias="format"),
) -> HttpResponseBase:
    """All that is in a version, or in a folder of it, as one archive; its paths begin in that folder."""
    found, folder = await _there(request, datastore, version), paths.clean_folder(path)
    return await content_answers.archive(request, found, folder, kind)


@router.get("/uploads/{upload}/missing", openapi_extra=answers("What lacks: a line of JSON for each blob", LINES))
@access.route("dataset:get")
async def get_missing(request: ApiRequest, upload: str) -> HttpResponseBase:
    """What the server still lacks of an upload: `{"sha256", "size", "received"}` for each blob, a line each."""
    found = await sync_to_async(upload_for)(upload, request.user)
    await in_files(uploads.Wanted)(found)  # what is wrong is said before the answer begins
    lines = (
        json.dumps({"sha256": one.sha256, "size": one.size, "received": one.received}).encode() + b"\n"
        for one in uploads.lacking(found)
    )
    return StreamingHttpResponse(one_by_one(contents.gathered(lines)), content_type=LINES, headers=NOTHING_SHOWN)
