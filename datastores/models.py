"""Datasets, models and volumes, the versions of the first two, and the blobs that these consist of."""

from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from access import Target
from access.decisions import expression
from access.keys import RoleHolder
from accounts.ids import new_id
from accounts.names import printable
from datastores.kinds import Kind
from datastores.querysets import DatastoreQuerySet, VersionQuerySet
from datastores.remote.addresses import Address
from projects.models import Project

TAKEN_SIGNS = "/@:\\"  # NAME@version/path:where is how a job names what it wants


def plain_name(name: str) -> None:
    """Raises ValidationError for what could not be told from a path, a version or an option."""
    if set(name) & set(TAKEN_SIGNS) or name[:1] in {"-", "."} or name != name.strip():
        raise ValidationError("Use no / @ : or \\, no - or . at the beginning, and no space at an end.")


class Made(models.Model):
    """Something that a person made, or a role's key: then it is nobody's, and the role is named."""

    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    by_role = models.CharField(max_length=100, blank=True, help_text="the role whose key made it")
    by_role_id = models.CharField(max_length=16, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True

    def made_by(self, by: object) -> bool:
        """Whether this one made it; the keys of a role did so together."""
        if isinstance(by, RoleHolder):
            return self.by_role_id == by.role_id
        return self.created_by_id is not None and self.created_by_id == getattr(by, "pk", None)


class Datastore(Made):
    """A dataset, a model or a volume by its name, which is its project's only one."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="datastores")
    kind = models.CharField(max_length=7, choices=Kind.choices)
    name = models.CharField(max_length=100, validators=[printable, plain_name])
    description = models.TextField(blank=True, max_length=20_000, help_text="Markdown")
    changed_at = models.DateTimeField(default=timezone.now, help_text="when it was last renamed or described")
    removed_at = models.DateTimeField(null=True, blank=True)
    # Of a volume alone.
    quota = models.PositiveBigIntegerField(null=True, blank=True, help_text="bytes that a volume may have")
    used = models.PositiveBigIntegerField(null=True, editable=False, help_text="bytes of the disk, as last measured")
    files = models.PositiveBigIntegerField(null=True, editable=False, help_text="how many, as last measured")
    measured_at = models.DateTimeField(null=True, editable=False, help_text="null: it has changed since")

    # What datastores.pages adds for a list.
    latest: "Version | None"

    objects: ClassVar = DatastoreQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], condition=Q(removed_at=None), name="datastore_name")
        ]
        indexes = [
            models.Index(fields=["project", "kind", "name", "id"], condition=Q(removed_at=None), name="datastore_list"),
            models.Index(fields=["name", "id"], condition=Q(removed_at=None), name="datastore_everywhere"),
            models.Index(
                fields=["measured_at"], condition=Q(removed_at=None, kind=Kind.VOLUME), name="volume_measured"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def access_target(self) -> Target:
        return Target(self.kind, self.id, self.project_id, self.created_by_id)

    def access_above(self) -> tuple[str, ...]:
        return self.project.access_above()

    @property
    def urn(self) -> str:
        return expression(self.project_id, self.kind, above=self.access_above(), resource=self.id)


class Version(Made):
    """What a dataset or model consists of, for good: its manifest is kept under its digest as blobs are."""

    datastore = models.ForeignKey(Datastore, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(help_text="1, 2, 3 …")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the canonical manifest, hexadecimal")
    files = models.PositiveIntegerField()
    bytes = models.PositiveBigIntegerField()
    note = models.CharField(max_length=1000, blank=True)

    objects: ClassVar = VersionQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["datastore", "number"], name="version_once")]

    def __str__(self) -> str:
        return f"{self.datastore}@{self.number}"


class Blob(models.Model):
    """Content that a project has, once: files of its versions and their manifests. Without a row it is not there."""

    class Fault(models.TextChoices):
        MISSING = "missing", "Missing"
        DAMAGED = "damaged", "Damaged"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    checked_at = models.DateTimeField(default=timezone.now, help_text="when its bytes were last compared with its hash")
    fault = models.CharField(max_length=7, blank=True, choices=Fault.choices, help_text="what a check found")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "sha256"], name="blob_once")]
        indexes = [
            models.Index(fields=["checked_at"], name="blob_checked"),
            models.Index(fields=["project", "sha256"], condition=~Q(fault=""), name="blob_faults"),
        ]


class Upload(Made):
    """A version on its way, or files on their way into a volume: the manifest is here, and what the server lacks of it arrives. It
    belongs to who began it.

    While a project has one, none of its blobs is deleted.
    """

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    datastore = models.ForeignKey(Datastore, on_delete=models.CASCADE, related_name="uploads")
    digest = models.CharField(max_length=64, blank=True, help_text="of the manifest, once it is read")
    files = models.PositiveIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    touched_at = models.DateTimeField(default=timezone.now, help_text="when something last arrived, to a minute")

    class Meta:
        indexes = [models.Index(fields=["touched_at"], name="upload_touched")]


class Import(Made):
    """A version that the server makes of what lies at an address. Where its worker is killed it goes on, until it ends or is stopped."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        FETCHING = "fetching", "Fetching"
        UNPACKING = "unpacking", "Unpacking"
        STORING = "storing", "Storing"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        STOPPED = "stopped", "Stopped"

    OPEN: ClassVar = (State.WAITING, State.FETCHING, State.UNPACKING, State.STORING)

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    datastore = models.ForeignKey(Datastore, on_delete=models.CASCADE, related_name="imports")
    address = models.CharField(
        max_length=4096, help_text="as it was written; what follows a question mark may be a secret"
    )
    key_name = models.CharField(max_length=60, blank=True, help_text="the project's key that opens it")
    unpack = models.BooleanField(default=True, help_text="whether an archive is unpacked")
    note = models.CharField(max_length=1000, blank=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    host = models.CharField(max_length=100, help_text="whose worker does it: what has arrived is there")
    files = models.PositiveIntegerField(null=True, help_text="how many there are, once it is known")
    bytes = models.PositiveBigIntegerField(null=True)
    files_done = models.PositiveIntegerField(default=0)
    bytes_done = models.PositiveBigIntegerField(default=0)
    said = models.TextField(blank=True, help_text="why it failed or is tried again, or what was left out")
    version = models.PositiveIntegerField(null=True, help_text="the number of what became of it")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["datastore", "created_at", "id"], name="import_list"),
            models.Index(fields=["state"], name="import_state"),
        ]

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN

    @property
    def shown_address(self) -> str:
        """For everybody who may see the datastore."""
        return Address.of(self.address).shown
