"""Pages of usage and budgets: who sees what, with prices and without."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing import actions, budgets, exports, ledger, payers, usage
from billing.models import AccountOwner, BillingAccount, Budget, Charge
from billing.usage import PAGE
from projects import actions as projects
from tests.billing.conftest import price

pytestmark = pytest.mark.django_db
MONEY = re.compile(r"EUR|[Bb]alance|[Bb]udget|[Cc]ost|[Pp]ays")


@pytest.fixture
def used(project):
    """used(by, hours, name=…) puts a job's use into this month's ledger."""
    number = iter(range(1000))

    def make(by, hours: float, *, name: str = "train", of=project, ago: int = 0, **fields) -> None:
        start = datetime.combine(usage.before(timezone.now().date().replace(day=1), ago), datetime.min.time(), UTC)
        unique = f"attempt-{next(number)}"
        names = {"source": "attempt", "source_id": unique, "subject_id": unique, "subject_name": name}
        whose = {"project": of, "member": by, "start": start, "until": start + timedelta(hours=hours)}
        ledger.charge(ledger.Use(**names, **whose, **{"over": True, "cpu_milli": 1000, **fields}))

    return make


def page(client, project=None, **query):
    where = reverse("billing:project", args=[project.slug]) if project else reverse("billing:mine")
    response = client.get(where, query)
    assert response.status_code == 200
    return response


def text_of(response) -> str:
    return re.sub(r"<[^>]+>", " ", response.content.decode())


def csv_of(client, project=None, **query) -> list[dict[str, str]]:
    where = reverse("billing:project_csv", args=[project.slug]) if project else reverse("billing:mine_csv")
    response = client.get(where, query)
    assert response.status_code == 200

    async def read():
        return b"".join([piece async for piece in response.streaming_content]).decode()

    return list(csv.DictReader(io.StringIO(async_to_sync(read)())))


# Who sees what


def test_the_owner_sees_everybodys_part_and_what_is_left(prices, used, project, owner, collaborator, admin, as_user):
    used(owner, 2)
    used(collaborator, 3, name="theirs")
    actions.grant(payer=payers.of_user(owner), amount=Decimal(10), reason="start", by=admin)
    response = page(as_user(owner), project)
    assert [(row["name"], row["amount"]) for row in response.context["parts"]] == [
        ("carl", Decimal("0.3")),
        ("Olga Owner", Decimal("0.2")),
    ]
    assert "9.50 EUR" in text_of(response)
    assert "theirs" in text_of(response)


def test_a_member_sees_the_balance_and_their_own_part_alone(
    prices, used, project, owner, viewer, collaborator, as_user
):
    used(owner, 20, name="secret plan")
    used(collaborator, 3, name="mine")
    for _ in (page(as_user(collaborator), project), page(as_user(collaborator), project, member=owner.pk)):
        text = text_of(_)
        assert "−2.30 EUR" in text  # what is left of who pays
        assert "0.30 EUR" in text
        assert "secret plan" not in text
        assert "2.00 EUR" not in text
        assert len(_.context["rows"]) == 3
    assert page(as_user(viewer), project).context["rows"] == []
    exported = csv_of(as_user(collaborator), project, member=owner.pk)
    assert {row["job"] for row in exported} == {"mine"}


def test_the_account_that_pays_is_named_and_its_other_owners_are_not(
    prices, used, project, owner, stranger, collaborator, as_user
):
    account = BillingAccount.objects.create(name="Institute")
    for user in (owner, stranger):
        AccountOwner.objects.create(account=account, owner=user, since=datetime(2020, 1, 1, tzinfo=UTC))
    other = projects.create(name="Another lab", by=stranger)
    used(owner, 1)
    used(stranger, 9, of=other, name="elsewhere")
    for client in (as_user(owner), as_user(collaborator)):
        text = text_of(page(client, project))
        assert "Institute pays" in text
        assert "−1.00 EUR" in text
    mine = text_of(page(as_user(owner)))
    assert "Another lab" not in mine
    assert "elsewhere" not in mine


def test_ones_own_page_is_of_ones_projects_or_of_what_one_used(prices, used, project, owner, collaborator, as_user):
    used(owner, 2)
    used(collaborator, 3)
    assert [row["name"] for row in page(as_user(owner)).context["parts"]] == ["Vision"]
    assert page(as_user(owner)).context["total"]["amount"] == Decimal("0.5")
    assert page(as_user(owner), view="used").context["total"]["amount"] == Decimal("0.2")
    assert page(as_user(collaborator)).context["parts"] == []
    assert page(as_user(collaborator), view="used").context["total"]["amount"] == Decimal("0.3")
    assert len(csv_of(as_user(collaborator), view="used")) == 3
    assert csv_of(as_user(collaborator)) == []


# Without prices


def test_without_prices_nothing_speaks_of_money(used, project, owner, collaborator, as_user):
    used(owner, 2, gpus=("H200",))
    Budget.objects.create(project=project, amount=5)
    for client in (as_user(owner), as_user(collaborator)):
        for address in (reverse("billing:project", args=["vision"]), reverse("billing:mine"), reverse("projects:list")):
            assert not MONEY.search(text_of(client.get(address))), address
    assert as_user(owner).get(reverse("billing:budgets", args=["vision"])).status_code == 404
    response = page(as_user(owner), project)
    assert response.context["chart"].unit == "GPU hours"
    assert "2 GPU h" in text_of(response)
    assert set(csv_of(as_user(owner), project)[0]) == set(exports.USED)


def test_prices_of_nothing_are_no_prices(used, project, owner, as_user):
    price("cpu", "0")
    used(owner, 2)
    assert not MONEY.search(text_of(page(as_user(owner), project)))


def test_a_price_that_is_to_come_does_not_show_yet(used, project, owner, as_user):
    price("cpu", "1", timezone.now() + timedelta(hours=2))
    assert not MONEY.search(text_of(page(as_user(owner), project)))


# The pages themselves


def test_the_menu_says_what_is_left_and_the_dashboard_what_a_project_cost(prices, used, project, owner, as_user):
    used(owner, 15)
    text = text_of(as_user(owner).get(reverse("projects:list")))
    assert re.search(r"Balance\s+−1.50 EUR", text)
    assert re.search(r"This month", text)
    assert "1.50 EUR" in text


def test_months_are_walked_by_address_and_nonsense_is_this_month(prices, used, project, owner, as_user):
    used(owner, 2)
    used(owner, 5, ago=2)
    now = timezone.now().date().replace(day=1)
    earlier = usage.before(now, 2)
    client = as_user(owner)
    response = page(client, project, month=f"{earlier:%Y-%m}")
    assert (response.context["total"]["amount"], len(response.context["rows"])) == (Decimal("0.5"), 5)
    assert [row["month"] for row in response.context["months"]] == [usage.before(now, back) for back in range(12)]
    for nonsense in ("", "soon", "2026-13", "9999-12", "0001-01", "2026-1" * 500):
        assert page(client, project, month=nonsense).context["month"] == now
    long_ago = page(client, project, month="1999-05")
    assert (long_ago.context["total"]["amount"], long_ago.context["months"][0]["month"].year) == (0, 1999)


def test_pages_of_the_ledger_follow_each_other(prices, used, project, owner, as_user):
    for _ in range(3):
        used(owner, 40)
    client, seen = as_user(owner), []
    url = reverse("billing:project", args=["vision"])
    while url:
        response = client.get(url)
        seen += [row.pk for row in response.context["rows"]]
        back, url = response.context["newer"], response.context["older"]
    assert len(seen) == len(set(seen)) == 120
    assert [row.pk for row in client.get(back).context["rows"]] == seen[3 * PAGE : 4 * PAGE]
    for nonsense in ("x", "o.1", "o.9" + "9" * 40 + ".1", "o.1." + "9" * 40, "n..", "o.-5.-5"):
        assert [row.pk for row in page(client, project, page=nonsense).context["rows"]] in (seen[:PAGE], [])


@pytest.mark.walk
def test_the_number_of_queries_does_not_grow(prices, used, project, owner, as_user, django_assert_max_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = as_user(owner)
    used(owner, 1)
    page(client, project)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            page(client, project)
        counts.append(len(asked))
        for ago in range(6):
            used(owner, 30, ago=ago)
    assert counts[0] == counts[1]
    with django_assert_max_num_queries(counts[0]):
        page(client, project)


def test_names_are_text_wherever_they_show(prices, used, project, owner, make_user, as_user):
    name = '<script>alert("x")</script>' + "\u202egnp"
    used(owner, 1, name=name)
    body = page(as_user(owner), project).content.decode()
    assert "<script>alert" not in body
    assert "&lt;script&gt;alert" in body


# Files


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "  @x"])
def test_no_cell_is_a_formula(prices, used, project, owner, as_user, name):
    used(owner, 1, name=name)
    [row] = csv_of(as_user(owner), project)
    assert row["job"] == f"'{name}"


def test_a_file_has_all_rows_of_a_month_or_of_all(prices, used, project, owner, as_user, monkeypatch):
    monkeypatch.setattr(exports, "ROWS", 7)
    used(owner, 30, name='a "name", with commas')
    used(owner, 3, ago=1)
    client = as_user(owner)
    everything = csv_of(client, project)
    assert len(everything) == 33
    assert len({row["hour (UTC)"] for row in everything}) == 33
    assert everything[0]["job"] == 'a "name", with commas'
    assert len(csv_of(client, project, month=f"{timezone.now():%Y-%m}")) == 30
    row = everything[0]
    assert (row["amount"], row["currency"], row["payer"], row["used"]) == ("0.100000", "EUR", "Olga Owner", "1:00:00")


def test_a_correction_is_a_row_of_the_file(prices, project, owner, as_user, use):
    start = datetime(2026, 3, 10, 12, tzinfo=UTC)
    ledger.charge(use(start, 61))
    ledger.charge(use(start, 30, over=True))
    rows = [(row["line"], row["used"], row["amount"]) for row in csv_of(as_user(owner), project)]
    assert ("correction", "-0:30:00", "-0.050000") in rows


# Budgets


def test_the_owner_sets_changes_and_lifts_a_budget(prices, project, owner, collaborator, as_user):
    client, address = as_user(owner), reverse("billing:budgets", args=["vision"])
    assert "Without one" in text_of(client.get(address))
    client.post(address, {"member": "", "amount": "100", "when_full": "stop"})
    client.post(address, {"member": collaborator.username, "amount": "10.50", "when_full": "finish"})
    client.post(address, {"member": collaborator.username, "amount": "11", "when_full": "finish"})
    rows = Budget.objects.order_by("amount").values_list("member__username", "amount", "when_full")
    assert list(rows) == [("carl", Decimal(11), "finish"), (None, Decimal(100), "stop")]
    assert "100.00 EUR" in text_of(client.get(address))
    client.post(reverse("billing:budget_remove", args=["vision", Budget.objects.get(amount=11).pk]))
    assert Budget.objects.count() == 1


@pytest.mark.parametrize(
    "posted",
    [
        {"amount": "-1"},
        {"amount": "a lot"},
        {"amount": "NaN"},
        {"amount": "1e999"},
        {"amount": "1.234"},
        {"when_full": "explode"},
        {"member": "guessed"},
    ],
)
def test_bad_input_sets_nothing_and_says_what_is_wrong(prices, project, owner, as_user, posted):
    address = reverse("billing:budgets", args=["vision"])
    response = as_user(owner).post(address, {"member": "", "amount": "5", "when_full": "stop", **posted})
    assert response.status_code == 200
    assert response.context["form"].errors
    assert not Budget.objects.exists()


def test_a_stranger_is_no_choice_of_a_budget(prices, project, owner, stranger, as_user):
    address = reverse("billing:budgets", args=["vision"])
    for name in (stranger.username, "nobody"):
        asked = {"member": name, "amount": "5", "when_full": "stop"}
        assert "Choose the owner or a member" in text_of(as_user(owner).post(address, asked))
    assert not Budget.objects.exists()


def test_the_page_of_budgets_reads_no_member_who_has_none(prices, project, owner, join, make_user, as_user):
    client, address, counts = as_user(owner), reverse("billing:budgets", args=["vision"]), []
    for people in (["ada"], [f"many-{number}" for number in range(12)]):
        for name in people:
            join(project, make_user(name))
        with CaptureQueriesContext(connection) as queries:
            page = text_of(client.get(address))
        counts.append(len(queries))
        assert not [name for name in people if name in page]
    assert counts[0] == counts[1]


def test_budgets_of_members_are_on_pages_by_username_and_found_by_name(
    prices, project, owner, join, make_user, as_user
):
    client, address, counts = as_user(owner), reverse("billing:budgets", args=["vision"]), []
    actions.set_budget(project=project, member=None, amount=Decimal(900), when_full="stop", by=owner)
    names = [f"m-{number:02}" for number in range(2 * budgets.SHOWN + 3)]
    for some in (names[:3], names[3:]):
        for name in some[::-1]:
            member = make_user(name, name=f"Member {name[-2:]}")
            join(project, member)
            actions.set_budget(project=project, member=member, amount=Decimal(7), when_full="stop", by=owner)
        client.get(address)
        with CaptureQueriesContext(connection) as queries:
            response = client.get(address)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    seen, url = [], address
    while url:
        response = client.get(url)
        whole, *rows = response.context["budgets"]
        assert (whole.member, len(rows) <= budgets.SHOWN) == (None, True)
        seen += [row.member.username for row in rows]
        url, back = response.context["older"], response.context["newer"]
    assert seen == names
    assert [row.member.username for row in client.get(back).context["budgets"][1:]] == names[25:50]
    assert [row.member.username for row in client.get(address, {"q": "ember 4"}).context["budgets"][1:]] == names[40:50]
    assert "No member called “zed” has a budget" in text_of(client.get(address, {"q": "zed"}))


def test_usage_shows_the_projects_budget_and_ones_own(prices, project, owner, collaborator, as_user):
    for member, amount in ((None, "88.80"), (owner, "66.60"), (collaborator, "77.70")):
        Budget.objects.create(project=project, member=member, amount=Decimal(amount))
    seen = {who: text_of(page(as_user(who), project)) for who in (owner, collaborator)}
    shown = {who: [amount for amount in ("88.80", "66.60", "77.70") if amount in text] for who, text in seen.items()}
    assert shown == {owner: ["88.80", "66.60"], collaborator: ["77.70"]}


def test_another_projects_budget_is_out_of_reach(prices, project, owner, stranger, as_user):
    other = projects.create(name="Other", by=stranger)
    theirs = Budget.objects.create(project=other, amount=5)
    for slug, status in (("vision", 404), ("other", 404)):
        assert as_user(owner).post(reverse("billing:budget_remove", args=[slug, theirs.pk])).status_code == status
    assert Budget.objects.exists()


def test_a_member_sees_their_own_budget_and_no_other(prices, used, project, owner, collaborator, viewer, as_user):
    Budget.objects.create(project=project, member=collaborator, amount=Decimal("77.70"))
    Budget.objects.create(project=project, amount=Decimal("88.80"))
    theirs = text_of(page(as_user(collaborator), project))
    assert "77.70 EUR" in theirs
    assert "88.80" not in theirs
    assert "77.70" not in text_of(page(as_user(viewer), project))
    assert "88.80 EUR" in text_of(page(as_user(owner), project))


def test_budgets_are_posted_with_a_token_of_the_page(prices, project, owner):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(owner, backend="accounts.backends.Backend")
    posted = {"member": "", "amount": "5", "when_full": "stop"}
    assert client.post(reverse("billing:budgets", args=["vision"]), posted).status_code == 403
    assert not Budget.objects.exists()


def test_charges_are_never_in_somebody_elses_file(prices, used, project, owner, stranger, removed, as_user):
    used(removed, 2, name="before I was removed")
    for user in (stranger, removed):
        assert as_user(user).get(reverse("billing:project", args=["vision"])).status_code == 404
        assert as_user(user).get(reverse("billing:project_csv", args=["vision"])).status_code == 404
    assert csv_of(as_user(stranger), view="used") == []
    assert len(csv_of(as_user(removed), view="used")) == 2  # their own use stays theirs to see
    assert Charge.objects.count() == 2
