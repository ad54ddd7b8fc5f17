# Made from aio/people.py by sdk/unasync.py; change that.
"""Projects, teams, roles and who is in them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mlteam_sdk import asking
from mlteam_sdk.models import (
    AuditEntry,
    Budget,
    Charge,
    Decision,
    Holder,
    Invitation,
    KeyTest,
    KeyType,
    Member,
    NestedTeam,
    Offer,
    Policy,
    ProjectFacts,
    ProjectTeam,
    RoleFacts,
    RoleKey,
    RoleMember,
    Rule,
    TeamFacts,
    TeamMember,
    ThirdPartyKey,
    TokenFacts,
    Usage,
    UserFacts,
)
from mlteam_sdk.sync.things import Bound, Collection, Items, Listing

if TYPE_CHECKING:
    from mlteam_sdk.sync.client import MLTeam

WHOLE = "project"  # whose budget the whole project's is

LevelsWanted = Mapping[
    str, str
]  # {"job": "all", "dataset": "read", "model": "read", "volume": "none"}: of all four kinds


def _wished(levels: LevelsWanted | None, preset: str | None) -> dict[str, Any]:
    return {"levels": dict(levels)} if levels is not None else {"preset": preset}


class Members(Collection[Member]):
    """Who is in a project; `get`, `set_levels` and `remove` take a user's id."""

    def set_levels(self, user: str, levels: LevelsWanted | None = None, *, preset: str | None = None) -> Member:
        """Changes what a member may do: by levels, or by a preset such as "Viewer"."""
        return self._told(self._client.patch(self._path + asking.path(user), _wished(levels, preset)))

    def remove(self, user: str) -> None:
        self._client.delete(self._path + asking.path(user))


class ProjectTeams(Collection[ProjectTeam]):
    """The teams that are in a project; `get`, `set_levels` and `remove` take a team's id."""

    def add(self, team: str, levels: LevelsWanted | None = None, *, preset: str | None = None) -> ProjectTeam:
        return self._told(self._client.post(self._path, {"team": team, **_wished(levels, preset)}))

    def set_levels(self, team: str, levels: LevelsWanted | None = None, *, preset: str | None = None) -> ProjectTeam:
        return self._told(self._client.patch(self._path + asking.path(team), _wished(levels, preset)))

    def remove(self, team: str) -> None:
        self._client.delete(self._path + asking.path(team))


class Budgets(Listing[Budget]):
    """What a project may cost in a month, in all and by member."""

    _paged = False

    def set(self, amount: Decimal | str | int, *, member: str | None = None, when_full: str = "finish") -> Budget:
        """Sets a member's budget (a user's id) or the whole project's. `when_full`: running jobs "finish", or "stop"."""
        data = {"amount": str(amount), "when_full": when_full}
        return self._told(self._client.put(self._path + asking.path(member or WHOLE), data))

    def remove(self, member: str | None = None) -> None:
        self._client.delete(self._path + asking.path(member or WHOLE))


class Invitations(Collection[Invitation]):
    """Invitations that nobody has accepted yet."""

    def send(self, email: str, **wished: Any) -> Invitation:
        """Invites somebody: with `levels`, or a `preset` such as "Viewer"; to a team with a `role`."""
        return self._told(self._client.post(self._path, {"email": email, **wished}))

    def send_again(self, invitation: str) -> Invitation:
        return self._told(self._client.post(f"{self._path}{asking.path(invitation)}/send"))

    def remove(self, invitation: str) -> None:
        self._client.delete(self._path + asking.path(invitation))


class Policies(Listing[Policy]):
    """What a user, a team or a role was given."""

    def add(self, text: str) -> Policy:
        """Gives more: "job:get+job:list@URN"."""
        return self._told(self._client.post(self._path, {"text": text}))

    def remove(self, policy: str) -> None:
        self._client.delete(asking.path("policies", policy))


class RoleMembers(Listing[RoleMember]):
    def add(self, *, user: str | None = None, team: str | None = None) -> RoleMember:
        """Adds a user or a team, by id."""
        wished = {"user": user, "team": team}
        return self._told(self._client.post(self._path, {name: one for name, one in wished.items() if one}))

    def remove(self, id: str) -> None:
        """Takes out a user or team, by its id."""
        self._client.delete(self._path + asking.path(id))


class RoleKeys(Listing[RoleKey]):
    def add(self, name: str) -> RoleKey:
        """Makes a key; its `token` is told now and never again."""
        return self._told(self._client.post(self._path, {"name": name}))

    def remove(self, key: str) -> None:
        self._client.delete(self._path + asking.path(key))


class ThirdPartyKeys(Collection[ThirdPartyKey]):
    """The keys with which a project's jobs open other services; `get`, `replace` and `remove` take a key's id.

    Filters: name. Values are sent and never told again.
    """

    def add(self, type: str, name: str, fields: Mapping[str, str]) -> ThirdPartyKey:
        """Adds a key; `types` says which fields each type has. Read secrets from where they lie, not from your code."""
        data = {"type": type, "name": name, "fields": dict(fields)}
        return self._told(self._client.post(self._path, data))

    def replace(self, key: str, fields: Mapping[str, str]) -> ThirdPartyKey:
        """Gives a key other values, all of them."""
        return self._told(self._client.put(self._path + asking.path(key), {"fields": dict(fields)}))

    def remove(self, key: str) -> None:
        self._client.delete(self._path + asking.path(key))

    def test(self, key: str) -> KeyTest:
        """Tries a key where it opens something; it takes some seconds. Keys of the types git and secret cannot be tried."""
        return KeyTest.model_validate(self._client.post(self._path + asking.path(key, "test")))

    def types(self) -> Items[KeyType]:
        """The types of keys, with the fields that each has."""
        return [KeyType.model_validate(one) for one in (self._client.get("/key-types"))["items"]]


class Role(RoleFacts, Bound):
    """A role: what its policies allow, its members and the programs with its keys may do."""

    @property
    def _path(self) -> str:
        return asking.path("roles", self.id)

    @property
    def policies(self) -> Policies:
        return Policies(self._client, f"{self._path}/policies", Policy)

    @property
    def members(self) -> RoleMembers:
        return RoleMembers(self._client, f"{self._path}/members", RoleMember)

    @property
    def keys(self) -> RoleKeys:
        return RoleKeys(self._client, f"{self._path}/keys", RoleKey)

    def remove(self) -> None:
        self._client.delete(self._path)


class Roles(Collection[Role]):
    """The roles of the installation, a project or a team; `get` finds any of them by id."""

    def get(self, id: str) -> Role:
        return self._told(self._client.get(asking.path("roles", id)))

    def create(self, name: str) -> Role:
        return self._told(self._client.post(self._path, {"name": name}))


class Project(ProjectFacts, Bound):
    """A project."""

    @property
    def _path(self) -> str:
        return asking.path("projects", self.id)

    def refresh(self) -> "Project":
        """Reads again how it is."""
        self._take(self._client.get(self._path))
        return self

    def rename(self, name: str) -> "Project":
        self._take(self._client.patch(self._path, {"name": name}))
        return self

    def lend_data(self, lends: bool = True) -> "Project":
        """Lets whoever may read its data have them in jobs of other projects too, or no longer. They stay here; nothing is copied."""
        self._take(self._client.patch(self._path, {"lends_data": lends}))
        return self

    def remove(self, *, confirm: str) -> None:
        """Removes it with all that is in it; `confirm` is its name."""
        self._client.delete(self._path, confirm=confirm)

    def leave(self) -> None:
        self._client.post(f"{self._path}/leave")

    def offer(self, user: str) -> Offer:
        """Offers its ownership to a member, by id; they accept or decline."""
        return Offer.model_validate(self._client.post(f"{self._path}/offer", {"user": user}))

    def offered(self) -> Offer:
        """To whom it is offered. Raises NotFound."""
        return Offer.model_validate(self._client.get(f"{self._path}/offer"))

    def withdraw_offer(self) -> None:
        self._client.delete(f"{self._path}/offer")

    def accept_offer(self) -> "Project":
        """Becomes its owner."""
        self._take(self._client.post(f"{self._path}/offer/accept"))
        return self

    def decline_offer(self) -> None:
        self._client.post(f"{self._path}/offer/decline")

    def usage(self, *, month: str | None = None, by: str | None = None) -> Usage:
        """What was used and what it cost: month "2026-11", by member, kind or month."""
        return Usage.model_validate(self._client.get(f"{self._path}/usage", month=month, by=by))

    @property
    def charges(self) -> Listing[Charge]:
        """What each attempt of a job used in each hour, and what was stored. Filters: month, member, what ("jobs", "storage")."""
        return Listing(self._client, f"{self._path}/charges", Charge)

    @property
    def audit(self) -> Listing[AuditEntry]:
        """What was done in it, the newest first. Filters: from_, to, by, action, q."""
        return Listing(self._client, f"{self._path}/audit", AuditEntry)

    @property
    def budgets(self) -> Budgets:
        return Budgets(self._client, f"{self._path}/budgets", Budget)

    @property
    def members(self) -> Members:
        return Members(self._client, f"{self._path}/members", Member)

    @property
    def teams(self) -> ProjectTeams:
        return ProjectTeams(self._client, f"{self._path}/teams", ProjectTeam)

    @property
    def invitations(self) -> Invitations:
        return Invitations(self._client, f"{self._path}/invitations", Invitation)

    @property
    def roles(self) -> Roles:
        return Roles(self._client, f"{self._path}/roles", Role)

    @property
    def keys(self) -> ThirdPartyKeys:
        """The keys with which its jobs open other services."""
        return ThirdPartyKeys(self._client, f"{self._path}/keys", ThirdPartyKey)


class Projects(Collection[Project]):
    """The projects that one may see."""

    def create(self, name: str, *, parent: str | None = None, copy_keys: bool = False) -> Project:
        """Makes a project, in another one (`parent`: its id) perhaps; with `copy_keys` it begins with the keys of Personal."""
        wished: dict[str, Any] = {"name": name, **({"parent": parent} if parent else {})}
        if copy_keys:
            wished["copy_keys"] = True
        return self._told(self._client.post(self._path, wished))

    def accept(self, token: str) -> Project:
        """Joins the project that an invitation's token is for."""
        return self._told(self._client.post("/invitations/accept", {"token": token}))


class TeamMembers(Collection[TeamMember]):
    """Who is in a team by themselves; `get`, `set_role` and `remove` take a user's id."""

    def add(self, user: str, role: str = "user") -> TeamMember | Invitation:
        """Adds somebody by username, or invites an email; role: owner, admin or user."""
        said = self._client.post(self._path, {"user": user, "role": role})
        return self._told(said) if "user" in said else Invitation.model_validate(said)

    def set_role(self, user: str, role: str) -> TeamMember:
        return self._told(self._client.patch(self._path + asking.path(user), {"role": role}))

    def remove(self, user: str) -> None:
        self._client.delete(self._path + asking.path(user))


class NestedTeams(Listing[NestedTeam]):
    """The teams that are in a team."""

    def add(self, team: str) -> NestedTeam:
        return self._told(self._client.post(self._path, {"team": team}))

    def remove(self, team: str) -> None:
        self._client.delete(self._path + asking.path(team))


class Team(TeamFacts, Bound):
    """A team."""

    @property
    def _path(self) -> str:
        return asking.path("teams", self.id)

    def rename(self, name: str) -> "Team":
        self._take(self._client.patch(self._path, {"name": name}))
        return self

    def remove(self) -> None:
        self._client.delete(self._path)

    def leave(self) -> None:
        self._client.post(f"{self._path}/leave")

    def refresh(self) -> "Team":
        """Reads again how it is."""
        self._take(self._client.get(self._path))
        return self

    @property
    def everybody(self) -> Listing[UserFacts]:
        """All who belong to it, also by a team in it."""
        return Listing(self._client, f"{self._path}/people", UserFacts)

    @property
    def members(self) -> TeamMembers:
        return TeamMembers(self._client, f"{self._path}/members", TeamMember)

    @property
    def teams(self) -> NestedTeams:
        return NestedTeams(self._client, f"{self._path}/teams", NestedTeam)

    @property
    def invitations(self) -> Invitations:
        return Invitations(self._client, f"{self._path}/invitations", Invitation)

    @property
    def roles(self) -> Roles:
        return Roles(self._client, f"{self._path}/roles", Role)

    @property
    def policies(self) -> Policies:
        return Policies(self._client, f"{self._path}/policies", Policy)


class Teams(Collection[Team]):
    """The teams that one may see."""

    def create(self, name: str) -> Team:
        return self._told(self._client.post(self._path, {"name": name}))

    def accept(self, token: str) -> Team:
        """Joins the team that an invitation's token is for."""
        return self._told(self._client.post("/team-invitations/accept", {"token": token}))


class User(UserFacts, Bound):
    """Somebody."""

    @property
    def policies(self) -> Policies:
        return Policies(self._client, asking.path("users", self.id, "policies"), Policy)


class Users(Collection[User]):
    """The people whom one may see."""


class Tokens(Listing[TokenFacts]):
    """One's own tokens."""

    def remove(self, token: str) -> None:
        """Ends a token (its id, or "current" for the one that asks)."""
        self._client.delete(self._path + asking.path(token))


class Rules(Listing[Rule]):
    """What one may do, and why."""

    def __init__(self, client: "MLTeam") -> None:
        super().__init__(client, "/rules", Rule)

    def allowed(self, action: str, urn: str) -> Decision:
        """Whether one may do this, and if not what is missing and who could give it."""
        return Decision.model_validate(self._client.get("/rules/allowed", action=action, urn=urn))

    def holders(self, action: str, urn: str, *, limit: int | None = None) -> Items[Holder]:
        """Who may do this."""
        found = self._client.pages("/rules/holders", most=limit, action=action, urn=urn)
        return [Holder.model_validate(one) for one in found]
