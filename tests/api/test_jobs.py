"""What programs see of jobs and do with them."""

import json
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from billing.models import Charge
from datastores import actions as datastores
from jobs import actions, charges, logs, places, queue, transitions
from jobs.models import Attempt, Job
from jobs.spec import parse
from projects import actions as projects
from projects.models import AuditEntry, Project
from tests.api.conftest import ROOT
from tests.api.test_door import problem
from tests.billing.conftest import price
from tests.datastores.conftest import kept  # noqa: F401 - a fixture
from tests.datastores.pushing import push
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


ALL_OF_JOBS = "project:get+job:*@{urn}+{urn}:job:*"
SPEC = {"name": "train", "command": ["python", "train.py"], "resources": {"cpu": 1, "mem": 0.5}}


def files_of(job_id: str) -> dict[str, bytes]:
    directory = places.job_directory(job_id) / "files"
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def send_files(asks, project, *, spec, files, **form):
    """As the SDK does: a form with files."""
    data = {"spec": spec if isinstance(spec, str) else json.dumps(spec), "files": files, **form}
    return asks.client.post(f"{ROOT}/projects/{project.pk}/jobs/with-files", data, headers=asks.headers)


def test_a_job_is_submitted_as_its_file_says(program, collaborator, project, resource):
    answer = program(collaborator).post(f"/projects/{project.pk}/jobs", {"spec": SPEC})
    assert answer.status_code == 201, answer.content
    said = answer.json()
    assert (said["state"], said["command"], said["position"]) == ("queued", ["python", "train.py"], 1)
    assert (said["mine"], said["waiting_for"], said["attempts"]) == (True, "Is about to start.", [])
    job = Job.objects.get(pk=said["id"])
    assert (job.project, job.created_by) == (project, collaborator)
    entry = AuditEntry.objects.get(action="job:new")
    assert (entry.by_id, entry.origin) == (collaborator.pk, "api")


def test_the_same_submission_made_twice_is_one_job(program, owner, project, resource):
    asks, key = program(owner), {"Idempotency-Key": "one"}
    answers = [asks.post(f"/projects/{project.pk}/jobs", {"spec": SPEC}, **key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert Job.objects.count() == 1
    for _ in range(2):
        answer = asks.client.post(
            f"{ROOT}/projects/{project.pk}/jobs/with-files",
            {"spec": json.dumps(SPEC), "files": SimpleUploadedFile("a.py", b"1")},
            headers=asks.headers | {"Idempotency-Key": "two"},
        )
        assert answer.status_code == 201
    assert Job.objects.count() == 2


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({}, {"spec.command"}),
        ({"command": "true", "colour": "red"}, {"spec.colour"}),
        ({"command": "true", "resources": {"cpu": 64, "gpu": 9}}, {"spec.resources.cpu", "spec.resources.gpu"}),
        ({"command": "true", "resources": {"cpu": "many"}, "bid": 101}, {"spec.resources.cpu", "spec.bid"}),
        ({"command": "true", "data": {}, "environmentVars": {"MLTEAM_X": "1"}}, {"spec.data", "spec.environmentVars"}),
        ({"command": "true", "name": "\ud800"}, {"spec.name"}),
        ("text", {"spec"}),
        (None, {"spec"}),
    ],
)
def test_all_that_is_wrong_with_a_job_is_said_by_the_fields_of_its_file(
    program, owner, project, resource, spec, fields
):
    asks = program(owner)
    for path in ("jobs", "jobs/check"):
        wrong = problem(asks.post(f"/projects/{project.pk}/{path}", {"spec": spec}), 422, "invalid")
        assert {one["field"] for one in wrong["errors"]} == fields
    assert not Job.objects.exists()


def test_where_no_host_has_a_sandbox_a_submission_is_a_conflict(program, owner, project, resource):
    resource.facts = {"isolation": "none", "problems": ["No sandbox: run `this`."]}
    resource.save()
    for path in ("jobs", "jobs/check"):
        answer = problem(program(owner).post(f"/projects/{project.pk}/{path}", {"spec": SPEC}), 409, "conflict")
        assert "run `this`" in answer["detail"]


def test_a_check_says_what_the_job_is_and_costs_and_submits_nothing(
    program, owner, viewer, stranger, project, resource
):
    spec = {**SPEC, "resources": {"cpu": 2, "mem": 1, "gpu": 2}, "restartable": False}
    asks, path = program(owner), f"/projects/{project.pk}/jobs/check"
    said = asks.post(path, {"spec": spec}).json()
    assert said["spec"] == {**SPEC, "resources": {"cpu": 2.0, "mem": 1.0, "gpu": 2}}
    assert said["spec_yaml"].startswith("name: train")
    assert said["cost_per_hour"] is None
    price("cpu", "0.10")
    price("gpu", "2.00")
    price("gpu", "3.00", gpu_type="H200")
    assert float(asks.post(path, {"spec": spec}).json()["cost_per_hour"]) == 6.2
    assert not Job.objects.exists()
    problem(program(viewer).post(path, {"spec": spec}), 403, "not_granted")
    problem(program(stranger).post(path, {"spec": spec}), 404, "not_found")


def test_who_submits_a_job_with_data_of_other_projects_is_told_that_they_stay_there(
    program, owner, collaborator, project, resource, kept
):
    personal = Project.objects.get(owner=collaborator, personal=True)
    lender = projects.create(name="Lender", by=collaborator)
    projects.lend_data(project=lender, lends=True, by=collaborator)
    for place, by in ((personal, collaborator), (lender, collaborator), (project, owner)):
        push(datastores.create(project=place, kind="dataset", name="faces", by=by), {"a": b"1"}, by)
    asks, jobs = program(collaborator), f"/projects/{project.pk}/jobs"
    stays = "nothing is copied, and whoever can open this job can see what it reads."
    notices = [f"faces stays in your Personal project: {stays}", f"faces stays in Lender: {stays}"]
    spec = {"command": "true", "data": ["faces:/a", "personal:faces:/b", "personal:faces:/c", "lender.faces:/d"]}
    assert asks.post(f"{jobs}/check", {"spec": spec}).json()["notices"] == notices
    made = asks.post(jobs, {"spec": spec}).json()
    assert sorted(made["notices"]) == sorted(notices)
    read = program(owner).get(f"/jobs/{made['id']}").json()["notices"]
    assert sorted(read) == [notices[1], f"faces stays in its owner's Personal project: {stays}"]
    [listed] = program(owner).get("/jobs").json()["items"]
    assert "notices" not in listed
    assert asks.post(jobs, {"spec": {"command": "true", "data": ["faces:/a"]}}).json()["notices"] == []


def test_gpus_need_an_approved_account_where_that_is_so(program, role_program, owner, project, resource, settings):
    settings.MLTEAM_GPU_APPROVAL = True
    User.objects.update(gpu_approved=False)
    spec = {"spec": {"command": "true", "resources": {"gpu": 1}}}
    for asks in (program(owner), role_program(ALL_OF_JOBS)):
        for path in ("jobs", "jobs/check"):
            wrong = problem(asks.post(f"/projects/{project.pk}/{path}", spec), 422, "invalid")
            assert [one["field"] for one in wrong["errors"]] == ["spec.resources.gpu"]


def test_files_come_with_a_job_and_stay_for_its_clone(program, owner, project, resource):
    asks = program(owner)
    files = [SimpleUploadedFile("train.py", b"print(1)"), SimpleUploadedFile("data.csv", b"1,2")]
    answer = send_files(asks, project, spec=SPEC, files=files)
    assert answer.status_code == 201, answer.content
    first = answer.json()
    assert sorted(first["files"]) == ["data.csv", "train.py"]
    assert files_of(first["id"]) == {"train.py": b"print(1)", "data.csv": b"1,2"}

    clone = {"spec": SPEC, "clone": first["id"], "keep_files": ["data.csv"]}
    second = asks.post(f"/projects/{project.pk}/jobs", clone).json()
    assert (second["cloned_from"], files_of(second["id"])) == (first["id"], {"data.csv": b"1,2"})
    other = SimpleUploadedFile("train.py", b"print(2)")
    again = send_files(asks, project, spec=SPEC, files=other, clone=first["id"], keep_files=["data.csv", "train.py"])
    assert files_of(again.json()["id"]) == {"data.csv": b"1,2", "train.py": b"print(2)"}


def test_a_job_may_come_as_a_form_without_files(program, owner, project, resource):
    asks = program(owner)
    path = f"{ROOT}/projects/{project.pk}/jobs/with-files"
    assert asks.client.post(path, {"spec": json.dumps(SPEC)}, headers=asks.headers).status_code == 201


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"spec": "{"}, "spec"),
        ({"spec": "[]"}, "spec"),
        ({"spec": "{}"}, "spec.command"),
        ({"clone": "nothing"}, "clone"),
        ({"keep_files": ["a"]}, "keep_files"),
    ],
)
def test_what_is_wrong_with_a_form_is_said_by_name(program, owner, project, resource, form, field):
    answer = send_files(program(owner), project, **{"spec": SPEC, "files": [], **form})
    assert [one["field"] for one in problem(answer, 422, "invalid")["errors"]] == [field]


def test_a_body_beyond_what_the_server_reads_is_a_problem(program, owner, project):
    asks = program(owner)
    body = b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    path = f"{ROOT}/projects/{project.pk}/jobs"
    answer = asks.client.post(path, body, content_type="application/json", headers=asks.headers)
    problem(answer, 413, "too_large")


def test_nobody_clones_what_they_may_not_see(program, owner, stranger, project, resource, queued):
    theirs = projects.create(name="Theirs", by=stranger)
    hidden = queued(theirs, stranger)
    answer = program(owner).post(f"/projects/{project.pk}/jobs", {"spec": SPEC, "clone": hidden.pk})
    assert problem(answer, 422, "invalid")["errors"][0]["field"] == "clone"


def test_a_job_is_not_copied_into_another_project(program, owner, project, resource):
    asks = program(owner)
    first = asks.post(f"/projects/{project.pk}/jobs", {"spec": SPEC}).json()
    elsewhere = projects.create(name="Elsewhere", by=owner)
    answer = asks.post(f"/projects/{elsewhere.pk}/jobs", {"spec": SPEC, "clone": first["id"]})
    [wrong] = problem(answer, 422, "invalid")["errors"]
    assert wrong["field"] == "clone" and "nothing moves or is copied between projects" in wrong["message"]
    with pytest.raises(actions.Refusal, match="between projects"):
        actions.submit(project=elsewhere, spec=parse(SPEC), by=owner, cloned_from=Job.objects.get(pk=first["id"]))


def test_a_job_is_stopped_once(program, viewer, collaborator, job):
    problem(program(viewer).post(f"/jobs/{job.pk}/stop"), 403, "not_granted")
    answer = program(collaborator).post(f"/jobs/{job.pk}/stop")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert "ended already" in problem(program(collaborator).post(f"/jobs/{job.pk}/stop"), 409, "conflict")["detail"]


def test_only_a_job_that_has_ended_is_removed(program, owner, viewer, placed):
    asks, path = program(owner), f"/jobs/{placed.job_id}"
    log = logs.path_of(placed.job_id, 0)
    logs.append(log, 0, b"one\n")
    problem(asks.delete(path), 409, "conflict")
    transitions.ended(placed, reason="exited", sentence="It ended.", exit_status=0)
    problem(program(viewer).delete(path), 403, "not_granted")
    problem(asks.delete(path, **{"If-Match": '"other"'}), 412, "changed")
    tag = asks.get(path)["ETag"]
    assert asks.delete(path, **{"If-Match": tag}).status_code == 204
    assert not Job.objects.exists()
    assert not log.exists()
    assert AuditEntry.objects.get(action="job:rm").details == {"name": "train"}
    problem(asks.get(path), 404, "not_found")


def test_what_a_removed_job_cost_stays(program, owner, placed):
    price("cpu", "1.00")
    begun = timezone.now() - timedelta(minutes=6)
    Attempt.objects.update(placed_at=begun, started_at=begun)
    placed.refresh_from_db()
    transitions.ended(placed, reason="exited", sentence="It ended.", exit_status=0)
    assert program(owner).delete(f"/jobs/{placed.job_id}").status_code == 204
    assert 0.09 < float(sum(charge.amount for charge in Charge.objects.all())) < 0.11


def test_a_roles_key_takes_a_job_through_its_whole_life(role_program, program, owner, project, resource, as_user):
    key = role_program(ALL_OF_JOBS)
    price("cpu", "1.00")
    submitted = key.post(f"/projects/{project.pk}/jobs", {"spec": SPEC})
    assert submitted.status_code == 201, submitted.content
    job = submitted.json()
    assert (job["created_by"], job["by_role"], job["mine"]) == (None, "ci", True)
    key.post(f"/projects/{project.pk}/jobs", {"spec": SPEC})
    [attempt, _] = queue.place(resource)
    transitions.started(attempt, {})
    charges.charge_all()
    path, page = f"/jobs/{job['id']}", reverse("jobs:detail", args=[project.slug, job["id"]])
    for address in (page, f"{page}/history", reverse("jobs:list", args=[project.slug])):
        shown = as_user(owner).get(address)
        assert shown.status_code == 200
        assert address.endswith("history") or b"role ci" in shown.content
    assert key.post(f"{path}/stop").json()["sentence"] == "Stopped by role ci."
    transitions.ended(attempt, reason="stopped", sentence="Stopped.")
    assert key.get(path).json()["state"] == "cancelled"
    assert [one["by"] for one in key.get(f"{path}/history").json()["items"]] == [None] * 5
    assert [one["name"] for one in key.get("/jobs", mine="true").json()["items"]] == ["train", "train"]
    assert key.get("/jobs", mine="false").json()["items"] == []
    assert key.delete(path).status_code == 204
    told = AuditEntry.objects.filter(action__startswith="job:").order_by("at")
    assert {entry.by_name for entry in told} == {"role ci"}
    assert [entry.action for entry in told] == ["job:new", "job:new", "job:stop", "job:rm"]


def test_what_the_keys_of_a_role_submitted_is_theirs(role_program, program, owner, project, resource, queued):
    queued(project, owner, name="hers")
    key, asks = role_program(ALL_OF_JOBS), program(owner)
    assert key.post(f"/projects/{project.pk}/jobs", {"spec": {"name": "keys", "command": "true"}}).status_code == 201
    assert {one["name"]: one["mine"] for one in key.get("/jobs").json()["items"]} == {"keys": True, "hers": False}
    assert {one["name"]: one["mine"] for one in asks.get("/jobs").json()["items"]} == {"keys": False, "hers": True}
    assert [[one["name"] for one in who.get("/jobs", mine="true").json()["items"]] for who in (key, asks)] == [
        ["keys"],
        ["hers"],
    ]
    assert [one["name"] for one in key.get("/jobs", mine="false").json()["items"]] == ["hers"]


def test_a_role_may_do_no_more_than_its_policies_say(role_program, project, queued, owner, resource):
    job = queued(project, owner)
    key = role_program("project:get+job:get@{urn}+{urn}:job:*")
    assert key.get(f"/jobs/{job.pk}").status_code == 200
    problem(key.post(f"/jobs/{job.pk}/stop"), 403, "not_granted")
    problem(key.delete(f"/jobs/{job.pk}"), 403, "not_granted")
    problem(key.post(f"/projects/{project.pk}/jobs", {"spec": SPEC}), 403, "not_granted")
