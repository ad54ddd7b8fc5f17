"""Pages of datasets and models, and of what volumes have in common with them."""

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import access
from accounts.paging import Order, addresses_of, paged, searched
from accounts.requests import UserRequest
from api.problems import Problem
from datastores import actions, blobs, content_answers, contents, imports, pages, paths, questions, volume_views
from datastores.errors import Impossible, Unfit
from datastores.forms import DatastoreForm, NewDatastoreForm
from datastores.kinds import Kind
from datastores.models import Datastore, Version
from datastores.querysets import DatastoreQuerySet
from datastores.shown import datastore_for
from projects.models import Project
from projects.named import BY_SLUG

BY_NAME = Order("name", descending=False)
LOST = "This is missing or damaged on the server. A push of a folder that has the same files heals it.\n"
VERSIONS = "versions"  # the parameter that says which page of their list

# A route names the action of datasets; of a model, its own is asked for.


def _project(request: UserRequest, slug: str, verb: str) -> tuple[Project, list[Any]]:
    """The project of an address, and the kinds of which the user may do this there. Raises Refused where they may of none."""
    project = access.fetch(request.user, "project:get", BY_SLUG, slug=slug)
    held = access.abilities(request.user, project)
    kinds = [kind for kind in Kind if held.decide(f"{kind}:{verb}", project)]
    if not kinds and not (verb == "get" and any(held.any(f"{kind}:get") for kind in Kind)):
        access.require(request.user, f"dataset:{verb}", project)
    return project, kinds


def _datastore(request: UserRequest, slug: str, datastore_id: str, verb: str) -> Datastore:
    """The datastore of an address, when the user may do this to it."""
    return datastore_for(request, datastore_id, verb, project__slug=slug)


def _version(
    request: UserRequest, slug: str, datastore_id: str, number: int | None
) -> tuple[Datastore, Version | None]:
    """A version, or the latest one where there is one."""
    datastore = _datastore(request, slug, datastore_id, "get")
    rows = datastore.versions.select_related("created_by").order_by("-number")
    version = rows.filter(number=number).first() if number is not None else rows.first()
    if version is None and number is not None:
        raise Http404
    if version:
        version.datastore = datastore
    return datastore, version


@access.route("dataset:get")
@require_GET
def list_datastores(request: UserRequest, slug: str) -> HttpResponse:
    """The datasets, models and volumes of a project that one may read, by name."""
    project, _ = _project(request, slug, "get")
    filters = {"mine": request.GET.get("mine") == "1", "kind": request.GET.get("kind", ""), "q": searched(request)}
    everything = Datastore.objects.present().in_project(project).visible_to(request.user)
    page = paged(_filtered(everything, filters, request.user), request.GET.get("page", ""), order=BY_NAME, read=_read)
    held = access.abilities(request.user, project)
    context = {
        "project": project,
        "datastores": pages.rows_of(page.rows),
        "filters": filters,
        "kinds": [(kind.value, f"{kind.label}s") for kind in Kind],
        "may_create": any(held.decide(f"{kind}:new", project) for kind in Kind),
        "empty": not page.rows and not everything.exists(),
        **addresses_of(request, page),
    }
    return render(request, "datastores/list.html", context)


def _read(rows: DatastoreQuerySet) -> DatastoreQuerySet:
    return rows.for_programs()


def _filtered(datastores: Any, filters: dict[str, Any], user: Any) -> Any:
    if filters["mine"]:
        datastores = datastores.made_by(user)
    if filters["kind"] in Kind:
        datastores = datastores.filter(kind=filters["kind"])
    return datastores.matching(filters["q"]) if filters["q"] else datastores


@access.route("dataset:new")
@require_http_methods(["GET", "POST"])
def new(request: UserRequest, slug: str) -> HttpResponse:
    """Asks what a new dataset, model or volume is called, and creates it."""
    project, kinds = _project(request, slug, "new")
    form = NewDatastoreForm(request.POST or None, kinds=kinds, project=project, by=request.user)
    if form.is_valid():
        try:
            made = imports.create(project=project, by=request.user, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        except Unfit as error:
            form.add_error(error.field, str(error))
        except Impossible as error:
            form.add_error(None, str(error))
        else:
            return redirect("datastores:detail", slug, made.pk)
    return render(request, "datastores/new.html", {"project": project, "form": form})


@access.route("dataset:get")
@require_GET
def detail(request: UserRequest, slug: str, datastore_id: str, number: int | None = None) -> HttpResponse:
    """A version, the latest unless it is named, as a tree of folders: `path` is the one that is looked into."""
    datastore, version = _version(request, slug, datastore_id, number)
    can = {verb: bool(access.allowed(request.user, f"{datastore.kind}:{verb}", datastore)) for verb in ("set", "rm")}
    if datastore.kind == Kind.VOLUME:
        return volume_views.detail(request, datastore, can)
    context: dict[str, Any] = {"project": datastore.project, "datastore": datastore, "version": version, "can": can}
    context["folder"] = ""
    if can["set"]:
        context["begun"] = pages.begun(datastore, request.user)
    context |= pages.imports_context(datastore)
    if version:
        folder, cursor = _folder(request), request.GET.get("page", "")
        versions = pages.versions_beside(datastore, version, request.GET.get(VERSIONS, ""))
        context |= {"versions": versions.rows, "beside": addresses_of(request, versions, VERSIONS)}
        try:
            context |= pages.version_context(datastore, version, folder, cursor)
        except blobs.Missing:
            context |= {"lost": True, "children": [], "crumbs": [], "folder": ""}
    return render(request, "datastores/detail.html", context)


def _folder(request: UserRequest) -> str:
    try:
        return paths.clean_folder(request.GET.get("path", ""))
    except paths.BadPath:
        raise Http404 from None


@access.route("dataset:get")
@require_GET
def show(request: UserRequest, slug: str, datastore_id: str, number: int, path: str) -> HttpResponse:
    """A file of a version: an image, or the beginning of a table or a text."""
    datastore, version = _version(request, slug, datastore_id, number)
    assert version
    try:
        context = pages.file_context(
            version, content_answers.listed(version, path), as_text=request.GET.get("as") == "text"
        )
    except blobs.Missing:
        raise Http404 from None
    return render(
        request,
        "datastores/file.html",
        {"project": datastore.project, "datastore": datastore, "version": version, **context},
    )


@access.route("dataset:get")
@require_GET
async def file(request: UserRequest, slug: str, datastore_id: str, number: int, path: str) -> HttpResponseBase:
    """A file of a version, as a download; with `shown=1` as an image, where it is one."""
    _, version = await sync_to_async(_version)(request, slug, datastore_id, number)
    assert version
    try:
        return await content_answers.file(
            request, version, path, shown=request.GET.get("shown") == "1", to_browser=True
        )
    except blobs.Missing:
        return HttpResponse(LOST, status=410, content_type="text/plain; charset=utf-8")
    except Problem as problem:  # a range beyond the end
        return HttpResponse(status=problem.status, headers=dict(problem.headers))


@access.route("dataset:get")
@require_GET
async def archive(request: UserRequest, slug: str, datastore_id: str, number: int) -> HttpResponseBase:
    """A folder of a version, or all of it, as one archive."""
    _, version = await sync_to_async(_version)(request, slug, datastore_id, number)
    assert version
    kind = request.GET.get("format", "zip")
    if kind not in contents.FORMATS:
        raise Http404
    try:
        return await content_answers.archive(request, version, _folder(request), kind)
    except blobs.Missing:
        return HttpResponse(LOST, status=410, content_type="text/plain; charset=utf-8")


@access.route("dataset:get")
@require_GET
def compare(request: UserRequest, slug: str, datastore_id: str) -> HttpResponse:
    """What differs between two versions: the latest and the one before it, unless they are named."""
    datastore = _datastore(request, slug, datastore_id, "get")
    if datastore.kind == Kind.VOLUME:
        raise Http404
    asked = _number(request, "old"), _number(request, "new")
    context = pages.compared_context(datastore, *asked, request.GET.get("page", ""))
    context |= {"project": datastore.project, "datastore": datastore}
    return render(request, "datastores/compare.html", context, status=404 if context.get("absent") is not None else 200)


def _number(request: UserRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


@access.route("dataset:set")
@require_GET
def upload(request: UserRequest, slug: str, datastore_id: str) -> HttpResponse:
    """Where files are dropped that become the next version, or come into a folder of a volume."""
    datastore = _datastore(request, slug, datastore_id, "set")
    context = {
        "project": datastore.project,
        "datastore": datastore,
        "version": questions.latest(datastore),
        "begun": pages.begun(datastore, request.user),
        "folder": _folder(request) if datastore.kind == Kind.VOLUME else "",
    }
    return render(request, "datastores/upload.html", context)


@access.route("dataset:set")
@require_POST
def abandon(request: UserRequest, slug: str, datastore_id: str, upload_id: str) -> HttpResponse:
    """Ends an upload of one's own; what has arrived of it goes."""
    datastore = _datastore(request, slug, datastore_id, "set")
    found = datastore.uploads.filter(pk=upload_id).first()
    if found is None:
        raise Http404
    found.datastore = datastore
    actions.abandon(upload=found, by=request.user)
    messages.success(request, "What had arrived of the upload is gone.")
    return redirect("datastores:detail" if not datastore.versions.exists() else "datastores:upload", slug, datastore_id)


@access.route("dataset:get")
@require_POST
def description(request: UserRequest, slug: str) -> HttpResponse:
    """How a description will look; nothing is kept."""
    _project(request, slug, "get")
    text = request.POST.get("description", "")[: actions.DESCRIPTION]
    return render(request, "datastores/_described.html", {"text": text})


@access.route("dataset:set")
@require_http_methods(["GET", "POST"])
def edit(request: UserRequest, slug: str, datastore_id: str) -> HttpResponse:
    """Renames and describes it."""
    datastore = _datastore(request, slug, datastore_id, "set")
    name = datastore.name  # a form writes what is typed into its row
    form = DatastoreForm(request.POST or None, instance=datastore)
    if form.is_valid():
        found = _datastore(request, slug, datastore_id, "set")
        try:
            actions.edit(datastore=found, by=request.user, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        except Unfit as error:
            form.add_error(error.field, str(error))
        else:
            return redirect("datastores:detail", slug, datastore_id)
    context = {"project": datastore.project, "datastore": datastore, "form": form, "name": name}
    return render(request, "datastores/edit.html", context)


@access.route("dataset:rm")
@require_http_methods(["GET", "POST"])
def remove(request: UserRequest, slug: str, datastore_id: str) -> HttpResponse:
    """Asks, then removes it with all its versions."""
    datastore = _datastore(request, slug, datastore_id, "rm")
    if request.method == "GET":
        context = {"project": datastore.project, "datastore": datastore, "versions": datastore.versions.count()}
        return render(request, "datastores/remove.html", context)
    try:
        actions.remove(datastore=datastore, by=request.user)
    except Impossible as impossible:
        messages.info(request, str(impossible))
        return redirect("datastores:detail", slug, datastore_id)
    messages.success(request, f"{datastore.name} is gone.")
    return redirect("datastores:list", slug)
