"""What programs see of jobs and do with them."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import Charge
from jobs import logs, queue, transitions
from jobs.models import Job
from projects import actions as projects
from tests.api.test_door import problem
from tests.billing.conftest import price
from tests.jobs.conftest import queued, resource  # noqa: F401 - fixtures

# ruff: noqa: F811


@pytest.fixture
def job(queued, project, owner):
    return queued(project, owner, name="train", tags=["vision", "night"])


@pytest.fixture
def placed(job, resource):
    """The job's attempt, which runs."""
    [attempt] = queue.place(resource)
    transitions.started(attempt, {"network": "own"})
    return attempt


def names(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [one["name"] for one in answer.json()["items"]]


def test_a_job_says_all_that_there_is_to_say_of_it(program, owner, project, placed):
    logs.append(logs.path_of(placed.job_id, 0), 0, b"one\ntwo\n")
    answer = program(owner).get(f"/jobs/{placed.job_id}")
    job = answer.json()
    assert answer["ETag"]
    assert job["urn"] == Job.objects.get().urn
    assert job["project"] == {"id": project.pk, "name": "Vision", "full_name": "vision"}
    assert (job["created_by"]["username"], job["mine"], job["by_role"]) == ("olga", True, None)
    assert (job["state"], job["position"], job["waiting_for"], job["cost"]) == ("running", None, None, None)
    assert job["command"] == ["/bin/bash", "-c", "true"]
    assert job["resources"] == {"cpu": 1.0, "mem": 0.5, "gpu": 0}
    assert job["spec"]["tags"] == ["vision", "night"]
    assert "command: 'true'" in job["spec_yaml"]
    assert job["url"].endswith(f"/p/vision/jobs/{placed.job_id}")
    [attempt] = job["attempts"]
    assert (attempt["index"], attempt["host"], attempt["isolation"]) == (0, placed.host, {"network": "own"})
    assert attempt["log"] == {"size": 8, "lines": None, "verified": None, "gaps": [], "complete": False}
    assert job["created_at"].endswith("Z")
    assert "attempt" not in job


def test_a_list_has_the_newest_attempt_of_each_job_and_why_the_others_wait(program, owner, project, placed, queued):
    queued(project, owner, name="large", cpu=2.0)
    waiting, running = program(owner).get("/jobs").json()["items"]
    assert (waiting["name"], waiting["position"], waiting["attempt"]) == ("large", 1, None)
    assert waiting["waiting_for"] == "Waits for 2 CPU (1 of 2 free)."
    assert (running["name"], running["attempt"]["index"], running["waiting_for"]) == ("train", 0, None)
    assert "attempts" not in running
    assert "spec" not in running


def test_jobs_of_all_projects_that_one_may_see_are_listed(
    program, role_program, owner, viewer, stranger, project, queued, make_user
):
    theirs = projects.create(name="Theirs", by=stranger)
    queued(project, owner, name="ours")
    queued(theirs, stranger, name="theirs")
    assert names(program(owner).get("/jobs")) == ["ours"]
    assert names(program(viewer).get("/jobs")) == ["ours"]
    assert names(program(stranger).get("/jobs")) == ["theirs"]
    assert names(program(make_user("nora")).get("/jobs")) == []
    assert names(role_program("job:get@{urn}:job:*").get("/jobs")) == ["ours"]
    problem(program(stranger).get("/jobs", project=project.pk), 404, "not_found")
    assert names(program(viewer).get("/jobs", project=project.pk)) == ["ours"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"mine": "true"}, ["train"]),
        ({"mine": "false"}, ["other"]),
        ({"user": "carl"}, ["other"]),
        ({"user": "nobody"}, []),
        ({"state": "queued"}, ["other", "train"]),
        ({"state": ["failed", "queued"]}, ["other", "train"]),
        ({"state": "failed"}, []),
        ({"tag": "night"}, ["train"]),
        ({"tag": "nig"}, []),
        ({"tag": 'b"c'}, ["other"]),
        ({"tag": "c"}, []),
        ({"name": "train"}, ["train"]),
        ({"name": "trai"}, []),
        ({"q": "TRAI"}, ["train"]),
        ({"q": "carl"}, ["other"]),
        ({"sort": "created_at"}, ["train", "other"]),
    ],
)
def test_a_list_is_filtered_and_sorted(program, owner, project, job, queued, collaborator, query, found):
    queued(project, collaborator, name="other", tags=['b"c'])
    assert names(program(owner).get("/jobs", **query)) == found
    assert names(program(owner).get("/jobs", project=project.pk, **query)) == found


def test_what_cannot_be_asked_of_a_list_is_said(program, owner, job):
    asks = program(owner)
    problem(asks.get("/jobs", state="nowhere"), 422, "invalid")
    problem(asks.get("/jobs", sort="name"), 422, "invalid")
    assert asks.get("/jobs", fields="id").json()["items"] == [{"id": job.pk}]


def test_a_longer_list_takes_no_more_queries(program, owner, project, queued, resource, make_user, join):
    asks = program(owner)
    price("cpu", "1.00")

    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert asks.get("/jobs", limit=200).status_code == 200
        return len(caught)

    def more(name: str) -> None:
        another = projects.create(name=name, by=owner, parent=project)
        member = join(another, make_user(name)).user
        for by in (owner, member):
            queued(another, by, cpu=0.1)
            queued(another, by, cpu=2)

    more("first")
    queue.place(resource)
    asks.get("/jobs")
    few = queries()
    for name in ("second", "third", "fourth"):
        more(name)
        queue.place(resource)
    assert len(asks.get("/jobs").json()["items"]) == 16
    assert queries() == few


def test_what_a_job_cost_is_a_number_where_something_costs_something(program, owner, placed):
    price("cpu", "1.00")
    asks = program(owner)
    assert asks.get(f"/jobs/{placed.job_id}").json()["cost"] == "0"
    charged = {"owner_id": owner.pk, "project_id": placed.job.project_id, "subject_id": placed.job_id}
    Charge.objects.create(
        source="attempt", source_id=placed.pk, hour=placed.placed_at, milliseconds=1, amount="0.125", **charged
    )
    assert float(asks.get("/jobs").json()["items"][0]["cost"]) == 0.125


def test_the_history_says_who_did_what(program, owner, placed, viewer):
    items = program(viewer).get(f"/jobs/{placed.job_id}/history").json()["items"]
    assert [(one["state"], one["attempt"]) for one in items][-2:] == [("preparing", None), ("running", 0)]
