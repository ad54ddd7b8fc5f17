"""Datasets and models in jobs: who may have them, which version that is, laying it out, and what becomes of it meanwhile."""

import json
import os
import shutil

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import access
from datastores import actions as datastores
from datastores import trees
from datastores.blobs import Unavailable
from datastores.errors import InUse
from datastores.models import Datastore, Kind
from jobs import actions, data, engine, hints, inputs, places, queue, tasks, transfers
from jobs.models import Job, Mount
from jobs.spec import SpecErrors, parse
from jobs.states import JobState, Reason
from mlteam import state
from projects import actions as projects
from projects.errors import Impossible
from projects.members import set_permissions
from projects.models import AuditEntry, Project
from tests.datastores.conftest import dataset, kept  # noqa: F401 - fixtures
from tests.datastores.pushing import push

pytestmark = pytest.mark.django_db

FILES = {"train/a b.txt": b"one\n", "run.sh": b"two\n", "empty": b""}


@pytest.fixture
def var(settings, monkeypatch, tmp_path):
    settings.VAR = tmp_path
    monkeypatch.setattr(state, "VAR", tmp_path)
    return tmp_path


@pytest.fixture
def version(var, dataset, owner):  # noqa: F811
    return push(dataset, FILES, owner)


@pytest.fixture
def submit(project, resource, version, monkeypatch):
    """submit(by, "faces:/data") as a page does it; no worker listens."""
    asked = []
    monkeypatch.setattr(hints, "_send", lambda *what: asked.append(what))

    def make(by, *wanted, into=project):
        job = actions.submit(project=into, spec=parse({"command": "true", "data": list(wanted)}), by=by)
        job.asked = asked
        return job

    return make


def wrong(project, by, *wanted) -> str:
    with pytest.raises(SpecErrors) as caught:
        actions.check(project=project, spec=parse({"command": "true", "data": list(wanted)}), by=by)
    assert {field for field, _ in caught.value.errors} == {"data"}
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "pinned"),
    [
        ("faces:/data", "faces@3:/data"),
        ("faces@latest/train/:/data//in/:ro", "faces@3/train:/data/in"),
        ("ada:faces@2/a b/ü:/work/in", "ada:faces@3/a b/ü:/work/in"),
    ],
)
def test_what_is_wanted_is_said_in_one_line(text, pinned):
    from jobs.spec import Wanted

    assert Wanted.of(text).pinned(3) == pinned
    assert Wanted.of(pinned).version == 3


@pytest.mark.parametrize(
    "data",
    [
        "faces",
        "faces:data",
        "faces:/",
        "faces:/usr/share",
        "faces:/work",
        "faces:/data/../etc",
        "faces@0:/data",
        "faces@x:/data",
        "faces/../x:/data",
        ":/data",
        "faces:/data:rx",
        "fa\nces:/data",
        ["faces:/data", "other:/data"],
        ["faces:/data", "other:/data/in"],
        ["faces:/data"] * 51,
        {"faces": "/data"},
    ],
)
def test_what_makes_no_sense_is_refused_by_name(data):
    with pytest.raises(SpecErrors) as caught:
        parse({"command": "true", "data": data if isinstance(data, list | dict) else [data]})
    assert all(field.split(".")[0] == "data" for field, _ in caught.value.errors)


def test_the_latest_version_is_pinned_when_it_is_submitted(submit, owner, dataset, version):  # noqa: F811
    first = submit(owner, "faces:/data")
    push(dataset, {"new": b"three"}, owner)
    assert first.spec["data"] == ["faces@1:/data"]
    assert submit(owner, "faces/new:/data").spec["data"] == ["faces@2/new:/data"]
    assert submit(owner, "faces@1:/data").spec["data"] == ["faces@1:/data"]
    assert AuditEntry.objects.filter(action="job:new").earliest("id").after["data"] == ["faces@1:/data"]


def test_what_is_not_there_or_not_for_somebody_is_the_same_to_them(
    project, owner, version, make_user, join, resource, levels_of_nothing
):
    assert "no such dataset" in wrong(project, owner, "nothing:/data")
    assert "no version 7" in wrong(project, owner, "faces@7:/data")
    assert "there is no validation in version 1" in wrong(project, owner, "faces/validation:/data")
    assert "only be read" in wrong(project, owner, "faces:/data:rw")
    nobody = wrong(project, levels_of_nothing, "faces:/data").replace("faces", "X")
    assert nobody == wrong(project, levels_of_nothing, "nothing:/data").replace("nothing", "X")
    theirs = make_user("otto")
    elsewhere = Project.objects.get(owner=theirs, personal=True)
    assert "no such dataset" in wrong(elsewhere, theirs, "faces:/data")
    assert "no such dataset" in wrong(elsewhere, theirs, "olga:faces:/data")


@pytest.fixture
def levels_of_nothing(project, make_user, join):
    """A member who may submit jobs and read no dataset."""
    member = join(project, make_user("nell"), "Collaborator")
    levels = {"job": "all", "dataset": "none", "model": "none", "volume": "none"}
    projects.set_levels(member=member, levels=levels, by=project.owner)
    return member.user


def test_ones_own_personal_ones_come_along_and_those_of_nobody_else(submit, project, owner, collaborator):
    personal = Project.objects.get(owner=collaborator, personal=True)
    mine = datastores.create(project=personal, kind="model", name="mine", by=collaborator)
    push(mine, {"weights": b"1"}, collaborator)
    assert submit(collaborator, "personal:mine:/m").spec["data"] == ["personal:mine@1:/m"]
    assert submit(collaborator, f"{collaborator.username}:mine:/m").mounts.get().version.datastore == mine
    assert "no such" in wrong(project, owner, "personal:mine:/m")
    assert "no such" in wrong(project, owner, f"{collaborator.username}:mine:/m")
    assert "no such" in wrong(project, collaborator, "mine:/m")


@pytest.fixture
def elsewhere(make_user, project, join):
    """(a project of somebody's own, that somebody, who may read the data of Vision)"""
    reader = make_user("rosa")
    join(project, reader, "Viewer")
    return projects.create(name="Sound", by=reader), reader


def test_other_projects_data_come_along_where_their_owner_lets_them(
    submit, project, owner, elsewhere, collaborator, version, as_user, resource
):
    sound, reader = elsewhere
    refused = wrong(sound, reader, "vision.faces:/data")
    assert "only jobs of that project read its data. Olga Owner can let" in refused
    assert "vision.faces" not in as_user(reader).get(f"/p/{sound.slug}/jobs/new").content.decode()
    projects.lend_data(project=project, lends=True, by=owner)
    job = submit(reader, "vision.faces/train:/data", into=sound)
    assert job.spec["data"] == ["vision.faces@1/train:/data"] and job.mounts.get().version == version
    assert data.bring(job.pk)
    page = as_user(reader).get(f"/p/{sound.slug}/jobs/{job.pk}").content.decode()
    assert "<dt>From elsewhere</dt><dd>faces stays in Vision: nothing is copied" in page
    assert (
        'data-add-line="vision.faces:/data/faces"' in as_user(reader).get(f"/p/{sound.slug}/jobs/new").content.decode()
    )
    assert not Datastore.objects.filter(project=sound).exists()
    with pytest.raises(InUse) as caught:
        datastores.remove(datastore=version.datastore, by=owner)
    assert "a job of another project" in str(caught.value) and job.pk not in repr(caught.value.users)
    with pytest.raises(Impossible, match="other projects read its data"):
        projects.remove(project=project, by=owner)
    assert "no such" in wrong(sound, reader, "faces:/data") and "no such" in wrong(sound, reader, "sound.faces:/data")


def test_who_may_not_read_there_learns_nothing_of_it(project, owner, make_user, version, resource, elsewhere):
    stranger = make_user("sven")
    own = Project.objects.get(owner=stranger, personal=True)
    for lends in (False, True):
        projects.lend_data(project=project, lends=lends, by=owner)
        assert wrong(own, stranger, "vision.faces:/data") == "data: vision.faces:/data: " + wrong(
            own, stranger, "vision.nothing:/data"
        ).removeprefix("data: vision.nothing:/data: ")
        assert data.choices(own, stranger) == ([], False)


def test_the_form_offers_what_is_others_and_what_is_personal(project, owner, make_user, join, version):
    reader = make_user("rita")
    join(project, reader)
    mine = datastores.create(
        project=Project.objects.get(owner=reader, personal=True), kind=Kind.VOLUME, name="notes", by=reader
    )
    found = offered(project, reader)
    others = f"{owner.username}:{version.datastore.name}"
    assert found[f"{others}:/data/{version.datastore.name}"] == f"{others} (dataset, version 1)"
    assert found["personal:notes:/data/notes"].startswith("personal:notes (volume")
    for line in found:
        actions.check(project=project, spec=parse({"command": "true", "data": [line]}), by=reader)
    assert not any("notes" in line for line in offered(project, owner))
    assert offered(mine.project, reader).keys() == {"notes:/data/notes"}
    assert f"{version.datastore.name}:/data/{version.datastore.name}" in offered(project, owner)


def offered(project, by) -> dict[str, str]:
    lines, more = data.choices(project, by)
    assert not more
    return dict(lines)


def test_the_form_offers_what_has_a_version_and_says_truly_whether_there_is_more(
    project, owner, version, monkeypatch, as_user, resource, django_assert_num_queries
):
    monkeypatch.setattr(data, "OFFERED", 3)
    for number in range(data.OFFERED + 2):  # which come before it by name, and have nothing to be read
        datastores.create(project=project, kind="dataset", name=f"a{number}", by=owner)
    assert offered(project, owner).keys() == {"faces:/data/faces"}
    for number in range(data.OFFERED - 1):
        datastores.create(project=project, kind="volume", name=f"v{number}", by=owner)
    with CaptureQueriesContext(connection) as asked:
        assert len(offered(project, owner)) == data.OFFERED
    few = len(asked)
    new = f"/p/{project.slug}/jobs/new"
    assert "and more: write" not in as_user(owner).get(new).content.decode()
    datastores.create(project=project, kind="volume", name="v9", by=owner)
    lines, more = data.choices(project, owner)
    assert len(lines) == data.OFFERED and more
    assert "and more: write their names" in as_user(owner).get(new).content.decode()
    monkeypatch.setattr(data, "OFFERED", 30)
    for number in range(10):
        push(datastores.create(project=project, kind="model", name=f"m{number}", by=owner), {"w": b"1"}, owner)
    with django_assert_num_queries(few):
        assert len(offered(project, owner)) == 14


def test_what_is_no_longer_lent_is_not_shown_to_a_job_that_waits(submit, project, owner, elsewhere, version, resource):
    sound, reader = elsewhere
    projects.lend_data(project=project, lends=True, by=owner)
    job = submit(reader, "vision.faces:/data", into=sound)
    projects.edit(project=project, lends_data=False, by=owner)
    assert not data.bring(job.pk)
    job.refresh_from_db()
    assert job.reason == Reason.DATA and "only jobs of that project read its data" in job.sentence
    said = AuditEntry.objects.filter(action="project:lend").order_by("id").values_list("after", flat=True)
    assert list(said) == [{"lends_data": True}, {"lends_data": False}]


def test_a_full_name_says_all_projects_above_or_the_address_alone(submit, project, owner, version, resource, make_user):
    inner = projects.create(name="Inner", by=owner, parent=project)
    made = datastores.create(project=inner, kind="model", name="v.1", by=owner)
    push(made, {"weights": b"1"}, owner)
    projects.lend_data(project=inner, lends=True, by=owner)
    for name in ("vision.inner.v.1", "inner.v.1"):
        assert submit(owner, f"{name}:/m").spec["data"] == [f"{name}@1:/m"]
    for name in ("other.inner.v.1", "vision.v.1", "v.1", "inner.v", ".v.1"):
        assert "no such" in wrong(project, owner, f"{name}:/m")
    near = datastores.create(project=project, kind="model", name="inner.v.1", by=owner)
    push(near, {"weights": b"2"}, owner)
    assert submit(owner, "inner.v.1:/m").mounts.get().version.datastore == near


def test_only_who_may_change_a_project_lends_its_data(project, owner, collaborator, as_user):
    with pytest.raises(access.Refused):
        projects.lend_data(project=project, lends=True, by=collaborator)
    with pytest.raises(access.Refused, match="Personal"):
        projects.lend_data(project=Project.objects.get(owner=owner, personal=True), lends=True, by=owner)
    page = as_user(owner)
    page.post("/p/vision/settings", {"name": "Vision", "lends_data": "on"})
    project.refresh_from_db()
    assert project.lends_data and "checked" in page.get("/p/vision/settings").content.decode()
    assert [one.action for one in AuditEntry.objects.filter(action__in=["project:set", "project:lend"])] == [
        "project:lend"
    ]


def test_a_job_is_placed_when_what_it_needs_is_laid_out(submit, owner, version, resource):
    job = submit(owner, "faces:/data", "faces/train:/work/in")
    assert job.waits_for_data and queue.place(resource) == []
    assert "laid out" in queue.explain(job).sentence
    assert data.bring(job.pk) and not data.bring(job.pk)
    [attempt] = queue.place(resource)
    tree = trees.place_of(version)
    mounts = data.places(attempt.job)
    assert mounts == [{"source": str(tree), "target": "/data"}, {"source": str(tree / "train"), "target": "/work/in"}]
    found = {str(file.relative_to(tree)): file.read_bytes() for file in tree.rglob("*") if file.is_file()}
    assert found == FILES
    assert {file.stat().st_mode & 0o777 for file in tree.rglob("*") if file.is_file()} == {0o444}
    second = submit(owner, "faces:/other")
    assert not second.waits_for_data  # it is there, and not once more
    assert (tree / "run.sh").stat().st_nlink == 2


def test_a_worker_that_was_lost_is_made_up_for(submit, owner, monkeypatch, version):
    job = submit(owner, "faces:/data")
    job.asked.clear()
    monkeypatch.setitem(tasks._asked_again, "at", 0.0)
    tasks._ask_again()
    tasks._ask_again()  # not at once
    assert job.asked == [("bring", job.pk)]
    draft = trees.place_of(version).with_name(f".{version.digest}.draft")
    draft.mkdir()
    (draft / "run.sh").write_bytes(b"half")
    monkeypatch.setattr(tasks, "look", lambda: job.asked.append("look"))
    tasks.bring(job.pk)
    assert job.asked[-1] == "look"
    assert (trees.place_of(version) / "run.sh").read_bytes() == b"two\n" and not draft.exists()
    assert not Job.objects.get(pk=job.pk).waits_for_data


def test_while_one_lays_it_out_another_leaves_it_alone(submit, owner, version):
    job = submit(owner, "faces:/data")
    with trees._alone(trees.place_of(version)) as alone:
        assert alone and not data.bring(job.pk)
    assert Job.objects.get(pk=job.pk).waits_for_data and data.bring(job.pk)


def test_content_that_is_lost_ends_the_job_and_says_so(submit, owner, version, kept):  # noqa: F811
    job = submit(owner, "faces:/data")
    shutil.rmtree(kept.root)
    assert not data.bring(job.pk)
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.FAILED, Reason.DATA) and "Push" in job.sentence
    assert not trees.stands(version)


@pytest.fixture
def copied(kept, monkeypatch):  # noqa: F811
    """copied(pieces) has the store give these instead of what it keeps, which is copied as to another disk."""
    monkeypatch.setattr(trees, "_linked", lambda *_: False)
    monkeypatch.setattr(transfers, "OFTEN", 0.01)
    return lambda pieces: monkeypatch.setattr(kept, "read", lambda *_: pieces())


def nothing_is_left_of(version) -> bool:
    place = trees.place_of(version)
    return not place.exists() and not place.with_name(f".{place.name}.draft").exists()


def test_a_disk_that_is_nearly_full_ends_the_job_and_says_so(submit, owner, version, monkeypatch):
    monkeypatch.setattr(transfers, "LEFT", 2**60)
    job = submit(owner, "faces:/data")
    assert not data.bring(job.pk)
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.FAILED, Reason.DATA)
    assert job.sentence.startswith("faces@1 could not be laid out on the host. The server's disk has less than")
    assert nothing_is_left_of(version)


def test_a_disk_that_fills_up_meanwhile_is_not_filled(submit, owner, version, copied, monkeypatch):
    def pieces():
        yield b"there is room for this"
        monkeypatch.setattr(transfers, "LEFT", 2**60)
        yield b"and none for this"

    copied(pieces)
    job = submit(owner, "faces:/data")
    assert not data.bring(job.pk)
    job.refresh_from_db()
    assert job.reason == Reason.DATA and "disk has less than" in job.sentence and nothing_is_left_of(version)


def test_a_store_that_does_not_answer_is_asked_again_for_a_while(submit, owner, version, copied, monkeypatch):
    asked = []

    def pieces():
        asked.append(1)
        raise Unavailable("The store does not answer.")

    copied(pieces)
    job = submit(owner, "faces:/data")
    assert not data.bring(job.pk) and not data.bring(job.pk) and asked == [1]  # not at once
    said = "Tries again in a while to lay faces@1 out on the host: The store does not answer."
    assert queue.explain(Job.objects.get(pk=job.pk)).sentence == said
    monkeypatch.setattr(transfers, "REST", 0)
    while data.bring(job.pk) or Job.objects.get(pk=job.pk).state == JobState.QUEUED:
        assert len(asked) < transfers.TRIES
    job.refresh_from_db()
    assert len(asked) == transfers.TRIES and (job.state, job.reason) == (JobState.FAILED, Reason.DATA)
    assert job.sentence == "faces@1 could not be laid out on the host. The store does not answer."


def test_a_job_that_is_cancelled_meanwhile_stops_it(submit, owner, version, copied, monkeypatch):
    copied(lambda: iter(lambda: b"without end ", b""))
    job, waits = submit(owner, "faces:/data"), inputs.waits

    def cancelled(asked):
        if waits(asked):
            actions.stop(job=job, by=owner)
        return waits(asked)

    monkeypatch.setattr(inputs, "waits", cancelled)
    assert not data.bring(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED and nothing_is_left_of(version)


def test_what_is_wanted_by_its_id_is_the_same_as_by_name(submit, project, owner, make_user, join, version, as_user):
    known = version.datastore.pk
    job = submit(owner, f"{known}/train:/data", f"{known}@1:/more")
    assert job.spec["data"] == [f"{known}@1/train:/data", f"{known}@1:/more"]
    assert {one.version for one in job.mounts.all()} == {version} and data.bring(job.pk)
    page = as_user(owner).get(f"/p/{project.slug}/jobs/{job.pk}").content.decode()
    assert "<dd>faces@1/train:/data, faces@1:/more</dd>" in page
    datastores.edit(datastore=version.datastore, name="people", by=owner)
    page = as_user(owner).get(f"/p/{project.slug}/jobs/{job.pk}").content.decode()
    assert "<dd>people@1/train:/data, people@1:/more</dd>" in page
    disguised = datastores.create(project=project, kind="dataset", name=known, by=owner)
    push(disguised, {"x": b"other"}, owner)
    assert submit(owner, f"{known}:/data").mounts.get().datastore == version.datastore  # not what is only called so
    reader = join(project, make_user("rosa"), "Viewer").user
    sound = projects.create(name="Sound", by=reader)
    assert "only jobs of that project read its data" in wrong(sound, reader, f"{known}:/data")
    projects.lend_data(project=project, lends=True, by=owner)
    assert submit(reader, f"{known}:/data", into=sound).mounts.get().version == version


def test_an_id_that_is_not_for_somebody_is_as_one_that_is_none(
    submit, project, owner, version, levels_of_nothing, make_user, collaborator
):
    def said(place, by, known):
        return wrong(place, by, f"{known}:/data").replace(known, "X")

    stranger = make_user("sven")
    own = Project.objects.get(owner=stranger, personal=True)
    secret = datastores.create(
        project=Project.objects.get(owner=collaborator, personal=True), kind="dataset", name="mine", by=collaborator
    )
    push(secret, {"x": b"1"}, collaborator)
    nothing = "a234567a234567a2"
    for lends in (False, True):
        projects.lend_data(project=project, lends=lends, by=owner)
        assert said(own, stranger, version.datastore.pk) == said(own, stranger, nothing)
        for place, by in ((project, levels_of_nothing), (project, owner)):
            assert said(place, by, secret.pk) == said(place, by, nothing)
    assert said(project, levels_of_nothing, version.datastore.pk) == said(project, levels_of_nothing, nothing)
    assert submit(collaborator, f"{secret.pk}:/m").mounts.get().datastore == secret  # their own comes along
    datastores.remove(datastore=datastores.create(project=project, kind="dataset", name="gone", by=owner), by=owner)
    gone = Datastore.objects.get(name="gone")
    assert said(project, owner, gone.pk) == said(project, owner, nothing)


def test_a_dataset_is_kept_while_a_job_has_it(submit, owner, dataset, version):  # noqa: F811
    job = submit(owner, "faces:/data")
    with pytest.raises(InUse) as caught:
        datastores.remove(datastore=dataset, by=owner)
    assert [user.urn for user in caught.value.users] == [job.urn] and "job" in str(caught.value)
    actions.stop(job=job, by=owner)
    datastores.remove(datastore=dataset, by=owner)
    assert "no such dataset" in wrong(job.project, owner, *job.spec["data"])


def test_a_job_never_starts_without_what_it_asked_for(submit, owner, version, resource, monkeypatch):
    job = submit(owner, "faces:/data")
    assert data.bring(job.pk)
    [attempt] = queue.place(resource)
    shutil.rmtree(trees.place_of(version))
    engine.start(attempt)
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.FAILED, Reason.DATA)
    assert not (places.attempt_directory(job.id, 0) / "attempt.json").exists()
    other = submit(owner, "faces:/data")
    Mount.objects.filter(job=other).delete()
    assert not data.bring(other.pk) and Job.objects.get(pk=other.pk).reason == Reason.DATA


def test_who_may_no_longer_read_it_has_no_job_with_it(submit, project, collaborator, version, resource):
    job = submit(collaborator, "faces:/data")
    assert data.bring(job.pk)
    [attempt] = queue.place(resource)
    set_permissions(project, collaborator, {"job": "all", "dataset": "none", "model": "none", "volume": "none"})
    engine.start(attempt)
    job.refresh_from_db()
    assert job.reason == Reason.DATA and "may no longer read the dataset faces" in job.sentence


def test_a_later_runner_is_told_the_same(submit, owner, version, resource, monkeypatch):
    job = submit(owner, "faces:/data")
    data.bring(job.pk)
    [attempt] = queue.place(resource)
    monkeypatch.setattr("runner.launch", lambda *_: None)
    engine.start(attempt)
    told = places.attempt_directory(job.id, 0) / "attempt.json"
    before = json.loads(told.read_text())["mounts"]
    shutil.rmtree(trees.place_of(version))
    engine.start(attempt)
    again = json.loads(told.read_text())
    assert again["generation"] == 2 and again["mounts"] == before
    assert [one["target"] for one in before] == ["/data", "/input"]


def test_trees_of_versions_that_are_no_more_go(submit, owner, dataset, version):  # noqa: F811
    job = submit(owner, "faces:/data")
    data.bring(job.pk)
    trees.tidy()
    assert trees.stands(version)
    actions.stop(job=job, by=owner)
    place = trees.place_of(version)
    datastores.remove(datastore=dataset, by=owner)
    trees.tidy()
    assert not place.parent.exists() or not os.listdir(place.parent)


def test_the_form_offers_what_one_may_read(as_user, project, owner, version, resource, levels_of_nothing):
    page = as_user(owner).get(f"/p/{project.slug}/jobs/new").content.decode()
    assert 'data-add-line="faces:/data/faces"' in page and "faces (dataset, version 1)" in page
    assert "data-add-line" not in as_user(levels_of_nothing).get(f"/p/{project.slug}/jobs/new").content.decode()


def test_what_was_pinned_is_shown_and_copied(as_user, project, owner, submit):
    job = submit(owner, "faces:/data")
    page = as_user(owner).get(f"/p/{project.slug}/jobs/{job.pk}").content.decode()
    assert "faces@1:/data" in page
    again = as_user(owner).get(f"/p/{project.slug}/jobs/new?clone={job.pk}").content.decode()
    assert ">\nfaces@1:/data</textarea>" in again
