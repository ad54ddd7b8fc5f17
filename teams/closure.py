"""Who belongs to a team, through however many teams in it: kept as the users of the team's group, so that questions are joins."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model

from access import policies
from teams import signals
from teams.models import Nesting, Team, TeamUser

if TYPE_CHECKING:
    from accounts.models import User

Edges = dict[str, set[str]]  # team -> teams


def outer_of(team_id: str) -> set[str]:
    """The team itself and all teams that it is in, at any depth."""
    return _reach({team_id}, _edges("inner_id", "outer_id"))


def inner_of(team_id: str) -> set[str]:
    """The team itself and all teams in it, at any depth."""
    return _reach({team_id}, _edges("outer_id", "inner_id"))


def refresh(team_ids: Iterable[str], *, by: "User | None") -> None:
    """Brings the groups of these teams up to date after a change in or below them, and tells who has come into any or left it.

    Call in the transaction of the change, after `access.bump()`, whose row lets one such change happen at a time.
    """
    edges, chosen = _edges("outer_id", "inner_id"), list(team_ids)
    below = {team_id: _reach({team_id}, edges) for team_id in chosen}
    users: Edges = {}
    for team_id, user_id in TeamUser.objects.filter(team__in=set().union(*below.values())).values_list("team", "user"):
        users.setdefault(team_id, set()).add(user_id)
    for team in Team.objects.filter(pk__in=chosen).select_related("group"):
        _sync(team, set().union(*(users.get(inner, ()) for inner in below[team.pk])), by)


def _sync(team: Team, wanted: set[str], by: "User | None") -> None:
    through = get_user_model().groups.through
    rows = through.objects.filter(group=team.group)
    now = set(rows.values_list("user_id", flat=True))
    if come := wanted - now:
        through.objects.bulk_create(
            [through(group=team.group, user_id=user_id) for user_id in sorted(come)], ignore_conflicts=True
        )
        signals.users_joined.send(sender=Team, team=team, users=come, by=by)
    if gone := now - wanted:
        rows.filter(user__in=gone).delete()
        signals.users_left.send(sender=Team, team=team, users=gone, by=by)
        policies.lapse(gone, by=by)


def _edges(from_: str, to: str) -> Edges:
    edges: Edges = {}
    for start, end in Nesting.objects.values_list(from_, to):
        edges.setdefault(start, set()).add(end)
    return edges


def _reach(start: set[str], edges: Edges) -> set[str]:
    found, ahead = set(start), list(start)
    while ahead:
        for team_id in edges.get(ahead.pop(), set()) - found:
            found.add(team_id)
            ahead.append(team_id)
    return found
