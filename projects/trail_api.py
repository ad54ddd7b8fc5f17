"""What programs read of a project's audit trail."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from django.http import HttpResponseBase
from django.utils import timezone
from ninja import Field, Query, Router, Schema

import access
from accounts import downloads
from api import lists
from api.callers import ApiRequest
from api.lists import Listed, Out, Sorted
from projects import trail
from projects.api import project_for
from projects.models import AuditEntry, Project

if TYPE_CHECKING:
    from projects.querysets import AuditQuerySet

router = Router(tags=["audit"])

JSON_LINES: Final = "application/jsonl"
LINES: Final = {200: {"description": "One entry in a line", "content": {JSON_LINES: {"schema": {"type": "string"}}}}}
NAMES: Final = ("action", "urn", "before", "after", "details", "address", "at")


class EntryOut(Out):
    """Who did what, when, and from where: `from` is page, api, admin, command or server, `by_id` empty for the server itself;
    `said` is the action in words. `mine`: it was who asks."""

    id: int
    at: datetime
    by: str
    by_id: str
    came_from: str = Field(alias="from")
    address: str
    action: str
    said: str
    urn: str
    before: Any = None
    after: Any = None
    details: Any = None
    mine: bool


class TrailFilter(Schema):
    """Which entries: of a person (the id; mlteam: the server itself), of an action, of days in UTC with both ends, with a text."""

    by: str = Field("", max_length=16)
    action: str = Field("", max_length=60)
    since: date | None = Field(None, alias="from")
    until: date | None = Field(None, alias="to")
    q: str = Field("", max_length=100)


def _entries(request: ApiRequest, project: str, where: TrailFilter) -> "tuple[Project, AuditQuerySet]":
    """The project, when who asks may see its trail, and what of that is asked for."""
    found = project_for(request, project, "project:get")
    access.require(request.user, trail.may_see(found), found)
    with timezone.override(UTC):
        return found, trail.filtered(AuditEntry.objects.of(found), where.dict())


def _shown(entry: AuditEntry, by: Any) -> dict[str, Any]:
    who = {"by": entry.by_name, "by_id": entry.by_id, "from": entry.origin, "mine": entry.by_id == by.pk}
    return {"id": entry.pk, "said": entry.said} | who | {name: getattr(entry, name) for name in NAMES}


class ByMoment(Sorted):
    sort: Literal["at", "-at"] = "-at"


@router.get("/projects/{project}/audit", response=Listed[EntryOut], by_alias=True)
@access.route("project:share")
def list_audit(request: ApiRequest, project: str, where: Query[TrailFilter], paging: Query[ByMoment]) -> dict[str, Any]:
    """The audit trail of a project, newest first."""
    _, entries = _entries(request, project, where)
    return lists.page(
        entries, paging, lambda entry: _shown(entry, request.user), order=paging.by("at"), prepare=trail.prepare
    )


@router.get("/projects/{project}/audit.jsonl", openapi_extra={"responses": LINES})
@access.route("project:share")
def export_audit(request: ApiRequest, project: str, where: Query[TrailFilter]) -> HttpResponseBase:
    """All entries that fit, newest first, one JSON object in a line; the answer is as long as the trail."""
    found, entries = _entries(request, project, where)
    pieces = trail.as_json_lines(entries)
    return downloads.response(pieces, filename=f"{found.slug}-audit.jsonl", kind=JSON_LINES)
