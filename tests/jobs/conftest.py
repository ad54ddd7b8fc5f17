"""Jobs without runners: rows in the queue of a host with two cores, four GiB and two GPUs."""

import pytest

from compute import host
from compute.models import ComputeResource, Gpu
from jobs import transfers
from jobs.models import Job, Transfer
from jobs.querysets import words_of
from jobs.spec import Spec


@pytest.fixture
def resource(db):
    row = ComputeResource.objects.create(
        name=host.name(),
        cpu_milli=2000,
        memory_mib=4096,
        boot_id=host.boot_id(),
        facts={"isolation": "sandbox", "network": "own", "problems": []},
    )
    for index in range(2):
        Gpu.objects.create(resource=row, index=index, uuid=f"GPU-{index}", type="H200", memory_mib=143_000)
    return row


@pytest.fixture
def queued(resource):
    """queued(project, by, cpu=1, ...) puts a job in the queue as submit does, without files."""

    def make(project, by, *, cpu=1.0, mem=0.5, gpu=0, name="job", **fields):
        spec = Spec.model_validate(
            {"name": name, "command": "true", "resources": {"cpu": cpu, "mem": mem, "gpu": gpu}, **fields}
        )
        job = Job.objects.create(
            project=project,
            name=name,
            created_by=by,
            spec=spec.stored(),
            tags=spec.tags,
            words=words_of(name, spec.tags),
            cpu_milli=round(cpu * 1000),
            memory_mib=round(mem * 1024),
            gpu=gpu,
            bid=spec.bid,
            restartable=spec.restartable,
            preemptable=spec.preemptable,
        )
        Transfer.objects.bulk_create(transfers.planned(job, spec))
        return job

    return make
