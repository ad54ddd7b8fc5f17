"""What jobs would cost, by the prices as they are now."""

from decimal import Decimal

from django.utils import timezone

from billing.models import ZERO, Kind
from billing.prices import Tariff, tariff
from compute import resources
from jobs.spec import Spec


def per_hour(spec: Spec) -> Decimal | None:
    """What an hour of such a job costs, with the dearest GPUs that there are; None where nothing costs anything."""
    prices, now, wanted = tariff(), timezone.now(), spec.resources
    if not prices.charges(now):
        return None
    cpu = Decimal(str(wanted.cpu)) * prices.rate(Kind.CPU, now)
    memory = Decimal(str(wanted.mem)) * prices.rate(Kind.MEMORY, now)
    return cpu + memory + (wanted.gpu * _dearest_gpu(prices) if wanted.gpu else ZERO)


def _dearest_gpu(prices: Tariff) -> Decimal:
    types = [one["type"] for one in resources.what_there_is()["gpus"]]
    return max((prices.rate(Kind.GPU, timezone.now(), gpu_type) for gpu_type in types), default=ZERO)
