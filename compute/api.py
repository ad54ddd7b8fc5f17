"""What programs may know about the hosts on which jobs run."""

from collections import Counter
from datetime import datetime
from typing import Any

from ninja import Router

import access
from api.callers import ApiRequest
from api.lists import Out
from compute import resources
from compute.models import ComputeResource

router = Router(tags=["compute"])


class GpusOut(Out):
    """GPUs of one type."""

    type: str
    count: int


class AmountsOut(Out):
    """CPU cores, GiB of memory, GPUs."""

    cpu: float
    mem: float
    gpu: int


class HostOut(AmountsOut):
    """A host, with what it has in all; `seen_at`: when its worker was last heard of. `problems` say why it runs no jobs, or not all."""

    name: str
    gpus: list[GpusOut]
    seen_at: datetime
    isolation: str
    problems: list[str]


class ComputeOut(Out):
    """What there is: the hosts, the most that one job can have, GPUs by type, and why nothing runs where `runs_jobs` is false."""

    hosts: list[HostOut]
    largest: AmountsOut
    gpus: list[GpusOut]
    problems: list[str]
    runs_jobs: bool


@router.get("/compute", response=ComputeOut)
@access.route("self")
def get_compute(request: ApiRequest) -> dict[str, Any]:
    """What there is to compute with."""
    there = resources.what_there_is()
    largest = {name: there[name] for name in ("cpu", "mem", "gpu")}
    hosts = [_show(host) for host in ComputeResource.objects.prefetch_related("gpus").order_by("name")]
    return {"hosts": hosts, "largest": largest, **{name: there[name] for name in ("gpus", "problems", "runs_jobs")}}


def _show(host: ComputeResource) -> dict[str, Any]:
    types = Counter(gpu.type for gpu in host.gpus.all())
    return {
        "name": host.name,
        "cpu": host.cpu_milli / 1000,
        "mem": round(host.memory_mib / 1024, 1),
        "gpu": sum(types.values()),
        "gpus": [{"type": kind, "count": count} for kind, count in sorted(types.items())],
        "seen_at": host.seen_at,
        "isolation": host.facts.get("isolation", ""),
        "problems": host.facts.get("problems", []),
    }
