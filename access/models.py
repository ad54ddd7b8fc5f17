"""What access stores itself: its generation. The permission tables stand beside what they are about, built from the bases here."""

from django.db import models
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase


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
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_generation")]
