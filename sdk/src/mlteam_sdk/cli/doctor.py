"""`mlteam doctor`: is it me or the server?"""

import os
import platform
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import click

from mlteam_sdk import __version__
from mlteam_sdk.cli.command import Trouble, command, session
from mlteam_sdk.cli.output import Output, prints
from mlteam_sdk.cli.texts import note

if TYPE_CHECKING:
    from mlteam_sdk.cli.session import Session

Check = dict[str, Any]
APART: Final = 60  # seconds that two clocks may differ
OK, WRONG, UNKNOWN = "ok", "wrong", "unknown"


@command("doctor")
@prints("where", "check", "status", "detail")
def doctor(out: Output) -> None:
    """Checks this machine's settings, the connection, the token, and what the server says of itself.

    Exit status 1 when something is wrong; then it says on which side.
    """
    checks = list(_checks(session()))
    out.rows(checks)
    wrong = [check for check in checks if check["status"] == WRONG]
    if not wrong:
        note("All is well on both sides.")
        return
    sides = {check["where"] for check in wrong}
    note(
        "It is this machine."
        if sides == {"here"}
        else "It is the server."
        if sides == {"server"}
        else "It is on both sides."
    )
    raise click.exceptions.Exit(1)


def _check(where: str, name: str, status: str, detail: object = "") -> Check:
    return {"where": where, "check": name, "status": status, "detail": str(detail)}


def _checks(said: "Session") -> Iterator[Check]:
    from mlteam_sdk import errors

    yield _check("here", "command", OK, f"mlteam {__version__}, Python {platform.python_version()}")
    try:
        held = said.settings
    except errors.SettingsError as error:
        yield _check("here", "settings", WRONG, error)
        return
    yield _check("here", "settings", OK, f"{held.directory}, profile {held.profile}")
    yield from _files(held.directory)
    try:
        health, headers, seconds = said.health()
    except errors.MLTeamError as error:
        yield _check("server", "connection", WRONG, error)
        return
    yield _check("server", "connection", OK, f"{held.url} answers in {seconds * 1000:.0f} ms")
    yield from _clock(headers.get("Date"))
    yield from _server(health)
    yield from _account(said)


def _files(directory: Any) -> Iterator[Check]:
    """What others could read that they should not."""
    path = directory / "credentials.json"
    if os.name == "posix" and path.exists():
        mode = path.stat().st_mode & 0o777
        fine = not mode & 0o077
        yield _check(
            "here", "credentials", OK if fine else WRONG, "" if fine else f"others can read {path}: chmod 600 {path}"
        )


def _clock(date: str | None) -> Iterator[Check]:
    if date:
        theirs = parsedate_to_datetime(date).replace(tzinfo=timezone.utc)  # a date of HTTP is always in UTC
        apart = abs((datetime.now(timezone.utc) - theirs).total_seconds())
        said = f"this machine's and the server's clock are {apart:.0f} s apart"
        yield _check("here", "clock", OK if apart < APART else WRONG, said)


def _server(health: dict[str, Any]) -> Iterator[Check]:
    """What the server says of its parts; to who is not signed in it says only how it is."""
    yield _check(
        "server", "health", OK if health.get("status") == "ok" else WRONG, f"mlteam {health.get('version', '')}"
    )
    for part in health.get("parts") or ():
        status = WRONG if part["status"] == WRONG else OK
        yield _check("server", part["name"], status, part.get("detail", ""))


def _account(said: "Session") -> Iterator[Check]:
    from mlteam_sdk import errors

    if not said.settings.token:
        yield _check("here", "token", WRONG, f"nobody is signed in: mlteam login {said.settings.url}")
        return
    try:
        me = said.get("/me")
    except errors.MLTeamError as error:
        yield _check("here", "token", WRONG, error)
        return
    yield _check("here", "token", OK, me.get("username") or (me.get("role") or {}).get("name"))
    try:
        yield _check("here", "project", OK, said.project["full_name"])
    except (errors.MLTeamError, Trouble, click.ClickException) as error:
        yield _check("here", "project", WRONG, getattr(error, "message", error))
