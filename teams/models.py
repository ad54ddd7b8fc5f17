"""A team, who is in it, and which teams are in it.

`group` is the team for guardian and Django: its users are all who belong to the team, directly or through a team in it. It is
kept so by teams.closure; nothing else writes it.
"""

from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

import access
from access import Target
from accounts.ids import new_id
from accounts.invitations import InvitationBase
from accounts.names import not_reserved, printable
from teams.querysets import TeamQuerySet


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    USER = "user", "User"


class Team(models.Model):
    """A name for users and teams. Rights flow down: what the team may do, those in it may do."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    name = models.CharField(max_length=100, validators=[printable, not_reserved])
    slug = models.CharField(max_length=60, unique=True, validators=[RegexValidator(r"^[a-z0-9][a-z0-9_-]*\Z")])
    group = models.OneToOneField(Group, on_delete=models.PROTECT, related_name="team", editable=False)
    created_at = models.DateTimeField(default=timezone.now)

    # What the list of teams adds: how many belong to it, and whether the reader does.
    people: int
    mine: bool

    objects: ClassVar = TeamQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def access_target(self) -> Target:
        return Target(kind="team", id=self.id, project_id=self.id)

    def access_above(self) -> tuple[str, ...]:
        return ()

    @property
    def urn(self) -> str:
        return access.urn("team", self.id)


class TeamUser(models.Model):
    """A user who is in a team directly, and their role in it."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="team_roles")
    role = models.CharField(max_length=5, choices=Role.choices, default=Role.USER)
    joined_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="team_user_once")]
        indexes = [models.Index(fields=["team", "joined_at", "id"], name="team_user_list")]


class TeamInvitation(InvitationBase):
    """An offer of a role in a team to an address."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=5, choices=Role.choices, default=Role.USER)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "email"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="one_open_team_invitation",
            )
        ]
        indexes = [
            models.Index(
                fields=["team", "-created_at", "-id"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="open_team_invitations",
            )
        ]


class Nesting(models.Model):
    """A team (`inner`) that is in another (`outer`)."""

    outer = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="inner_links")
    inner = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="outer_links")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["outer", "inner"], name="nesting_once"),
            models.CheckConstraint(condition=~Q(outer=F("inner")), name="no_team_in_itself"),
        ]
