"""What attempts used: from the start of the sandbox to the exit, in the ledger at every look and at the end."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.models import Sum
from django.utils import timezone

from billing import ledger
from billing.models import Charge
from jobs import actions, charges, pages, queue, tasks, transitions
from jobs.models import Attempt, Job
from projects import actions as projects
from projects import purging
from projects.models import Project
from tests.billing.test_ledger import none_fails

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def started(queued, resource, project, collaborator):
    """started(minutes, …) is an attempt of a member's job that has run for so long."""

    def make(minutes: float, **fields) -> Attempt:
        queued(project, collaborator, **{"name": "train", **fields})
        [attempt] = queue.place(resource)
        transitions.started(attempt, {})
        since = timezone.now() - timedelta(minutes=minutes)
        Attempt.objects.filter(pk=attempt.pk).update(placed_at=since, started_at=since)
        attempt.refresh_from_db()
        return attempt

    return make


def sums():
    found = Charge.objects.aggregate(hours=Sum("cpu_hours"), gpus=Sum("gpu_hours"), amount=Sum("amount"))
    return {name: value and round(value, 3) for name, value in found.items()}


def end(attempt, **fields):
    transitions.ended(attempt, **{"reason": "exited", "sentence": "", "exit_status": 0, **fields})
    attempt.refresh_from_db()


def test_a_running_attempt_is_charged_to_who_pays_and_names_whose_it_is(prices, started, owner, collaborator, project):
    attempt = started(90, cpu=2, gpu=1)
    assert charges.charge_all() == 1
    assert sums() == {"hours": Decimal("3.000"), "gpus": Decimal("1.500"), "amount": Decimal("4.050")}
    row = Charge.objects.first()
    assert (row.payer, row.member_id, row.project_id) == (f"user:{owner.pk}", collaborator.pk, project.pk)
    assert (row.subject_id, row.subject_name, row.gpus) == (attempt.job_id, "train", "1 × H200")


def test_what_is_only_being_prepared_is_not_charged(prices, queued, resource, project, owner):
    queued(project, owner)
    [attempt] = queue.place(resource)
    assert charges.charge_all() == 0
    end(attempt, reason="could_not_start")
    charges.charge_all()
    assert not Charge.objects.exists()
    assert Attempt.objects.get().charged


def test_the_end_is_charged_when_it_is_told(prices, started, django_capture_on_commit_callbacks):
    attempt = started(30)
    with django_capture_on_commit_callbacks(execute=True):
        end(attempt, at=attempt.started_at + timedelta(minutes=15))
    attempt.refresh_from_db()
    assert (attempt.charged, sums()["hours"]) == (True, Decimal("0.250"))
    assert all(row.final for row in Charge.objects.all())


def test_an_end_whose_charge_was_lost_is_charged_at_the_next_look_and_once(prices, started):
    end(started(30))  # whoever told it was killed right afterwards
    assert not Charge.objects.exists()
    assert [charges.charge_all() for _ in range(3)] == [1, 0, 0]
    assert sums()["amount"] == Decimal("0.050")


def test_the_runners_own_times_count(prices, started):
    attempt = started(60)
    told = {"reason": "exited", "exit_status": 0, "log": {"size": 0}}
    actions.attempt_ended(attempt.id, {**told, "ended_at": (attempt.started_at + timedelta(minutes=6)).timestamp()})
    charges.charge_all()
    assert sums()["hours"] == Decimal("0.100")


@pytest.mark.parametrize("nonsense", [None, "soon", -1, 10**30, float("nan"), float("inf"), True, [1]])
def test_a_time_that_is_none_is_now(nonsense):
    assert actions.moment(nonsense) is None or nonsense is True


def test_a_clock_that_is_wrong_makes_nothing_longer_than_it_can_have_been(prices, started):
    attempt = started(60)
    end(attempt, at=timezone.now() + timedelta(days=400))
    charges.charge_all()
    assert sums()["hours"] == Decimal("1.000")
    early = started(60)
    end(early, at=early.started_at - timedelta(days=400))
    charges.charge_all()
    assert sums()["hours"] == Decimal("1.000")


def test_while_the_host_was_down_nobody_pays(prices, started):
    attempt = started(60)
    charges.charge_all()
    Attempt.objects.filter(pk=attempt.pk).update(started_at=attempt.started_at - timedelta(hours=5))
    end(attempt, reason="host_restarted")
    charges.charge_all()
    assert sums()["hours"] == Decimal("1.000")
    assert all(row.final for row in Charge.objects.all())


def test_each_attempt_of_a_restarted_job_is_charged_by_itself(prices, started, resource):
    first = started(60, restartable=True)
    end(first, reason="supervisor_lost")
    [second] = queue.place(resource)
    transitions.started(second, {})
    Attempt.objects.filter(pk=second.pk).update(started_at=timezone.now() - timedelta(minutes=30))
    charges.charge_all()
    assert sums()["hours"] == Decimal("1.500")
    assert Charge.objects.values("source_id").distinct().count() == 2
    assert Charge.objects.values("subject_id").distinct().count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_look_at_once_charge_once(prices, started):
    end(started(100))
    running = started(100)
    none_fails(*[charges.charge_all] * 4)
    assert sums()["hours"] == Decimal("3.333")
    assert Attempt.objects.get(pk=running.pk).charged is False


def test_one_that_cannot_be_charged_does_not_keep_the_others_from_it(prices, started, monkeypatch, caplog):
    broken, fine = started(60, cpu=0.5), started(60, cpu=0.5)
    real = ledger.charge
    monkeypatch.setattr(ledger, "charge", lambda use: 1 / 0 if use.source_id == broken.pk else real(use))
    tasks.charge()
    assert set(Charge.objects.values_list("source_id", flat=True)) == {fine.pk}
    assert "was not charged" in caplog.text


def test_a_removed_project_leaves_its_whole_use_behind(prices, started, project, owner):
    end(started(60))
    projects.remove(project=project, by=owner)
    Project.objects.filter(pk=project.pk).update(removed_at=NOON)
    purging.purge()
    assert not Job.objects.exists()
    assert sums()["hours"] == Decimal("1.000")
    assert Charge.objects.first().project_name == "Vision"


def test_the_jobs_page_says_what_it_has_cost(prices, started):
    attempt = started(90, cpu=2)
    job = Job.objects.select_related("project").get(pk=attempt.job_id)
    assert pages.cost(job) == [("Cost so far", "0.00 EUR")]
    charges.charge_all()
    assert pages.cost(job) == [("Cost so far", "0.30 EUR")]


def test_without_prices_it_says_nothing(started):
    attempt = started(90)
    charges.charge_all()
    assert pages.cost(Job.objects.get(pk=attempt.job_id)) == []
