"""A source of rules: roles in teams. Everybody with an account sees teams; admins change their members, owners also remove them."""

from collections.abc import Collection, Iterable
from typing import Final

from django.contrib.auth import get_user_model
from django.db.models import Q

from access import Grant, Target
from access.sources import Holders, Places
from teams.models import Role, Team, TeamUser

EVERYBODY: Final = frozenset({"get"})
ROLES: Final = {
    Role.USER: EVERYBODY,
    Role.ADMIN: frozenset({"get", "set"}),
    Role.OWNER: frozenset({"get", "set", "rm"}),
}


class TeamRoles:
    """What a role in a team allows on the team itself."""

    name = "team roles"
    place = "team"

    def grants(self, *, users: Collection[str], places: Places) -> Iterable[tuple[str, Grant]]:
        roles = dict(_roles(users, places))
        for team_id in Team.objects.filter(pk__in=places).values_list("pk", flat=True):
            for user_id in users:
                role = roles.get((user_id, team_id))
                source = f"role {role} in the team" if role else "an account here"
                yield user_id, Grant(team_id, "team", ROLES[Role(role)] if role else EVERYBODY, source)

    def holders(self, kind: str, verb: str, target: Target, above: tuple[str, ...]) -> Holders:
        if kind != "team" or target.kind != "team":
            return []
        if verb in EVERYBODY:
            return [(get_user_model().objects.all(), "pk")]
        return [(TeamUser.objects.filter(team=target.id, role__in=_with(verb)), "user")]

    def scope(self, user_id: str, kind: str, verb: str, *, project: str, created_by: str) -> Q:
        if kind != "team":
            return Q(pk__in=[])
        if verb in EVERYBODY:
            return ~Q(pk__in=[])
        held = TeamUser.objects.filter(user=user_id, role__in=_with(verb))
        return Q(**{f"{project}__in": held.values("team")})


def _roles(users: Iterable[str], teams: Iterable[str]) -> Iterable[tuple[tuple[str, str], str]]:
    rows = TeamUser.objects.filter(user__in=list(users), team__in=list(teams))
    for user_id, team_id, role in rows.values_list("user_id", "team_id", "role"):
        yield (user_id, team_id), role


def _with(verb: str) -> list[str]:
    """The roles that allow a verb."""
    return [role for role, verbs in ROLES.items() if verb in verbs]
