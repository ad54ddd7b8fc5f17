"""What is shared: projects, members, invitations, third-party keys, the audit trail."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Case, CharField, Func, Q, When
from django.db.models.functions import Lower
from django.utils import timezone

from access import Target
from access.decisions import expression
from access.models import GroupPermissionBase, UserPermissionBase
from accounts.ids import new_id
from accounts.invitations import InvitationBase
from accounts.names import printable
from projects import origin
from projects.levels import KINDS, VERBS, permission
from projects.querysets import AuditQuerySet, InvitationQuerySet, ProjectQuerySet
from teams.models import Team

if TYPE_CHECKING:
    from access.keys import RoleHolder
    from accounts.models import User
    from projects.trail import Change

slug_pattern = RegexValidator(
    r"^[a-z0-9][a-z0-9_-]*\Z", "Use lower-case letters, digits, - and _, beginning with a letter or digit."
)


# By what projects stand in lists by name: Personal comes first. The empty text is written out and no parameter: with one, a plan that
# is kept for all values could not use the indexes.
NAME: Final = Case(When(personal=True, then=Func(template="''", output_field=CharField())), default=Lower("name"))


# What others than the owner may see: a Personal project is never shared.
SHAREABLE: Final = Q(removed_at=None, personal=False)


class Kept(Exception):
    """An entry of the audit trail is neither changed nor deleted."""


class Project(models.Model):
    """Owns jobs, datasets, models, volumes and keys; has one owner. The Personal project is the one that every account has."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    name = models.CharField(max_length=100, validators=[printable])
    slug = models.CharField(max_length=60, validators=[slug_pattern])
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="owned_projects")
    # The member to whom the owner offers the project, until one of them answers or takes it back.
    offered_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    offered_at = models.DateTimeField(null=True, blank=True)
    personal = models.BooleanField(default=False)
    # Whether who may read its data may also have them in jobs of other projects.
    lends_data = models.BooleanField(
        "Jobs of other projects may read its data",
        default=False,
        help_text="Who may read a dataset, model or volume of this project may then also have it in jobs elsewhere, by its full name. "
        "It stays here: a job is shown it, and nothing is copied.",
    )
    # The project that it is in, for good; `path` names all that it is in by their ids, nearest first, with dots between.
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    path = models.CharField(max_length=200, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True, blank=True)
    # When something last happened in it, to a minute: by this a list is sorted (projects.work.note_activity).
    active_at = models.DateTimeField(default=timezone.now, editable=False)

    # What projects.dashboard adds for its lists.
    member_count: int
    team_count: int
    sees_jobs: bool
    is_member: bool
    by_teams: list[Team]
    pages: dict[str, str]

    objects: ClassVar = ProjectQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["slug"], condition=Q(removed_at=None), name="project_slug"),
            models.UniqueConstraint(fields=["owner"], condition=Q(personal=True), name="one_personal_project"),
        ]
        indexes = [
            # The first page of somebody's own is read from these, however many they have.
            models.Index("owner", NAME, "id", condition=Q(removed_at=None), name="owned_by_name"),
            models.Index(fields=["owner", "active_at", "id"], condition=Q(removed_at=None), name="owned_by_activity"),
            # And that of what is shared with somebody: whoever sees many finds the first soon.
            models.Index(Lower("name"), "id", condition=SHAREABLE, name="projects_by_name"),
            models.Index(fields=["active_at", "id"], condition=SHAREABLE, name="projects_by_activity"),
        ]
        # The levels of projects.levels; view_project is Django's own.
        permissions = [
            (permission(kind, level), f"{level.capitalize()} on {kind}s") for kind in KINDS for level in VERBS
        ]

    def __str__(self) -> str:
        return self.name

    def access_target(self) -> Target:
        return Target(kind="project", id=self.id, project_id=self.id)

    def access_above(self) -> tuple[str, ...]:
        return tuple(self.path.split(".")) if self.path else ()

    @property
    def urn(self) -> str:
        return expression(self.id, "project", above=self.access_above())


class ProjectUserPermission(UserPermissionBase):
    """A member's permissions (guardian)."""

    content_object = models.ForeignKey(Project, on_delete=models.CASCADE)

    class Meta(UserPermissionBase.Meta):
        indexes = [
            # What may this one do here, and who may do this here. Where somebody may do something: guardian's own constraint.
            models.Index(fields=["content_object", "user", "permission"], name="member_permission"),
            models.Index(fields=["content_object", "permission", "user"], name="permission_member"),
        ]


class ProjectGroupPermission(GroupPermissionBase):
    """A group's permissions (guardian); groups stand for teams."""

    content_object = models.ForeignKey(Project, on_delete=models.CASCADE)

    class Meta(GroupPermissionBase.Meta):
        indexes = [
            models.Index(fields=["content_object", "group", "permission"], name="team_permission"),
            models.Index(fields=["content_object", "permission", "group"], name="permission_team"),
        ]


class Member(models.Model):
    """A user with whom a project is shared. Levels are the guardian permissions of the user on the project."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    joined_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="member_once")]
        indexes = [models.Index(fields=["project", "joined_at", "id"], name="member_list")]

    def __str__(self) -> str:
        return f"{self.user.shown} in {self.project}"


class TeamMember(models.Model):
    """A team with which a project is shared. Levels are the guardian permissions of the team's group on the project."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="team_members")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    joined_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "team"], name="team_member_once")]
        indexes = [models.Index(fields=["project", "joined_at", "id"], name="team_member_list")]

    def __str__(self) -> str:
        return f"{self.team} in {self.project}"


class Invitation(InvitationBase):
    """An offer of membership to an address."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    levels = models.JSONField()

    objects: ClassVar = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "email"], condition=Q(accepted_at=None, revoked_at=None), name="one_open_invitation"
            )
        ]
        indexes = [
            models.Index(
                fields=["project", "-created_at", "-id"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="open_invitations",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.project}"


class ThirdPartyKey(models.Model):
    """What opens another service for a project's jobs. Its values are sealed (projects.sealing): nothing shows them again."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="third_party_keys")
    name = models.CharField(max_length=60)
    type = models.CharField(max_length=16, help_text="one of projects.third_party_types")
    about = models.JSONField(default=dict, help_text="what is no secret of it, by field: an account's name, a region")
    sealed = models.TextField(editable=False, help_text="its secret values, encrypted")
    sealed_with = models.PositiveIntegerField(editable=False, help_text="the number of the secret that encrypts them")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    replaced_at = models.DateTimeField(null=True, help_text="when its values were last replaced")

    class Meta:
        verbose_name = "third-party key"
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="key_name")]
        # Which of them are not encrypted with the newest secret yet.
        indexes = [models.Index(fields=["sealed_with", "id"], name="key_sealed_with")]

    def __str__(self) -> str:
        return self.name

    def access_target(self) -> Target:
        return Target("key", self.id, self.project_id, self.created_by_id)

    def access_above(self) -> tuple[str, ...]:
        return self.project.access_above()

    @property
    def urn(self) -> str:
        return expression(self.project_id, "key", above=self.access_above(), resource=self.id)


class AuditEntry(models.Model):
    """Who did what to which resource, when and from where, with old and new values.

    It is written in the transaction that does it, and kept when the account or the project goes: who and where are plain
    text and no references. Nothing changes or deletes it: neither this class nor the database lets it (projects.keeping).
    """

    class Origin(models.TextChoices):
        PAGE = origin.PAGE, "Page"
        API = origin.API, "API"
        ADMIN = origin.ADMIN, "Admin site"
        COMMAND = origin.COMMAND, "Command"
        SERVER = origin.SERVER, "Server"

    at = models.DateTimeField(default=timezone.now)
    by_id = models.CharField(
        max_length=21, blank=True, help_text="the account's id, or role:ID of a role's key; none for the server itself"
    )
    by_name = models.CharField(max_length=100, help_text="the username at that time")
    origin = models.CharField(max_length=7, choices=Origin.choices, default=Origin.SERVER)
    address = models.CharField(
        max_length=45, blank=True, help_text="the network address, where it came over the network"
    )
    project_id = models.CharField(max_length=16)
    action = models.CharField(max_length=60)
    urn = models.CharField(max_length=500)
    before = models.JSONField(null=True, help_text="old values by field")
    after = models.JSONField(null=True, help_text="new values by field")
    details = models.JSONField(default=dict, help_text="what else there is to say: to whom it was done, say")
    words = models.TextField(editable=False, help_text="what the search looks through")

    # What projects.trail.prepare adds for the page.
    said: str
    changes: "list[Change]"
    within: str

    objects: ClassVar = AuditQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["project_id", "-at", "-id"], name="audit_list"),
            models.Index(fields=["project_id", "by_id", "-at", "-id"], name="audit_by"),
            models.Index(fields=["project_id", "action", "-at", "-id"], name="audit_action"),
            # What the filters offer is read from this index alone.
            models.Index(fields=["project_id", "by_id", "by_name", "action"], name="audit_choices"),
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.by_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Writes a new entry; raises Kept for one that is there."""
        if not self._state.adding:
            raise Kept
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        """Raises Kept."""
        raise Kept


LONGEST: Final = 500  # characters of a value in the audit trail
SECRET: Final = re.compile(r"password|secret|token|credential|nonce", re.IGNORECASE)


def record(
    *,
    by: "User | RoleHolder | None",
    project: Project,
    action: str,
    urn: str = "",
    before: object = None,
    after: object = None,
    **details: object,
) -> None:
    """Writes one entry of the audit trail; call inside the transaction that it tells of.

    `before` and `after`: old and new values by field. `details`: to whom it was done, and the like. Fields that are called
    like secrets are left out, long values cut.
    """
    came = origin.here()
    kept = {"before": _kept(before), "after": _kept(after), "details": _kept(details)}
    by_name = by.username if by else "mlteam"
    AuditEntry.objects.create(
        by_id=by.pk if by else "",
        by_name=by_name,
        origin=came.kind,
        address=came.address,
        project_id=project.id,
        action=action,
        urn=(urn or project.urn)[:LONGEST],
        words=" ".join([by_name, action, urn or project.urn, *_texts(list(kept.values()))]).lower(),
        **kept,
    )


def _kept(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _kept(part) for key, part in value.items() if not SECRET.search(str(key))}
    if isinstance(value, list | tuple | set | frozenset):
        return [_kept(part) for part in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:LONGEST]


def _texts(value: Any) -> list[str]:
    """The strings in a value, for the search."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    return [value] if isinstance(value, str) else []
