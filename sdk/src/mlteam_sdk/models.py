"""What a server says of things, typed. What a newer server adds is kept; what it leaves out (`fields=`) has its default.

Times are aware datetimes in UTC, money is a Decimal, ids are text. `mine` is about whoever asks.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

FINAL: Final = frozenset({"succeeded", "failed", "cancelled", "interrupted"})
INTERRUPTED: Final = "interrupted"


class Thing(BaseModel):
    """Something that a server told."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


class Ref(Thing):
    """A thing, as others name it."""

    id: str = ""
    urn: str = ""
    name: str = ""


class ProjectRef(Ref):
    full_name: str = ""


class UserFacts(Ref):
    """Somebody, as everybody sees them."""

    username: str = ""
    mine: bool = False


class TokenFacts(Thing):
    """A personal token; its text is nowhere."""

    id: str = ""
    name: str = ""
    scope: str = ""
    created_at: datetime | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    mine: bool = True


class Me(Thing):
    """Who asks: a person, or the role whose key it is."""

    id: str | None = None
    urn: str = ""
    username: str = ""
    name: str = ""
    mine: bool = True
    email: str | None = None
    verified: bool = False
    time_zone: str = "UTC"
    theme: str = ""
    muted: list[str] = []
    admin: bool = False
    gpu_approved: bool = False
    token: TokenFacts | None = None
    role: Ref | None = None


class Installation(Ref):
    version: str = ""
    url: str = ""
    contact: str | None = None
    mine: bool = False


class Levels(Thing):
    """What somebody may do to each kind of thing: none, read, own or all."""

    job: str = "none"
    dataset: str = "none"
    model: str = "none"
    volume: str = "none"


class ProjectFacts(ProjectRef):
    """A project. Counts of jobs are None for whoever may not see them."""

    slug: str = ""
    owner: UserFacts | None = None
    organization: str = ""
    parent: ProjectRef | None = None
    personal: bool = False
    created_at: datetime | None = None
    active_at: datetime | None = None
    mine: bool = False
    member_count: int = 0
    team_count: int = 0
    running: int | None = None
    waiting: int | None = None
    jobs_count: int | None = Field(None, alias="jobs")
    cost_this_month: Decimal | None = None
    url: str = ""


class Member(Thing):
    user: UserFacts = UserFacts()
    levels: Levels = Levels()
    joined_at: datetime | None = None
    mine: bool = False


class ProjectTeam(Thing):
    team: Ref = Ref()
    levels: Levels = Levels()
    added_at: datetime | None = None
    mine: bool = False


class Invitation(Thing):
    id: str = ""
    email: str = ""
    levels: Levels | None = None
    invited_by: UserFacts | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    sent: str = ""
    link: str | None = None
    mine: bool = False


class Resources(Thing):
    """CPU cores, GiB of memory, GPUs."""

    cpu: float = 0
    mem: float = 0
    gpu: int = 0
    gpuModel: str | None = None
    nodes: int | None = None


class Log(Thing):
    """An attempt's log: bytes and lines, whether they agree with what was written; `complete`: all of them are here."""

    size: int = 0
    lines: int | None = None
    verified: bool | None = None
    gaps: list[Any] = []
    complete: bool = False


class Attempt(Thing):
    """One execution of a job."""

    index: int = 0
    host: str = ""
    placed_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_status: int | None = None
    reason: str = ""
    sentence: str = ""
    peak_memory_mib: int | None = None
    gpus: list[str] = []
    isolation: dict[str, Any] = {}
    log: Log = Log()


class JobFacts(Ref):
    """A job. In lists `attempt` is its newest one; alone it has all `attempts` and its `spec`."""

    project: ProjectRef = ProjectRef()
    created_by: UserFacts | None = None
    by_role: str | None = None
    mine: bool = False
    created_at: datetime | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    elapsed: float | None = None
    state: str = ""
    reason: str = ""
    sentence: str = ""
    exit_status: int | None = None
    command: list[str] = []
    resources: Resources = Resources()
    bid: int = 0
    restartable: bool = False
    preemptable: bool = False
    tags: list[str] = []
    position: int | None = None
    waiting_for: str | None = None
    attempt: Attempt | None = None
    attempts: list[Attempt] = []
    cloned_from: str | None = None
    files: list[str] = []
    url: str = ""
    cost: Decimal | None = None
    spec: dict[str, Any] = {}
    spec_yaml: str = ""

    @property
    def done(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL

    @property
    def succeeded(self) -> bool:
        return self.state == "succeeded"


class Check(Thing):
    """What a spec would make, without making it."""

    spec: dict[str, Any] = {}
    spec_yaml: str = ""
    cost_per_hour: Decimal | None = None


class Move(Thing):
    """A change of a job's state; `attempt` is the index of the one that it is about."""

    at: datetime | None = None
    state: str = ""
    reason: str = ""
    sentence: str = ""
    by: UserFacts | None = None
    attempt: int | None = None


class Artifact(Thing):
    """A file that a job left; `size` in bytes."""

    path: str = ""
    size: int | None = None
    kind: str = "file"
    modified: datetime | None = None
    sha256: str | None = None


class TeamFacts(Ref):
    """A team. `mine`: who asks is in it."""

    mine: bool = False
    people: int | None = None
    created_at: datetime | None = None


class TeamMember(Thing):
    user: UserFacts = UserFacts()
    role: str = ""
    mine: bool = False


class NestedTeam(Thing):
    team: Ref = Ref()


class Place(Thing):
    """Where a role is: the installation, a project or a team."""

    kind: str = ""
    id: str = ""
    name: str = ""


class RoleFacts(Ref):
    place: Place = Place()
    predefined: bool = False
    people: int | None = None
    mine: bool = False


class Policy(Thing):
    id: str = ""
    text: str = ""
    granted_by: UserFacts | None = None
    created_at: datetime | None = None
    holder: Place = Place()
    mine: bool = False


class RoleMember(Thing):
    """A member of a role: `id` of the user or team, `member_id` of the membership."""

    id: str = ""
    name: str = ""
    type: str = ""
    member_id: str | None = None
    mine: bool = False


class RoleKey(Thing):
    """A role's key; its `token` is told once, when it is made."""

    id: str = ""
    name: str = ""
    created_by: UserFacts | None = None
    created_at: datetime | None = None
    last_used_at: datetime | None = None
    mine: bool = False
    token: str | None = Field(None, repr=False)


class Rule(Thing):
    """What somebody may do, and where that comes from."""

    action: str = ""
    actions: list[str] = []
    expression: str = ""
    only_mine: bool = False
    source: str = ""


class Decision(Thing):
    """Whether an action is allowed, and why; `missing` is the rule that would allow it."""

    allowed: bool = False
    action: str = ""
    urn: str = ""
    code: str = ""
    reason: str = ""
    missing: str = ""
    who_can_grant: list[UserFacts] = []


class Holder(Thing):
    """Somebody who may do something, and where that comes from."""

    user: UserFacts = UserFacts()
    source: str = ""
    mine: bool = False


class Part(Thing):
    """A part of a server, and how it is: ok, or what is wrong."""

    name: str = ""
    status: str = ""
    detail: str = ""


class Health(Thing):
    """Whether a server is well; its parts are told to who is signed in."""

    status: str = ""
    version: str = ""
    time: datetime | None = None
    parts: list[Part] | None = None
