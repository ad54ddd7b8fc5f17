"""Lists of teams."""

from functools import partial
from typing import TYPE_CHECKING, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Case, Count, Value, When
from django.db.models.functions import Concat, Lower

from access.prepared import Prepared
from accounts.paging import Order

if TYPE_CHECKING:
    from accounts.models import User
    from teams.models import Team

NAMED: Final = Order("name", descending=False)
JOINED: Final = Order("joined_at", descending=False)


class TeamQuerySet(models.QuerySet):
    def of(self, user: "User") -> "TeamQuerySet":
        """Those that the user belongs to, directly or through a team in them."""
        return self.filter(group__user=user)

    def called(self, text: str) -> "TeamQuerySet":
        """Those in whose name the text occurs, whatever its case."""
        return self.filter(name__icontains=text) if text else self

    def mine_first(self, user: "User") -> "TeamQuerySet":
        """With `key`, by which those to which the user belongs come first, and all stand by name."""
        teams: TeamQuerySet = self.model._default_manager.all()  # type: ignore[assignment]
        first = Case(When(pk__in=teams.of(user).values("pk"), then=Value("0")), default=Value("1"))
        return self.annotate(key=Concat(first, Lower("name")))


def counted(pks: list[str]) -> "list[Team]":
    """The teams with these ids, each with `people`, the number of all active ones who belong to it; three queries."""
    teams = TEAMS.objects(pks=pks)
    groups = [team.group_id for team in teams]
    everybody, inactive = numbers(groups), dict(INACTIVE.rows(groups=groups))
    for team in teams:
        team.people = everybody.get(team.group_id, 0) - inactive.get(team.group_id, 0)
    return teams


def numbers(groups: list[int]) -> dict[int, int]:
    """How many users belong to each of the teams with these groups: id of the group -> number, where it is not 0.

    Nobody is counted that need not be looked at: an index alone says how many there are, and few are inactive.
    """
    return dict(EVERYBODY.rows(groups=groups))


def _numbers(groups: list[int], **which: object) -> models.QuerySet:
    belonging = get_user_model().groups.through.objects.filter(group__in=groups, **which)
    return belonging.order_by().values_list("group").annotate(number=Count("*"))


TEAMS: "Final[Prepared[Team]]" = Prepared(lambda pks: apps.get_model("teams", "Team").objects.filter(pk__in=pks))
EVERYBODY: Final = Prepared(_numbers, planned="anew")
INACTIVE: Final = Prepared(partial(_numbers, user__is_active=False), planned="anew")


def find(team_id: str) -> "Team | None":
    """By its id; for `access.find`."""
    return apps.get_model("teams", "Team").objects.filter(pk=team_id).first()
