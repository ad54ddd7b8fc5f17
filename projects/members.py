"""A member's levels as guardian permissions: written in bulk, read for a whole project at once."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError

import access
from access import Grant, refused
from access.prepared import Prepared
from projects.levels import KINDS, Level, Levels, levels_of, permissions_of
from projects.models import Project, ProjectUserPermission
from projects.rules import actions_of

if TYPE_CHECKING:
    from accounts.models import User


def check_levels(levels: Levels, project: Project, by: "User") -> None:
    """Raises ValidationError unless there is one level for each kind, Refused for more than the one who gives it holds."""
    if set(levels) != set(KINDS) or not set(levels.values()) <= set(Level.values):
        raise ValidationError("Choose a level for each of jobs, datasets, models and volumes.")
    grants = access.abilities(by, project).grants
    for kind, level in levels.items():
        for verbs, mine in zip(actions_of(kind, level), (False, True), strict=True):
            if not all(any(_gives(grant, kind, verb, mine=mine) for grant in grants) for verb in verbs):
                said = f"You cannot give more than you hold: level {level} on {kind}s is more than you have here."
                raise refused("project:share", "not_held", said)


def _gives(grant: Grant, kind: str, verb: str, *, mine: bool) -> bool:
    general = not grant.resource and grant.nearest == 0 and (mine or not grant.only_mine)
    return grant.kind == kind and verb in grant.actions and general


def set_permissions(project: Project, user: "User", levels: Levels) -> None:
    """Gives the user exactly the permissions of these levels; four queries, whatever the levels."""
    wanted = permissions_of(levels)
    _held(project, user).exclude(permission__codename__in=wanted).delete()
    ProjectUserPermission.objects.bulk_create(
        (
            ProjectUserPermission(user=user, content_object=project, permission=permission)
            for permission in permissions(wanted)
        ),
        ignore_conflicts=True,
    )


def clear_permissions(project: Project, user: "User") -> None:
    """Takes all permissions in the project away."""
    _held(project, user).delete()


def levels_by_user(project: Project, users: Collection[str] | None = None) -> dict[str, Levels]:
    """User id -> levels, of those of these users, or of everybody, who hold any; one query."""
    asked = HELD_BY_ALL.rows(project=project.pk) if users is None else HELD.rows(project=project.pk, users=list(users))
    held: dict[str, set[str]] = {}
    for user_id, codename in asked:
        held.setdefault(user_id, set()).add(codename)
    return {user_id: levels_of(codenames) for user_id, codenames in held.items()}


HELD_BY_ALL: Final = Prepared(
    lambda project: ProjectUserPermission.objects.filter(content_object=project).values_list(
        "user_id", "permission__codename"
    ),
    planned="anew",
)
HELD: Final = Prepared(
    lambda project, users: ProjectUserPermission.objects.filter(content_object=project, user__in=users).values_list(
        "user_id", "permission__codename"
    ),
    planned="anew",
)


def levels_of_user(project: Project, user: "User") -> Levels:
    """One member's levels; one query."""
    return levels_of(set(_held(project, user).values_list("permission__codename", flat=True)))


def _held(project: Project, user: "User"):
    return ProjectUserPermission.objects.filter(content_object=project, user=user)


def permissions(codenames: Iterable[str]) -> Iterable[Permission]:
    """The permissions of these codenames; one query."""
    return Permission.objects.filter(
        content_type__app_label="projects", content_type__model="project", codename__in=codenames
    )
