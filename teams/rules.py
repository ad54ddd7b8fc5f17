"""A source of rules: roles in teams. Everybody with an account sees teams; admins change their members, owners also remove them."""

from collections.abc import Collection, Iterable
from typing import Final

from django.contrib.auth import get_user_model
from django.db.models import Q

from access import Grant, Target
from access.prepared import Prepared
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
        roles = {(user, team): role for user, team, role in HELD.rows(users=list(users), teams=list(places))}
        for (team_id,) in THERE.rows(teams=list(places)):
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
        return ALLOWING.among(project, user=user_id, roles=_with(verb))


# Who has which role in which team, of these users and teams; which of these teams are there; in which a user has such a role.
HELD: Final = Prepared(
    lambda users, teams: TeamUser.objects.filter(user__in=users, team__in=teams).values_list("user", "team", "role"),
    planned="anew",
)
THERE: Final = Prepared(lambda teams: Team.objects.filter(pk__in=teams).order_by().values_list("pk"))
ALLOWING: Final = Prepared(lambda user, roles: TeamUser.objects.filter(user=user, role__in=roles).values("team"))


def _with(verb: str) -> list[str]:
    """The roles that allow a verb."""
    return [role for role, verbs in ROLES.items() if verb in verbs]
