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
    emails: dict[str, bool] = {}
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
    lends_data: bool = False
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
    """An invitation that nobody has accepted yet: to a project with levels, or to a team with a role."""

    id: str = ""
    email: str = ""
    levels: Levels | None = None
    invited_by: UserFacts | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    sent: str = ""
    error: str = ""
    link: str | None = None
    role: str | None = None
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


class Transfer(Thing):
    """An input that is fetched (`direction` in) or an output that becomes a version or goes to a bucket (out), and how far it is.

    What there is in all is None until it is known; `rate` is bytes in a second, `left` seconds.
    """

    direction: str = ""
    address: str = ""
    path: str | None = None
    key: str | None = None
    state: str = ""
    files: int = 0
    all_files: int | None = None
    bytes: int = 0
    all_bytes: int | None = None
    rate: float | None = None
    left: float | None = None
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    sentence: str = ""


class JobFacts(Ref):
    """A job. In lists `attempt` is its newest one; alone it has all `attempts`, its `spec` and `notices`: sentences on the data that it
    has of other projects."""

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
    transfers: list[Transfer] = []
    spec: dict[str, Any] = {}
    spec_yaml: str = ""
    notices: list[str] = []

    @property
    def done(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL

    @property
    def succeeded(self) -> bool:
        return self.state == "succeeded"


class Check(Thing):
    """What a spec would make, without making it. `notices`: sentences on the data that it would have of other projects."""

    spec: dict[str, Any] = {}
    spec_yaml: str = ""
    cost_per_hour: Decimal | None = None
    notices: list[str] = []


class Move(Thing):
    """A change of a job's state; `attempt` is the index of the one that it is about. `mine`: who asks made it."""

    at: datetime | None = None
    state: str = ""
    reason: str = ""
    sentence: str = ""
    by: UserFacts | None = None
    attempt: int | None = None
    mine: bool = False


class Match(Thing):
    """A line of a log that matches: its number from 1, and the byte at which the match begins."""

    line: int = 0
    offset: int = 0


class Artifact(Thing):
    """A file that a job left; `size` in bytes. `mine`: who asks submitted the job."""

    path: str = ""
    size: int | None = None
    kind: str = "file"
    modified: datetime | None = None
    sha256: str | None = None
    mine: bool = False


class TeamFacts(Ref):
    """A team. `mine`: who asks is in it."""

    slug: str = ""
    url: str = ""
    mine: bool = False
    people: int | None = None
    created_at: datetime | None = None


class TeamMember(Thing):
    user: UserFacts = UserFacts()
    role: str = ""
    joined_at: datetime | None = None
    mine: bool = False


class NestedTeam(Thing):
    team: Ref = Ref()
    mine: bool = False


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


class KeyField(Thing):
    """A value that a type of third-party key has. `lines`: it may have several; `aside`: few need it."""

    name: str = ""
    label: str = ""
    secret: bool = False
    required: bool = False
    lines: bool = False
    aside: bool = False
    default: str = ""
    help: str = ""


class KeyType(Thing):
    """A type of third-party key. `file`: the field that the content of a downloaded file is the value of, "" for none."""

    name: str = ""
    label: str = ""
    about: str = ""
    file: str = ""
    fields: list[KeyField] = []


class ThirdPartyKey(Ref):
    """A key with which a project's jobs open another service. What is secret of it is told to nobody.

    `about`: what is no secret, by field; like all but name and type it is None for who may not set keys.
    """

    type: str = ""
    about: dict[str, str] | None = None
    created_by: UserFacts | None = None
    created_at: datetime | None = None
    replaced_at: datetime | None = None
    mine: bool = False


class VersionFacts(Thing):
    """A version of a dataset or model; it never changes. `digest` is the SHA-256 of its manifest."""

    number: int = 0
    digest: str = ""
    files: int = 0
    bytes: int = 0
    note: str = ""
    created_by: UserFacts | None = None
    by_role: str | None = None
    created_at: datetime | None = None
    mine: bool = False


class DatastoreFacts(Ref):
    """A dataset, a model or a volume (`kind`). `description` is Markdown; `latest` is None while there is no version.

    Of a volume: `quota`, the bytes that it may have, `used`, those that it has on the disk, and `files`, how many, as last measured.
    """

    project: ProjectRef = ProjectRef()
    kind: str = ""
    description: str = ""
    created_by: UserFacts | None = None
    by_role: str | None = None
    created_at: datetime | None = None
    latest: VersionFacts | None = None
    quota: int | None = None
    used: int | None = None
    files: int | None = None
    mine: bool = False


class ImportFacts(Thing):
    """A version that the server makes of what lies at an address (shown without what follows a question mark).

    `state`: waiting, fetching, unpacking, storing; then done, with the number of the `version`, failed or stopped. `files` and `bytes`:
    how much there is of what is being done now, None while nobody knows. `said`: why it failed or is tried again, or what was left out.
    """

    id: str = ""
    datastore: str = ""
    address: str = ""
    key: str | None = None
    unpack: bool = True
    note: str = ""
    state: str = ""
    files: int | None = None
    files_done: int = 0
    bytes: int | None = None
    bytes_done: int = 0
    said: str = ""
    version: int | None = None
    created_by: UserFacts | None = None
    by_role: str | None = None
    created_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def ended(self) -> bool:
        return self.state in {"done", "failed", "stopped"}


class Content(Thing):
    """A file or directory in a version or a volume; `files` and `size` of a directory are those of all below it, `sha256` and `mode` a
    file's. In a volume, which has also links and others, a directory has no size and a file no `sha256`, but they have `modified`. A
    file's `modified_ns`: that in nanoseconds since 1970; None while it is being written."""

    name: str = ""
    kind: str = "file"
    size: int = 0
    files: int = 1
    sha256: str | None = None
    mode: int | None = None
    modified: datetime | None = None
    modified_ns: int | None = None


class Doubt(Thing):
    """How a file of a version is on the server (`state`): whole, missing, damaged, or later, when it has not been compared yet."""

    path: str = ""
    state: str = ""


class DatastoreUser(Thing):
    """What uses a datastore now: a job, by its URN, and whether it writes there; who submitted it, a person or the key of a role
    (`by_role`), and its state. Of one that may not be seen all but the name and `writes` is None."""

    urn: str | None = None
    name: str = ""
    writes: bool = False
    created_by: UserFacts | None = None
    by_role: str | None = None
    state: str | None = None


class Change(Thing):
    """A path that is added, removed or changed (`change`) between two versions; sizes in bytes, None where it is not."""

    path: str = ""
    change: str = ""
    old_size: int | None = None
    new_size: int | None = None


class Upload(Thing):
    """Files on their way into a new version: contents and bytes that the server lacks (`missing`), and which, where they are few."""

    id: str = ""
    files: int = 0
    bytes: int = 0
    missing: int = 0
    missing_bytes: int = 0
    lacks: list[dict[str, Any]] | None = None


class KeyTest(Thing):
    """What came of trying a third-party key: whether it works, and a sentence that says as whom, or what is wrong."""

    works: bool = False
    said: str = ""


class Rule(Thing):
    """What somebody may do, and where that comes from."""

    action: str = ""
    actions: list[str] = []
    expression: str = ""
    only_mine: bool = False
    source: str = ""
    mine: bool = True


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


class Offer(Thing):
    """A project's ownership that is offered to somebody. `mine`: to who asks."""

    user: UserFacts = UserFacts()
    offered_at: datetime | None = None
    mine: bool = False


class AuditEntry(Thing):
    """Who did what, when, and from where."""

    id: int = 0
    at: datetime | None = None
    by: str = ""
    by_id: str = ""
    came_from: str = Field("", alias="from")
    address: str = ""
    action: str = ""
    said: str = ""
    urn: str = ""
    before: Any = None
    after: Any = None
    details: Any = None
    mine: bool = False


class Sums(Thing):
    """Hours of GPUs, CPU cores, GiB of memory and of storage, and what each cost: None where nothing costs anything."""

    gpu_hours: Decimal = Decimal(0)
    cpu_hours: Decimal = Decimal(0)
    memory_hours: Decimal = Decimal(0)
    storage_hours: Decimal = Decimal(0)
    gpu_cost: Decimal | None = None
    cpu_cost: Decimal | None = None
    memory_cost: Decimal | None = None
    storage_cost: Decimal | None = None
    amount: Decimal | None = None


class UsagePart(Thing):
    """A part of the use: of a member, a month or a kind."""

    id: str = ""
    name: str = ""
    hours: Decimal | None = None
    unit: str | None = None
    amount: Decimal | None = None
    sums: Sums | None = None
    mine: bool = False


class Usage(Thing):
    """What was used in a month (UTC), in parts. `whole`: all of the project's, not only one's own."""

    month: str = ""
    by: str = ""
    whole: bool = False
    currency: str = ""
    payer: str = ""
    balance: Decimal | None = None
    stored_bytes: int | None = None
    total: Sums = Sums()
    items: list[UsagePart] = []
    others: Sums | None = None
    next: str | None = None
    previous: str | None = None


class Charge(Thing):
    """What one attempt of a job, or all that a project stores (`source`), used in one hour of the clock."""

    id: int = 0
    hour: datetime | None = None
    source: str = "attempt"
    line: str = "use"
    project: str = ""
    member: str = ""
    job: str = ""
    job_id: str = ""
    gpus: str = ""
    milliseconds: int = 0
    sums: Sums = Sums()
    mine: bool = False


class Budget(Thing):
    """What a project, or one member of it, may cost in a month; `spent`: this month's; `share` of it in percent."""

    member: UserFacts | None = None
    amount: Decimal = Decimal(0)
    when_full: str = "finish"
    spent: Decimal = Decimal(0)
    share: int = 0
    currency: str = ""
    mine: bool = False


class Balance(Thing):
    """What is left of who pays for one's projects; None where nothing costs anything."""

    payer: str = ""
    amount: Decimal | None = None
    currency: str = ""
    mine: bool = False


class Amounts(Thing):
    """CPU cores, GiB of memory, GPUs."""

    cpu: float = 0
    mem: float = 0
    gpu: int = 0


class Gpus(Thing):
    """GPUs of one type."""

    type: str = ""
    count: int = 0


class Host(Amounts):
    """A host, with what it has in all; `problems` say why it runs no jobs, or not all."""

    name: str = ""
    gpus: list[Gpus] = []
    seen_at: datetime | None = None
    isolation: str = ""
    problems: list[str] = []


class Compute(Thing):
    """What jobs can run on: hosts, the most that one job can have, GPUs by type, and why nothing runs where `runs_jobs` is false."""

    hosts: list[Host] = []
    largest: Amounts = Amounts()
    gpus: list[Gpus] = []
    problems: list[str] = []
    runs_jobs: bool = True
