"""Projects, teams, roles and who is in them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlteam_sdk import asking
from mlteam_sdk.aio.things import Bound, Collection, Items, Listing
from mlteam_sdk.models import (
    Decision,
    Holder,
    Invitation,
    Member,
    NestedTeam,
    Policy,
    ProjectFacts,
    ProjectTeam,
    RoleFacts,
    RoleKey,
    RoleMember,
    Rule,
    TeamFacts,
    TeamMember,
    TokenFacts,
    UserFacts,
)

if TYPE_CHECKING:
    from mlteam_sdk.aio.client import MLTeam

LevelsWanted = Mapping[str, str]  # {"job": "all", "dataset": "read", …}


class Members(Listing[Member]):
    """Who is in a project."""

    async def set_levels(self, user: str, levels: LevelsWanted) -> Member:
        """Changes what a member (the user's id) may do."""
        return self._told(await self._client.patch(self._path + asking.path(user), {"levels": dict(levels)}))

    async def remove(self, user: str) -> None:
        await self._client.delete(self._path + asking.path(user))


class ProjectTeams(Listing[ProjectTeam]):
    """The teams that are in a project."""

    async def add(self, team: str, levels: LevelsWanted) -> ProjectTeam:
        return self._told(await self._client.post(self._path, {"team": team, "levels": dict(levels)}))

    async def set_levels(self, team: str, levels: LevelsWanted) -> ProjectTeam:
        return self._told(await self._client.patch(self._path + asking.path(team), {"levels": dict(levels)}))

    async def remove(self, team: str) -> None:
        await self._client.delete(self._path + asking.path(team))


class Invitations(Listing[Invitation]):
    """Invitations that nobody has accepted yet."""

    async def send(self, email: str, **wished: Any) -> Invitation:
        """Invites somebody: with `levels`, or a `preset` such as "Viewer"; to a team with a `role`."""
        return self._told(await self._client.post(self._path, {"email": email, **wished}))

    async def send_again(self, invitation: str) -> None:
        await self._client.post(f"{self._path}{asking.path(invitation)}/send")

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

    async def remove(self, *, confirm: str) -> None:
        """Removes it with all that is in it; `confirm` is its name."""
        await self._client.delete(self._path, confirm=confirm)

    async def leave(self) -> None:
        await self._client.post(f"{self._path}/leave")

    async def offer(self, user: str) -> None:
        """Offers its ownership to a member, by id; they accept or decline."""
        await self._client.post(f"{self._path}/offer", {"user": user})

    async def usage(self, *, month: str | None = None, by: str | None = None) -> Any:
        """What was used and what it cost: month "2026-11", by member, kind or month."""
        return await self._client.get(f"{self._path}/usage", month=month, by=by)

    async def audit(self, *, limit: int | None = 200, **filters: Any) -> Items[dict[str, Any]]:
        """What was done in it, the newest first. Filters: from_, to, by, action, q."""
        return [one async for one in self._client.pages(f"{self._path}/audit", most=limit, **filters)]

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


class Projects(Collection[Project]):
    """The projects that one may see."""

    async def create(self, name: str, *, parent: str | None = None) -> Project:
        """Makes a project, in another one (`parent`: its id) perhaps."""
        wished = {"name": name, **({"parent": parent} if parent else {})}
        return self._told(await self._client.post(self._path, wished))


class TeamMembers(Listing[TeamMember]):
    async def add(self, user: str, role: str = "user") -> TeamMember:
        """Adds somebody by username or email; role: admin or user."""
        return self._told(await self._client.post(self._path, {"user": user, "role": role}))

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
