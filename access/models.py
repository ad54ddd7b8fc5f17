"""What access stores itself: its generation, what is nested in what, and roles and policies with their compiled statements.

The permission tables stand beside what they are about, built from the bases here. Places (projects, teams) are named by kind
and id, because access knows none of the apps that have them.
"""

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q
from django.utils import timezone
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from access.urns import urn
from accounts.ids import new_id
from accounts.names import printable


class UserPermissionBase(UserObjectPermissionBase):
    """A user's permissions on one kind of object, in a table of their own with direct foreign keys (guardian)."""

    class Meta(UserObjectPermissionBase.Meta):
        abstract = True


class GroupPermissionBase(GroupObjectPermissionBase):
    """The same for a group."""

    class Meta(GroupObjectPermissionBase.Meta):
        abstract = True


class Generation(models.Model):
    """One row, raised in every transaction that takes access away; see access.generation."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_generation")]


class Nested(models.Model):
    """A place that is in another one, `depth` (1 or more) steps down. Never changed: what is nested stays where it is."""

    place = models.CharField(max_length=16)
    above = models.CharField(max_length=16)
    depth = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["place", "above"], name="nested_once")]
        indexes = [models.Index(fields=["above", "place", "depth"], name="nested_below")]


class Role(models.Model):
    """A name for rules that users, teams and programs can hold. It belongs to a project, a team or the installation."""

    class PlaceKind(models.TextChoices):
        PROJECT = "project", "Project"
        TEAM = "team", "Team"
        INSTALLATION = "installation", "Installation"

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    name = models.CharField(max_length=60, validators=[printable])
    place_kind = models.CharField(max_length=12, choices=PlaceKind.choices)
    place_id = models.CharField(max_length=16)
    # One that every project has; nobody changes its policies or removes it.
    predefined = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["place_id", "name"], name="role_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def urn(self) -> str:
        return urn("role", self.id)


class RoleMember(models.Model):
    """A user or a team (by its group) that may assume a role. `added_by` must hold all that it gives."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="roles")
    group = models.ForeignKey(Group, null=True, on_delete=models.CASCADE, related_name="roles")
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    added_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["role", "user"], name="role_user_once"),
            models.UniqueConstraint(fields=["role", "group"], name="role_group_once"),
            models.CheckConstraint(condition=Q(user=None) ^ Q(group=None), name="role_member_is_one"),
        ]


class RoleKey(models.Model):
    """A long-lived token with which a program may do what the role's policies allow; shown once, stored as a hash."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=60, validators=[printable])
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True)


class Policy(models.Model):
    """Statements that a user, a team (by its group) or a role holds, as they were written. `granted_by` must hold them too."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="policies")
    group = models.ForeignKey(Group, null=True, on_delete=models.CASCADE, related_name="policies")
    role = models.ForeignKey(Role, null=True, on_delete=models.CASCADE, related_name="policies")
    text = models.CharField(max_length=1000)
    # None: of a predefined role.
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="granted"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=(
                    Q(user__isnull=False, group=None, role=None)
                    | Q(user=None, group__isnull=False, role=None)
                    | Q(user=None, group=None, role__isnull=False)
                ),
                name="policy_has_one_holder",
            )
        ]

    def __str__(self) -> str:
        return self.text


class Statement(models.Model):
    """A policy in its compiled form: one verb on one kind, in a place or so many steps below it, on one resource or any ("").

    Who holds the policy stands here too, so that questions about access need not look at policies.
    """

    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="statements")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    group = models.ForeignKey(Group, null=True, on_delete=models.CASCADE, related_name="+")
    role = models.ForeignKey(Role, null=True, on_delete=models.CASCADE, related_name="+")
    place = models.CharField(max_length=16)
    kind = models.CharField(max_length=10)
    verb = models.CharField(max_length=10)
    resource = models.CharField(max_length=16, blank=True)
    nearest = models.PositiveSmallIntegerField(default=0)
    farthest = models.PositiveSmallIntegerField(default=0)

    class Meta:
        indexes = [
            # Both directions: who may do this, and what may this one do.
            models.Index(
                fields=["place", "kind", "verb"],
                include=["user", "group", "role", "resource", "nearest", "farthest"],
                name="statement_place",
            ),
            models.Index(fields=["policy", "place"], name="statement_policy"),
        ]
