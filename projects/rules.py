"""Two sources of rules: ownership of projects and membership."""

from collections.abc import Iterable
from typing import Final

from django.db.models import Q, QuerySet

from access import ACTIONS, Grant
from projects.levels import KINDS, VERBS, VIEW, levels_of, permission
from projects.models import Project, ProjectUserPermission

READ: Final = {"job": {"get", "connect"}, "dataset": {"get"}, "model": {"get"}, "volume": {"get"}}
CREATED: Final = frozenset({"set", "stop", "rm", "exec"})


def actions_of(kind: str, level: str) -> tuple[frozenset[str], frozenset[str]]:
    """What a level allows on a kind: (on anything, only on what the member created). From the table of levels."""
    every = ACTIONS[kind]
    if level == "none":
        return frozenset(), frozenset()
    if level == "read":
        return frozenset(READ[kind]), frozenset()
    if level == "own":
        return frozenset(READ[kind] | {"new"}), CREATED & every
    return every, frozenset()


class Ownership:
    """The project's owner may do everything in it."""

    name = "ownership"

    def grants(self, user_id: str, project_id: str) -> Iterable[Grant]:
        if Project.objects.present().filter(pk=project_id, owner_id=user_id).exists():
            yield from self._all(project_id)

    def holders(self, project_id: str) -> Iterable[tuple[str, Grant]]:
        for owner_id in Project.objects.present().filter(pk=project_id).values_list("owner_id", flat=True):
            yield from ((owner_id, grant) for grant in self._all(project_id))

    def scope(self, user_id: str, kind: str, verb: str, *, project: str, created_by: str) -> Q:
        return Q(**{f"{project}__in": Project.objects.present().filter(owner_id=user_id).values("pk")})

    @staticmethod
    def _all(project_id: str) -> Iterable[Grant]:
        for kind in (*KINDS, "project", "key"):
            yield Grant(project_id, kind, ACTIONS[kind], "ownership of the project")


class Membership:
    """A member holds what their levels say; levels are guardian permissions."""

    name = "membership"

    def grants(self, user_id: str, project_id: str) -> Iterable[Grant]:
        held = ProjectUserPermission.objects.filter(
            user_id=user_id, content_object_id=project_id, content_object__removed_at=None
        ).values_list("permission__codename", flat=True)
        yield from self._compiled(project_id, set(held))

    def holders(self, project_id: str) -> Iterable[tuple[str, Grant]]:
        rows = ProjectUserPermission.objects.filter(
            content_object_id=project_id, content_object__removed_at=None, user__is_active=True
        ).values_list("user_id", "permission__codename")
        held: dict[str, set[str]] = {}
        for user_id, codename in rows:
            held.setdefault(user_id, set()).add(codename)
        for user_id, codenames in held.items():
            yield from ((user_id, grant) for grant in self._compiled(project_id, codenames))

    def scope(self, user_id: str, kind: str, verb: str, *, project: str, created_by: str) -> Q:
        if kind == "project":
            return Q(**{f"{project}__in": self._with(user_id, VIEW)}) if verb == "get" else Q(pk__in=[])
        if kind not in KINDS:
            return Q(pk__in=[])
        condition = Q(pk__in=[])
        for level in VERBS:
            anything, own = actions_of(kind, level)
            if verb in anything:
                return condition | Q(**{f"{project}__in": self._with(user_id, permission(kind, level))})
            if verb in own:
                condition = Q(**{created_by: user_id, f"{project}__in": self._with(user_id, permission(kind, level))})
        return condition

    @staticmethod
    def _with(user_id: str, codename: str) -> "QuerySet":
        return ProjectUserPermission.objects.filter(
            user_id=user_id,
            permission__codename=codename,
            permission__content_type__app_label="projects",
            content_object__removed_at=None,
        ).values("content_object_id")

    @staticmethod
    def _compiled(project_id: str, codenames: set[str]) -> Iterable[Grant]:
        if VIEW in codenames:
            yield Grant(project_id, "project", frozenset({"get"}), "membership")
        for kind, level in levels_of(codenames).items():
            anything, own = actions_of(kind, level)
            source = f"membership: level {level} on {kind}s"
            if anything:
                yield Grant(project_id, kind, anything, source)
            if own:
                yield Grant(project_id, kind, own, source, only_mine=True)
            if kind == "job" and level in {"own", "all"}:
                yield Grant(project_id, "key", frozenset({"use"}), source)
