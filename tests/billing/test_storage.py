"""What projects store is charged: for all of the time, once, by the last look, to whoever owned it then."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.models import Sum
from django.utils import timezone

from billing import budgets, ledger, payers, storage
from billing.models import AccountOwner, Balance, BillingAccount, Budget, Charge, Month, PersonMonth, Stored
from billing.prices import floor_hour
from datastores import actions as datastores
from datastores import weights
from datastores.models import Blob, Datastore
from projects import actions as projects
from projects import ownership
from projects.models import Project
from tests.billing.conftest import price
from tests.billing.killing import killed_after
from tests.billing.test_ledger import agree, minutes, none_fails, rows
from tests.billing.test_pages import csv_of, page, text_of
from tests.datastores.conftest import dataset, kept  # noqa: F401 - fixtures
from tests.datastores.pushing import push

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MONTH = Decimal("7.44")  # what a GiB costs: 0.01 an hour, for March has 744
GIB = 2**30


@pytest.fixture
def prices(db):
    price("storage", MONTH)


@pytest.fixture
def clock(monkeypatch):
    """clock(90): it is so many minutes after noon."""
    return lambda after: monkeypatch.setattr(storage, "_now", lambda: NOON + timedelta(minutes=after))


@pytest.fixture
def look(project, clock):
    """look(90, 2 * GIB): so many minutes after noon the project stores so much."""

    def make(after: float, size: int, of=project) -> None:
        clock(after)
        storage.look({of.pk: size})

    return make


def charged() -> tuple[Decimal, Decimal]:
    """(GiB hours, money) of all rows, whose sums agree with them."""
    agree()
    sums = Charge.objects.aggregate(hours=Sum("storage_hours"), amount=Sum("amount"))
    return sums["hours"], sums["amount"]


def test_it_is_charged_by_the_last_look_until_the_next(prices, look):
    look(0, GIB)
    assert not Charge.objects.exists()
    for after, size in ((30, 2 * GIB), (30, 5 * GIB), (40, 2 * GIB), (90, 0), (200, GIB), (200.5, GIB)):
        look(after, size)
    # 30 minutes of 1 GiB, an hour of 2, nothing for 110 minutes, half a minute of 1
    half = Decimal("0.008333")
    assert rows() == [
        (NOON, minutes(60), Decimal("0.015"), True),
        (NOON + timedelta(hours=1), minutes(30), Decimal("0.01"), False),
        (NOON + timedelta(hours=3), minutes(0.5), (half / 100).quantize(Decimal("0.000001")), False),
    ]
    assert charged() == (Decimal("2.5") + half, Decimal("0.025083"))
    row = Charge.objects.earliest("hour")
    told = (row.source, row.subject_id, row.member_id, row.subject_name, row.owner_name)
    assert told == ("storage", "", "storage", "Stored data", "Olga Owner")
    assert row.stored_bytes == 3 * GIB // 2
    assert not PersonMonth.objects.filter(side="member").exists()


def test_hours_in_which_nobody_looked_are_charged_by_what_was_seen_last(prices, look):
    look(15, 4 * GIB)
    look(15 + 26 * 60, GIB)
    assert Charge.objects.count() == 27 and charged() == (Decimal(4 * 26), Decimal("1.04"))
    assert Charge.objects.filter(final=True).count() == 26


def test_a_clock_that_goes_back_takes_nothing_back(prices, look):
    look(0, GIB)
    look(60, GIB)
    look(30, 100 * GIB)
    look(120, GIB)
    assert charged() == (Decimal(2), Decimal("0.02"))


def test_many_small_looks_cost_what_one_does(prices, look):
    for after in range(0, 61, 2):
        look(after, 200 * 2**10)
    _, in_parts = charged()
    once = Decimal(200) / 2**20 / 100
    assert abs(in_parts - once) <= Decimal("0.000001") < once


def test_each_hour_has_its_price(look):
    price("storage", MONTH)
    price("storage", 2 * MONTH, since=NOON + timedelta(hours=1))
    look(0, GIB)
    look(120, GIB)
    assert [row[2] for row in rows()] == [Decimal("0.01"), Decimal("0.02")]


def test_without_prices_hours_are_written_and_cost_nothing(look):
    look(0, GIB)
    look(60, GIB)
    assert charged() == (Decimal(1), Decimal(0))


@pytest.mark.django_db(transaction=True)
def test_killed_after_any_statement_the_next_look_makes_it_right(prices, look):
    for survived in range(200):
        Stored.objects.all().delete()
        Charge.objects.all().delete()
        for sums in (*Month.__subclasses__(), Balance):
            sums.objects.all().delete()
        look(30, 2 * GIB)
        finished = killed_after(survived, lambda: look(75, GIB))
        look(75, GIB)
        look(90, 0)
        assert charged() == (Decimal("1.75"), Decimal("0.0175"))
        if finished:
            return
    raise AssertionError("it never ended")


@pytest.mark.django_db(transaction=True)
def test_looks_at_once_count_each_moment_once(prices, clock, project):
    other = projects.create(name="Sound", by=project.owner)
    storage.look({project.pk: 2 * GIB, other.pk: 3 * GIB})
    Stored.objects.update(at=NOON)
    clock(150)
    none_fails(*[lambda: storage.look({project.pk: GIB, other.pk: GIB})] * 4)
    assert charged() == (Decimal("12.5"), Decimal("0.125"))


def test_who_owned_it_pays_until_it_changes_hands(prices, look, clock, project, owner, join, make_user):
    institute = BillingAccount.objects.create(name="Institute")
    AccountOwner.objects.create(account=institute, owner=owner, since=NOON - timedelta(days=9))
    member = join(project, make_user("mia"), "Collaborator")
    inner = projects.create(name="Inner", by=owner, parent=project)
    for one in (project, inner):
        look(0, GIB, of=one)
    ownership.offer(member=member, by=owner)
    clock(150)
    ownership.accept(project=Project.objects.get(pk=project.pk), by=member.user)
    clock(180)
    storage.look({project.pk: GIB, inner.pk: GIB})
    clock(240)
    storage.look({project.pk: GIB, inner.pk: GIB})
    agree()
    paid = dict(Charge.objects.order_by().values_list("owner_id").annotate(Sum("storage_hours")))
    # what is left of the hour that has begun stays in its row
    assert paid == {owner.pk: Decimal(6), member.user.pk: Decimal(2)}
    assert payers.balance_of(payers.of_account(institute)) == Decimal("-0.06")
    assert payers.balance_of(payers.of_user(member.user)) == Decimal("-0.02")


def test_what_is_removed_is_charged_until_then_and_no_further(prices, look, clock, project, owner):
    look(0, GIB)
    clock(90)
    projects.remove(project=project, by=owner)
    look(600, GIB)
    assert charged() == (Decimal("1.5"), Decimal("0.015"))


def test_one_that_cannot_be_charged_keeps_no_other_from_it(prices, look, project, owner, monkeypatch):
    other = projects.create(name="Sound", by=owner)
    look(0, GIB)
    look(0, GIB, of=other)
    Stored.objects.update(bytes=GIB)
    add = ledger.add

    def fail_for_one(use):
        if use.project.pk == project.pk:
            raise RuntimeError
        add(use)

    monkeypatch.setattr(ledger, "add", fail_for_one)
    look(60, 0)
    assert Charge.objects.get().project_id == other.pk
    monkeypatch.setattr(ledger, "add", add)
    look(60, 0)
    assert charged() == (Decimal(2), Decimal("0.02"))


def test_what_versions_share_weighs_once(kept, dataset, project, owner):  # noqa: F811
    assert weights.of_projects() == {}
    push(dataset, {"a": b"x" * 1000, "b": b"x" * 1000}, owner)
    first = weights.of_projects()
    assert list(first) == [project.pk] and 1000 < first[project.pk] < 1400
    again = datastores.create(project=project, kind="model", name="same", by=owner)
    push(again, {"a": b"x" * 1000, "b": b"x" * 1000}, owner)
    assert weights.of_projects() == first
    assert weights.charge() == 1 and Stored.objects.get().bytes == first[project.pk]


def test_volumes_weigh_what_was_last_measured_of_them(dataset, project, owner):  # noqa: F811
    Datastore.objects.create(project=project, kind="volume", name="home", quota=GIB, used=700)
    Datastore.objects.create(project=project, kind="volume", name="new", quota=GIB)
    Datastore.objects.create(project=project, kind="volume", name="gone", quota=GIB, used=9, removed_at=NOON)
    Blob.objects.create(project=project, sha256="0" * 64, size=42)
    assert weights.of_projects() == {project.pk: 742}


@pytest.fixture
def this_hour(prices, project, monkeypatch):
    """The project has stored 100 GiB for the last hour of this month that there was: at least for a minute."""
    now = timezone.now()
    start = max(floor_hour(now), now - timedelta(minutes=30))
    if start - floor_hour(start) < timedelta(seconds=60):  # the minute lies in one hour
        start = floor_hour(start)
    Stored.objects.create(project=project, bytes=100 * GIB, at=start - timedelta(seconds=60))
    monkeypatch.setattr(storage, "_now", lambda: start)
    if start.day == 1 and start.hour == 0:  # the minute before belongs to another month
        Stored.objects.update(at=start)
        monkeypatch.setattr(storage, "_now", lambda: start + timedelta(seconds=60))
    storage.look({project.pk: 100 * GIB})


def test_budgets_of_the_project_see_it_and_those_of_members_do_not(this_hour, project, owner, viewer):
    for member in (None, viewer):
        Budget.objects.create(project=project, member=member, amount=Decimal("0.000001"))
    whole, own = budgets.of_project(project)
    assert whole.spent > 0 and own.spent == 0
    assert list(budgets.holds().projects) == [project.pk] and not budgets.holds().members


def test_pages_and_files_show_it(this_hour, as_user, project, owner, viewer):
    shown = text_of(page(as_user(owner), project))
    assert "Stored now" in shown and "100 GiB" in shown and shown.count("Stored data") == 2  # by member, and by hour
    assert "GiB hours" in shown
    [row] = csv_of(as_user(owner), project)
    assert (row["job"], row["job id"], row["member"]) == ("Stored data", "", "Stored data")
    assert "Stored data" in text_of(page(as_user(owner), project, what="storage"))
    assert "No job ran" in text_of(page(as_user(owner), project, what="jobs"))
    assert "Stored now" in text_of(page(as_user(owner)))
    theirs = text_of(page(as_user(viewer), project))
    assert "Stored" not in theirs.replace("Stored data or", "")
