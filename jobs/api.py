"""What programs do with jobs."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from ninja import Field, File, Form, Query, Router, Schema, Status
from ninja import UploadedFile as NinjaFile

import access
from accounts.models import User
from api import etags, lists, problems
from api.callers import ApiRequest
from api.lists import In, Listed, Newest, Out
from api.problems import Problem
from jobs import actions, artifact_api, costs, lending, log_api, shown
from jobs.models import Job
from jobs.querysets import JobQuerySet
from jobs.shown import JobItem, JobOut, MoveOut, job_for
from jobs.spec import SpecErrors, parse
from jobs.states import JobState
from projects.api import project_for
from projects.models import Project

router = Router(tags=["jobs"])


class JobFilter(Schema):
    """Which jobs: of a `project` (its id), `mine` (or those of others), of a `user` (the username), in one of these states, with a
    tag, with just this name; `q` is looked for in names, tags and usernames."""

    project: str | None = Field(None, max_length=16)
    mine: bool | None = None
    user: str | None = Field(None, max_length=150)
    state: list[JobState] = []
    tag: str | None = Field(None, max_length=40)
    name: str | None = Field(None, max_length=100)
    q: str = Field("", max_length=100)


class JobIn(In):
    """A new job: what its job.yml says. `clone`: the id of the job that it repeats, of whose files `keep_files` are taken along."""

    spec: dict[str, Any]
    clone: str | None = Field(None, max_length=16)
    keep_files: list[str] = []


class JobForm(Schema):
    """The same beside files; `spec` is JSON."""

    spec: str
    clone: str = Field("", max_length=16)
    keep_files: list[str] = []


class CheckOut(Out):
    """A job that would be taken: its job.yml without what goes without saying, its addresses as they were sent; what an hour of it costs,
    null where nothing does; `notices`: sentences on the data that it has of other projects."""

    spec: dict[str, Any]
    spec_yaml: str
    cost_per_hour: str | None
    notices: list[str]


def _read_spec_errors(error: SpecErrors) -> Problem:
    return problems.invalid((_field(path), message) for path, message in error.errors)


def _field(path: str) -> str:
    """Where an error of a job.yml is, in what was sent."""
    return {"job.yml": "spec", "files": "files"}.get(path, f"spec.{path}")


problems.register(SpecErrors, _read_spec_errors)
problems.register(actions.Refusal, problems.conflict)


@router.get("/jobs", response=Listed[JobItem])
@access.route("job:get")
def list_jobs(request: ApiRequest, where: Query[JobFilter], paging: Query[Newest]) -> dict[str, Any]:
    """The jobs that one may see, of all projects or of one, newest first."""
    by = request.user
    if where.project is None:
        seen = Job.objects.visible_to(by).present()
    else:
        seen = Job.objects.in_project(project_for(request, where.project, "job:get"))
    return lists.page(
        _filtered(seen, where, by),
        paging,
        lambda one: one,
        order=paging.by("created_at"),
        read=JobQuerySet.for_programs,
        prepare=lambda jobs: shown.show_items(jobs, by),
    )


def _filtered(jobs: Any, where: JobFilter, by: Any) -> QuerySet[Job]:
    if where.mine is not None:
        jobs = jobs.made_by(by, others=not where.mine)
    if where.user is not None:
        jobs = jobs.filter(created_by=User.objects.filter(username=where.user).values_list("pk", flat=True).first())
    if where.state:
        jobs = jobs.filter(state__in=where.state)
    if where.name is not None:
        jobs = jobs.named(where.name)
    if where.tag is not None:
        jobs = jobs.tagged(where.tag)
    return jobs.matching(where.q) if where.q else jobs


@router.post("/projects/{project}/jobs", response={201: JobOut})
@access.route("job:new")
def new_job(request: ApiRequest, project: str, data: JobIn, response: HttpResponse) -> Status:
    """Submits a job."""
    return _submitted(request, response, project, data, ())


@router.post("/projects/{project}/jobs/with-files", response={201: JobOut})
@access.route("job:new")
def new_job_with_files(
    request: ApiRequest,
    project: str,
    form: Form[JobForm],
    response: HttpResponse,
    files: list[NinjaFile] = File([]),  # noqa: B008 - how ninja says it
) -> Status:
    """Submits a job with files, which lie in its working directory when it starts. Their names are plain."""
    try:
        spec = json.loads(form.spec)
    except (ValueError, RecursionError):
        raise problems.invalid([("spec", "this is no JSON")]) from None
    data = JobIn.model_construct(spec=spec, clone=form.clone or None, keep_files=form.keep_files)
    return _submitted(request, response, project, data, files)


@router.post("/projects/{project}/jobs/check", response=CheckOut)
@access.route("job:new")
def check_job(request: ApiRequest, project: str, data: JobIn) -> dict[str, Any]:
    """Whether such a job would be taken, and what it would cost. Nothing is submitted."""
    found = project_for(request, project, "job:new")
    cloned, spec = _cloned(request, found, data), parse(data.spec)
    mounted = actions.check(project=found, spec=spec, by=request.user, cloned_from=cloned)
    told = {"spec": spec.stored(), "spec_yaml": spec.as_yaml(), "cost_per_hour": _said(costs.per_hour(spec))}
    return told | {"notices": lending.notices((one.datastore for one in mounted), found, request.user)}


def _said(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"


def _submitted(
    request: ApiRequest, response: HttpResponse, project: str, data: JobIn, files: Iterable[UploadedFile]
) -> Status:
    found = project_for(request, project, "job:new")
    cloned, spec = _cloned(request, found, data), parse(data.spec)
    job = actions.submit(
        project=found, spec=spec, by=request.user, files=files, cloned_from=cloned, keep_files=data.keep_files
    )
    return Status(201, _shown(request, job, response))


def _cloned(request: ApiRequest, project: Project, data: JobIn) -> Job | None:
    """The job that is repeated. Raises Problem for one that is not there, for one of another project, and for files that it does not
    have."""
    try:
        job = job_for(request, data.clone, "job:get") if data.clone else None
    except Http404:
        raise problems.invalid([("clone", "there is no such job, or none that you may see")]) from None
    if job and (why := lending.why_no_clone(job, project)):
        raise problems.invalid([("clone", why)])
    if missing := sorted(set(data.keep_files) - set(job.files if job else ())):
        raise problems.invalid([("keep_files", f"“{missing[0][:80]}” is no file of the job that is repeated")])
    return job


@router.get("/jobs/{job}", response=JobOut)
@access.route("job:get")
def get_job(request: ApiRequest, job: str, response: HttpResponse) -> dict[str, Any]:
    """A job with its attempts and the job.yml that makes it."""
    return _shown(request, job_for(request, job, "job:get"), response)


@router.post("/jobs/{job}/stop", response=JobOut)
@access.route("job:stop")
def stop_job(request: ApiRequest, job: str, response: HttpResponse) -> dict[str, Any]:
    """Ends a job: a waiting one at once, a running one by SIGTERM and then SIGKILL."""
    found = job_for(request, job, "job:stop")
    actions.stop(job=found, by=request.user)
    return _shown(request, found, response)


@router.post("/jobs/{job}/store", response=JobOut)
@access.route("job:stop")
def store_output(request: ApiRequest, job: str, response: HttpResponse) -> dict[str, Any]:
    """Stores the output of a job that failed only because that could not be stored; then it succeeds."""
    found = job_for(request, job, "job:stop")
    actions.store_again(job=found, by=request.user)
    return _shown(request, found, response)


@router.delete("/jobs/{job}", response={204: None})
@access.route("job:rm")
def remove_job(request: ApiRequest, job: str) -> Status:
    """Removes a job that has ended, with its files, logs and artifacts. What it cost stays in the ledger."""
    found = job_for(request, job, "job:rm")
    etags.check(request, shown.tag_of(found))
    actions.remove(job=found, by=request.user)
    return Status(204, None)


@router.get("/jobs/{job}/history", response=Listed[MoveOut])
@access.route("job:get")
def job_history(request: ApiRequest, job: str) -> dict[str, Any]:
    """Every change of a job's state, the first first."""
    moves = job_for(request, job, "job:get").moves.select_related("by", "attempt")
    return lists.whole(moves, lambda move: shown.show_move(move, request.user))


def _shown(request: ApiRequest, job: Job, response: HttpResponse) -> dict[str, Any]:
    etags.tell(response, shown.tag_of(job))
    return shown.show_job(job, request.user)


router.add_router("", log_api.router)
router.add_router("", artifact_api.router)
