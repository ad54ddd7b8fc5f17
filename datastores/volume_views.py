"""Pages of volumes: what is in them, which jobs write there, and what people change there themselves."""

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import access
from accounts.requests import UserRequest
from api.problems import Problem
from compute import changing, trees
from datastores import actions, blobs, contents, paths, volume_answers, volume_pages, volumes
from datastores.errors import Impossible
from datastores.kinds import Kind
from datastores.models import Datastore
from datastores.shown import datastore_for

# A route names the action of datasets; of a volume, its own is asked for.


def _volume(request: UserRequest, slug: str, datastore_id: str, verb: str) -> Datastore:
    """The volume of an address, when the user may do this to it."""
    datastore = datastore_for(request, datastore_id, verb, project__slug=slug)
    if datastore.kind != Kind.VOLUME:
        raise Http404
    return datastore


def _there(path: str) -> str:
    """The path that is told so, as the disk has it; "" and "." are the whole. Raises Http404."""
    try:
        return paths.clean_there(path) if path not in {"", "."} else ""
    except paths.BadPath:
        raise Http404 from None


def detail(request: UserRequest, datastore: Datastore, can: dict[str, bool]) -> HttpResponse:
    """A folder of a volume, and how much of its quota is taken: `path` is the one that is looked into."""
    folder = _there(request.GET.get("path", ""))
    try:
        context = volume_pages.context(datastore, folder, request.GET.get("page", ""), request.user)
    except trees.NotThere:
        raise Http404 from None
    shown = {"project": datastore.project, "datastore": datastore, "can": can}
    return render(request, "datastores/volume.html", shown | context)


@access.route("dataset:get")
@require_GET
def show(request: UserRequest, slug: str, datastore_id: str, path: str) -> HttpResponse:
    """A file of a volume: an image, or the beginning of a table or a text."""
    datastore = _volume(request, slug, datastore_id, "get")
    try:
        context = volume_pages.file_context(datastore, _there(path), as_text=request.GET.get("as") == "text")
    except trees.NotThere:
        raise Http404 from None
    return render(
        request,
        "datastores/file.html",
        {"project": datastore.project, "datastore": datastore, "version": None, **context},
    )


@access.route("dataset:get")
@require_GET
async def file(request: UserRequest, slug: str, datastore_id: str, path: str) -> HttpResponseBase:
    """A file of a volume, as a download; with `shown=1` as an image, where it is one."""
    datastore = await sync_to_async(_volume)(request, slug, datastore_id, "get")
    try:
        return await volume_answers.file(request, datastore, _there(path), shown=request.GET.get("shown") == "1")
    except trees.NotThere:
        raise Http404 from None
    except Problem as problem:  # a range beyond the end
        return HttpResponse(status=problem.status, headers=dict(problem.headers))


@access.route("dataset:get")
@require_GET
async def archive(request: UserRequest, slug: str, datastore_id: str) -> HttpResponseBase:
    """A folder of a volume, or all of it, as one archive."""
    datastore = await sync_to_async(_volume)(request, slug, datastore_id, "get")
    kind = request.GET.get("format", "zip")
    if kind not in contents.FORMATS:
        raise Http404
    try:
        return await volume_answers.archive(request, datastore, _there(request.GET.get("path", "")), kind)
    except trees.NotThere:
        raise Http404 from None


@access.route("dataset:set")
@require_POST
def new_folder(request: UserRequest, slug: str, datastore_id: str) -> HttpResponse:
    """Makes a folder, and goes there."""
    datastore = _volume(request, slug, datastore_id, "set")
    above, slash, name = request.POST.get("path", "").strip("/").rpartition("/")
    wanted = f"{above}{slash}{name.strip()}"
    try:
        actions.make_folder(datastore=datastore, path=wanted, by=request.user)
    except (paths.BadPath, changing.InTheWay, Impossible, blobs.Full) as error:
        messages.error(request, str(error))
        wanted = ""
    return HttpResponseRedirect(volume_pages.address_of(datastore, _there(wanted)))


@access.route("dataset:set")
@require_http_methods(["GET", "POST"])
def remove_content(request: UserRequest, slug: str, datastore_id: str) -> HttpResponse:
    """Asks, then removes a file, a folder with all in it, or all that the volume has: then its name is to be typed."""
    datastore = _volume(request, slug, datastore_id, "set")
    asked = request.POST if request.method == "POST" else request.GET
    path = _there(asked.get("path", ""))
    typed = bool(path) or asked.get("confirm") == datastore.name
    if request.method == "GET" or not typed:
        context = _asked(datastore, path) | {"wrong": request.method == "POST"}
        return render(request, "datastores/remove_content.html", context)
    try:
        actions.remove_content(datastore=datastore, path=paths.told(path) or ".", by=request.user)
    except trees.NotThere:
        messages.info(request, "It was gone already.")
    except Impossible as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{paths.told(path.rpartition('/')[2]) or 'All that was in it'} is gone.")
    above = path.rpartition("/")[0]
    return HttpResponseRedirect(
        volume_pages.address_of(datastore, above if volumes.has_folder(datastore, above) else "")
    )


def _asked(datastore: Datastore, path: str) -> dict[str, Any]:
    above = path.rpartition("/")[0]
    shown = {"project": datastore.project, "datastore": datastore, "path": paths.told(path)}
    return shown | {"folder": volumes.has_folder(datastore, path), "back": volume_pages.address_of(datastore, above)}
