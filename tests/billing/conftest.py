"""Prices, and uses of an hour or more at known times."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.ids import new_id
from billing import ledger
from billing.ledger import Use
from billing.models import Charge, Price
from tests.jobs.conftest import queued, resource  # noqa: F401 - fixtures

PAST = datetime(2000, 1, 1, tzinfo=UTC)
CPU = Decimal("0.10")  # a core hour
GPU = Decimal("2.50")  # an H200 hour


def price(kind: str, amount: str | Decimal, since: datetime = PAST, gpu_type: str = "") -> Price:
    """A price that has been in force since then."""
    fields = {"valid_from": since.date(), "effective_from": since, "set_by_name": "anna"}
    return Price.objects.create(kind=kind, amount=Decimal(amount), gpu_type=gpu_type, **fields)


def spent(project, member, amount: str | Decimal, hour: datetime, **fields) -> None:
    """A row of the ledger, and all that follows from it: the member's use of the project in this hour cost so much."""
    names = {
        "project_id": project.pk,
        "project_name": project.name,
        "member_id": member.pk,
        "member_name": member.shown,
    }
    names |= {
        "owner_id": project.owner_id,
        "owner_name": "Olga",
        "payer": f"user:{project.owner_id}",
        "payer_name": "Olga",
    }
    job = {"source": "attempt", "source_id": new_id(), "subject_id": "job-1", "subject_name": "train"}
    assert ledger._insert(Charge(**names, **job, hour=hour, milliseconds=1, amount=Decimal(amount), **fields))


@pytest.fixture
def prices(db) -> None:
    """Core hours for 0.10, H200 hours for 2.50; memory and storage for nothing."""
    price("cpu", CPU)
    price("gpu", GPU, gpu_type="H200")


@pytest.fixture
def use(project, owner):
    """use(start, minutes, over=…, …) is what an attempt of the owner's job used; one core unless it says more."""

    def make(start: datetime, minutes: float, *, over: bool = False, **fields) -> Use:
        known = {"source": "attempt", "source_id": "attempt-1", "subject_id": "job-1", "subject_name": "train"}
        whose = {"project": project, "member": owner, "cpu_milli": 1000}
        times = {"start": start, "until": start + timedelta(minutes=minutes), "over": over}
        return Use(**known | whose | times | fields)

    return make
