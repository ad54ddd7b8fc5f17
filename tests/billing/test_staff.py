"""Prices, credits and billing accounts: the staff's pages, and what they refuse."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from access import Refused
from billing import actions, payers, prices
from billing.models import AccountOwner, Balance, BillingAccount, Charge, Credit, Price
from tests.billing.conftest import price

# Django's templates ask for variables that are not always there.
pytestmark = [pytest.mark.django_db, pytest.mark.ignore_template_errors]


def today():
    return timezone.now().astimezone(UTC).date()


@pytest.fixture
def staff(admin, as_user):
    return as_user(admin)


def post(client, page, /, *args, **fields):
    return client.post(reverse(f"staff:billing_{page}", args=args), fields)


def errors(response) -> str:
    return str(response.context["errors"])


# Prices


def test_a_price_of_today_is_in_force_from_the_next_full_hour(staff, admin):
    post(staff, "price_add", kind="gpu", gpu_type="H200", amount="2.5", valid_from=str(today()))
    row = Price.objects.get()
    assert row.effective_from == prices.floor_hour(timezone.now()) + timedelta(hours=1)
    assert (row.amount, row.set_by_name) == (Decimal("2.5"), "anna")
    assert not prices.money_shows()


def test_one_of_a_later_day_is_in_force_from_its_midnight(staff):
    day = today() + timedelta(days=3)
    post(staff, "price_add", kind="cpu", amount="0.1", valid_from=str(day))
    assert Price.objects.get().effective_from == datetime(day.year, day.month, day.day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("posted", "said"),
    [
        ({"valid_from": "2020-01-01"}, "This day is over"),
        ({"valid_from": "soon"}, "valid date"),
        ({"amount": "-1"}, "greater than or equal to 0"),
        ({"amount": "a lot"}, "Enter a number"),
        ({"kind": "luck"}, "valid choice"),
        ({"gpu_type": "H200"}, "Only a GPU hour"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(staff, posted, said):
    fields = {"kind": "cpu", "gpu_type": "", "amount": "1", "valid_from": str(today())}
    assert said in errors(post(staff, "price_add", **{**fields, **posted}))
    assert not Price.objects.exists()


def test_two_prices_of_the_same_hour_are_refused(staff):
    for _ in range(2):
        response = post(staff, "price_add", kind="cpu", gpu_type="", amount="1", valid_from=str(today()))
    assert "already" in errors(response)
    assert Price.objects.count() == 1


def test_a_price_is_taken_back_only_before_it_is_in_force(staff, admin):
    old, new = price("cpu", "1"), price("cpu", "2", timezone.now() + timedelta(hours=1))
    assert post(staff, "price_delete", old.pk, post="yes").status_code == 403
    assert post(staff, "price_delete", new.pk, post="yes").status_code == 302
    assert list(Price.objects.all()) == [old]
    with pytest.raises(ValidationError):
        actions.withdraw_price(price=old, by=admin)


# Credits


def test_a_credit_says_who_and_why_and_is_on_the_balance(staff, owner):
    post(staff, "credit_add", username="Olga", account="", amount="100", reason="Grant 17")
    post(staff, "credit_add", username="olga", account="", amount="-30", reason="Typed too much")
    rows = Credit.objects.order_by("id").values_list("payer", "amount", "reason", "by_name")
    key = f"user:{owner.pk}"
    assert list(rows) == [(key, Decimal(100), "Grant 17", "anna"), (key, Decimal(-30), "Typed too much", "anna")]
    assert payers.balance_of(payers.of_user(owner)) == Decimal(70)


@pytest.mark.parametrize(
    ("posted", "said"),
    [
        ({"username": "nobody"}, "no such user"),
        ({"username": ""}, "Name a user or a billing account"),
        ({"amount": "0"}, "Nothing would change"),
        ({"amount": "1e40"}, "no more than"),
        ({"reason": ""}, "required"),
    ],
)
def test_a_credit_that_makes_no_sense_is_refused(staff, owner, posted, said):
    fields = {"username": "olga", "account": "", "amount": "1", "reason": "why"}
    assert said in errors(post(staff, "credit_add", **{**fields, **posted}))
    assert not Credit.objects.exists()
    assert not Balance.objects.exists()


def test_an_owner_of_a_billing_account_is_credited_through_it(staff, owner, admin):
    account = actions.set_account(account=BillingAccount(), name="Institute", owners=[owner], by=admin)
    fields = {"amount": "1", "reason": "why"}
    assert "Institute pays for olga" in errors(post(staff, "credit_add", username="olga", account="", **fields))
    post(staff, "credit_add", username="", account=account.pk, **fields)
    assert payers.left_for(owner.pk) == Decimal(1)


def test_credits_cannot_be_changed_or_removed(staff, owner, admin):
    credit = actions.grant(payer=payers.of_user(owner), amount=Decimal(5), reason="why", by=admin)
    assert post(staff, "credit_change", credit.pk, amount="500").status_code == 403
    assert post(staff, "credit_delete", credit.pk, post="yes").status_code == 403
    assert Credit.objects.get().amount == 5


# Billing accounts


def test_an_account_pays_from_when_an_owner_is_named_until_they_are_taken_out(staff, owner, stranger):
    post(staff, "billingaccount_add", name="Institute", owners="olga\nSTAN")
    account = BillingAccount.objects.get()
    assert payers.payer_of(owner) == payers.of_account(account)
    post(staff, "billingaccount_change", account.pk, name="The Institute", owners="stan")
    assert payers.payer_of(owner) == payers.of_user(owner)
    assert payers.payer_of(stranger).name == "The Institute"
    assert AccountOwner.objects.filter(until=None).count() == 1
    assert AccountOwner.objects.count() == 2


def test_an_owner_has_one_account_at_a_time(staff, owner):
    post(staff, "billingaccount_add", name="One", owners="olga")
    assert "Another billing account pays for olga" in errors(
        post(staff, "billingaccount_add", name="Two", owners="olga")
    )
    assert "There is no user nobody" in errors(post(staff, "billingaccount_add", name="Three", owners="nobody"))
    assert BillingAccount.objects.count() == 1


# Who may


@pytest.mark.parametrize("what", ["price", "credit", "account"])
def test_only_staff_may(what, owner, stranger):
    calls = {
        "price": lambda: actions.set_price(kind="cpu", amount=Decimal(0), valid_from=today(), by=owner),
        "credit": lambda: actions.grant(payer=payers.of_user(owner), amount=Decimal(9), reason="me", by=owner),
        "account": lambda: actions.set_account(account=BillingAccount(), name="Mine", owners=[stranger], by=owner),
    }
    with pytest.raises(Refused):
        calls[what]()
    assert not Price.objects.exists()
    assert not Credit.objects.exists()
    assert not BillingAccount.objects.exists()


def test_staff_without_the_permission_may_look_at_nothing_and_do_nothing(make_user, as_user, owner):
    clerk = make_user("cleo")
    clerk.is_staff = True
    clerk.save()
    assert as_user(clerk).get(reverse("staff:index")).status_code == 200
    assert as_user(clerk).get(reverse("staff:billing_charge_changelist")).status_code == 403
    assert post(as_user(clerk), "credit_add", username="cleo", amount="9", reason="me").status_code == 403
    with pytest.raises(Refused):
        actions.grant(payer=payers.of_user(clerk), amount=Decimal(9), reason="me", by=clerk)


def test_the_ledger_can_only_be_looked_at(staff, prices, use):
    from billing import ledger

    ledger.charge(use(datetime(2026, 3, 10, 12, tzinfo=UTC), 60, over=True))
    row = Charge.objects.get()
    assert b"train" in staff.get(reverse("staff:billing_charge_changelist")).content
    assert post(staff, "charge_change", row.pk, amount="0").status_code == 403
    assert post(staff, "charge_delete", row.pk, post="yes").status_code == 403
    assert post(staff, "charge_changelist", action="delete_selected", _selected_action=row.pk).status_code in {200, 302}
    assert Charge.objects.get().amount == Decimal("0.1")


def test_the_sites_sign_in_is_the_dashboards(client, owner, as_user):
    response = client.get(reverse("staff:index"))
    assert response["Location"].startswith("/accounts/login/?next=/staff/")
    assert as_user(owner).get("/staff/login/").status_code == 404
    assert "Staff pages" not in as_user(owner).get(reverse("billing:mine")).content.decode()
