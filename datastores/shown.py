"""Datasets and models as programs see them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from django.http import Http404

import access
from accounts.api import UserOut, show_user
from accounts.requests import UserRequest
from api import etags
from api.callers import ApiRequest
from api.lists import Out
from datastores.errors import User
from datastores.models import Datastore, Version
from projects.api import ProjectRef, show_refs

NUMBERED = "latest"


class VersionOut(Out):
    """What a dataset or model consists of, for good: `digest` is the SHA-256 of its manifest, `files` how many it has, `bytes` how
    large they are. `by_role`: the role whose key made it, then nobody created it."""

    number: int
    digest: str
    files: int
    bytes: int
    note: str
    created_by: UserOut | None
    by_role: str | None
    created_at: datetime
    mine: bool


class DatastoreOut(Out):
    """A dataset or a model, with its newest version, or a volume; `description` is Markdown. `mine`: who asks has created it.

    Of a volume alone: `quota`, the bytes that it may have; `used`, the bytes of the disk that it has, and `files`, how many, as last
    measured."""

    id: str
    urn: str
    project: ProjectRef
    kind: Literal["dataset", "model", "volume"]
    name: str
    description: str
    created_by: UserOut | None
    by_role: str | None
    created_at: datetime
    latest: VersionOut | None
    quota: int | None
    used: int | None
    files: int | None
    mine: bool


class DatastoreUserOut(Out):
    """What uses a datastore now: a job, by its URN, and whether it writes there; who submitted it, a person or the key of a role
    (`by_role`), and its state. Of one that may not be seen only that it is there, and whether it writes."""

    urn: str | None
    name: str
    writes: bool
    created_by: UserOut | None
    by_role: str | None
    state: str | None


def datastore_for(request: ApiRequest | UserRequest, datastore: str, verb: str, **where: str) -> Datastore:
    """The datastore with this id, when who asks may do this to it; `where`: what else is known of it."""
    found = Datastore.objects.present().for_programs().filter(pk=datastore, **where).first()
    if found is None:
        raise Http404
    access.require(request.user, f"{found.kind}:{verb}", found)
    return found


def version_of(datastore: Datastore, version: str) -> Version:
    """A version by its number, or the latest one. Raises Http404."""
    rows = datastore.versions.select_related("created_by").order_by("-number")
    if version != NUMBERED:
        rows = rows.filter(number=int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0)
    found = rows.first()
    if found is None:
        raise Http404
    found.datastore = datastore
    return found


def show_datastores(datastores: Sequence[Datastore], by: Any) -> list[dict[str, Any]]:
    """Datastores for an answer to `by`, as `for_programs` reads them; a constant number of queries."""
    refs = show_refs(one.project for one in datastores)
    latest = Version.objects.latest_of(datastores)
    return [_show(one, by, refs[one.project_id], latest.get(one.pk)) for one in datastores]


def _show(one: Datastore, by: Any, project: dict[str, str], latest: Version | None) -> dict[str, Any]:
    names = ("id", "urn", "kind", "name", "description", "created_at", "quota", "used", "files")
    plain = {name: getattr(one, name) for name in names}
    return plain | _maker(one, by) | {"project": project, "latest": show_version(latest, by) if latest else None}


def show_version(version: Version, by: Any) -> dict[str, Any]:
    """A version; who made it comes with it."""
    names = ("number", "digest", "files", "bytes", "note", "created_at")
    return {name: getattr(version, name) for name in names} | _maker(version, by)


def _maker(made: Any, by: Any) -> dict[str, Any]:
    who = show_user(made.created_by, by) if made.created_by else None
    return {"created_by": who, "by_role": made.by_role or None, "mine": made.made_by(by)}


def show_use(use: User, by: Any) -> dict[str, Any]:
    """What uses it, for an answer to `by`."""
    return {
        "urn": use.urn or None,
        "name": use.name,
        "writes": use.writes,
        "created_by": show_user(use.created_by, by) if use.created_by else None,
        "by_role": use.by_role or None,
        "state": use.state or None,
    }


def tag_of(datastore: Datastore) -> str:
    """What names the state of what can be edited of it."""
    return etags.tag_of(datastore.pk, datastore.changed_at)
