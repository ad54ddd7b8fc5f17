"""Projects, teams, roles and who is in them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mlteam_sdk import asking
from mlteam_sdk.aio.things import Bound, Collection, Items, Listing
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

if TYPE_CHECKING:
    from mlteam_sdk.aio.client import MLTeam

WHOLE = "project"  # whose budget the whole project's is

LevelsWanted = Mapping[
    str, str
]  # {"job": "all", "dataset": "read", "model": "read", "volume": "none"}: of all four kinds


def _wished(levels: LevelsWanted | None, preset: str | None) -> dict[str, Any]:
    return {"levels": dict(levels)} if levels is not None else {"preset": preset}


class Members(Collection[Member]):
    """Who is in a project; `get`, `set_levels` and `remove` take a user's id."""

    async def set_levels(self, user: str, levels: LevelsWanted | None = None, *, preset: str | None = None) -> Member:
        """Changes what a member may do: by levels, or by a preset such as "Viewer"."""
        return self._told(await self._client.patch(self._path + asking.path(user), _wished(levels, preset)))

    async def remove(self, user: str) -> None:
        await self._client.delete(self._path + asking.path(user))


class ProjectTeams(Collection[ProjectTeam]):
    """The teams that are in a project; `get`, `set_levels` and `remove` take a team's id."""

    async def add(self, team: str, levels: LevelsWanted | None = None, *, preset: str | None = None) -> ProjectTeam:
        return self._told(await self._client.post(self._path, {"team": team, **_wished(levels, preset)}))

    async def set_levels(
        self, team: str, levels: LevelsWanted | None = None, *, preset: str | None = None
    ) -> ProjectTeam:
        return self._told(await self._client.patch(self._path + asking.path(team), _wished(levels, preset)))

    async def remove(self, team: str) -> None:
        await self._client.delete(self._path + asking.path(team))


class Budgets(Listing[Budget]):
    """What a project may cost in a month, in all and by member."""

    _paged = False

    async def set(self, amount: Decimal | str | int, *, member: str | None = None, when_full: str = "finish") -> Budget:
        """Sets a member's budget (a user's id) or the whole project's. `when_full`: running jobs "finish", or "stop"."""
        data = {"amount": str(amount), "when_full": when_full}
        return self._told(await self._client.put(self._path + asking.path(member or WHOLE), data))

    async def remove(self, member: str | None = None) -> None:
        await self._client.delete(self._path + asking.path(member or WHOLE))


class Invitations(Collection[Invitation]):
    """Invitations that nobody has accepted yet."""

    async def send(self, email: str, **wished: Any) -> Invitation:
        """Invites somebody: with `levels`, or a `preset` such as "Viewer"; to a team with a `role`."""
        return self._told(await self._client.post(self._path, {"email": email, **wished}))

    async def send_again(self, invitation: str) -> Invitation:
        return self._told(await self._client.post(f"{self._path}{asking.path(invitation)}/send"))

    async def remove(self, invitation: str) -> None:
        await self._client.delete(self._path + asking.path(invitation))


class Policies(Listing[Policy]):
    """What a user, a team or a role was given."""

    async def add(self, text: str) -> Policy:
        """Gives more: "job:get+job:list@URN"."""
        return self._told(await self._client.post(self._path, {"text": text}))

    async def remove(self, policy: str) -> None:
        await self._client.delete(asking.path("policies", policy))


class RoleMembers(Listing[RoleMember]):
    async def add(self, *, user: str | None = None, team: str | None = None) -> RoleMember:
        """Adds a user or a team, by id."""
        wished = {"user": user, "team": team}
        return self._told(await self._client.post(self._path, {name: one for name, one in wished.items() if one}))

    async def remove(self, id: str) -> None:
        """Takes out a user or team, by its id."""
        await self._client.delete(self._path + asking.path(id))


class RoleKeys(Listing[RoleKey]):
    async def add(self, name: str) -> RoleKey:
        """Makes a key; its `token` is told now and never again."""
        return self._told(await self._client.post(self._path, {"name": name}))

    async def remove(self, key: str) -> None:
        await self._client.delete(self._path + asking.path(key))


class ThirdPartyKeys(Collection[ThirdPartyKey]):
    """The keys with which a project's jobs open other services; `get`, `replace` and `remove` take a key's id.

    Filters: name. Values are sent and never told again.
    """

    async def add(self, type: str, name: str, fields: Mapping[str, str]) -> ThirdPartyKey:
        """Adds a key; `types` says which fields each type has. Read secrets from where they lie, not from your code."""
        data = {"type": type, "name": name, "fields": dict(fields)}
        return self._told(await self._client.post(self._path, data))

    async def replace(self, key: str, fields: Mapping[str, str]) -> ThirdPartyKey:
        """Gives a key other values, all of them."""
        return self._told(await self._client.put(self._path + asking.path(key), {"fields": dict(fields)}))

    async def remove(self, key: str) -> None:
        await self._client.delete(self._path + asking.path(key))

    async def test(self, key: str) -> KeyTest:
        """Tries a key where it opens something; it takes some seconds. Keys of the types git and secret cannot be tried."""
        return KeyTest.model_validate(await self._client.post(self._path + asking.path(key, "test")))

    async def types(self) -> Items[KeyType]:
        """The types of keys, with the fields that each has."""
        return [KeyType.model_validate(one) for one in (await self._client.get("/key-types"))["items"]]


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

    async def remove(self) -> None:
        await self._client.delete(self._path)


class Roles(Collection[Role]):
    """The roles of the installation, a project or a team; `get` finds any of them by id."""

    async def get(self, id: str) -> Role:
        return self._told(await self._client.get(asking.path("roles", id)))

    async def create(self, name: str) -> Role:
        return self._told(await self._client.post(self._path, {"name": name}))


class Project(ProjectFacts, Bound):
    """A project."""

    @property
    def _path(self) -> str:
        return asking.path("projects", self.id)

    async def refresh(self) -> "Project":
        """Reads again how it is."""
        self._take(await self._client.get(self._path))
        return self

    async def rename(self, name: str) -> "Project":
        self._take(await self._client.patch(self._path, {"name": name}))
        return self

    async def lend_data(self, lends: bool = True) -> "Project":
        """Lets whoever may read its data have them in jobs of other projects too, or no longer. They stay here; nothing is copied."""
        self._take(await self._client.patch(self._path, {"lends_data": lends}))
        return self

    async def remove(self, *, confirm: str) -> None:
        """Removes it with all that is in it; `confirm` is its name."""
        await self._client.delete(self._path, confirm=confirm)

    async def leave(self) -> None:
        await self._client.post(f"{self._path}/leave")

    async def offer(self, user: str) -> Offer:
        """Offers its ownership to a member, by id; they accept or decline."""
        return Offer.model_validate(await self._client.post(f"{self._path}/offer", {"user": user}))

    async def offered(self) -> Offer:
        """To whom it is offered. Raises NotFound."""
        return Offer.model_validate(await self._client.get(f"{self._path}/offer"))

    async def withdraw_offer(self) -> None:
        await self._client.delete(f"{self._path}/offer")

    async def accept_offer(self) -> "Project":
        """Becomes its owner."""
        self._take(await self._client.post(f"{self._path}/offer/accept"))
        return self

    async def decline_offer(self) -> None:
        await self._client.post(f"{self._path}/offer/decline")

    async def usage(self, *, month: str | None = None, by: str | None = None) -> Usage:
        """What was used and what it cost: month "2026-11", by member, kind or month."""
        return Usage.model_validate(await self._client.get(f"{self._path}/usage", month=month, by=by))

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

    async def create(self, name: str, *, parent: str | None = None, copy_keys: bool = False) -> Project:
        """Makes a project, in another one (`parent`: its id) perhaps; with `copy_keys` it begins with the keys of Personal."""
        wished: dict[str, Any] = {"name": name, **({"parent": parent} if parent else {})}
        if copy_keys:
            wished["copy_keys"] = True
        return self._told(await self._client.post(self._path, wished))

    async def accept(self, token: str) -> Project:
        """Joins the project that an invitation's token is for."""
        return self._told(await self._client.post("/invitations/accept", {"token": token}))


class TeamMembers(Collection[TeamMember]):
    """Who is in a team by themselves; `get`, `set_role` and `remove` take a user's id."""

    async def add(self, user: str, role: str = "user") -> TeamMember | Invitation:
        """Adds somebody by username, or invites an email; role: owner, admin or user."""
        said = await self._client.post(self._path, {"user": user, "role": role})
        return self._told(said) if "user" in said else Invitation.model_validate(said)

    async def set_role(self, user: str, role: str) -> TeamMember:
        return self._told(await self._client.patch(self._path + asking.path(user), {"role": role}))

    async def remove(self, user: str) -> None:
        await self._client.delete(self._path + asking.path(user))


class NestedTeams(Listing[NestedTeam]):
    """The teams that are in a team."""

    async def add(self, team: str) -> NestedTeam:
        return self._told(await self._client.post(self._path, {"team": team}))

    async def remove(self, team: str) -> None:
        await self._client.delete(self._path + asking.path(team))


class Team(TeamFacts, Bound):
    """A team."""

    @property
    def _path(self) -> str:
        return asking.path("teams", self.id)

    async def rename(self, name: str) -> "Team":
        self._take(await self._client.patch(self._path, {"name": name}))
        return self

    async def remove(self) -> None:
        await self._client.delete(self._path)

    async def leave(self) -> None:
        await self._client.post(f"{self._path}/leave")

    async def refresh(self) -> "Team":
        """Reads again how it is."""
        self._take(await self._client.get(self._path))
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

    async def create(self, name: str) -> Team:
        return self._told(await self._client.post(self._path, {"name": name}))

    async def accept(self, token: str) -> Team:
        """Joins the team that an invitation's token is for."""
        return self._told(await self._client.post("/team-invitations/accept", {"token": token}))


class User(UserFacts, Bound):
    """Somebody."""

    @property
    def policies(self) -> Policies:
        return Policies(self._client, asking.path("users", self.id, "policies"), Policy)


class Users(Collection[User]):
    """The people whom one may see."""


class Tokens(Listing[TokenFacts]):
    """One's own tokens."""

    async def remove(self, token: str) -> None:
        """Ends a token (its id, or "current" for the one that asks)."""
        await self._client.delete(self._path + asking.path(token))


class Rules(Listing[Rule]):
    """What one may do, and why."""

    def __init__(self, client: "MLTeam") -> None:
        super().__init__(client, "/rules", Rule)

    async def allowed(self, action: str, urn: str) -> Decision:
        """Whether one may do this, and if not what is missing and who could give it."""
        return Decision.model_validate(await self._client.get("/rules/allowed", action=action, urn=urn))

    async def holders(self, action: str, urn: str, *, limit: int | None = None) -> Items[Holder]:
        """Who may do this."""
        found = self._client.pages("/rules/holders", most=limit, action=action, urn=urn)
        return [Holder.model_validate(one) async for one in found]
