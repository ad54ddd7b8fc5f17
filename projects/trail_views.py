"""The page of the audit trail, and its export."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import sync_to_async
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

import access
from accounts import downloads
from accounts.paging import Order, address_of, paged
from accounts.requests import UserRequest
from projects import trail
from projects.forms import TrailForm
from projects.models import AuditEntry, Project
from projects.views import project_for

if TYPE_CHECKING:
    from projects.querysets import AuditQuerySet

SHOWN: Final = 25  # entries on a page


@access.route("project:share")
@require_GET
def audit(request: UserRequest, slug: str) -> HttpResponse:
    """Who did what in the project, newest first."""
    project, form = _asked(request, slug)
    entries = trail.filtered(AuditEntry.objects.of(project), form.chosen)
    page = paged(entries, request.GET.get("page", ""), order=Order("at"), size=SHOWN)
    kept = request.GET.copy()
    kept.pop("page", None)
    context = {
        "project": project,
        "form": form,
        "entries": trail.prepare(page.rows),
        "filters": form.chosen,
        "query": f"?{kept.urlencode()}" if form.chosen else "",
        "older": address_of(request, page.older),
        "newer": address_of(request, page.newer),
    }
    return render(request, "projects/audit.html", context)


@access.route("project:share")
@require_GET
async def audit_csv(request: UserRequest, slug: str) -> HttpResponseBase:
    """The filtered trail as CSV."""
    return await _exported(request, slug, trail.as_csv, "csv", downloads.CSV)


@access.route("project:share")
@require_GET
async def audit_json_lines(request: UserRequest, slug: str) -> HttpResponseBase:
    """The filtered trail as JSON lines."""
    return await _exported(request, slug, trail.as_json_lines, "jsonl", "application/jsonl; charset=utf-8")


async def _exported(
    request: UserRequest, slug: str, write: "Callable[[AuditQuerySet], Iterator[str]]", ending: str, kind: str
) -> HttpResponseBase:
    project, form = await sync_to_async(_asked)(request, slug)
    pieces = write(trail.filtered(AuditEntry.objects.of(project), form.chosen))
    return downloads.response(pieces, filename=f"{project.slug}-audit.{ending}", kind=kind)


def _asked(request: UserRequest, slug: str) -> tuple[Project, Any]:
    """The project, when the user may see its trail, and the filters."""
    project = project_for(request, slug)
    access.require(request.user, trail.may_see(project), project)
    people, actions = trail.choices(project)
    return project, TrailForm(request.GET, people=people, actions=actions)
