"""What programs do with jobs."""

from typing import Any, Final

from django.db.models import QuerySet
from django.http import HttpResponse
from ninja import Field, Query, Router, Schema

import access
from accounts.models import User
from api import etags, lists
from api.callers import ApiRequest
from api.lists import Listed, Paging
from jobs import shown
from jobs.models import Job
from jobs.querysets import JobQuerySet
from jobs.shown import JobItem, JobOut, MoveOut
from jobs.states import JobState
from projects.api import project_for

router = Router(tags=["jobs"])

COLUMNS: Final = {"created_at": "created_at"}


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


def job_for(request: ApiRequest, job: str, action: str) -> Job:
    """The job with this id, when who asks may do the action to it."""
    present = Job.objects.for_programs().filter(project__removed_at=None)
    return access.fetch(request.user, action, present, pk=job)


@router.get("/jobs", response=Listed[JobItem])
@access.route("job:get")
def list_jobs(
    request: ApiRequest, where: Query[JobFilter], paging: Query[Paging], sort: str = "-created_at"
) -> dict[str, Any]:
    """The jobs that one may see, of all projects or of one, newest first."""
    by = request.user
    if where.project is None:
        seen = Job.objects.visible_to(by).filter(project__removed_at=None)
    else:
        seen = Job.objects.in_project(project_for(request, where.project, "job:get"))
    return lists.page(
        _filtered(seen, where, by),
        paging,
        lambda one: one,
        order=lists.order_of(sort, COLUMNS),
        read=JobQuerySet.for_programs,
        prepare=lambda jobs: shown.show_items(jobs, by),
    )


def _filtered(jobs: Any, where: JobFilter, by: Any) -> QuerySet[Job]:
    if where.mine is not None:
        jobs = jobs.filter(created_by=by.pk) if where.mine else jobs.exclude(created_by=by.pk)
    if where.user is not None:
        jobs = jobs.filter(created_by=User.objects.filter(username=where.user).values_list("pk", flat=True).first())
    if where.state:
        jobs = jobs.filter(state__in=where.state)
    if where.name is not None:
        jobs = jobs.filter(name=where.name)
    if where.tag is not None:
        jobs = jobs.tagged(where.tag)
    return jobs.matching(where.q) if where.q else jobs


@router.get("/jobs/{job}", response=JobOut)
@access.route("job:get")
def get_job(request: ApiRequest, job: str, response: HttpResponse) -> dict[str, Any]:
    """A job with its attempts and the job.yml that makes it."""
    return _shown(request, job_for(request, job, "job:get"), response)


@router.get("/jobs/{job}/history", response=Listed[MoveOut])
@access.route("job:get")
def job_history(request: ApiRequest, job: str) -> dict[str, Any]:
    """Every change of a job's state, the first first."""
    moves = job_for(request, job, "job:get").moves.select_related("by", "attempt")
    return lists.whole(moves, lambda move: shown.show_move(move, request.user))


def _shown(request: ApiRequest, job: Job, response: HttpResponse) -> dict[str, Any]:
    etags.tell(response, shown.tag_of(job))
    return shown.show_job(job, request.user)
