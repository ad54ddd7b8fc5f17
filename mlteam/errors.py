"""Pages for what went wrong."""

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from access import Refused


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    reason = str(exception) if isinstance(exception, BadRequest) else ""
    return render(request, "400.html", {"reason": reason}, status=400)


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A member without the right: says which rule is missing, for people and (X-Reason-Code) for programs."""
    if not isinstance(exception, Refused):
        return render(request, "403.html", {"reason": ""}, status=403)
    response = render(request, "403.html", {"reason": exception.decision.reason}, status=403)
    response["X-Reason-Code"] = exception.decision.code
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Nothing here, or nothing that this person may see: the same page."""
    return render(request, "404.html", status=404)


def failed(request: HttpRequest) -> HttpResponse:
    """A bug. Whatever failed, the database perhaps, may fail again: the page asks for nothing."""
    return HttpResponse(render_to_string("500.html"), status=500)
