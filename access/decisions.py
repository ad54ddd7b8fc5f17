"""The words in which access is asked for, granted and refused."""

from dataclasses import dataclass
from typing import Final, Protocol

from django.core.exceptions import PermissionDenied

from access.urns import urn

# Kind of resource -> what may be done to it.
ACTIONS: dict[str, frozenset[str]] = {
    "job": frozenset({"get", "new", "set", "stop", "rm", "exec", "connect"}),
    "dataset": frozenset({"get", "new", "set", "rm"}),
    "model": frozenset({"get", "new", "set", "rm"}),
    "volume": frozenset({"get", "new", "set", "rm"}),
    "project": frozenset({"get", "set", "share", "new", "rm"}),
    "key": frozenset({"use", "set"}),
    "user": frozenset({"get", "set"}),
    "team": frozenset({"get", "set", "rm"}),
    "role": frozenset({"get", "set"}),
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a question is about: one resource of a project, or the project itself (kind "project").

    `project_id` is where it stands; a team stands for itself.
    """

    kind: str
    id: str
    project_id: str
    created_by_id: str | None = None


class Resource(Protocol):
    """Anything that can be asked about."""

    @property
    def urn(self) -> str: ...

    def access_target(self) -> Target: ...

    def access_above(self) -> tuple[str, ...]:
        """The ids of the projects that the target's project is in, nearest first."""


def expression(project_id: str, kind: str, *, above: tuple[str, ...] = (), resource: str = "") -> str:
    """Any resource of a kind in a project, or one, as a pattern of names; the project or team itself for its own kind."""
    if kind == "team":
        return urn("team", project_id)
    path = [segment for one in (*reversed(above), project_id) for segment in ("project", one)]
    return urn(*path, *(() if kind == "project" else (kind, resource or "*")))


@dataclass(frozen=True, slots=True)
class Grant:
    """One rule in its compiled form: these actions on one kind of resource in one project, any or only what the holder created.

    `resource`: only on the one with this id. It reaches from `nearest` to `farthest` steps below the project: 0 is the project.
    """

    project_id: str
    kind: str
    actions: frozenset[str]
    source: str
    only_mine: bool = False
    resource: str = ""
    nearest: int = 0
    farthest: int = 0

    def expression(self, above: tuple[str, ...] = ()) -> str:
        """What it is about, as a pattern of names; `above`: the projects that its project is in."""
        return expression(self.project_id, self.kind, above=above, resource=self.resource)

    @property
    def verbs(self) -> list[str]:
        """What it allows, in the order of WORDS: ["job:get", "job:stop"]."""
        return [f"{self.kind}:{verb}" for verb in WORDS if verb in self.actions]

    def covers(self, user_id: str, verb: str, target: Target) -> bool:
        """Whether this grant, held by the user, allows the verb on the target."""
        return (
            self.project_id == target.project_id
            and verb in self.actions
            and self.nearest == 0
            and self.resource in {"", target.id}
            and (not self.only_mine or target.created_by_id == user_id)
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer: allowed or not, a machine-readable code, and a sentence for people. True in a condition when allowed.

    `missing` is the rule that would have allowed it, `action@expression`; "" where no rule could.
    """

    allowed: bool
    action: str
    code: str
    reason: str
    missing: str = ""

    def __bool__(self) -> bool:
        return self.allowed


class Refused(PermissionDenied):
    """Somebody may see a thing but not do this to it; becomes a 403 that says why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.reason)
        self.decision = decision


def refused(action: str, code: str, reason: str) -> Refused:
    """A refusal by a rule that no level can change; raise it."""
    return Refused(Decision(False, action, code, reason))


FARTHEST: Final = 99  # as far below as projects can be

WORDS = {
    "get": "see",
    "new": "create",
    "set": "change",
    "stop": "stop",
    "rm": "remove",
    "exec": "run commands in",
    "connect": "open",
    "share": "share",
    "use": "use",
}


def in_words(verbs: "frozenset[str] | set[str]") -> str:
    """Verbs for people, in the order of WORDS: "see, create and stop"."""
    said = [word for verb, word in WORDS.items() if verb in verbs]
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def split_action(action: str) -> tuple[str, str]:
    """("job", "stop") of "job:stop". Raises ValueError for an action that does not exist: a bug of the caller."""
    kind, _, verb = action.partition(":")
    if verb not in ACTIONS.get(kind, ()):
        raise ValueError(f"no such action: {action}")
    return kind, verb
