"""Teams as members of projects. Each action checks access, writes the audit trail, and is one transaction."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from django.contrib.auth import get_user_model
from django.db import transaction

import access
from access import policies
from access.prepared import Prepared
from projects import actions, letters
from projects.errors import Impossible
from projects.levels import Levels, levels_of, permissions_of
from projects.members import check_levels, permissions
from projects.models import Project, ProjectGroupPermission, TeamMember, record
from teams.models import Team

if TYPE_CHECKING:
    from accounts.models import User


@transaction.atomic
def add(*, project: Project, team: Team, levels: Levels, by: "User") -> TeamMember:
    """Shares the project with a team: all in it are members at once. Raises Impossible when it is one already."""
    actions.require(by, "project:share", project, "shared")
    check_levels(levels, project, by)
    member, new = TeamMember.objects.get_or_create(project=project, team=team, defaults={"invited_by": by})
    if not new:
        raise Impossible(f"The team {team.name} is a member already: change its levels there.")
    _set_permissions(project, team, levels)
    _record(member, action="team:new", by=by, after=levels)
    letters.team_added(member, levels=levels, by=by)
    return member


@transaction.atomic
def set_levels(*, member: TeamMember, levels: Levels, by: "User") -> None:
    """Changes what all in the team may do, within a second also in what they have open. Raises Impossible for one that has gone."""
    access.require(by, "project:share", member.project)
    check_levels(levels, member.project, by)
    access.bump()  # first: its row lets one such change happen at a time
    if not TeamMember.objects.filter(pk=member.pk).exists():
        raise Impossible(f"The team {member.team.name} is no member any more.")
    before = levels_of_team(member.project, member.team)
    if before == levels:
        return
    _set_permissions(member.project, member.team, levels)
    _record(member, action="team:set", by=by, before=before, after=levels)
    policies.lapse(_people(member.team), by=by)
    letters.team_levels_changed(member, before=before, after=levels, by=by)


@transaction.atomic
def remove(*, member: TeamMember, by: "User") -> None:
    """Ends a team's membership; who is a member besides stays one."""
    access.require(by, "project:share", member.project)
    if end(member, by=by):
        letters.team_removed(member, by=by)


def end(member: TeamMember, *, by: "User | None") -> bool:
    """Ends it without asking; for who has asked, and for a team that goes. False when it had ended already."""
    project, team = member.project, member.team
    access.bump()
    before = levels_of_team(project, team)
    if not TeamMember.objects.filter(pk=member.pk).delete()[0]:
        return False
    _held(project, team).delete()
    _record(member, action="team:rm", by=by, before=before)
    policies.lapse(_people(team), by=by)
    return True


def _people(team: Team) -> set[str]:
    return set(team.group.user_set.values_list("pk", flat=True))


def note_users(*, team: Team, users: Collection[str], joined: bool, by: "User | None") -> None:
    """Writes into the trail of each of the team's projects who has come or gone with the team."""
    names = sorted(get_user_model().objects.filter(pk__in=users).values_list("username", flat=True))
    field, action = ("after", "team:join") if joined else ("before", "team:leave")
    for member in team.memberships.filter(project__removed_at=None).select_related("project"):
        _record(member, action=action, by=by, **{field: {"users": names}})


def levels_of_team(project: Project, team: Team) -> Levels:
    """One team's levels; one query."""
    return levels_of(set(_held(project, team).values_list("permission__codename", flat=True)))


def levels_of_teams(project: Project, teams: Collection[str]) -> dict[str, Levels]:
    """Team id -> levels, of those of these teams that hold any; one query."""
    held: dict[str, set[str]] = {}
    for team_id, codename in HELD.rows(project=project.pk, teams=list(teams)):
        held.setdefault(team_id, set()).add(codename)
    return {team_id: levels_of(codenames) for team_id, codenames in held.items()}


HELD: Final = Prepared(
    lambda project, teams: ProjectGroupPermission.objects.filter(
        content_object=project, group__team__in=teams
    ).values_list("group__team", "permission__codename")
)


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


def _record(member: TeamMember, *, action: str, by: "User | None", **values: object) -> None:
    urn = f"{member.project.urn}:team:{member.pk}"
    record(by=by, project=member.project, action=action, urn=urn, team=member.team.slug, **values)


def _held(project: Project, team: Team):
    return ProjectGroupPermission.objects.filter(content_object=project, group=team.group)
