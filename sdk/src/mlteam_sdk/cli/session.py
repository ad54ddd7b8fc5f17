"""One run of a command at the server: whose token, which project, and what is asked there."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

from mlteam_sdk import errors
from mlteam_sdk import settings as machine
from mlteam_sdk.asking import Ask
from mlteam_sdk.cli import names
from mlteam_sdk.cli.command import Trouble
from mlteam_sdk.cli.texts import note
from mlteam_sdk.logparts import Piece, State
from mlteam_sdk.sync import logs, ranges
from mlteam_sdk.sync.client import MLTeam
from mlteam_sdk.sync.transport import Transport

Thing = dict[str, Any]


class Session:
    """The server, asked when it is first needed. `project` is a name or an id that was given on the command line."""

    def __init__(self, *, profile: str | None = None, url: str | None = None, project: str | None = None) -> None:
        self.profile, self.url = profile, url
        self._wished = project
        self.quiet = False  # whether it is not to be said that the server makes one wait

    @cached_property
    def settings(self) -> machine.Settings:
        """What holds here. Raises SettingsError."""
        return machine.load(url=self.url, profile=self.profile)

    @cached_property
    def client(self) -> MLTeam:
        found = MLTeam(url=self.url, profile=self.profile)
        found.on_wait = self._say_wait
        return found

    def _say_wait(self, seconds: float) -> None:
        """Says once why nothing happens."""
        if not self.quiet:
            note(f"The server was asked too often; this waits {ceil(seconds)} s and goes on.")
            self.quiet = True

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()

    # Asking

    def get(self, path: str, **params: Any) -> Any:
        with self._active_project_is_there(path, params):
            return self.client.get(path, **params)

    def get_or_none(self, path: str) -> Thing | None:
        """The thing there; None when there is none that one may see."""
        try:
            found: Thing = self.client.get(path)
        except errors.NotFound:
            return None
        return found

    def post(self, path: str, data: Any = None, *, key: str | None = None) -> Any:
        with self._active_project_is_there(path, {}):
            return self.client.post(path, data, idempotency_key=key)

    def patch(self, path: str, data: Any) -> Any:
        return self.client.patch(path, data)

    def put(self, path: str, data: Any) -> Any:
        return self.client.put(path, data)

    def delete(self, path: str, **params: Any) -> Any:
        return self.client.delete(path, **params)

    def items(self, path: str, limit: int | None, **params: Any) -> Iterator[Thing]:
        """The items of a list, page after page; at most `limit`."""
        with self._active_project_is_there(path, params):
            yield from self.client.pages(path, most=limit, **params)

    def some(self, path: str, limit: int, **params: Any) -> list[Thing]:
        return list(self.items(path, limit, **params))

    @contextmanager
    def _active_project_is_there(self, path: str, params: Mapping[str, Any]) -> Iterator[None]:
        """Within it, an active project that is not to be seen (any more) is said to be just that."""
        try:
            yield
        except errors.NotFound as error:
            active = None if self._wished else self.settings.project
            if active and (params.get("project") == active or path.startswith(f"/projects/{active}")):
                said = (
                    f"The active project, {active}, is not there, or not for you. `mlteam configure` chooses another."
                )
                raise Trouble(said) from error
            raise

    # Me and my project

    @cached_property
    def me(self) -> Thing:
        found: Thing = self.get("/me")
        return found

    @property
    def project_named(self) -> bool:
        """Whether a project was named on the command line."""
        return bool(self._wished)

    @cached_property
    def project_id(self) -> str:
        """The id of the active project. Raises SettingsError for a name in MLTEAM_PROJECT, and tells its id."""
        return str(names.project(self, self._wished)["id"]) if self._wished else self.client.project_id()

    @property
    def project_id_or_none(self) -> str | None:
        """The same; None where there is no project, as for a role's key."""
        try:
            return self.project_id
        except (errors.SettingsError, errors.Refused):
            if self._wished or self.settings.project:
                raise
            return None

    @cached_property
    def project(self) -> Thing:
        """The active project."""
        found: Thing = self.get(f"/projects/{self.project_id}")
        return found

    @property
    def stored_project(self) -> str | None:
        """The id in config.json; None when nothing is stored."""
        return self._stored.project if self._stored.source == "file" else None

    @cached_property
    def _stored(self) -> machine.Settings:
        without = {name: value for name, value in os.environ.items() if name != "MLTEAM_PROJECT"}
        return machine.load(url=self.url, profile=self.profile, environ=without)

    def store_project(self, project: str | None) -> None:
        machine.store_project(self.settings, project)

    # Signing in

    def address_for(self, server: str | None) -> str:
        """The address to sign in at: what was typed, else the one that is known. An address without https:// gets it."""
        typed = server or self.url
        if not typed:
            return self.settings.url
        return machine.address(typed if "://" in typed else f"https://{typed}")

    def form(self, url: str, path: str, fields: Mapping[str, str]) -> tuple[int, Thing]:
        """Status and answer to a form, sent without a token."""
        transport = Transport(_as(url, None))
        try:
            return 200, transport.ask(Ask("POST", path, form=fields))
        except errors.ApiError as error:
            return error.status, {"error": error.code, "error_description": error.detail}
        finally:
            transport.close()

    def check_token(self, url: str, token: str) -> Thing:
        """Whose this token is. Raises NotSignedIn for one that is worth nothing."""
        transport = Transport(_as(url, token))
        try:
            found: Thing = transport.get("/me")
            return found
        finally:
            transport.close()

    def keep_login(self, url: str, token: str, me: Thing, profile: str | None) -> str:
        about = {"username": me.get("username")} if me.get("username") else {}
        return machine.store_login(url, token, profile=profile, about=about)

    def health(self) -> tuple[Thing, Mapping[str, str], float]:
        """What the server says of itself, its headers, and the seconds that it took."""
        try:
            return _health(self.client)
        except errors.NotSignedIn:  # with a token that is worth nothing; the server may be well
            return _health(Transport(_as(self.settings.url, None)))

    # Jobs

    def submit(self, spec: Thing, files: list[tuple[str, Path]], *, key: str | None, **more: Any) -> Thing:
        """Makes a job, once, however often it has to be sent."""
        where = f"/projects/{self.project_id}/jobs"
        if not files:
            made: Thing = self.client.post(where, {"spec": spec, **more}, idempotency_key=key)
            return made
        form = {"spec": json.dumps(spec), **more}
        made = self.client.post(f"{where}/with-files", form=form, files=tuple(files), idempotency_key=key)
        return made

    def follow(self, job: str, attempt: int) -> Iterator[Piece | State]:
        """What a job writes from an attempt on, and what becomes of it, through lost connections and restarts of the server."""
        return logs.follow(self.client, job, attempt=attempt)

    def bytes_of(self, path: str, start: int = 0, *, grows: bool = False) -> Iterator[bytes]:
        """The bytes there, from one on. A connection that breaks goes on where it was; `grows`: they are only ever added to."""
        return ranges.read(self.client, path, offset=start, grows=grows)

    def last_lines(self, path: str, count: int) -> Iterator[bytes]:
        """The last lines of a log, as they are now."""
        with self.client.stream(Ask("GET", path, {"tail": count})) as response:
            yield from response.iter_bytes()


def _health(transport: Transport) -> tuple[Thing, Mapping[str, str], float]:
    begun = time.monotonic()
    with transport.stream(Ask("GET", "/health")) as response:
        found: Thing = json.loads(response.read())
        return found, response.headers, time.monotonic() - begun


def _as(url: str, token: str | None) -> machine.Settings:
    return machine.Settings(url, token, None, "personal", machine.DEFAULT_PROFILE, machine.directory_of(None))
