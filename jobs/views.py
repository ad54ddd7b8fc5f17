"""Pages of jobs."""

import time
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import access
from accounts.paging import address_of, paged
from accounts.requests import UserRequest
from compute import resources
from jobs import actions, artifact_answers, attached, data, hidden, pages, queue, rows
from jobs.forms import JobForm, initial_from_last, initial_of
from jobs.models import Job
from jobs.querysets import JobQuerySet
from jobs.spec import Spec, SpecErrors, as_yaml, load_yaml, parse
from jobs.states import JobState
from mlteam import copy_as
from projects.models import Project
from projects.named import BY_SLUG


def project_for(request: UserRequest, slug: str, action: str) -> Project:
    """The project of an address, when the user may do the action in it."""
    return access.fetch(request.user, action, BY_SLUG, slug=slug)


def job_for(request: UserRequest, slug: str, job_id: str, action: str) -> Job:
    """The job of an address, when the user may do the action to it."""
    return access.fetch(
        request.user, action, Job.objects.as_rows().filter(project__removed_at=None), project__slug=slug, id=job_id
    )


@access.route("job:get")
@require_GET
def list_jobs(request: UserRequest, slug: str) -> HttpResponse:
    """Mine or everyone's jobs of a project, newest first."""
    project, made = project_for(request, slug, "job:get"), int(time.time())
    filters = {
        "mine": request.GET.get("mine") == "1",
        "state": request.GET.get("state", ""),
        "q": request.GET.get("q", "").strip()[:100],
    }
    everything = Job.objects.in_project(project)
    found = _filtered(everything, filters, request.user)
    page = paged(found, request.GET.get("page", ""), read=JobQuerySet.as_list)
    counts = queue.counts(everything.unfinished())
    context = {
        "project": project,
        "jobs": rows.prepare(page.rows, project),
        "filters": filters,
        "states": [(value, label, counts.get(value)) for value, label in JobState.choices],
        "older": address_of(request, page.older),
        "newer": address_of(request, page.newer),
        "empty": not page.rows and not everything.exists(),
        "socket": f"/ws/p/{project.slug}/jobs?since={made}",
    }
    return render(
        request, "jobs/_table.html" if request.htmx and not request.htmx.boosted else "jobs/list.html", context
    )


def _filtered(jobs: Any, filters: dict[str, Any], user: Any) -> Any:
    if filters["mine"]:
        jobs = jobs.filter(created_by=user)
    if filters["state"] in JobState.values:
        jobs = jobs.filter(state=filters["state"])
    return jobs.matching(filters["q"]) if filters["q"] else jobs


@access.route("job:new")
@require_http_methods(["GET", "POST"])
def new(request: UserRequest, slug: str) -> HttpResponse:
    """The form; `clone` prefills it from another job, a job.yml fills it."""
    project = project_for(request, slug, "job:new")
    cloned = _cloned(request, slug)
    if request.method == "GET":
        last = Job.objects.filter(project=project, created_by=request.user).newest_first().first()
        spec = hidden.shown(Spec.model_validate(cloned.spec)) if cloned else None
        form = JobForm(initial=initial_of(spec) if spec else initial_from_last(last))
        return _form_page(request, project, form, cloned)
    if "fill" in request.POST:
        return _form_page(request, project, _filled(request), cloned)
    form = JobForm(request.POST, request.FILES)
    job = _submitted(request, project, form, cloned)
    if job is None:
        return _form_page(request, project, form, cloned, status=422)
    return redirect("jobs:detail", slug=project.slug, job_id=job.id)


def _cloned(request: UserRequest, slug: str) -> Job | None:
    job_id = request.GET.get("clone") or request.POST.get("clone")
    return job_for(request, slug, job_id, "job:get") if job_id else None


def _filled(request: UserRequest) -> JobForm:
    """The form with what an uploaded job.yml says, or with what is wrong in it."""
    file = request.FILES.get("job_yml")
    try:
        return JobForm(initial=initial_of(parse(load_yaml(file.read() if file else b""))))
    except SpecErrors as error:
        form = JobForm(request.POST)
        form.start_anew()
        for path, message in error.errors:
            form.add_error("job_yml", f"{path}: {message}" if path != "job.yml" else message)
        return form


def _submitted(request: UserRequest, project: Project, form: JobForm, cloned: Job | None) -> Job | None:
    """The new job, or None with the form saying what is wrong."""
    if not form.is_valid():  # all that is wrong at once, also what no host can give
        form.add_spec_errors(SpecErrors(actions.too_large(form.resources(), resources.what_there_is())))
        return None
    try:
        return actions.submit(
            project=project,
            spec=form.spec,
            by=request.user,
            files=form.cleaned_data["files"],
            cloned_from=cloned,
            keep_files=request.POST.getlist("kept_files"),
        )
    except SpecErrors as error:
        form.add_spec_errors(error)
    except actions.Refusal as refusal:
        form.add_error(None, str(refusal))
    return None


def _form_page(
    request: UserRequest, project: Project, form: JobForm, cloned: Job | None, status: int = 200
) -> HttpResponse:
    form.offer_keys(attached.choices(project, request.user))
    form.offer_opening(attached.opening(project, request.user))
    offered, more_offered = data.choices(project, request.user)
    context = {
        "project": project,
        "form": form,
        "host": resources.what_there_is(),
        "cloned": cloned,
        "rows": {name: form.rows(name) for name in ("input", "output")} | {"empty": form.row()},
        "offered": offered,
        "more_offered": more_offered,
        "kept_files": cloned.files if cloned else [],
        **_preview(project, form),
    }
    return render(request, "jobs/new.html", context, status=status)


def _preview(project: Project, form: JobForm) -> dict[str, Any]:
    """The job.yml that the form's fields mean. What is not typed yet is no error here."""
    bound = form if form.is_bound else JobForm(form.initial)
    if not hasattr(bound, "cleaned_data"):
        bound.is_valid()
    if getattr(bound, "spec", None):
        return _shown(project, bound.spec)
    wrong = [
        (field, words) for field, said in bound.errors.items() if (words := " ".join(map(str, said))) != "is needed"
    ]
    return {"spec_yaml": as_yaml(bound.as_data()), "errors": wrong, "copies": []}


def _shown(project: Project, spec: Spec) -> dict[str, Any]:
    """A valid spec as a job.yml, and as what submits it."""
    text = spec.as_yaml()
    return {"spec_yaml": text, "errors": [], "copies": copy_as.of_job(project, spec.stored(), text)}


@access.route("job:new")
@require_POST
def preview(request: UserRequest, slug: str) -> HttpResponse:
    """The live job.yml beside the form."""
    project = project_for(request, slug, "job:new")
    return render(request, "jobs/_spec.html", {"project": project, **_preview(project, JobForm(request.POST))})


@access.route("job:get")
@require_GET
def detail(request: UserRequest, slug: str, job_id: str) -> HttpResponse:
    """The job with its live log."""
    return _tab(request, slug, job_id, "log", "jobs/detail.html")


@access.route("job:get")
@require_GET
def artifacts_tab(request: UserRequest, slug: str, job_id: str) -> HttpResponse:
    """What the job wrote."""
    return _tab(request, slug, job_id, "artifacts", "jobs/artifacts.html", pages.artifacts_context)


@access.route("job:get")
@require_GET
def spec_tab(request: UserRequest, slug: str, job_id: str) -> HttpResponse:
    """The job.yml that makes this job."""
    return _tab(
        request,
        slug,
        job_id,
        "spec",
        "jobs/spec.html",
        lambda job: _shown(job.project, hidden.shown(Spec.model_validate(job.spec))),
    )


@access.route("job:get")
@require_GET
def history_tab(request: UserRequest, slug: str, job_id: str) -> HttpResponse:
    """Every change of state with its time and reason."""
    return _tab(
        request,
        slug,
        job_id,
        "history",
        "jobs/history.html",
        lambda job: {"moves": list(job.moves.select_related("by", "attempt"))},
    )


def _tab(request: UserRequest, slug: str, job_id: str, tab: str, template: str, more: Any = None) -> HttpResponse:
    job = job_for(request, slug, job_id, "job:get")
    context = pages.detail_context(request.user, job, tab=tab, chosen=request.GET.get("attempt", ""))
    return render(request, template, {**context, **(more(job) if more else {})})


@access.route("job:stop")
@require_POST
def stop(request: UserRequest, slug: str, job_id: str) -> HttpResponse:
    """Ends the job."""
    job = job_for(request, slug, job_id, "job:stop")
    try:
        actions.stop(job=job, by=request.user)
        now = "is being stopped" if job.state == JobState.CANCELLING else "was taken out of the queue"
        messages.success(request, f"{job.name} {now}.")
    except actions.Refusal as refusal:
        messages.info(request, str(refusal))
    return redirect("jobs:detail", slug=slug, job_id=job_id)


@access.route("job:stop")
@require_POST
def store(request: UserRequest, slug: str, job_id: str) -> HttpResponse:
    """Stores an output that could not be stored once more."""
    job = job_for(request, slug, job_id, "job:stop")
    try:
        actions.store_again(job=job, by=request.user)
        messages.success(request, f"The output of {job.name} is being stored.")
    except actions.Refusal as refusal:
        messages.info(request, str(refusal))
    return redirect("jobs:detail", slug=slug, job_id=job_id)


@access.route("job:rm")
@require_http_methods(["GET", "POST"])
def remove(request: UserRequest, slug: str, job_id: str) -> HttpResponse:
    """Asks, then removes a job that has ended."""
    job = job_for(request, slug, job_id, "job:rm")
    if request.method == "GET":
        return render(request, "jobs/remove.html", {"project": job.project, "job": job})
    try:
        actions.remove(job=job, by=request.user)
    except actions.Refusal as refusal:
        messages.info(request, str(refusal))
        return redirect("jobs:detail", slug=slug, job_id=job_id)
    messages.success(request, f"{job.name} is gone.")
    return redirect("jobs:list", slug=slug)


@access.route("job:get")
@require_GET
async def artifact(request: UserRequest, slug: str, job_id: str, path: str) -> HttpResponseBase:
    """One file that the job wrote: an image as one, everything else as an attachment."""
    job = await sync_to_async(job_for)(request, slug, job_id, "job:get")
    return await artifact_answers.file(request, job, path, shown="download" not in request.GET)


@access.route("job:get")
@require_GET
async def artifacts_zip(request: UserRequest, slug: str, job_id: str) -> HttpResponseBase:
    """All that the job wrote as one archive."""
    return artifact_answers.archive(await sync_to_async(job_for)(request, slug, job_id, "job:get"))
