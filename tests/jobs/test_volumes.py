"""Volumes in jobs: who may, what a job is told, and what is said of a full one."""

import json
import shutil
from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from compute import host
from datastores import actions as datastores
from datastores import volumes
from datastores.errors import InUse
from datastores.models import Datastore
from datastores.shown import show_use
from jobs import actions, data, engine, places, queue, tasks
from jobs.models import Job
from jobs.states import JobState, Reason
from projects import actions as projects
from projects.members import set_permissions
from projects.models import Project
from tests.api.conftest import program  # noqa: F401 - a fixture
from tests.datastores.conftest import dataset, kept  # noqa: F401 - fixtures
from tests.jobs.test_data import submit, var, version, wrong  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db

NONE = {"job": "all", "dataset": "none", "model": "none", "volume": "none"}


@pytest.fixture
def volume(project, owner, var) -> Datastore:  # noqa: F811
    made = datastores.create(project=project, kind="volume", name="home", quota=2**20, by=owner)
    (volumes.root_of(made) / "ü 1").mkdir()
    return made


@pytest.fixture(autouse=True)
def _volumes_work(monkeypatch):
    facts = replace(host.facts(), volumes="")
    monkeypatch.setattr(host, "facts", lambda: facts)


@pytest.mark.parametrize(
    ("text", "kept", "writes"),
    [
        ("home:/home/toolkit", "home:/home/toolkit", True),
        ("home/ü 1/:/v:rw", "home/ü 1:/v", True),
        ("home@latest:/v:ro", "home:/v:ro", False),
    ],
)
def test_a_volume_is_written_unless_something_else_is_said(submit, owner, volume, text, kept, writes):  # noqa: F811
    job = submit(owner, text, "faces:/data")
    assert job.spec["data"] == [kept, "faces@1:/data"]
    mount = job.mounts.get(datastore=volume)
    assert (mount.version, mount.writes) == (None, writes)
    alone = submit(owner, text)
    assert not alone.waits_for_data  # there is nothing to be laid out


def test_what_one_may_not_have_is_said(project, owner, collaborator, volume, submit):  # noqa: F811
    assert "volume:set): write :ro" in wrong(project, collaborator, "home:/v")
    assert submit(collaborator, "home:/v:ro").mounts.get().writes is False
    assert "has no versions" in wrong(project, owner, "home@3:/v")
    assert "no folder nothing in this volume" in wrong(project, owner, "home/nothing:/v")
    shutil.rmtree(volumes.place_of(volume) / "ü 1")
    (volumes.place_of(volume) / "ü 1").symlink_to("/etc")
    assert "no folder ü 1" in wrong(project, owner, "home/ü 1:/v")
    set_permissions(project, collaborator, NONE)
    assert "no such" in wrong(project, collaborator, "home:/v:ro")


def test_ones_own_personal_one_comes_along(collaborator, submit, var):  # noqa: F811
    personal = Project.objects.get(owner=collaborator, personal=True)
    home = datastores.create(project=personal, kind="volume", name="home", by=collaborator)
    assert submit(collaborator, "personal:home:/v").mounts.get().datastore == home


def test_one_of_another_project_is_only_read_where_it_is_lent(submit, project, owner, collaborator, volume, as_user):  # noqa: F811
    sound = projects.create(name="Sound", by=owner)
    assert "only jobs of that project" in wrong(sound, owner, "vision.home:/v:ro")
    projects.lend_data(project=project, lends=True, by=owner)
    assert "only read its data: write :ro" in wrong(sound, owner, "vision.home:/v")
    job = submit(owner, "vision.home/ü 1:/v:ro", into=sound)
    assert [(place["target"], place["volume"]["writes"]) for place in data.places(job)] == [("/v", False)]
    assert 'data-add-line="vision.home:/data/home:ro"' in as_user(owner).get("/p/sound/jobs/new").content.decode()
    hidden = {"urn": None, "created_by": None, "by_role": None, "state": None}
    told = {"name": "a job of another project", "writes": False} | hidden
    assert program_users(collaborator, volume) == [told]  # who sees the volume, but not the other project
    [seen] = program_users(owner, volume)
    assert (seen["urn"], seen["created_by"]["username"], seen["state"]) == (job.urn, owner.username, "queued")
    projects.lend_data(project=project, lends=False, by=owner)
    with pytest.raises(data.Unusable, match="only jobs of that project read its data"):
        data.places(job)


def program_users(by, volume):
    return [show_use(use, by) for use in datastores.users_of(volume, by=by)]


def test_where_it_cannot_be_had_that_is_said(project, owner, volume, monkeypatch, submit, resource):  # noqa: F811
    job = submit(owner, "home:/v")
    facts = replace(host.facts(), volumes="idmapped mounts do not work here")
    monkeypatch.setattr(host, "facts", lambda: facts)
    assert "can have a volume: idmapped mounts" in wrong(project, owner, "home:/v:ro")
    [attempt] = queue.place(resource)
    engine.start(attempt)
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.FAILED, Reason.DATA) and "idmapped" in job.sentence


def test_its_runner_is_told_all_of_it(submit, owner, volume, resource, monkeypatch):  # noqa: F811
    submit(owner, "home/ü 1:/v", "home:/all:ro")
    [attempt] = queue.place(resource)
    monkeypatch.setattr("runner.launch", lambda *_: None)
    engine.start(attempt)
    told = json.loads((places.attempt_directory(attempt.job_id, 0) / "attempt.json").read_text())["mounts"]
    root = volumes.place_of(volume)
    quota_file = told[0]["volume"]["quota_file"]
    same = {"owner": volumes.owner(), "name": "home", "quota_file": quota_file}
    assert told.pop()["target"] == "/input"  # an empty directory
    assert told == [
        {"source": str(root), "target": "/all", "volume": {"sub": "", "writes": False, **same}},
        {"source": str(root), "target": "/v", "volume": {"sub": "ü 1", "writes": True, **same}},
    ]
    with open(quota_file) as file:
        assert file.read() == str(2**20)


def test_a_raised_quota_is_told(volume, owner, django_capture_on_commit_callbacks):
    file = volumes.note_quota(volume)
    with django_capture_on_commit_callbacks(execute=True):
        datastores.edit(datastore=volume, quota=2**21, by=owner)
    assert file.read_text() == str(2**21)


def test_a_full_one_takes_no_more(submit, project, owner, volume, resource):  # noqa: F811
    job = submit(owner, "home:/v")
    (volumes.place_of(volume) / "large").write_bytes(b"x" * 2**20)
    [attempt] = queue.place(resource)
    engine.start(attempt)
    job.refresh_from_db()
    assert job.reason == Reason.DATA
    assert job.sentence.startswith("The volume home is full, it may have 1.0 MiB: remove content")
    assert "is full" in wrong(project, owner, "home:/v")
    assert submit(owner, "home:/v:ro")


def test_a_job_that_filled_one_has_failed_and_says_so(submit, owner, volume, resource):  # noqa: F811
    job = submit(owner, "home:/v")
    [attempt] = queue.place(resource)
    volumes.measure(volume)
    said = "The volume home has more than the 1.0 MiB that it may have."
    actions.attempt_ended(attempt.pk, {"reason": "volume_full", "message": said, "log": {}})
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.FAILED, Reason.VOLUME_FULL)
    assert job.sentence == f"Filled a volume. {said}"
    volume.refresh_from_db()
    assert volume.measured_at is None  # what is in it is counted soon


def test_it_stays_while_a_job_has_it_and_says_which(submit, owner, volume, program, project, join, make_user):  # noqa: F811
    job = submit(owner, "home:/v", "home/ü 1:/w:ro")
    said = rf"in use by job job of Olga Owner \({job.pk}, queued\)\. Wait"
    with pytest.raises(InUse, match=said):
        datastores.remove(datastore=volume, by=owner)
    at = f"/datastores/{volume.pk}/users"
    [told] = program(owner).get(at).json()
    assert told.pop("created_by")["username"] == owner.username
    assert told == {"urn": job.urn, "name": "job job", "writes": True, "by_role": None, "state": "queued"}
    refused = program(owner).delete(f"/datastores/{volume.pk}").json()
    assert [(one["urn"], one["created_by"]["name"], one["state"]) for one in refused["users"]] == [
        (job.urn, "Olga Owner", "queued")
    ]
    blind = join(project, make_user("bob"), NONE | {"job": "none", "volume": "all"}).user
    hidden = {"urn": None, "created_by": None, "by_role": None, "state": None}
    assert program(blind).get(at).json() == [{"name": "a job of others", "writes": True} | hidden]
    with pytest.raises(InUse, match=r"in use by a job of others\. Wait"):
        datastores.remove(datastore=volume, by=blind)
    actions.stop(job=job, by=owner)
    assert program(owner).get(at).json() == []
    datastores.remove(datastore=volume, by=owner)
    assert Job.objects.get(pk=job.pk).mounts.count() == 2


def test_who_may_no_longer_change_it_has_no_job_that_does(submit, project, collaborator, volume, resource):  # noqa: F811
    set_permissions(project, collaborator, dict.fromkeys(NONE, "all"))
    job = submit(collaborator, "home:/v")
    set_permissions(project, collaborator, NONE | {"volume": "read"})
    [attempt] = queue.place(resource)
    engine.start(attempt)
    job.refresh_from_db()
    assert "may no longer change the volume home" in job.sentence


def test_the_form_offers_volumes(project, owner, volume):
    assert ("home:/data/home", "home (volume, the job may write there)") in data.choices(project, owner)[0]


def test_an_empty_log_names_the_volumes_in_which_the_output_may_be(as_user, project, owner, volume, submit):  # noqa: F811
    job = submit(owner, "home/ü 1:/v", "home:/r:ro", "faces:/data")
    page = as_user(owner).get(f"/p/{project.slug}/jobs/{job.pk}").content.decode()
    assert 'data-written="home (/v)"' in page
    job = submit(owner, "faces:/data")
    assert "data-written" not in as_user(owner).get(f"/p/{project.slug}/jobs/{job.pk}").content.decode()


def test_what_running_jobs_may_write_is_measured_now_and_then(submit, owner, volume, resource):  # noqa: F811
    reads = datastores.create(project=volume.project, kind="volume", name="reads", by=owner)
    submit(owner, "home:/v", "reads:/r:ro")
    queue.place(resource)
    for one in (volume, reads):
        volumes.measure(one)
    tasks.note_writing()
    assert Datastore.objects.filter(measured_at=None, kind="volume").count() == 0
    Datastore.objects.update(measured_at=volume.measured_at - 2 * data.MEASURED_EVERY)
    tasks.note_writing()
    assert [one.name for one in Datastore.objects.filter(measured_at=None, kind="volume")] == ["home"]


def test_its_page_says_who_has_it(submit, project, owner, volume, as_user, join, make_user, django_assert_num_queries):  # noqa: F811
    at = f"/p/{project.slug}/data/{volume.pk}"
    job = submit(owner, f"{volume.pk}:/v")
    page = as_user(owner)
    page.get(at)
    with CaptureQueriesContext(connection) as asked:
        shown = " ".join(page.get(at).content.decode().split())
    one = len(asked)
    row = shown[shown.index(f"/p/{project.slug}/jobs/{job.pk}") :].partition("</li>")[0]
    assert "Olga Owner" in row and 'data-state="queued">Queued<' in row and "writes" in row
    for _ in range(3):
        submit(owner, "home:/v:ro")
    with django_assert_num_queries(one):
        page.get(at)
    Job.objects.filter(pk=job.pk).update(created_by=None, by_role="nightly")
    assert "<span>role nightly</span>" in page.get(at).content.decode()
    with pytest.raises(InUse, match=rf"by job job of role nightly \({job.pk}, queued\), job job of Olga Owner"):
        datastores.remove(datastore=volume, by=owner)
    blind = join(project, make_user("bob"), NONE | {"job": "none", "volume": "read"}).user
    shown = as_user(blind).get(at).content.decode()
    assert shown.count("a job of others") == 4 and job.pk not in shown and "Queued" not in shown


def test_a_volume_by_its_id_is_named_where_it_is_written(submit, project, owner, volume, as_user, resource):  # noqa: F811
    job = submit(owner, f"{volume.pk}/ü 1:/v", f"{volume.pk}:/w:ro")
    assert job.spec["data"] == [f"{volume.pk}/ü 1:/v", f"{volume.pk}:/w:ro"]
    page = as_user(owner).get(f"/p/{project.slug}/jobs/{job.pk}").content.decode()
    assert "<dd>home/ü 1:/v, home:/w:ro</dd>" in page
    assert [(one.name, one.path) for one in data.written(data.named(job))] == [("home", "/v")]
