"""Where jobs run: compute resources and their GPUs."""

from django.db import models
from django.utils import timezone

from accounts.ids import new_id


class ComputeResource(models.Model):
    """A host with a worker, which finds what it has and refreshes it; what is free follows from the attempts on it."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    name = models.CharField(max_length=100, unique=True)
    cpu_milli = models.PositiveIntegerField(help_text="CPU cores × 1000 that jobs may be given")
    memory_mib = models.PositiveIntegerField(help_text="MiB of memory that jobs may be given")
    boot_id = models.CharField(max_length=36)
    seen_at = models.DateTimeField(default=timezone.now)
    # What isolates jobs here, as compute.host.facts() found it: {"isolation", "network", "memory", "problems": [...]}.
    facts = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.name


class Gpu(models.Model):
    """One GPU of a host, by its NVML UUID."""

    resource = models.ForeignKey(ComputeResource, on_delete=models.CASCADE, related_name="gpus")
    index = models.PositiveSmallIntegerField()
    uuid = models.CharField(max_length=60)
    type = models.CharField(max_length=100)
    memory_mib = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["resource", "uuid"], name="gpu_once")]
        ordering = ["index"]
