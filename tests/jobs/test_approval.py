"""GPUs for approved accounts only."""

import io

import pytest
from django.core.management import CommandError, call_command

from jobs import actions, queue
from jobs.models import Job
from jobs.spec import SpecErrors, parse

pytestmark = pytest.mark.django_db


@pytest.fixture
def needed(settings):
    settings.MLTEAM_GPU_APPROVAL = True


def approve(user, approved=True):
    type(user).objects.filter(pk=user.pk).update(gpu_approved=approved)
    user.refresh_from_db()


def submit(project, by, gpu):
    spec = parse({"name": "train", "command": "true", "resources": {"gpu": gpu, "cpu": 0.1, "mem": 0.1}})
    return actions.submit(project=project, spec=spec, by=by)


def test_without_the_setting_nobody_needs_approval(resource, project, collaborator):
    submit(project, collaborator, 1)
    assert len(queue.place(resource)) == 1


def test_an_account_without_approval_gets_cpus_only(resource, needed, project, collaborator, owner):
    for by in (collaborator, owner):
        with pytest.raises(SpecErrors) as raised:
            submit(project, by, 1)
        ((field, message),) = raised.value.errors
        assert field == "resources.gpu"
        assert "admin" in message
    assert not Job.objects.exists()
    submit(project, collaborator, 0)
    assert len(queue.place(resource)) == 1


def test_an_approved_one_gets_gpus(resource, needed, project, collaborator):
    approve(collaborator)
    submit(project, collaborator, 1)
    assert len(queue.place(resource)) == 1


def test_an_approval_that_was_withdrawn_keeps_back_what_waits_and_nobody_else(
    resource, needed, project, collaborator, owner
):
    approve(collaborator)
    approve(owner)
    waits, goes = submit(project, collaborator, 2), submit(project, owner, 2)
    approve(collaborator, False)
    (placed,) = queue.place(resource)
    assert placed.job == goes
    waits.refresh_from_db()
    assert queue.explain(waits) == queue.Waiting("Waits for an admin to approve GPUs for carl.", None)
    Job.objects.filter(pk=goes.pk).delete()
    approve(collaborator)
    (placed,) = queue.place(resource)
    assert placed.job == waits


def test_a_job_whose_account_is_gone_waits_and_says_so(resource, needed, queued, project):
    job = queued(project, None, gpu=1)
    assert queue.place(resource) == []
    assert "account is gone" in queue.explain(job).sentence


def test_the_form_says_it_beside_the_gpus(resource, needed, project, collaborator, as_user):
    fields = {"command": "true", "cpu": "0.1", "mem": "0.1", "gpu": "1"}
    page = as_user(collaborator).post("/p/vision/jobs/new", fields)
    assert page.status_code == 422
    assert "approved" in str(page.context["form"].errors["gpu"])


def test_the_command_approves_withdraws_and_tells(needed, collaborator, owner):
    said = io.StringIO()
    call_command("gpu_approval", "carl", "olga", stdout=said)
    call_command("gpu_approval", "olga", "--withdraw", stdout=said)
    call_command("gpu_approval", stdout=said)
    assert said.getvalue().splitlines() == ["Approved: carl, olga", "Approved: carl", "Approved: carl"]
    with pytest.raises(CommandError, match="nobody-known"):
        call_command("gpu_approval", "carl", "nobody-known", "--withdraw")
    collaborator.refresh_from_db()
    assert collaborator.gpu_approved
