"""What the pages of datasets and models show."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from django.http import Http404
from django.urls import reverse

from datastores import compare, imports, listings, previews
from datastores.listings import Child
from datastores.manifests import Entry
from datastores.models import Datastore, Upload, Version
from datastores.querysets import made_by

CHILDREN: Final = 200  # of a folder on one page
CHANGES: Final = 200
VERSIONS: Final = 50  # in the list beside a version
COMPARED: Final = 5  # versions that are offered for comparison


def rows_of(datastores: list[Datastore]) -> list[Datastore]:
    """Datastores with their newest version as `latest`, None where there is none; one query."""
    latest = Version.objects.latest_of(datastores)
    for one in datastores:
        one.latest = latest.get(one.pk)
    return datastores


def begun(datastore: Datastore, by: Any) -> list[Upload]:
    """What somebody has begun to upload to it and not ended, the newest first."""
    return list(datastore.uploads.filter(made_by(by)).order_by("-created_at", "pk"))


def imports_context(datastore: Datastore) -> dict[str, Any]:
    """What is fetched for it, and the newest version there is meanwhile, 0 for none."""
    latest = datastore.versions.order_by("-number").values_list("number", flat=True).first()
    return {"imports": imports.shown(datastore), "latest": latest or 0}


def version_context(datastore: Datastore, version: Version, folder: str, cursor: str) -> dict[str, Any]:
    """A folder of a version. Raises Http404 where there is none."""
    with listings.opened(listings.of(version)) as listing:
        start, end = listing.folder(folder)
        if start == end:
            raise Http404
        children = list(islice(listing.children(folder, after=position(cursor)), CHILDREN + 1))
        here = {"files": end - start, "bytes": listing.bytes_of(start, end)}
    more, children = len(children) > CHILDREN, children[:CHILDREN]
    address = address_of(version, "version")
    return {
        "folder": folder,
        "crumbs": list(crumbs(address, folder)),
        "children": [_shown(child, version, folder) for child in children],
        "here": here,
        "older": f"{address}?{urlencode({'path': folder, 'page': listings.cursor_of(children[-1].key)})}"
        if more
        else "",
        "newer": "",
        "first": folder_address(address, folder) if cursor else "",
        "versions": list(datastore.versions.select_related("created_by").order_by("-number")[:VERSIONS]),
    }


def address_of(version: Version, page: str, **more: str) -> str:
    """The address of a page about a version."""
    datastore = version.datastore
    named = {"slug": datastore.project.slug, "datastore_id": datastore.pk, "number": version.number}
    return reverse(f"datastores:{page}", kwargs=named | more)


def folder_address(address: str, folder: str) -> str:
    """Of a page about a folder, "" is the whole."""
    return f"{address}?{urlencode({'path': folder})}" if folder else address


def crumbs(address: str, path: str) -> Iterator[tuple[str, str]]:
    """The folders above something and itself: (name, address)."""
    parts = path.split("/") if path else []
    for depth, name in enumerate(parts, 1):
        yield name, folder_address(address, "/".join(parts[:depth]))


def _shown(child: Child, version: Version, folder: str) -> dict[str, Any]:
    path = f"{folder}/{child.name}" if folder else child.name
    if child.entry:
        return {"name": child.name, "size": child.size, "url": address_of(version, "show", path=path)} | {
            "download": address_of(version, "file", path=path),
            "executable": child.entry.mode == 0o755,
        }
    address = address_of(version, "version")
    return {"name": child.name, "size": child.size, "files": child.files, "url": folder_address(address, path)}


def position(cursor: str) -> bytes:
    """Where a page begins; the beginning for what makes no sense."""
    try:
        return listings.position(cursor)
    except ValueError:
        return b""


def file_context(version: Version, entry: Entry, *, as_text: bool = False) -> dict[str, Any]:
    """A file of a version, and how it is shown. Raises blobs.Missing."""
    folder = entry.path.rpartition("/")[0]
    address = address_of(version, "version")
    return {
        "file": entry,
        "name": entry.path.rpartition("/")[2],
        "crumbs": list(crumbs(address, folder)),
        "back": folder_address(address, folder),
        "download": address_of(version, "file", path=entry.path),
    } | previews.preview(previews.of_version(version.datastore.project_id, entry), as_text=as_text)


def compare_context(old: Version, new: Version, after: str) -> dict[str, Any]:
    """What differs between two versions."""
    with listings.opened(listings.of(old)) as before, listings.opened(listings.of(new)) as now:
        start = position(after).decode(errors="replace")
        found = list(islice(compare.changes(before, now, after=start), CHANGES + 1))
    more, found = len(found) > CHANGES, found[:CHANGES]
    asked = {"old": old.number, "new": new.number}
    following = f"?{urlencode(asked | {'page': listings.cursor_of(found[-1].path.encode())})}" if more else ""
    return {"old": old, "new": new, "changes": found, "older": following, "newer": ""}
