"""`mlteam open`: the page of anything."""

import os
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from mlteam_sdk.cli import completing
from mlteam_sdk.cli.command import Trouble, command, session
from mlteam_sdk.cli.names import Missing
from mlteam_sdk.cli.texts import clean, note

if TYPE_CHECKING:
    from mlteam_sdk.cli.session import Session

KINDS = ("job", "project", "team", "role", "user")


def browse(address: str, server: str) -> bool:
    """Opens a page of this server in the browser, where there is one. Whether it did."""
    theirs, ours = urlsplit(address), urlsplit(server)
    if theirs.scheme not in ("http", "https") or theirs.hostname != ours.hostname:
        return False  # whatever a server answers, nothing else of this machine is opened
    if not has_browser():
        return False
    import webbrowser

    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False


def has_browser() -> bool:
    """Whether there is a screen for a browser, or one is named in BROWSER."""
    if os.environ.get("BROWSER"):
        return True
    if sys.platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@command("open")
@click.argument("thing", required=False, metavar="[THING]", shell_complete=completing.anything)
@click.option("--last", is_flag=True, help="My newest job.")
@click.option("--print", "only_print", is_flag=True, help="Print the address and open nothing.")
def open_page(thing: str | None, last: bool, only_print: bool) -> None:
    """Opens the page of a job, a project, a team, a role or of myself, by id, name or URN; the dashboard, if nothing is named.

    The address is printed, too. Other people have no page.
    """
    said = session()
    if thing and last:
        raise click.UsageError("Give a thing or --last, not both.")
    address = page_of(thing) if thing else _last(said) if last else said.settings.url + "/"
    click.echo(clean(address))
    if not only_print and not browse(address, said.settings.url):
        note("There is no browser here; open the address elsewhere.")


def _last(said: "Session") -> str:
    from mlteam_sdk.cli import names

    return str(names.last_job(said)["url"])


def page_of(text: str) -> str:
    """The address of the page of whatever this names: a job comes before a project, then a team, a role, a person."""
    from mlteam_sdk.cli import names

    said = session()
    finds = {"job": names.job, "project": names.project, "team": names.team, "role": _role, "user": names.user}
    kinds = [text.split(":")[-2]] if text.count(":") >= 2 else ["job"] if ":" in text else list(KINDS)
    for kind in kinds:
        if kind not in finds:
            break
        try:
            return _address(said, kind, finds[kind](said, text))
        except Missing:
            continue
    raise Trouble(f"There is nothing called {clean(text)} that has a page and that you may see.")


def _role(said: "Session", text: str) -> dict[str, Any]:
    """The role of that name; where no project is active, or not to be seen, there is none of a bare name."""
    from mlteam_sdk.cli import names

    if "." not in text and not names.id_in(text, "role") and said.project_id_or_none is None:
        raise Missing(f"There is no role {clean(text)} that you may see.")
    return names.role(said, text)


def _address(said: "Session", kind: str, found: dict[str, Any]) -> str:
    if kind == "role":
        return f"{said.settings.url}/roles/{found['id']}"
    if kind != "user":
        return str(found["url"])
    if found.get("mine"):
        return f"{said.settings.url}/profile/"
    name = found["username"]
    raise Trouble(
        f"{name} is a person, and people have no page. `mlteam user get {name}` prints what is known of them."
    )
