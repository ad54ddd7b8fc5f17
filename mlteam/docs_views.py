"""The reference page of the API."""

from functools import cache
from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

import access
from api.described import described
from mlteam.api import api

ROOT: Final = "/api/v1"


@cache
def _described() -> dict[str, Any]:
    return {"base": ROOT, **described(api.get_openapi_schema())}


@access.route("public")
@login_not_required
@require_GET
def reference(request: HttpRequest) -> HttpResponse:
    """What can be asked of the API, and how."""
    return render(request, "api/docs.html", _described())
