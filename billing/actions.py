"""What changes prices, credits, billing accounts and budgets. The ledger is written by billing.ledger alone."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

import access
from access import Decision, Refused
from accounts.models import User
from billing import payers
from billing.models import AccountOwner, BillingAccount, Budget, Credit, Price
from billing.payers import Payer
from billing.prices import effective_from, floor_hour
from projects.models import Project, record

if TYPE_CHECKING:
    from django.db.models import Model

NO_MEMBER = "Choose the owner or a member of this project."


def require_staff(by: User, permission: str) -> None:
    """Raises Refused unless the person is of the installation's staff with this permission (of Django's)."""
    if not (by.is_staff and by.has_perm(permission)):
        raise Refused(Decision(False, permission, "not_staff", "Only the installation's staff may do this."))


@transaction.atomic
def set_price(*, kind: str, amount: Decimal, valid_from: date, by: User, gpu_type: str = "") -> Price:
    """A price from a day on. Raises ValidationError for a day that is over, and for a second price of the same hour."""
    require_staff(by, "billing.add_price")
    price = Price(kind=kind, gpu_type=gpu_type.strip(), amount=amount, valid_from=valid_from, set_by_name=by.username)
    price.effective_from = in_force(valid_from)
    price.full_clean()
    price.save(force_insert=True)
    return price


def in_force(valid_from: date) -> datetime:
    """When a price that is set now for a day is in force. Raises ValidationError for a day that is over."""
    now = timezone.now()
    if valid_from < floor_hour(now).date():
        raise ValidationError({"valid_from": "This day is over (UTC), and what was charged stays as it is."})
    return effective_from(valid_from, now)


@transaction.atomic
def withdraw_price(*, price: Price, by: User) -> None:
    """Takes back a price that is not yet in force. Raises ValidationError for one that is."""
    require_staff(by, "billing.delete_price")
    if not Price.objects.filter(pk=price.pk, effective_from__gt=timezone.now()).delete()[0]:
        raise ValidationError("This price is in force: what was charged refers to it. Set another one.")


@transaction.atomic
def grant(*, payer: Payer, amount: Decimal, reason: str, by: User) -> Credit:
    """Credits a payer, or takes back what was credited (below zero). Raises ValidationError."""
    require_staff(by, "billing.add_credit")
    credit = Credit(
        payer=payer.key,
        payer_name=payer.name,
        amount=amount,
        reason=reason.strip(),
        by_id=by.pk,
        by_name=by.username,
    )
    credit.full_clean()
    if not credit.amount:
        raise ValidationError({"amount": "Nothing would change."})
    credit.save(force_insert=True)
    payers.change(payer.key, credited=credit.amount)
    return credit


@transaction.atomic
def set_account(*, account: BillingAccount, name: str, owners: Iterable[User], by: User) -> BillingAccount:
    """Names a billing account, and says for whom it pays from now on. Raises ValidationError for an owner of another one."""
    require_staff(by, "billing.add_billingaccount" if account._state.adding else "billing.change_billingaccount")
    account.name = name.strip()
    account.full_clean()
    account.save()
    now, wanted = timezone.now(), {owner.pk: owner for owner in owners}
    check_owners(account, wanted.values())
    account.owners.filter(until=None).exclude(owner__in=wanted).update(until=now)
    there = set(account.owners.filter(until=None).values_list("owner_id", flat=True))
    AccountOwner.objects.bulk_create(
        AccountOwner(account=account, owner=wanted[owner_id], since=now) for owner_id in wanted.keys() - there
    )
    return account


def check_owners(account: BillingAccount, owners: Iterable[User]) -> None:
    """Raises ValidationError for owners for whom another billing account pays."""
    others = AccountOwner.objects.filter(until=None, owner__in=list(owners)).exclude(account=account.pk)
    if taken := sorted(others.values_list("owner__username", flat=True)):
        raise ValidationError({"owners": f"Another billing account pays for {', '.join(taken)}."})


@transaction.atomic
def set_budget(*, project: Project, member: User | None, amount: Decimal, when_full: str, by: User) -> Budget:
    """What the project, or one of its members, may cost in a month. Raises ValidationError for who is neither owner nor member."""
    access.require(by, "project:set", project)
    if member and not access.allowed(member, "project:get", project):
        raise ValidationError({"member": NO_MEMBER})
    before = Budget.objects.filter(project=project, member=member).first()
    budget = Budget(project=project, member=member, amount=amount, when_full=when_full)
    budget.clean_fields()
    # Emails go out anew: 80 % of another amount is another moment.
    fields = {"amount": budget.amount, "when_full": when_full, "warned_for": None, "full_for": None}
    budget, _ = Budget.objects.update_or_create(project=project, member=member, defaults=fields)
    _told(budget, by=by, action="budget:set", before=before, after=budget)
    return budget


@transaction.atomic
def remove_budget(*, budget: Budget, by: User) -> None:
    """Lifts a limit."""
    access.require(by, "project:set", budget.project)
    before = Budget.objects.filter(pk=budget.pk).first()
    if before and before.delete()[0]:
        _told(budget, by=by, action="budget:rm", before=before, after=None)


def _told(budget: Budget, *, by: User, action: str, before: Budget | None, after: Budget | None) -> None:
    record(
        by=by,
        project=budget.project,
        action=action,
        whose=budget.member.username if budget.member else "project",
        before=_values(before),
        after=_values(after),
    )


def _values(budget: Budget | None) -> dict[str, str] | None:
    return {"amount": f"{budget.amount:.2f}", "when_full": budget.when_full} if budget else None


def find_payer(*, username: str, account: "Model | None") -> Payer:
    """The payer that a form names: one of the two. Raises ValidationError."""
    if bool(username) == bool(account):
        raise ValidationError("Name a user or a billing account.")
    if isinstance(account, BillingAccount):
        return payers.of_account(account)
    user = User.objects.filter(username=username.strip().lower()).first()
    if user is None:
        raise ValidationError({"username": "There is no such user."})
    belongs = AccountOwner.objects.filter(owner=user, until=None).select_related("account").first()
    if belongs:
        raise ValidationError({"username": f"The billing account {belongs.account} pays for {user.username}."})
    return payers.of_user(user)
