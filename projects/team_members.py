"""Teams as members of projects. Each action checks access, writes the audit trail, and is one transaction."""

from typing import TYPE_CHECKING

from django.db import transaction

import access
from projects import actions
from projects.errors import Impossible
from projects.levels import Levels, permissions_of
from projects.members import check_levels, permissions, tell_losers
from projects.models import Project, ProjectGroupPermission, TeamMember, record
from teams.models import Team

if TYPE_CHECKING:
    from accounts.models import User


@transaction.atomic
def add(*, project: Project, team: Team, levels: Levels, by: "User") -> TeamMember:
    """Shares the project with a team: all in it are members at once. Raises Impossible when it is one already."""
    actions.require(by, "project:share", project, "shared")
    check_levels(levels)
    member, new = TeamMember.objects.get_or_create(project=project, team=team, defaults={"invited_by": by})
    if not new:
        raise Impossible(f"The team {team.name} is a member already: change its levels there.")
    _set_permissions(project, team, levels)
    record(by=by, project=project, action="team:new", team=team.slug, levels=levels)
    return member


@transaction.atomic
def set_levels(*, member: TeamMember, levels: Levels, by: "User") -> None:
    """Changes what all in the team may do, within a second also in what they have open."""
    access.require(by, "project:share", member.project)
    check_levels(levels)
    _set_permissions(member.project, member.team, levels)
    access.bump()
    record(by=by, project=member.project, action="team:set", team=member.team.slug, levels=levels)


@transaction.atomic
def remove(*, member: TeamMember, by: "User") -> None:
    """Ends a team's membership; who is a member besides stays one."""
    access.require(by, "project:share", member.project)
    end(member, by=by)


def end(member: TeamMember, *, by: "User | None") -> None:
    """Ends it without asking; for who has asked, and for a team that goes."""
    project, team = member.project, member.team
    if not TeamMember.objects.filter(pk=member.pk).delete()[0]:
        return
    _held(project, team).delete()
    access.bump()
    record(by=by, project=project, action="team:rm", team=team.slug)
    tell_losers(project, set(team.group.user_set.values_list("pk", flat=True)), by=by)


def levels_of_teams(project: Project) -> dict[str, set[str]]:
    """Team id -> codenames, of every team that holds any; one query."""
    held: dict[str, set[str]] = {}
    rows = ProjectGroupPermission.objects.filter(content_object=project)
    for team_id, codename in rows.values_list("group__team", "permission__codename"):
        held.setdefault(team_id, set()).add(codename)
    return held


def _set_permissions(project: Project, team: Team, levels: Levels) -> None:
    wanted = permissions_of(levels)
    _held(project, team).exclude(permission__codename__in=wanted).delete()
    ProjectGroupPermission.objects.bulk_create(
        (
            ProjectGroupPermission(group=team.group, content_object=project, permission=permission)
            for permission in permissions(wanted)
        ),
        ignore_conflicts=True,
    )


def _held(project: Project, team: Team):
    return ProjectGroupPermission.objects.filter(content_object=project, group=team.group)
