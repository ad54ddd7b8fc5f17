"""Two sources of rules: ownership of projects and membership."""

from collections.abc import Iterable
from typing import Final

from allauth.account.models import EmailAddress
from django.db.models import Exists, OuterRef, Q, QuerySet

from access import ACTIONS, Grant
from projects.levels import KINDS, VERBS, VIEW, levels_of, permission
from projects.models import Project, ProjectUserPermission

READ: Final = {"job": {"get", "connect"}, "dataset": {"get"}, "model": {"get"}, "volume": {"get"}}
CREATED: Final = frozenset({"set", "stop", "rm", "exec"})

Rules = dict[str, frozenset[str]]  # kind -> actions
OWNERS: Final[Rules] = {kind: ACTIONS[kind] for kind in (*KINDS, "project", "key")}
# The Personal project is never shared or removed and has no children.
PERSONAL: Final[Rules] = OWNERS | {"project": frozenset({"get", "set"})}
# Until the address is proven it can only be looked at: see projects.actions.
UNPROVEN: Final[Rules] = {kind: frozenset({"get"}) for kind in (*KINDS, "project")}


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


def owner_proven() -> Exists:
    """Whether the owner of a project has proven their address; for filters and annotations of projects."""
    return Exists(EmailAddress.objects.filter(user=OuterRef("owner"), email=OuterRef("owner__email"), verified=True))


class Ownership:
    """The project's owner may do everything in it."""

    name = "ownership"

    def grants(self, user_id: str, project_id: str) -> Iterable[Grant]:
        for _, rules in self._owned(project_id, owner_id=user_id):
            yield from self._compiled(project_id, rules)

    def holders(self, project_id: str) -> Iterable[tuple[str, Grant]]:
        for owner_id, rules in self._owned(project_id):
            yield from ((owner_id, grant) for grant in self._compiled(project_id, rules))

    def scope(self, user_id: str, kind: str, verb: str, *, project: str, created_by: str) -> Q:
        allowed = Q(pk__in=[])
        if verb in OWNERS.get(kind, ()):
            allowed |= Q(personal=False)
        if verb in UNPROVEN.get(kind, ()):  # then the proof need not be looked for
            allowed |= Q(personal=True)
        elif verb in PERSONAL.get(kind, ()):
            allowed |= Q(owner_proven(), personal=True)
        return Q(**{f"{project}__in": Project.objects.present().filter(allowed, owner_id=user_id).values("pk")})

    @staticmethod
    def _owned(project_id: str, **owner: str) -> Iterable[tuple[str, Rules]]:
        rows = Project.objects.present().filter(pk=project_id, owner__is_active=True, **owner)
        for owner_id, personal, proven in rows.annotate(proven=owner_proven()).values_list(
            "owner_id", "personal", "proven"
        ):
            yield owner_id, OWNERS if not personal else PERSONAL if proven else UNPROVEN

    @staticmethod
    def _compiled(project_id: str, rules: Rules) -> Iterable[Grant]:
        for kind, actions in rules.items():
            yield Grant(project_id, kind, actions, "ownership of the project")


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
        if kind == "key":
            jobs = self._with(user_id, permission("job", "own"))
            return Q(**{f"{project}__in": jobs}) if verb == "use" else Q(pk__in=[])
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
