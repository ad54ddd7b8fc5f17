# Made from aio/client.py by sdk/unasync.py; change that.
"""The client: one server, one account, one project."""

import os
from typing import TYPE_CHECKING

from mlteam_sdk import settings
from mlteam_sdk.errors import SettingsError
from mlteam_sdk.sync.transport import PATIENCE, Transport

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


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

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.close()

    def project_id(self) -> str:
        """The id of the project in use. Raises SettingsError for a name, and tells its id."""
        if self._project is None:
            self._project = self._find_project()
        return self._project

    def _find_project(self) -> str:
        wished = self.settings.project
        if wished is None:
            return self._personal()
        if not settings.is_id(wished):
            raise SettingsError(self._not_an_id(wished))
        return wished

    def _personal(self) -> str:
        for project in self.pages("/projects", mine=True, q="Personal"):
            if project["personal"]:
                return str(project["id"])
        raise SettingsError(
            "There is no Personal project here. Name a project by its id, or choose one: mlteam configure"
        )

    def _not_an_id(self, name: str) -> str:
        where = "MLTEAM_PROJECT" if self.settings.source == "variable" else "The project"
        said = f"{where} is given by its id, and “{name}” is none."
        found = []
        for project in self.pages("/projects", q=name, most=200):
            if name in {project["name"], project["full_name"]}:
                found.append(project)
        if not found:
            return f"{said} `mlteam project list` shows the ids."
        if len(found) == 1:
            return f"{said} The id of {name} is {found[0]['id']}."
        of = ", ".join(f"{one['id']} ({one['full_name']} of {one['owner']['username']})" for one in found)
        return f"{said} These projects have that name: {of}."
