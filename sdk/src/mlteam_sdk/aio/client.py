"""The client: one server, one account, one project."""

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mlteam_sdk import settings
from mlteam_sdk.aio.transport import PATIENCE, Transport
from mlteam_sdk.errors import SettingsError

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from mlteam_sdk.aio.datastores import Datastores
    from mlteam_sdk.aio.jobs import Jobs
    from mlteam_sdk.aio.people import Projects, Roles, Rules, Teams, Tokens, Users
    from mlteam_sdk.models import Balance, Compute, Health, Installation, Me


class MLTeam(Transport):
    """A server as one account sees it.

    `project` is the id of the project that new jobs go to. What is not given comes from the environment, else from the files of
    `mlteam login` and `mlteam configure`; without any project it is Personal. `patience`: seconds for which a server that was
    there may be away before a request fails.
    """

    def __init__(
        self,
        project: str | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        profile: str | None = None,
        config_dir: str | os.PathLike[str] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        found = settings.load(url=url, token=token, project=project, profile=profile, directory=config_dir)
        super().__init__(found, patience)
        self._project: str | None = None

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        await self.close()

    # What there is

    @cached_property
    def jobs(self) -> "Jobs":
        from mlteam_sdk.aio.jobs import Jobs

        return Jobs(self)

    @cached_property
    def datastores(self) -> "Datastores":
        """Datasets, models and volumes."""
        from mlteam_sdk.aio.datastores import Datastores

        return Datastores(self)

    @cached_property
    def projects(self) -> "Projects":
        from mlteam_sdk.aio.people import Project, Projects

        return Projects(self, "/projects", Project)

    @cached_property
    def teams(self) -> "Teams":
        from mlteam_sdk.aio.people import Team, Teams

        return Teams(self, "/teams", Team)

    @cached_property
    def users(self) -> "Users":
        from mlteam_sdk.aio.people import User, Users

        return Users(self, "/users", User)

    @cached_property
    def roles(self) -> "Roles":
        """The installation's roles; those of projects and teams are theirs."""
        from mlteam_sdk.aio.people import Role, Roles

        return Roles(self, "/installation/roles", Role)

    @cached_property
    def rules(self) -> "Rules":
        from mlteam_sdk.aio.people import Rules

        return Rules(self)

    @cached_property
    def tokens(self) -> "Tokens":
        from mlteam_sdk.aio.people import Tokens
        from mlteam_sdk.models import TokenFacts

        return Tokens(self, "/me/tokens", TokenFacts)

    async def me(self) -> "Me":
        """Who asks, and by what token."""
        from mlteam_sdk.models import Me

        return Me.model_validate(await self.get("/me"))

    async def installation(self) -> "Installation":
        """The server itself: its name and version."""
        from mlteam_sdk.models import Installation

        return Installation.model_validate(await self.get("/installation"))

    async def health(self) -> "Health":
        """Whether the server is well; needs no token."""
        from mlteam_sdk.models import Health

        return Health.model_validate(await self.get("/health"))

    async def compute(self) -> "Compute":
        """What jobs can run on: hosts, the largest job, GPU types, and what is wrong."""
        from mlteam_sdk.models import Compute

        return Compute.model_validate(await self.get("/compute"))

    async def balance(self) -> "Balance":
        """What is left of who pays for one's projects."""
        from mlteam_sdk.models import Balance

        return Balance.model_validate(await self.get("/me/balance"))

    # The project in use

    async def project_id(self) -> str:
        """The id of the project in use. Raises SettingsError for a name, and tells its id."""
        if self._project is None:
            self._project = await self._find_project()
        return self._project

    async def _find_project(self) -> str:
        wished = self.settings.project
        if wished is None:
            return await self._personal()
        if not settings.is_id(wished):
            raise SettingsError(await self._not_an_id(wished))
        return wished

    async def _personal(self) -> str:
        async for project in self.pages("/projects", mine=True, q="Personal"):
            if project["personal"]:
                return str(project["id"])
        raise SettingsError(
            "There is no Personal project here. Name a project by its id, or choose one: mlteam configure"
        )

    async def _not_an_id(self, name: str) -> str:
        where = "MLTEAM_PROJECT" if self.settings.source == "variable" else "The project"
        said = f"{where} is given by its id, and “{name}” is none."
        found = await self._projects_named(name)
        if not found:
            return f"{said} `mlteam project list` shows the ids."
        if len(found) == 1:
            return f"{said} The id of {name} is {found[0]['id']}."
        return f"{said} These projects have that name: {_candidates(found)}."

    async def project_named(self, name: str | None) -> str:
        """The id of the project with this id, name or full name; of the one in use for None. Raises SettingsError for none, or several."""
        if name is None:
            return await self.project_id()
        if settings.is_id(name):
            return name
        found = await self._projects_named(name)
        if len(found) == 1:
            return str(found[0]["id"])
        if not found:
            raise SettingsError(f"There is no project “{name}” that you may see. `mlteam project list` shows them.")
        raise SettingsError(f"Several projects are called {name}; name one by its id: {_candidates(found)}.")

    async def _projects_named(self, name: str) -> list[dict[str, Any]]:
        last = name.rpartition(".")[2]
        listed = [one async for one in self.pages("/projects", q=last[:100], most=1000)]
        return [one for one in listed if name in {one["name"], one["full_name"]}]


def _candidates(projects: list[dict[str, Any]]) -> str:
    return ", ".join(f"{one['id']} ({one['full_name']} of {one['owner']['username']})" for one in projects)
