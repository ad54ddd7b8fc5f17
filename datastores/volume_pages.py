"""What the pages of volumes show. Folders and paths come in as the disk has them, and stand in pages and addresses as they are told."""

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from compute import trees
from datastores import actions, listings, pages, paths, previews, volume_contents, volumes
from datastores.models import Datastore

WARNED = 0.9  # of the quota: from there on it is said


def address_of(datastore: Datastore, folder: str) -> str:
    """The address of the page about a folder of a volume, "" is the whole."""
    whole = reverse("datastores:detail", args=[datastore.project.slug, datastore.pk])
    return pages.folder_address(whole, paths.told(folder))


def context(datastore: Datastore, folder: str, cursor: str, by: Any) -> dict[str, Any]:
    """A folder of a volume, and what there is to know of the whole. Raises trees.NotThere."""
    root = volumes.root_of(datastore)
    after = pages.position(cursor)
    found, last = trees.children(root, folder, after=after, limit=pages.CHILDREN)
    if datastore.measured_at is None:
        volumes.measure(datastore, volumes.SOON)
    address, told = address_of(datastore, ""), paths.told(folder)
    query = {"path": told} if folder else {}
    return {
        "folder": told,
        "takes": told == folder and (not folder or paths.is_clean(folder)),
        "coded": any(paths.told(name) != name for name in (folder, *(child.path for child in found))),
        "crumbs": list(pages.crumbs(address, told)),
        "bare": not (found or folder or cursor),
        "children": [_shown(datastore, folder, child) for child in found],
        "first": address_of(datastore, folder) if cursor else "",
        "older": f"{address}?{urlencode(query | {'page': listings.cursor_of(last)})}" if last else "",
        "uses": actions.users_of(datastore, by=by),
        "begun": pages.begun(datastore, by),
        **room(datastore),
    }


def room(datastore: Datastore) -> dict[str, Any]:
    """How much of a volume's quota is taken."""
    used, quota = datastore.used or 0, datastore.quota or volumes.LARGEST
    return {"taken": min(1.0, used / quota), "tight": used >= WARNED * quota, "full": volumes.is_full(datastore)}


def _shown(datastore: Datastore, folder: str, child: trees.Entry) -> dict[str, Any]:
    path = f"{folder}/{child.path}" if folder else child.path
    told = paths.told(path)
    shown = volume_contents.shown(child) | {"name": paths.told(child.path), "path": told, "url": ""}
    if child.kind == "directory":
        shown["url"] = address_of(datastore, path)
    elif child.kind == "file":
        shown["url"] = reverse("datastores:volume_show", args=[datastore.project.slug, datastore.pk, told])
    return shown | {"executable": shown["mode"] == volume_contents.PROGRAM}


def file_context(datastore: Datastore, path: str, *, as_text: bool) -> dict[str, Any]:
    """A file of a volume, and how it is shown. Raises trees.NotThere."""
    folder, _, name = path.rpartition("/")
    with trees.opened(volumes.place_of(datastore), path) as opened:
        seen = volume_contents.seen(path, opened)
        shown = previews.preview(seen, as_text=as_text)
    return {
        "file": seen,
        "name": paths.told(name),
        "crumbs": list(pages.crumbs(address_of(datastore, ""), paths.told(folder))),
        "back": address_of(datastore, folder),
        "download": reverse("datastores:volume_file", args=[datastore.project.slug, datastore.pk, paths.told(path)]),
    } | shown
