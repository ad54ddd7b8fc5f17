"""Sources of rules: ownership of projects, membership, and membership by a team."""

from collections.abc import Iterable
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.db.models import Exists, Expression, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat

from access import ACTIONS, Grant, Target
from access.sources import ANY, Ids
from projects.levels import KINDS, VERBS, VIEW, levels_of, permission
from projects.models import Project, ProjectGroupPermission, ProjectUserPermission

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


def _among(**lookups: Ids) -> dict[str, Any]:
    """Only those lookups that name something; ANY asks for no restriction."""
    return {lookup: list(ids) for lookup, ids in lookups.items() if ids is not ANY}


class Ownership:
    """The project's owner may do everything in it."""

    name = "ownership"
    place = "project"

    def grants(self, *, users: Ids, places: Ids) -> Iterable[tuple[str, Grant]]:
        rows = Project.objects.present().filter(owner__is_active=True, **_among(owner__in=users, pk__in=places))
        columns = ("pk", "owner_id", "personal", "proven")
        for project_id, owner_id, personal, proven in rows.annotate(proven=owner_proven()).values_list(*columns):
            rules = OWNERS if not personal else PERSONAL if proven else UNPROVEN
            yield from ((owner_id, grant) for grant in self._compiled(project_id, rules))

    def holders(self, kind: str, verb: str, target: Target) -> Q:
        owned = Project.objects.present().filter(self._allowing(kind, verb), pk=target.project_id)
        return Q(pk__in=owned.values("owner"))

    def scope(self, user_id: str, kind: str, verb: str, *, project: str, created_by: str) -> Q:
        owned = Project.objects.present().filter(self._allowing(kind, verb), owner_id=user_id)
        return Q(**{f"{project}__in": owned.values("pk")})

    @staticmethod
    def _allowing(kind: str, verb: str) -> Q:
        """The projects in which being the owner is enough, as a condition on projects."""
        allowed = Q(pk__in=[])
        if verb in OWNERS.get(kind, ()):
            allowed |= Q(personal=False)
        if verb in UNPROVEN.get(kind, ()):  # then the proof need not be looked for
            allowed |= Q(personal=True)
        elif verb in PERSONAL.get(kind, ()):
            allowed |= Q(owner_proven(), personal=True)
        return allowed

    @staticmethod
    def _compiled(project_id: str, rules: Rules) -> Iterable[Grant]:
        for kind, actions in rules.items():
            yield Grant(project_id, kind, actions, "ownership of the project")


class Membership:
    """A member holds what their levels say; levels are guardian permissions."""

    name = "membership"
    place = "project"
    table: Any = ProjectUserPermission
    user = "user"  # from a row of the table to whoever holds it
    label: Expression = Value("membership")

    def grants(self, *, users: Ids, places: Ids) -> Iterable[tuple[str, Grant]]:
        among = _among(**{f"{self.user}__in": users, "content_object__in": places})
        active = {f"{self.user}__is_active": True}
        rows = self.table.objects.filter(content_object__removed_at=None, **active, **among)
        held: dict[tuple[str, str, str], set[str]] = {}
        columns = (self.user, "content_object_id", "label", "permission__codename")
        for user_id, project_id, label, codename in rows.annotate(label=self.label).values_list(*columns):
            held.setdefault((user_id, project_id, label), set()).add(codename)
        for (user_id, project_id, label), codenames in held.items():
            yield from ((user_id, grant) for grant in _compiled(project_id, codenames, label))

    def holders(self, kind: str, verb: str, target: Target) -> Q:
        anything, own = _codenames(kind, verb)
        condition = Q(pk__in=self._members(target, anything)) if anything else Q(pk__in=[])
        if own and target.created_by_id:
            condition |= Q(pk__in=self._members(target, own).filter(**{self.user: target.created_by_id}))
        return condition

    def scope(self, user_id: str, kind: str, verb: str, *, project: str, created_by: str) -> Q:
        anything, own = _codenames(kind, verb)
        condition = Q(**{f"{project}__in": self._with(user_id, anything)}) if anything else Q(pk__in=[])
        if own:
            condition |= Q(**{created_by: user_id, f"{project}__in": self._with(user_id, own)})
        return condition

    def _members(self, target: Target, codename: str) -> QuerySet:
        return self.table.objects.filter(
            content_object_id=target.project_id, content_object__removed_at=None, permission__codename=codename
        ).values(self.user)

    def _with(self, user_id: str, codename: str) -> QuerySet:
        return self.table.objects.filter(
            permission__codename=codename,
            permission__content_type__app_label="projects",
            content_object__removed_at=None,
            **{self.user: user_id},
        ).values("content_object_id")


class TeamMembership(Membership):
    """Whoever belongs to a team that is a member holds what the team's levels say."""

    name = "membership by team"
    table = ProjectGroupPermission
    user = "group__user"
    label = Concat(Value("team "), "group__team__name")


def _codenames(kind: str, verb: str) -> tuple[str, str]:
    """The permissions that allow a verb: (on anything of the kind, only on what the member created); "" for none.

    A level is stored with all below it: the lowest that allows something is enough.
    """
    if kind == "project":
        return (VIEW, "") if verb == "get" else ("", "")
    if kind == "key":
        return (permission("job", "own"), "") if verb == "use" else ("", "")
    anything, own = "", ""
    for level in VERBS if kind in KINDS else ():
        allowed = actions_of(kind, level)
        anything = anything or (permission(kind, level) if verb in allowed[0] else "")
        own = own or (permission(kind, level) if verb in allowed[1] else "")
    return anything, own


def _compiled(project_id: str, codenames: set[str], label: str) -> Iterable[Grant]:
    """The rules that the permissions of a member, or of a team, stand for; `label` says whose."""
    if VIEW in codenames:
        yield Grant(project_id, "project", frozenset({"get"}), label)
    for kind, level in levels_of(codenames).items():
        anything, own = actions_of(kind, level)
        source = f"{label}: level {level} on {kind}s"
        if anything:
            yield Grant(project_id, kind, anything, source)
        if own:
            yield Grant(project_id, kind, own, source, only_mine=True)
        if kind == "job" and level in {"own", "all"}:
            yield Grant(project_id, "key", frozenset({"use"}), source)
