"""Who may do something: how many they are, and the first of them; quick also where they are a hundred thousand."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, QuerySet

from access.decisions import Resource, Target, split_action
from access.evaluator import in_any, why
from access.prepared import Prepared
from access.sources import Holders, registered
from access.urns import find_place

FEW: Final = 500  # who may do something by another way than most, to be looked up one by one


@dataclass(frozen=True, slots=True)
class Who:
    """How many may do something, and the first of them by username, each with why."""

    count: int
    first: list[tuple[Any, str]]


def who(action: str, resource: Resource, *, first: int = 50, after: str = "") -> Who:
    """Who may do the action to the resource, the first of them by username, or the first after one.

    The first part, the members, is counted as it stands in its index, and the others without those who are in it: no database
    has to sort or hash them all. Of few others it reads all; of many the first of each part.
    """
    target = resource.access_target()
    if find_place(target.project_id) is None:
        return Who(0, [])
    asked = _crowd(*split_action(action), target.kind, first)
    creators = [target.created_by_id] if target.created_by_id else []
    place = {"thing": target.id, "project": target.project_id, "creators": creators, "above": resource.access_above()}
    others = [pk for (pk,) in asked.some_others.rows(**place)]
    if len(others) > FEW:
        number, found = asked.others.count(**place), asked.first.objects(after=after, **place)
    else:
        few = asked.these.objects(after=after, pks=others)
        number, found = len(others), [*asked.first_of_most.objects(after=after, **place), *few]
    count = asked.most.count(**place) + number - asked.inactive.count(**place)
    found = sorted(found, key=lambda user: user.username)[:first]
    reasons = why(action, resource, [user.pk for user in found])
    return Who(count, [(user, reasons[user.pk]) for user in found if user.pk in reasons])


@lru_cache(maxsize=256)
def _crowd(kind: str, verb: str, about: str, first: int) -> "_Crowd":
    return _Crowd(kind, verb, about, first)


class _Crowd:
    """The questions about who may do a verb to what is `about` such a thing, wherever it stands; `first`: of how many of them."""

    def __init__(self, kind: str, verb: str, about: str, first: int) -> None:
        self._kind, self._verb, self._about, self._number = kind, verb, about, first
        self.most = Prepared(self._most, planned="anew")
        self.others = Prepared(self._others, planned="anew")
        self.some_others = Prepared(lambda **place: self._others(**place)[: FEW + 1], planned="anew")
        self.inactive = Prepared(self._inactive, planned="anew")
        self.first = Prepared(self._first, planned="anew")
        self.first_of_most = Prepared(self._first_of_most, planned="anew")
        self.these = Prepared(self._these, planned="anew")

    def _parts(self, *, thing: str, project: str, creators: list[str], above: list[str]) -> Holders:
        target = Target(self._about, thing, project, creators[0] if creators else None)
        sources = registered(self._kind)
        return [part for one in sources for part in one.holders(self._kind, self._verb, target, tuple(above))]

    def _most(self, **place: Any) -> QuerySet:
        rows, column = self._parts(**place)[0]
        return rows.order_by().values_list(column)

    def _others(self, **place: Any) -> QuerySet:
        """Those in another part alone."""
        (most, column), *others = self._parts(**place)
        return _union(rows.exclude(Exists(most.filter(**{column: OuterRef(of)}))).values(of) for rows, of in others)

    def _inactive(self, **place: Any) -> QuerySet:
        return in_any(self._parts(**place)).filter(is_active=False).values_list("pk")

    def _first(self, after: str, **place: Any) -> QuerySet:
        """The first of the first of each part."""
        users = get_user_model().objects
        each = [self._first_of(rows, column, after) for rows, column in self._parts(**place)]
        found = _union(users.filter(pk__in=some.values("pk")).values("pk") for some in each)
        return users.filter(pk__in=found).order_by("username")[: self._number]

    def _first_of_most(self, after: str, **place: Any) -> QuerySet:
        return self._first_of(*self._parts(**place)[0], after)

    def _first_of(self, rows: QuerySet, column: str, after: str) -> QuerySet:
        return self._active(after).filter(Exists(rows.filter(**{column: OuterRef("pk")})))[: self._number]

    def _these(self, after: str, pks: list[str]) -> QuerySet:
        return self._active(after).filter(pk__in=pks)[: self._number]

    def _active(self, after: str) -> QuerySet:
        return get_user_model().objects.filter(is_active=True, username__gt=after).order_by("username")


def _union(parts: Iterable[QuerySet]) -> QuerySet:
    first, *rest = (part.order_by() for part in parts)
    return first.union(*rest)
