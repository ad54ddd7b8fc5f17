"""The compute resources of the installation: registering this host, and what the largest job may ask for."""

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
        Gpu.objects.update_or_create(resource=resource, uuid=gpu["uuid"], defaults={key: gpu[key] for key in ("index", "type", "memory_mib")})
    return resource


def this_host() -> ComputeResource:
    """This host's row; registers it the first time."""
    return ComputeResource.objects.filter(name=host.name()).first() or register_this_host()


def what_there_is() -> dict[str, Any]:
    """For the job form and refusals: the largest host's {cpu, mem (GiB), gpus: [{type, count}], problems}."""
    rows = list(ComputeResource.objects.prefetch_related("gpus"))
    if not rows:
        rows = [register_this_host()]
    types: dict[str, int] = {}
    for gpu in (gpu for row in rows for gpu in row.gpus.all()):
        types[gpu.type] = types.get(gpu.type, 0) + 1
    return {
        "cpu": max(row.cpu_milli for row in rows) / 1000,
        "mem": round(max(row.memory_mib for row in rows) / 1024, 1),
        "gpus": [{"type": kind, "count": count} for kind, count in sorted(types.items())],
        "gpu": max(row.gpus.count() if row.gpus.all() else 0 for row in rows),
        "problems": sorted({problem for row in rows for problem in row.facts.get("problems", [])}),
        "runs_jobs": any(row.facts.get("isolation") != "none" for row in rows),
    }
