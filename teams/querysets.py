"""Lists of teams."""

from typing import TYPE_CHECKING

from django.apps import apps
from django.db import models
from django.db.models import Case, Count, Q, Value, When
from django.db.models.functions import Concat, Lower

if TYPE_CHECKING:
    from accounts.models import User
    from teams.models import Team


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

    def counted(self) -> "TeamQuerySet":
        """With `people`, the number of all who belong to it."""
        return self.annotate(people=Count("group__user", filter=Q(group__user__is_active=True), distinct=True))


def find(team_id: str) -> "Team | None":
    """By its id; for `access.find`."""
    return apps.get_model("teams", "Team").objects.filter(pk=team_id).first()
