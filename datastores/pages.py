"""What the pages of datasets and models show."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from django.http import Http404
from django.urls import reverse

from accounts.paging import Order, Page, cursor_of, paged
from datastores import blobs, compare, contents, faults, imports, listings, previews
from datastores.listings import Child
from datastores.manifests import Entry
from datastores.models import Datastore, Upload, Version
from datastores.querysets import made_by

BY_NUMBER: Final = Order("number")
CHILDREN: Final = 200  # of a folder on one page
CHANGES: Final = 200
BESIDE: Final = 50  # versions, in the list beside one
NAMED: Final = 20  # files of a version that are lost
OFFERED: Final = 50  # versions, for comparison; any other can be typed


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


def versions_beside(datastore: Datastore, version: Version, cursor: str) -> Page[Version]:
    """The versions of a page's list: without a cursor the newest, or where this one is not among those, from it on."""
    rows = datastore.versions.all()
    if not cursor and rows.filter(number__gt=version.number).count() >= BESIDE:
        cursor = cursor_of(version.number + 1, version.pk, "o")
    return paged(rows, cursor, order=BY_NUMBER, size=BESIDE)


def version_context(datastore: Datastore, version: Version, folder: str, cursor: str) -> dict[str, Any]:
    """A folder of a version. Raises Http404 where there is none, blobs.Missing."""
    with listings.opened(listings.of(version)) as listing:
        start, end = listing.folder(folder)
        if start == end:
            raise Http404
        children = list(islice(listing.children(folder, after=position(cursor)), CHILDREN + 1))
        here = {"files": end - start, "bytes": listing.bytes_of(start, end)}
        faulty = list(faults.in_version(version, listing))
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
        "faulty": faulty[:NAMED],
        "more_faulty": len(faulty[NAMED:]),
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
    """A file of a version, and how it is shown; `fault`: what is known to be wrong with it, `lost`: so that nothing is shown."""
    folder = entry.path.rpartition("/")[0]
    address = address_of(version, "version")
    context = {
        "file": entry,
        "name": entry.path.rpartition("/")[2],
        "crumbs": list(crumbs(address, folder)),
        "back": folder_address(address, folder),
        "download": address_of(version, "file", path=entry.path),
        "fault": faults.of_project(version.datastore.project_id).get(bytes.fromhex(entry.sha256), ""),
    }
    try:
        contents.check_there(version.datastore.project_id, entry)
        return context | previews.preview(previews.of_version(version.datastore.project_id, entry), as_text=as_text)
    except blobs.Missing:
        return context | {"fault": context["fault"] or "missing or damaged", "lost": True}


def compared_context(datastore: Datastore, old: int | None, new: int | None, after: str) -> dict[str, Any]:
    """Two versions, and what differs between them. Without numbers the latest is compared, and with the one before it.

    `absent`: a number that no version has; `versions`: the newest; `offered`: these and the two."""
    rows = datastore.versions.order_by("-number")
    numbers = list(rows.values_list("number", flat=True)[:OFFERED])
    context: dict[str, Any] = {"versions": numbers}
    if len(numbers) < 2:
        return context
    new = new if new is not None else numbers[0]
    before = rows.filter(number__lt=new).values_list("number", flat=True).first()
    old = old if old is not None else before or numbers[-1]
    found = {one.number: one for one in rows.filter(number__in=(old, new))}
    context |= {
        "asked": {"old": old, "new": new},
        "absent": next((one for one in (old, new) if one not in found), None),
    }
    context["offered"] = sorted({*numbers, *found}, reverse=True)
    if context["absent"] is None:
        for one in found.values():
            one.datastore = datastore
        context |= compare_context(found[old], found[new], after)
    return context


def compare_context(old: Version, new: Version, after: str) -> dict[str, Any]:
    """What differs between two versions; `lost` where a list of files is."""
    try:
        return {"old": old, "new": new} | _changes(old, new, after)
    except blobs.Missing:
        return {"old": old, "new": new, "lost": True}


def _changes(old: Version, new: Version, after: str) -> dict[str, Any]:
    with listings.opened(listings.of(old)) as before, listings.opened(listings.of(new)) as now:
        start = position(after).decode(errors="replace")
        found = list(islice(compare.changes(before, now, after=start), CHANGES + 1))
    more, found = len(found) > CHANGES, found[:CHANGES]
    asked = {"old": old.number, "new": new.number}
    following = f"?{urlencode(asked | {'page': listings.cursor_of(found[-1].path.encode())})}" if more else ""
    return {"changes": found, "older": following, "newer": "", "first": f"?{urlencode(asked)}" if after else ""}
