"""Pages about versions that the server makes of what lies at an address."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import trigger_client_event

import access
from accounts.requests import UserRequest
from datastores import imports, pages
from datastores.errors import Impossible, Unfit
from datastores.import_api import import_for
from datastores.import_forms import ImportForm
from datastores.models import Import
from datastores.shown import datastore_for


@access.route("dataset:set")
@require_http_methods(["GET", "POST"])
def new(request: UserRequest, slug: str, datastore_id: str) -> HttpResponse:
    """Asks where it lies, and has it fetched."""
    datastore = datastore_for(request, datastore_id, "set", project__slug=slug)
    form = ImportForm(request.POST or None, project=datastore.project, by=request.user)
    if form.is_valid():
        try:
            imports.start(datastore=datastore, by=request.user, **form.cleaned_data)
        except Unfit as error:
            form.add_error(error.field, str(error))
        except Impossible as error:
            form.add_error(None, str(error))
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return redirect("datastores:detail", slug, datastore_id)
    return render(
        request, "datastores/import.html", {"project": datastore.project, "datastore": datastore, "form": form}
    )


@access.route("dataset:get")
@require_GET
def listed(request: UserRequest, slug: str, datastore_id: str) -> HttpResponse:
    """How far they are, for the page of what they are for, which is read again when there is a newer version than it knows (`latest`)."""
    datastore = datastore_for(request, datastore_id, "get", project__slug=slug)
    can = {"set": bool(access.allowed(request.user, f"{datastore.kind}:set", datastore))}
    context = {"project": datastore.project, "datastore": datastore, "can": can, **pages.imports_context(datastore)}
    answer = render(request, "datastores/_imports.html", context)
    if request.GET.get("latest") not in {None, str(context["latest"])}:
        trigger_client_event(answer, "new-version")
    return answer


def _import(request: UserRequest, slug: str, datastore_id: str, import_id: str) -> Import:
    return import_for(request, import_id, "set", project__slug=slug, id=datastore_id)


@access.route("dataset:set")
@require_POST
def stop(request: UserRequest, slug: str, datastore_id: str, import_id: str) -> HttpResponse:
    """Ends one without a version."""
    imports.stop(row=_import(request, slug, datastore_id, import_id), by=request.user)
    return redirect("datastores:detail", slug, datastore_id)


@access.route("dataset:set")
@require_POST
def again(request: UserRequest, slug: str, datastore_id: str, import_id: str) -> HttpResponse:
    """Takes up one that failed."""
    try:
        imports.again(row=_import(request, slug, datastore_id, import_id), by=request.user)
    except (Impossible, Unfit) as error:
        messages.error(request, str(error))
    return redirect("datastores:detail", slug, datastore_id)
