"""Lists of teams."""

from typing import TYPE_CHECKING

from django.apps import apps
from django.db import models
from django.db.models import Count, Q

if TYPE_CHECKING:
    from accounts.models import User
    from teams.models import Team


class TeamQuerySet(models.QuerySet):
    def of(self, user: "User") -> "TeamQuerySet":
        """Those that the user belongs to, directly or through a team in them."""
        return self.filter(group__user=user)

    def counted(self) -> "TeamQuerySet":
        """With `people`, the number of all who belong to it."""
        return self.annotate(people=Count("group__user", filter=Q(group__user__is_active=True), distinct=True))


def find(team_id: str) -> "Team | None":
    """By its id; for `access.find`."""
    return apps.get_model("teams", "Team").objects.filter(pk=team_id).first()
