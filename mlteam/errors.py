"""Pages for what went wrong."""

from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

from access import Decision, Refused
from api import problems


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    reason = str(exception) if isinstance(exception, BadRequest) else ""
    if problems.is_api(request):
        return problems.plain(request, 400, reason)
    return render(request, "400.html", {"reason": reason}, status=400)


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A member without the right: says which rule is missing, for people and (X-Reason-Code) for programs."""
    if problems.is_api(request):
        return problems.of(request, exception)
    if not isinstance(exception, Refused):
        return render(request, "403.html", {"reason": "", "missing": ""}, status=403)
    decision = exception.decision
    context = {"reason": decision.reason, "missing": decision.missing, "why": _why(request, decision)}
    response = render(request, "403.html", context, status=403)
    response["X-Reason-Code"] = decision.code
    return response


def _why(request: HttpRequest, decision: Decision) -> str:
    """The address of the page that says who may do this, and who can grant it."""
    slug = request.resolver_match.kwargs.get("slug") if request.resolver_match else None
    asked, _, name = decision.missing.partition("@")
    if not slug or not name:
        return ""
    resource = "" if name.endswith("*") else name
    return f"{reverse('projects:access', args=[slug])}?{urlencode({'action': asked, 'resource': resource})}"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Nothing here, or nothing that this person may see: the same page."""
    if problems.is_api(request):
        return problems.plain(request, 404, problems.NOTHING)
    return render(request, "404.html", status=404)


def failed(request: HttpRequest) -> HttpResponse:
    """A bug. Whatever failed, the database perhaps, may fail again: the page asks for nothing."""
    if problems.is_api(request):
        return problems.plain(
            request, 500, "Something is broken here. Try again; if it stays, report it with this reference."
        )
    return HttpResponse(render_to_string("500.html"), status=500)
