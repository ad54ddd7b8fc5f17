"""Lists of projects, invitations and entries of the audit trail."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NoReturn

from django.db import models
from django.db.models import OuterRef, Q

import access
from access import policies
from access.keys import RoleHolder
from access.prepared import Prepared
from accounts import invitations

if TYPE_CHECKING:
    from accounts.models import User
    from projects.models import Project

FEW: Final = 100  # projects that are looked up one by one
SHOWN: Final = ("id", "name", "slug", "owner_id", "personal")  # in the order of the model


class ProjectQuerySet(models.QuerySet):
    def present(self) -> "ProjectQuerySet":
        """Those that have not been removed."""
        return self.filter(removed_at=None)

    def visible_to(self, user: "User | RoleHolder") -> "ProjectQuerySet":
        """Those that the user may see, Personal first."""
        mine = access.scope(user, "project:get", project="pk", created_by="owner")
        return self.present().filter(mine).order_by("-personal", "name", "id")

    def named_for(self, user: "User | RoleHolder") -> "ProjectQuerySet":
        """Those that policies name of which somebody holds anything, of a single job perhaps; by id."""
        return self.present().filter(policies.named_for(user.pk, "pk")).order_by("pk")

    def owned_by(self, user: "User", action: str = "project:get") -> "ProjectQuerySet":
        """The user's own in which they may do the action; an inactive user has none."""
        from projects.rules import allowing

        own = self.present().filter(allowing(*action.split(":")), owner=user)
        return own if user.is_active else own.none()

    def shareable(self) -> "ProjectQuerySet":
        """Those that others than the owner may see, too: all but the Personal ones."""
        return self.present().filter(personal=False)

    def sorted_for(self, user: "User | RoleHolder", *, walked: bool = False) -> "ProjectQuerySet":
        """The same for a list of them in some order, which asks first: of whoever sees few these alone are looked at. `walked`:
        an index in that order is walked until a page is full, so that of whoever sees many most rows are theirs.

        Two queries at most.
        """
        if isinstance(user, RoleHolder):
            return self.visible_to(user)
        few = self._few(user, FEW)
        if few is not None:
            return self.present().filter(pk__in=list(few)).order_by("-personal", "name", "id")
        return self._by_the_way(user) if walked else self.visible_to(user)

    def _by_the_way(self, user: "User") -> "ProjectQuerySet":
        """The same as `visible_to`, of an active user, for which no database collects first all that the user is a member of."""
        from projects.models import Member

        # It depends on the row that is looked at, or it would be asked for all rows at once.
        here = Q(pk__in=Member.objects.filter(user=user, project=OuterRef("pk")).values("project"))
        mine = access.scope(user, "project:get", project="pk", created_by="owner")
        return self.present().filter(Q(owner=user) | here | mine).order_by("-personal", "name", "id")

    def few_visible_to(self, user: "User", most: int) -> "list[Project] | None":
        """All that an active user may see, with what SHOWN names, in no order; None for more than so many. Two queries at most."""
        few = self._few(user, most)
        return None if few is None else [self._made(row) for row in few.values()]

    def _few(self, user: "User", most: int) -> dict[str, tuple] | None:
        """The same as rows, by id."""
        found: dict[str, tuple] = {}
        for ways in (_shortest, _all):
            if user.is_active and len(found) <= most:
                found |= {row[0]: row for row in _some(self.model, most + 1, ways).rows(user=user.pk)}
        return None if len(found) > most else found

    def _made(self, row: tuple) -> "Project":
        made: Any = self.model.from_db(self.db, SHOWN, row)
        return made

    def in_any(self, ways: list[Q], number: int) -> models.QuerySet:
        """What SHOWN names of so many projects, or of all, that are there and fit one of the conditions; some more than once."""
        seen = [self.present().filter(way).order_by().values_list(*SHOWN) for way in ways]
        # One may be seen in several ways: so many rows have at least so many projects in them.
        return self.none().union(*seen, all=True)[: number * len(seen)]

    def matching(self, text: str) -> "ProjectQuerySet":
        """Those in whose name or address the text occurs, whatever its case."""
        return self.filter(Q(name__icontains=text) | Q(slug__contains=text.lower()))


def _shortest(user: str) -> list[Q]:
    """The ways to a project by which most people see most."""
    return [Q(owner=user), Q(members__user=user)]


def _all(user: str) -> list[Q]:
    return access.scopes_of(user, "project:get", project="pk", created_by="owner")


@cache
def _some(model: "type[Project]", number: int, ways: Callable[[str], list[Q]]) -> "Prepared[tuple]":
    """What a user sees in these ways: so many rows that there are so many projects in them, if there are."""
    return Prepared(lambda user: model.objects.in_any(ways(user), number))


class InvitationQuerySet(invitations.InvitationQuerySet):
    def acceptable(self) -> invitations.InvitationQuerySet:
        return super().acceptable().filter(project__removed_at=None)


class AuditQuerySet(models.QuerySet):
    def of(self, project: "Project") -> "AuditQuerySet":
        """The project's trail."""
        return self.filter(project_id=project.pk)

    def matching(self, text: str) -> "AuditQuerySet":
        """Entries in which the text occurs, whatever its case: names, addresses, URNs, values."""
        return self.filter(words__contains=text.lower())

    def update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises Kept, as do all that would change or delete entries."""
        from projects.models import Kept

        raise Kept

    delete = bulk_update = update_or_create = _raw_delete = update  # type: ignore[assignment]
