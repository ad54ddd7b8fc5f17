"""Who pays for an owner's projects: the owner, or the billing account that they belong to; and what is left."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from django.db.models import CharField, F, Q, Subquery, Value
from django.db.models.functions import Coalesce, Concat

from access.prepared import Prepared
from billing import sums
from billing.models import ZERO, AccountOwner, Balance, BillingAccount

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from accounts.models import User


def _balance_for(owner: str, alone: str) -> "QuerySet[Balance]":
    """The balance of who pays for an owner's projects; `alone`: the key of the owner as a payer."""
    key = Concat(Value("account:"), "account_id", output_field=CharField())
    account = AccountOwner.objects.filter(owner=owner, until=None).annotate(payer=key).values("payer")
    return Balance.objects.filter(payer=Coalesce(Subquery(account), Value(alone)))


BALANCE: Final = Prepared(_balance_for)


@dataclass(frozen=True, slots=True)
class Payer:
    """One who pays: `key` is user:ID or account:ID, `name` for people."""

    key: str
    name: str


def of_user(user: "User") -> Payer:
    return Payer(f"user:{user.pk}", user.shown)


def of_account(account: BillingAccount) -> Payer:
    return Payer(f"account:{account.pk}", account.name)


def payer_of(owner: "User", at: datetime | None = None) -> Payer:
    """Who pays for the owner's projects now, or paid at a moment; one query."""
    known = AccountOwner.objects.filter(owner=owner).select_related("account")
    if at is None:
        found = known.filter(until=None).first()
    else:
        found = known.filter(Q(until=None) | Q(until__gt=at), since__lte=at).order_by("since").last()
    return of_account(found.account) if found else of_user(owner)


def balance_of(payer: Payer) -> Decimal:
    """What is left of the payer's credits; below zero: what is owed. One query."""
    found = Balance.objects.filter(payer=payer.key).first()
    return found.left if found else ZERO


def left_for(owner_id: str) -> Decimal:
    """What is left of who pays for an owner's projects now; one query."""
    found = BALANCE.objects(owner=owner_id, alone=f"user:{owner_id}")
    return found[0].left if found else ZERO


def change(payer: str, *, credited: Decimal = ZERO, charged: Decimal = ZERO) -> None:
    """Adds to a payer's sums; call in the transaction that writes the row."""
    sums.add(Balance, {"credited": credited, "charged": charged}, {"payer": payer})


def with_credit() -> "Solvent":
    """Who has something left; two queries."""
    payers = set(Balance.objects.filter(credited__gt=F("charged")).values_list("payer", flat=True))
    accounts = dict(AccountOwner.objects.filter(until=None).values_list("owner_id", "account_id"))
    return Solvent(payers, accounts)


@dataclass(frozen=True, slots=True)
class Solvent:
    """The payers that have something left, and the billing accounts of owners."""

    payers: set[str]
    accounts: dict[str, str]

    def owner(self, owner_id: str) -> bool:
        """Whether who pays for this owner has something left."""
        account = self.accounts.get(owner_id)
        return (f"account:{account}" if account else f"user:{owner_id}") in self.payers
