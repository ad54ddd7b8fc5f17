"""What is shared: projects, members, invitations, the audit trail."""

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

import access
from access import Target
from access.models import GroupPermissionBase, UserPermissionBase
from accounts.ids import new_id
from accounts.names import printable
from projects.levels import KINDS, VERBS, permission
from projects.querysets import InvitationQuerySet, ProjectQuerySet
from teams.models import Team

if TYPE_CHECKING:
    from accounts.models import User

slug_pattern = RegexValidator(
    r"^[a-z0-9][a-z0-9_-]*\Z", "Use lower-case letters, digits, - and _, beginning with a letter or digit."
)


class Project(models.Model):
    """Owns jobs, datasets, models, volumes and keys; has one owner. The Personal project is the one that every account has."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    name = models.CharField(max_length=100, validators=[printable])
    slug = models.CharField(max_length=60, validators=[slug_pattern])
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="owned_projects")
    personal = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar = ProjectQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["slug"], condition=Q(removed_at=None), name="project_slug"),
            models.UniqueConstraint(fields=["owner"], condition=Q(personal=True), name="one_personal_project"),
        ]
        # The levels of projects.levels; view_project is Django's own.
        permissions = [
            (permission(kind, level), f"{level.capitalize()} on {kind}s") for kind in KINDS for level in VERBS
        ]

    def __str__(self) -> str:
        return self.name

    def access_target(self) -> Target:
        return Target(kind="project", id=self.id, project_id=self.id)

    @property
    def urn(self) -> str:
        return access.urn("project", self.id)


class ProjectUserPermission(UserPermissionBase):
    """A member's permissions (guardian)."""

    content_object = models.ForeignKey(Project, on_delete=models.CASCADE)

    class Meta(UserPermissionBase.Meta):
        indexes = [models.Index(fields=["user", "permission", "content_object"], name="member_permission")]


class ProjectGroupPermission(GroupPermissionBase):
    """A group's permissions (guardian); groups stand for teams."""

    content_object = models.ForeignKey(Project, on_delete=models.CASCADE)

    class Meta(GroupPermissionBase.Meta):
        indexes = [models.Index(fields=["group", "permission", "content_object"], name="team_permission")]


class Member(models.Model):
    """A user with whom a project is shared. Levels are the guardian permissions of the user on the project."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    joined_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="member_once")]


class TeamMember(models.Model):
    """A team with which a project is shared. Levels are the guardian permissions of the team's group on the project."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="team_members")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    joined_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "team"], name="team_member_once")]


class Invitation(models.Model):
    """An offer of membership to an address. `nonce` is part of its links: a new one makes older links worthless."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    levels = models.JSONField()
    nonce = models.CharField(max_length=16, default=new_id)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    # Whether the email went out: "" while on its way, "sent", or the error that the inviter is shown.
    delivery = models.CharField(max_length=300, blank=True)

    objects: ClassVar = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "email"], condition=Q(accepted_at=None, revoked_at=None), name="one_open_invitation"
            )
        ]


class AuditEntry(models.Model):
    """Who did what to which resource; written in the transaction that does it, kept when the project goes."""

    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    by_name = models.CharField(max_length=100)
    project_id = models.CharField(max_length=16, db_index=True)
    action = models.CharField(max_length=60)
    urn = models.CharField(max_length=200)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-id"]


def record(*, by: "User | None", project: Project, action: str, urn: str = "", **details: object) -> None:
    """Writes one entry of the audit trail; call inside the transaction that it tells of. No secrets in the details."""
    AuditEntry.objects.create(
        by=by,
        by_name=by.username if by else "mlteam",
        project_id=project.id,
        action=action,
        urn=urn or project.urn,
        details=details,
    )
