"""Budgets: who sets them, when they warn, what they hold back, and how it goes on."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.http import Http404
from django.utils import timezone

from access import Refused
from accounts.models import OutgoingEmail
from billing import actions, budgets, ledger, payers
from billing.models import Budget, MonthTotal, ProjectMonth
from billing.prices import floor_hour, this_month
from jobs import engine, places, queue, reconcile, tasks, transitions
from jobs.models import Job
from jobs.states import JobState
from projects.models import AuditEntry
from tests.billing.conftest import price, spent
from tests.billing.test_ledger import none_fails

pytestmark = pytest.mark.django_db


@pytest.fixture
def spend(prices, project, owner):
    """spend("8.00", by=…) makes the project cost so much this month."""

    def make(amount: str, *, by=owner, of=project) -> None:
        spent(of, by, amount, floor_hour(timezone.now()))

    return make


@pytest.fixture
def limit(project, owner):
    """limit("10", member=…) sets a budget as its owner does."""

    def make(amount: str, *, member=None, when_full: str = "finish") -> Budget:
        return actions.set_budget(project=project, member=member, amount=Decimal(amount), when_full=when_full, by=owner)

    return make


def state(job):
    job.refresh_from_db()
    return job.state, job.reason


def placed(resource):
    return [attempt.job.name for attempt in queue.place(resource)]


# Who sets them


@pytest.mark.parametrize("who", ["collaborator", "teammate", "viewer"])
def test_a_member_cannot_set_raise_or_lift_a_budget(request, who, limit, project):
    member, budget = request.getfixturevalue(who), limit("10")
    with pytest.raises(Refused):
        actions.set_budget(project=project, member=None, amount=Decimal(99), when_full="finish", by=member)
    with pytest.raises(Refused):
        actions.remove_budget(budget=budget, by=member)
    assert Budget.objects.get().amount == 10


@pytest.mark.parametrize("who", ["stranger", "removed", "admin"])
def test_to_others_there_is_no_budget(request, who, limit, project):
    outsider, budget = request.getfixturevalue(who), limit("10")
    with pytest.raises(Http404):
        actions.set_budget(project=project, member=None, amount=Decimal(99), when_full="finish", by=outsider)
    with pytest.raises(Http404):
        actions.remove_budget(budget=budget, by=outsider)


def test_a_budget_is_of_the_project_or_of_somebody_in_it(limit, owner, collaborator, stranger):
    limit("10", member=owner)
    limit("10", member=collaborator)
    with pytest.raises(ValidationError):
        limit("10", member=stranger)


def test_each_change_is_in_the_audit_trail(limit, owner, collaborator):
    budget = limit("10", member=collaborator)
    limit("20", member=collaborator, when_full="stop")
    actions.remove_budget(budget=budget, by=owner)
    entries = AuditEntry.objects.filter(action__startswith="budget:").order_by("id")
    assert [entry.action for entry in entries] == ["budget:set", "budget:set", "budget:rm"]
    assert entries[1].details == {"whose": "carl"}
    assert entries[1].before == {"amount": "10.00", "when_full": "finish"}
    assert entries[1].after == {"amount": "20.00", "when_full": "stop"}
    assert entries[2].before == entries[1].after and entries[2].after is None


# What they hold back


def test_a_full_budget_holds_new_jobs_and_a_raised_one_lets_them_go(spend, limit, queued, resource, project, owner):
    limit("10")
    spend("9.99")
    running = queued(project, owner, name="before")
    assert placed(resource) == ["before"]
    spend("0.01")
    job = queued(project, owner, name="after")
    assert placed(resource) == []
    assert state(job) == (JobState.QUEUED, "budget")
    assert "The budget of this project" not in job.sentence
    assert job.sentence.startswith("Held: the budget of this project for ")
    assert queue.explain(job) == queue.Waiting(job.sentence, None)
    assert state(running)[0] == JobState.PREPARING
    limit("11")
    assert placed(resource) == ["after"]
    assert [move.reason for move in job.moves.order_by("id")] == ["budget", "submitted", "placed"]


def test_a_members_budget_holds_only_their_jobs(spend, limit, queued, resource, project, owner, collaborator):
    limit("5", member=collaborator)
    spend("5", by=collaborator)
    spend("100", by=owner)
    theirs, mine = queued(project, collaborator, name="theirs"), queued(project, owner, name="mine")
    assert placed(resource) == ["mine"]
    assert state(theirs)[1] == "budget"
    assert theirs.sentence.startswith("Held: carl's budget in this project for ")
    assert state(mine)[1] == "placed"


def test_held_jobs_are_in_nobodys_way(spend, limit, queued, resource, project, owner, collaborator, monkeypatch):
    monkeypatch.setattr(queue, "PER_OWNER", 3)
    limit("5", member=collaborator)
    spend("5", by=collaborator)
    held = [queued(project, collaborator, name=f"held{number}") for number in range(5)]
    job = queued(project, owner, name="free")
    assert placed(resource) == ["free"]
    assert queue.positions() == {}
    assert job.id not in {one.id for one in held}


def test_the_sentence_names_no_amounts(spend, limit, queued, resource, project, owner):
    limit("12.34")
    spend("56.78")
    job = queued(project, owner)
    placed(resource)
    assert not {"12.34", "56.78"} & set(state(job) and job.sentence.split())


def test_another_month_begins_anew(spend, limit, queued, resource, project, owner):
    limit("5")
    spend("5")
    job = queued(project, owner, name="job")
    assert placed(resource) == []
    for sums in (MonthTotal, ProjectMonth):
        sums.objects.update(month=this_month() - timedelta(days=1))
    assert placed(resource) == ["job"]
    assert state(job)[1] == "placed"


def test_a_budget_of_nothing_holds_everything(prices, limit, queued, resource, project, owner):
    limit("0")
    queued(project, owner)
    assert placed(resource) == []


def test_without_prices_no_budget_holds_anything(limit, queued, resource, project, owner):
    limit("0")
    queued(project, owner, name="job")
    assert placed(resource) == ["job"]


def test_a_held_job_can_be_taken_out_of_the_queue(prices, limit, queued, resource, project, owner):
    from jobs import actions as jobs

    limit("0")
    job = queued(project, owner)
    placed(resource)
    jobs.stop(job=job, by=owner)
    assert state(job)[0] == JobState.CANCELLED
    assert placed(resource) == []


def test_holding_takes_the_same_number_of_queries_for_many_jobs_once_they_are_marked(
    spend, limit, queued, resource, project, owner, django_assert_max_num_queries
):
    limit("5")
    spend("5")
    for _ in range(20):
        queued(project, owner)
    queue.place(resource)
    with django_assert_max_num_queries(14):
        queue.place(resource)
    assert Job.objects.queued().held().count() == 20


# What becomes of running jobs


@pytest.fixture
def asked(monkeypatch):
    """Which attempts the engine was asked to stop, and why; nothing is started."""
    stops = []
    monkeypatch.setattr(engine, "stop", lambda attempt, reason: stops.append((attempt.job.name, str(reason))))
    monkeypatch.setattr(engine, "alive", lambda attempt: True)
    monkeypatch.setattr(engine, "tidy", lambda living: None)
    return stops


def run(queued, resource, project, by, **fields):
    job = queued(project, by, cpu=0.5, **fields)
    for attempt in queue.place(resource):
        transitions.started(attempt, {})
    return job


@pytest.mark.parametrize(
    ("when_full", "ended"), [("finish", [("again", "budget")]), ("stop", [("again", "budget"), ("once", "budget")])]
)
def test_restartable_jobs_are_interrupted_and_others_as_the_budget_says(
    spend, limit, queued, resource, project, owner, asked, when_full, ended
):
    limit("10", when_full=when_full)
    run(queued, resource, project, owner, name="again", restartable=True)
    run(queued, resource, project, owner, name="once")
    reconcile.host(resource)
    assert asked == []
    spend("10")
    reconcile.host(resource)
    assert sorted(asked) == ended


def test_what_was_asked_to_end_is_not_asked_again(spend, limit, queued, resource, project, owner, asked):
    limit("10")
    job = run(queued, resource, project, owner, name="again", restartable=True)
    spend("10")
    directory = places.attempt_directory(job.id, 0)
    directory.mkdir(parents=True)
    (directory / "stop.json").write_text("{}")
    reconcile.host(resource)
    assert asked == []


def test_an_interrupted_job_waits_for_its_budget_and_goes_on(spend, limit, queued, resource, project, owner):
    limit("10")
    job = run(queued, resource, project, owner, name="again", restartable=True)
    spend("10")
    transitions.ended(job.attempts.get(), reason="budget", sentence="Its budget was used up.")
    assert state(job) == (JobState.QUEUED, "restarted")
    assert placed(resource) == []
    assert state(job) == (JobState.QUEUED, "budget")
    limit("20")
    assert placed(resource) == ["again"]
    assert job.attempts.count() == 2
    assert [move.reason for move in job.moves.order_by("id")][-3:] == ["budget", "restarted", "placed"]


def test_one_that_cannot_be_restarted_ends_as_interrupted(spend, limit, queued, resource, project, owner):
    limit("10", when_full="stop")
    job = run(queued, resource, project, owner)
    transitions.ended(job.attempts.get(), reason="budget", sentence="Its budget was used up.")
    assert state(job) == (JobState.INTERRUPTED, "budget")


# Credit


@pytest.mark.parametrize(("setting", "held"), [("", False), ("finish", True), ("stop", True)])
def test_without_credit_jobs_wait_where_a_setting_says_so(
    prices, queued, resource, project, owner, admin, settings, setting, held
):
    settings.MLTEAM_CREDIT_NEEDED = setting
    job = queued(project, owner, name="job")
    assert placed(resource) == ([] if held else ["job"])
    if held:
        assert state(job)[1] == "budget"
        assert "has no credit left" in job.sentence
        actions.grant(payer=payers.of_user(owner), amount=Decimal(5), reason="start", by=admin)
        assert placed(resource) == ["job"]


def test_a_used_up_credit_interrupts(prices, queued, resource, project, owner, admin, settings, asked):
    settings.MLTEAM_CREDIT_NEEDED = "stop"
    actions.grant(payer=payers.of_user(owner), amount=Decimal("0.10"), reason="start", by=admin)
    job = run(queued, resource, project, owner, name="once")
    reconcile.host(resource)
    assert asked == []
    start = timezone.now() - timedelta(hours=1)
    names = {"source": "attempt", "source_id": "a", "subject_id": job.id, "subject_name": "once"}
    used = {"project": project, "member": owner, "start": start, "until": timezone.now(), "cpu_milli": 2000}
    ledger.charge(ledger.Use(**names, **used, over=True))
    reconcile.host(resource)
    assert asked == [("once", "budget")]


# The emails


def subjects():
    return sorted((email.to, email.subject) for email in OutgoingEmail.objects.filter(reference__startswith="budget:"))


def test_eighty_percent_warns_once_and_a_hundred_once(spend, limit, owner):
    limit("10")
    spend("7.99")
    assert budgets.warn() == 0
    spend("0.01")
    assert [budgets.warn() for _ in range(3)] == [1, 0, 0]
    assert subjects() == [("olga@example.com", "The budget in Vision is used to 80 %")]
    spend("2")
    assert [budgets.warn() for _ in range(3)] == [1, 0, 0]
    assert ("olga@example.com", "The budget in Vision is used up") in subjects()
    assert len(subjects()) == 2


def test_a_members_budget_tells_them_and_the_owner(spend, limit, collaborator):
    limit("10", member=collaborator, when_full="stop")
    spend("10", by=collaborator)
    assert budgets.warn() == 1
    assert subjects() == [
        ("carl@example.com", "Your budget in Vision is used up"),
        ("olga@example.com", "carl's budget in Vision is used up"),
    ]
    theirs = OutgoingEmail.objects.get(to="carl@example.com", reference__startswith="budget:").body
    assert "10.00 EUR of 10.00 EUR" in theirs
    assert "others were stopped" in theirs
    assert "Only Olga Owner can raise it." in theirs
    assert "http://localhost:8000/p/vision/usage" in theirs


def test_a_raised_budget_warns_anew(spend, limit):
    limit("10")
    spend("8")
    budgets.warn()
    limit("20")
    assert budgets.warn() == 0
    spend("8")
    assert budgets.warn() == 1


def test_the_look_at_the_ledger_warns(spend, limit):
    limit("10")
    spend("9")
    tasks.charge()
    assert len(subjects()) == 1


@pytest.mark.django_db(transaction=True)
def test_two_that_look_at_once_warn_once(spend, limit):
    limit("10")
    spend("10")
    none_fails(*[budgets.warn] * 4)
    assert len(subjects()) == 1


def test_prices_of_nothing_warn_of_nothing(spend, limit):
    limit("10")
    spend("9")
    for kind, gpu_type in (("cpu", ""), ("gpu", "H200")):
        price(kind, "0", timezone.now() - timedelta(minutes=1), gpu_type)
    assert budgets.warn() == 0
