"""The ledger: each hour once, whoever tells it, however often, and at whatever moment they are killed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Sum

from billing import ledger, payers
from billing.models import (
    STORED,
    SUMMED,
    AccountOwner,
    Balance,
    BillingAccount,
    Charge,
    MonthTotal,
    OwnerMonth,
    PersonMonth,
    ProjectMonth,
)
from billing.prices import month_of
from projects import actions as projects
from projects import purging
from projects.models import Project
from tests.at_once import at_once
from tests.billing.conftest import price
from tests.billing.killing import killed_after

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rows():
    return [(row.hour, row.milliseconds, row.amount, row.final) for row in Charge.objects.order_by("hour", "id")]


def minutes(number):
    return int(number * 60_000)


def agree():
    """Balances and sums of months say what the rows say, and all that the rows say."""
    assert summed(MonthTotal, "project_id", "member_id") == told("project_id", "member_id")
    assert summed(OwnerMonth, "project_id", "owner_id") == told("project_id", "owner_id")
    assert summed(ProjectMonth, "project_id") == told("project_id")
    sides = {side: summed(PersonMonth.objects.filter(side=side), "person_id") for side in PersonMonth.Side}
    assert sides == {
        "owner": told("owner_id"),
        "member": {of: sums for of, sums in told("member_id").items() if of[1] and of[1] != STORED},
    }
    balances = Balance.objects.values_list("payer", "charged")
    assert dict(balances) == dict(Charge.objects.values_list("payer").annotate(Sum("amount")))


def summed(kept, *columns):
    """(month, …) -> the sums that are kept; each has one row."""
    rows = getattr(kept, "objects", kept).values_list("month", *columns, *SUMMED)
    sums = {row[: -len(SUMMED)]: row[-len(SUMMED) :] for row in rows}
    assert len(sums) == len(rows)
    return sums


def told(*columns):
    """(month, …) -> what the rows of the ledger come to."""
    sums = {}
    for hour, *row in Charge.objects.values_list("hour", *columns, *SUMMED):
        of, amounts = (month_of(hour), *row[: len(columns)]), row[len(columns) :]
        before = sums.get(of, (Decimal(0),) * len(SUMMED))
        sums[of] = tuple(one + more for one, more in zip(before, amounts, strict=True))
    return sums


def test_an_attempt_over_three_hours_has_a_row_for_each(prices, use):
    ledger.charge(use(NOON + timedelta(minutes=30), 120, over=True))
    assert rows() == [
        (NOON, minutes(30), Decimal("0.05"), True),
        (NOON + HOUR, minutes(60), Decimal("0.10"), True),
        (NOON + 2 * HOUR, minutes(30), Decimal("0.05"), True),
    ]
    agree()


def test_telling_it_again_changes_nothing(prices, use):
    for _ in range(3):
        ledger.charge(use(NOON + timedelta(minutes=30), 120, over=True))
    assert Charge.objects.aggregate(Sum("amount"))["amount__sum"] == Decimal("0.20")
    agree()


def test_a_running_hour_grows_until_it_is_over_and_then_stays(prices, use):
    ledger.charge(use(NOON, 10))
    assert rows() == [(NOON, minutes(10), Decimal("0.016667"), False)]
    ledger.charge(use(NOON, 45))
    ledger.charge(use(NOON, 20))  # somebody who looked earlier and was slow
    assert rows() == [(NOON, minutes(45), Decimal("0.075"), False)]
    ledger.charge(use(NOON, 61))
    assert rows()[0] == (NOON, minutes(60), Decimal("0.10"), True)
    ledger.charge(use(NOON, 59))
    assert rows()[0] == (NOON, minutes(60), Decimal("0.10"), True)
    agree()


@pytest.mark.parametrize(
    ("start", "seconds", "hours"),
    [(0, 3600, 1), (0, 3600.001, 2), (-0.001, 0.002, 2), (3599.999, 0.001, 1), (3599.9, 0.1, 1), (0, 0, 0)],
)
def test_at_the_edge_of_an_hour(prices, use, start, seconds, hours):
    ledger.charge(use(NOON + timedelta(seconds=start), seconds / 60, over=True))
    assert Charge.objects.count() == hours
    assert sum(row.milliseconds for row in Charge.objects.all()) == round(seconds * 1000)
    assert all(row.final for row in Charge.objects.all())


def test_each_hour_costs_what_its_beginning_says_and_a_later_price_changes_nothing(prices, use):
    midnight = datetime(2026, 3, 11, tzinfo=UTC)
    price("cpu", "1.00", midnight)
    told = use(midnight - HOUR, 120, over=True)
    ledger.charge(told)
    assert [row.amount for row in Charge.objects.order_by("hour")] == [Decimal("0.10"), Decimal("1.00")]
    price("cpu", "9.00", midnight + 10 * HOUR)
    ledger.charge(told)
    assert [row.amount for row in Charge.objects.order_by("hour")] == [Decimal("0.10"), Decimal("1.00")]


def test_gpus_are_charged_by_type_and_others_at_the_price_of_every_other(prices, use):
    price("gpu", "1.00")
    ledger.charge(use(NOON, 60, over=True, cpu_milli=2000, gpus=("H200", "H200", "L4")))
    row = Charge.objects.get()
    assert (row.gpu_hours, row.gpu_cost, row.cpu_cost) == (Decimal(3), Decimal("6.00"), Decimal("0.20"))
    assert (row.gpus, row.amount) == ("2 × H200, 1 × L4", Decimal("6.20"))


def test_memory_by_the_gib_hour_and_storage_by_the_gib_month(prices, use):
    price("memory", "0.01")
    price("storage", "7.44")  # March has 744 hours
    ledger.charge(use(NOON, 60, over=True, cpu_milli=0, memory_mib=2048, storage_bytes=3 * 2**30))
    row = Charge.objects.get()
    assert (row.memory_hours, row.memory_cost) == (Decimal(2), Decimal("0.02"))
    assert (row.storage_hours, row.storage_cost) == (Decimal(3), Decimal("0.03"))


def test_without_prices_hours_are_written_and_cost_nothing(use):
    ledger.charge(use(NOON, 60, over=True))
    row = Charge.objects.get()
    assert (row.cpu_hours, row.amount) == (Decimal(1), Decimal(0))


@pytest.mark.django_db(transaction=True)
def test_killed_after_any_statement_the_next_one_makes_it_right(prices, use):
    """Whatever statement is the last one that was made, the rest follows, and nothing twice."""
    told, expected = use(NOON + timedelta(minutes=30), 120, over=True), Decimal("0.20")
    for survived in range(200):
        Charge.objects.all().delete()
        for sums in (MonthTotal, OwnerMonth, ProjectMonth, PersonMonth, Balance):
            sums.objects.all().delete()
        finished = killed_after(survived, lambda: ledger.charge(told))
        agree()
        ledger.charge(told)
        assert Charge.objects.aggregate(sum=Sum("amount"))["sum"] == expected
        agree()
        if finished:
            return
    raise AssertionError("it never ended")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("over", [False, True])
def test_two_at_once_write_each_hour_once(prices, use, over):
    start = NOON - timedelta(minutes=30)
    looks = [use(start, length) for length in (10, 40, 95, 150)]
    ends = [use(start, 155, over=True)] * 2 if over else []
    none_fails(*[lambda told=told: ledger.charge(told) for told in [*looks, *ends, *reversed(looks)]])
    longest = 155 if over else 150
    assert sum(row.milliseconds for row in Charge.objects.all()) == minutes(longest)
    assert Charge.objects.count() == (4 if over else 3)
    agree()


def none_fails(*calls):
    """Does all at once."""
    wrong = [one for one in at_once(*calls) if isinstance(one, Exception)]
    assert not wrong, wrong


def test_the_database_refuses_a_second_row_of_an_hour(prices, use):
    ledger.charge(use(NOON, 60, over=True))
    row = Charge.objects.get()
    row.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_an_end_that_comes_late_is_corrected_by_rows_of_their_own(prices, use):
    """The server was down when the job ended: it was believed to run for three hours, and it ran for 90 minutes."""
    ledger.charge(use(NOON, 170))
    before = rows()
    end = use(NOON, 90, over=True)
    for _ in range(2):
        ledger.charge(end)
    assert rows()[0] == before[0]
    corrected = Charge.objects.filter(line="correction").get()
    assert (corrected.hour, corrected.milliseconds, corrected.amount) == (NOON + HOUR, -minutes(30), Decimal("-0.05"))
    assert Charge.objects.get(hour=NOON + 2 * HOUR).milliseconds == 0  # it was not final yet
    assert Charge.objects.aggregate(sum=Sum("amount"))["sum"] == Decimal("0.15")
    agree()


def test_the_rows_outlive_job_member_and_project(prices, use, make_user, owner):
    member = make_user("mia", name="Mia Member")
    lab = projects.create(name="Lab", by=owner)
    ledger.charge(use(NOON, 60, over=True, project=lab, member=member))
    projects.remove(project=lab, by=owner)
    Project.objects.filter(pk=lab.pk).update(removed_at=NOON)
    purging.purge()
    row = Charge.objects.get()
    Project.objects.filter(owner=member).delete()
    member.delete()
    assert (row.project_id, row.project_name, row.member_name, row.subject_name) == (
        lab.pk,
        "Lab",
        "Mia Member",
        "train",
    )


def test_the_owner_pays_until_a_billing_account_does(prices, use, owner):
    account = BillingAccount.objects.create(name="Institute")
    AccountOwner.objects.create(account=account, owner=owner, since=NOON + timedelta(minutes=90))
    ledger.charge(use(NOON, 180, over=True))
    paid = [(row.payer, row.payer_name) for row in Charge.objects.order_by("hour")]
    assert paid == [(f"user:{owner.pk}", "Olga Owner")] * 2 + [(f"account:{account.pk}", "Institute")]
    ledger.charge(use(NOON + timedelta(minutes=91), 5, over=True, source_id="attempt-2"))
    assert Charge.objects.get(source_id="attempt-2").payer == f"account:{account.pk}"
    agree()


def test_what_was_used_stays_with_its_owner_and_adds_up_for_the_project(prices, use, project, owner, make_user):
    ledger.charge(use(NOON, 60, over=True))
    project.owner = make_user("mia")
    project.save()
    ledger.charge(use(NOON + HOUR, 120, over=True, source_id="attempt-2", member=None))
    agree()
    parts = dict(OwnerMonth.objects.values_list("owner_id", "amount"))
    assert parts == {owner.pk: Decimal("0.10"), project.owner_id: Decimal("0.20")}
    assert ProjectMonth.objects.get().amount == Decimal("0.30")
    assert set(MonthTotal.objects.values_list("member_id", "amount")) == {
        (owner.pk, Decimal("0.10")),
        ("", Decimal("0.20")),
    }
    assert not PersonMonth.objects.filter(person_id="").exists()  # whose account was gone: nobody's


def test_an_account_pays_for_several_owners(prices, use, make_user):
    account = BillingAccount.objects.create(name="Institute")
    for number, name in enumerate(("ann", "ben")):
        user = make_user(name)
        AccountOwner.objects.create(account=account, owner=user, since=NOON - HOUR)
        lab = projects.create(name=f"Lab of {name}", by=user)
        ledger.charge(use(NOON, 60, over=True, project=lab, member=user, source_id=f"attempt-{number}"))
    assert payers.balance_of(payers.of_account(account)) == Decimal("-0.20")


def test_later_charges_follow_a_transfer_of_the_project(prices, use, project, stranger):
    ledger.charge(use(NOON, 60))
    Project.objects.filter(pk=project.pk).update(owner=stranger)
    ledger.charge(use(NOON, 120, over=True, project=Project.objects.get(pk=project.pk)))
    assert list(Charge.objects.order_by("hour").values_list("owner_name", flat=True)) == ["Olga Owner", "stan"]
    agree()


def test_a_host_that_went_down_is_charged_for_what_is_known(prices, use):
    ledger.charge(use(NOON, 40))
    ledger.close("attempt", "attempt-1")
    assert rows() == [(NOON, minutes(40), Decimal("0.066667"), True)]
