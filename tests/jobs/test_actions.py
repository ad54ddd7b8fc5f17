"""Submitting and stopping, without runners."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from access import Refused
from jobs import actions, places, queue
from jobs.models import Job
from jobs.spec import SpecErrors, parse
from jobs.states import JobState
from projects import actions as projects
from projects.errors import Impossible
from projects.models import AuditEntry, Member

pytestmark = pytest.mark.django_db


def submit(project, by, *, files=(), resources=None, **more):
    data = {"name": "train", "command": "true"} | ({"resources": resources} if resources else {})
    return actions.submit(project=project, spec=parse(data), by=by, files=files, **more)


def test_a_submitted_job_waits_and_is_in_the_audit_trail(resource, project, collaborator):
    job = submit(project, collaborator)
    assert (job.state, job.created_by) == (JobState.QUEUED, collaborator)
    assert [move.state for move in job.moves.all()] == ["queued"]
    assert AuditEntry.objects.filter(action="job:new", urn=job.urn, by_id=collaborator.pk).exists()


def test_a_reader_may_not_submit(resource, project, viewer):
    with pytest.raises(Refused):
        submit(project, viewer)


def test_what_no_host_can_ever_give_is_refused_with_what_there_is(resource, project, owner):
    with pytest.raises(SpecErrors) as raised:
        submit(project, owner, resources={"gpu": 9, "cpu": 64, "mem": 999})
    said = dict(raised.value.errors)
    assert said["resources.gpu"] == "9 asked for, the largest host here has 2 GPUs"
    assert set(said) == {"resources.gpu", "resources.cpu", "resources.mem"}


def test_without_a_sandbox_jobs_are_refused_with_the_remedy(resource, project, owner):
    resource.facts = {"isolation": "none", "problems": ["No sandbox: run `this`."]}
    resource.save()
    with pytest.raises(actions.Refusal, match="run `this`"):
        submit(project, owner)


def test_files_are_kept_with_the_job(resource, project, owner):
    job = submit(project, owner, files=[SimpleUploadedFile("train.py", b"print(1)")])
    assert job.files == ["train.py"]
    assert (places.job_directory(job.id) / "files" / "train.py").read_bytes() == b"print(1)"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", "a\0b", "a\\b", "n" * 256, ".."])
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(SpecErrors):
        actions.check_file_name(name)


def test_too_much_is_refused_before_anything_is_kept(resource, project, owner, settings):
    settings.MLTEAM_UPLOAD_CAP = 10
    with pytest.raises(SpecErrors, match="may be uploaded"):
        submit(project, owner, files=[SimpleUploadedFile("big", b"x" * 11)])
    assert not Job.objects.exists()


def test_a_clone_is_mine_and_keeps_the_files_i_choose(resource, project, owner, collaborator):
    files = [SimpleUploadedFile("a.py", b"a"), SimpleUploadedFile("b.py", b"b")]
    original = submit(project, owner, files=files)
    clone = submit(project, collaborator, cloned_from=original, keep_files=["a.py", "../../secrets/django"])
    assert (clone.created_by, clone.cloned_from, clone.files) == (collaborator, original, ["a.py"])


def test_a_waiting_job_stops_at_once(resource, project, owner):
    job = submit(project, owner)
    actions.stop(job=job, by=owner)
    assert (job.state, job.stop_by, job.sentence) == (JobState.CANCELLED, owner, "Stopped by olga.")
    with pytest.raises(actions.Refusal, match="ended"):
        actions.stop(job=job, by=owner)


def test_a_placed_job_is_asked_to_end(resource, project, owner):
    job = submit(project, owner)
    queue.place(resource)
    actions.stop(job=job, by=owner)
    assert job.state == JobState.CANCELLING
    with pytest.raises(actions.Refusal, match="being stopped"):
        actions.stop(job=job, by=owner)


def test_level_own_stops_only_its_own(resource, project, owner, teammate):
    theirs, mine = submit(project, owner), submit(project, teammate)
    with pytest.raises(Refused, match="another member's"):
        actions.stop(job=theirs, by=teammate)
    actions.stop(job=mine, by=teammate)
    assert mine.state == JobState.CANCELLED


def test_a_removed_members_waiting_jobs_are_cancelled_and_running_ones_go_on(resource, project, owner, collaborator):
    running = submit(project, collaborator)
    queue.place(resource)
    waiting, others = submit(project, collaborator), submit(project, owner)
    projects.remove_member(member=Member.objects.get(user=collaborator, project=project), by=owner)
    states = {job.pk: job.state for job in Job.objects.all()}
    assert (states[running.pk], states[waiting.pk], states[others.pk]) == ("preparing", "cancelled", "queued")


def test_a_project_with_unfinished_jobs_is_not_removed(resource, project, owner):
    job = submit(project, owner)
    with pytest.raises(Impossible, match="One job"):
        projects.remove(project=project, by=owner)
    actions.stop(job=job, by=owner)
    projects.remove(project=project, by=owner)


def test_a_removed_project_takes_its_jobs_and_files_with_it(resource, project, owner):
    job = submit(project, owner, files=[SimpleUploadedFile("a.py", b"a")])
    actions.stop(job=job, by=owner)
    actions.remove_everything_of(project)
    assert not Job.objects.exists()
    assert not places.job_directory(job.id).exists()
