"""The compute resources of the installation: registering this host, and what the largest job may ask for."""

from collections import Counter
from typing import Any

from django.db import transaction
from django.utils import timezone

from compute import host
from compute.models import ComputeResource, Gpu


@transaction.atomic
def register_this_host() -> ComputeResource:
    """This host's row with what it has now; called by its worker at start and every few seconds."""
    has = {
        "cpu_milli": host.cpu_milli(),
        "memory_mib": host.memory_mib(),
        "boot_id": host.boot_id(),
        "facts": host.facts().as_dict(),
        "seen_at": timezone.now(),
    }
    resource, _ = ComputeResource.objects.update_or_create(name=host.name(), defaults=has)
    found = host.gpus()
    resource.gpus.exclude(uuid__in=[gpu["uuid"] for gpu in found]).delete()
    for gpu in found:
        Gpu.objects.update_or_create(
            resource=resource, uuid=gpu["uuid"], defaults={key: gpu[key] for key in ("index", "type", "memory_mib")}
        )
    return resource


def this_host() -> ComputeResource:
    """This host's row; registers it the first time."""
    return ComputeResource.objects.filter(name=host.name()).first() or register_this_host()


def what_there_is() -> dict[str, Any]:
    """For the job form and refusals: the largest host's {cpu, mem (GiB), gpu}, GPU types [{type, count}], problems, runs_jobs."""
    rows = list(ComputeResource.objects.prefetch_related("gpus"))
    if not rows:  # no worker has reported yet; this host is then most probably the one that will
        return _summary(
            [(host.cpu_milli(), host.memory_mib(), [gpu["type"] for gpu in host.gpus()], host.facts().as_dict())]
        )
    return _summary([(row.cpu_milli, row.memory_mib, [gpu.type for gpu in row.gpus.all()], row.facts) for row in rows])


def _summary(hosts: list[tuple[int, int, list[str], dict[str, Any]]]) -> dict[str, Any]:
    types = Counter(kind for _, _, gpus, _ in hosts for kind in gpus)
    return {
        "cpu": max(cpu for cpu, _, _, _ in hosts) / 1000,
        "mem": round(max(memory for _, memory, _, _ in hosts) / 1024, 1),
        "gpu": max(len(gpus) for _, _, gpus, _ in hosts),
        "gpus": [{"type": kind, "count": count} for kind, count in sorted(types.items())],
        "problems": sorted({problem for _, _, _, facts in hosts for problem in facts.get("problems", [])}),
        "runs_jobs": any(facts.get("isolation") != "none" for _, _, _, facts in hosts),
    }
