"""Jobs, their attempts, and their history."""

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from access import Target
from accounts.ids import new_id
from compute.models import ComputeResource
from datastores.models import Datastore, Version
from jobs.querysets import JobQuerySet
from jobs.states import ACTIVE, FINAL, JobState
from projects.models import Project

if TYPE_CHECKING:
    pass


class Job(models.Model):
    """One submission. The row is the queue: Celery launches and watches, it never is the job."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="jobs")
    name = models.CharField(max_length=100)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="jobs")
    by_role = models.CharField(
        max_length=100, blank=True, help_text="the role whose key submitted it; then created_by is null"
    )
    by_role_id = models.CharField(max_length=16, blank=True, editable=False, help_text="that role's id")
    created_at = models.DateTimeField(default=timezone.now)
    cloned_from = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="clones")
    spec = models.JSONField(help_text="the validated job.yml: jobs.spec.Spec")
    tags = models.JSONField(default=list)
    words = models.CharField(max_length=600, default="", editable=False, help_text="what the search looks through")
    files = models.JSONField(default=list, help_text="names of the files uploaded with the job")

    state = models.CharField(max_length=12, choices=JobState.choices, default=JobState.QUEUED)
    reason = models.CharField(max_length=20, default="submitted")
    sentence = models.CharField(max_length=500, blank=True, help_text="why it is in its state, for people")
    changed_at = models.DateTimeField(default=timezone.now)
    queued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    exit_status = models.SmallIntegerField(null=True)
    stop_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    # What the queue reads; copies of the spec's resources.
    cpu_milli = models.PositiveIntegerField(default=1000)
    memory_mib = models.PositiveIntegerField(default=1024)
    gpu = models.PositiveSmallIntegerField(default=0)
    bid = models.PositiveSmallIntegerField(default=0)
    restartable = models.BooleanField(default=False)
    preemptable = models.BooleanField(default=False)
    waits_for_data = models.BooleanField(default=False, help_text="until its datasets and models are laid out")
    input_bytes = models.PositiveBigIntegerField(
        default=0, help_text="which its inputs need on the host, once that is known"
    )
    input_room = models.BooleanField(default=False, help_text="whether the host has room for them, and keeps it")

    # What jobs.rows.prepare adds for a list.
    address: str
    uses: str
    elapsed: float | None
    last_line: str
    position: int | None

    objects: ClassVar = JobQuerySet.as_manager()

    class Meta:
        indexes = [
            # What follows the order lets a search of a whole project read this index alone.
            models.Index(fields=["project", "-created_at", "-id", "created_by", "words"], name="job_list"),
            models.Index(fields=["project", "created_by", "-created_at", "-id"], name="job_mine"),
            models.Index(fields=["project", "state", "-created_at", "-id"], name="job_state"),
            models.Index(fields=["-created_at", "-id", "project", "created_by"], name="job_everywhere"),
            models.Index(fields=["created_by", "-created_at", "-id", "project"], name="job_own"),
            models.Index(fields=["-bid", "queued_at"], condition=Q(state="queued"), name="job_queue"),
            models.Index(fields=["state"], condition=Q(state__in=sorted(ACTIVE)), name="job_active"),
            models.Index(fields=["project"], condition=Q(input_room=True), name="job_inputs"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(ended_at=None) ^ Q(state__in=sorted(FINAL)), name="job_ended_when_final")
        ]

    def __str__(self) -> str:
        return self.name

    def access_target(self) -> Target:
        return Target(kind="job", id=self.id, project_id=self.project_id, created_by_id=self.created_by_id)

    def access_above(self) -> tuple[str, ...]:
        return self.project.access_above()

    @property
    def urn(self) -> str:
        return f"{self.project.urn}:job:{self.id}"

    @property
    def final(self) -> bool:
        return self.state in FINAL


class Attempt(models.Model):
    """One execution of a job. It occupies its slots from placement until it has ended."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts")
    index = models.PositiveSmallIntegerField()
    resource = models.ForeignKey(ComputeResource, on_delete=models.PROTECT, related_name="attempts")
    gpus = models.JSONField(default=list, help_text="[{index, uuid, type}] that it was given")
    uid = models.PositiveIntegerField(null=True, help_text="the uid that it drops to where the server is root")
    token_hash = models.CharField(max_length=64, help_text="sha256 of the runner's bearer token, hex")
    generation = models.PositiveIntegerField(default=0, help_text="raised for each runner started")
    placed_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    charged = models.BooleanField(default=False, help_text="whether the ledger has all that it used")
    reason = models.CharField(max_length=20, blank=True)
    sentence = models.CharField(max_length=500, blank=True)
    exit_status = models.SmallIntegerField(null=True)
    peak_memory_mib = models.PositiveIntegerField(null=True)
    isolation = models.JSONField(default=dict, help_text='what was in force: {"network": "own", "memory": "summed"}')
    # Set when the runner has closed the log: sizes and checksum agreed (log_verified) or not.
    log_size = models.PositiveBigIntegerField(null=True)
    log_lines = models.PositiveBigIntegerField(null=True)
    log_verified = models.BooleanField(null=True)
    log_gaps = models.JSONField(default=list)

    class Meta:
        ordering = ["index"]
        constraints = [
            models.UniqueConstraint(fields=["job", "index"], name="attempt_once"),
            models.UniqueConstraint(fields=["job"], condition=Q(ended_at=None), name="one_living_attempt"),
            models.UniqueConstraint(
                fields=["resource", "uid"], condition=Q(ended_at=None, uid__isnull=False), name="uid_once"
            ),
        ]
        indexes = [
            models.Index(fields=["resource"], condition=Q(ended_at=None), name="living_attempts"),
            models.Index(
                fields=["ended_at"], condition=Q(charged=False, ended_at__isnull=False), name="uncharged_attempts"
            ),
        ]

    @property
    def host(self) -> str:
        return self.resource.name


class Mount(models.Model):
    """What a job has of a dataset or model, for good of just this version, or of a volume, which has none: the whole, or the part at
    `sub`, seen at `path`."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="mounts")
    datastore = models.ForeignKey(Datastore, on_delete=models.CASCADE, related_name="+")
    version = models.ForeignKey(Version, null=True, on_delete=models.CASCADE, related_name="+")
    writes = models.BooleanField(default=False, help_text="whether the job may change it: a volume alone")
    sub = models.CharField(max_length=4096, blank=True)
    path = models.CharField(max_length=500)
    tries = models.PositiveSmallIntegerField(default=0, help_text="how often its version could not be laid out")
    tried_at = models.DateTimeField(null=True, help_text="when that was last")
    sentence = models.CharField(max_length=500, blank=True, help_text="why, for people")

    class Meta:
        ordering = ["path"]
        constraints = [models.UniqueConstraint(fields=["job", "path"], name="mount_once")]


class TransferState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Under way"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class Transfer(models.Model):
    """One input that is fetched for a job, or one output that becomes a version or goes to a bucket, and how far that is.

    Amounts are those of the whole transfer, however often it was interrupted; what there is in all is known when it has been listed.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="transfers")
    outward = models.BooleanField(help_text="whether it is an output")
    number = models.PositiveSmallIntegerField(help_text="its place in the spec's list, from 0")
    address = models.CharField(max_length=2048)
    path = models.CharField(max_length=500, blank=True, help_text="where the job sees an input")
    key = models.CharField(max_length=60, blank=True, help_text="the name of the project's key that is used")
    state = models.CharField(max_length=8, choices=TransferState.choices, default=TransferState.WAITING)
    files = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    all_files = models.PositiveBigIntegerField(null=True)
    all_bytes = models.PositiveBigIntegerField(null=True)
    rate = models.FloatField(null=True, help_text="bytes in a second, lately")
    begun_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    sentence = models.CharField(
        max_length=500, blank=True, help_text="why it failed and what to do, or what it became, for people"
    )
    tries = models.PositiveSmallIntegerField(
        default=0, help_text="how often nothing came of it since the last progress"
    )
    here = models.BooleanField(default=False, help_text="whether something of an input lies on the host")

    class Meta:
        ordering = ["outward", "number"]
        constraints = [models.UniqueConstraint(fields=["job", "outward", "number"], name="transfer_once")]
        indexes = [models.Index(fields=["job"], condition=Q(here=True), name="inputs_here")]

    @property
    def left(self) -> float | None:
        """Seconds that it will take yet; None where that cannot be told."""
        if self.state != TransferState.RUNNING or not self.rate or self.all_bytes is None:
            return None
        return max(0, self.all_bytes - self.bytes) / self.rate


class Move(models.Model):
    """One change of state, with its time and reason: a job's history."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="moves")
    attempt = models.ForeignKey(Attempt, null=True, on_delete=models.CASCADE, related_name="moves")
    at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=12, choices=JobState.choices)
    reason = models.CharField(max_length=20)
    sentence = models.CharField(max_length=500, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["at", "id"]
