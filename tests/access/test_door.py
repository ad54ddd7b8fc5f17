"""The door of the views: who may not see a thing gets 404, who may only see it gets 403 and the reason."""

import pytest
from django.http import Http404

import access
from access import Refused
from jobs.models import Job
from projects.levels import KINDS
from tests.access.world import job

NONE = dict.fromkeys(KINDS, "none")


def test_a_stranger_is_told_that_there_is_nothing(project, owner, stranger, admin):
    one = job(project, owner)
    for user in (stranger, admin):
        for action, resource in (("project:get", project), ("project:share", project), ("job:stop", one)):
            with pytest.raises(Http404):
                access.require(user, action, resource)


def test_a_member_without_the_right_is_told_why(project, owner, viewer):
    with pytest.raises(Refused) as refusal:
        access.require(viewer, "job:stop", job(project, owner))
    assert refusal.value.decision.code == "not_granted"


def test_with_no_level_on_jobs_the_jobs_page_says_why_and_a_job_does_not_show(project, owner, make_user, join):
    user = join(project, make_user("nina"), NONE).user
    with pytest.raises(Refused):
        access.require(user, "job:get", project)
    with pytest.raises(Http404):
        access.require(user, "job:get", job(project, owner))


def test_fetch_gives_the_row_or_what_require_raises(project, owner, viewer, stranger):
    one = job(project, owner)
    assert access.fetch(viewer, "job:get", Job.objects.all(), pk=one.pk) == one
    with pytest.raises(Refused):
        access.fetch(viewer, "job:rm", Job.objects.all(), pk=one.pk)
    with pytest.raises(Http404):
        access.fetch(stranger, "job:get", Job.objects.all(), pk=one.pk)
    with pytest.raises(Http404):
        access.fetch(owner, "job:get", Job.objects.all(), pk="nothing")


def test_a_view_can_only_name_actions_that_exist():
    with pytest.raises(ValueError, match="no such action"):
        access.route("job:paint")
