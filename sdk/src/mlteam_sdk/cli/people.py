"""`mlteam user …`, `mlteam team …`, `mlteam organization …`."""

from typing import Any

import click

from mlteam_sdk.cli import completing
from mlteam_sdk.cli.command import command, group, session
from mlteam_sdk.cli.output import Output, prints

HERE = "mlteam_sdk.cli.people"

user = group(
    "user",
    "People.",
    {
        "get": (f"{HERE}:user_get", "Prints a person, or fields of them; me if nobody is named."),
        "ls": (f"{HERE}:user_ls", "Lists people that I may see."),
        "set": (f"{HERE}:user_set", "Changes my name or username."),
        "policy": ("mlteam_sdk.cli.roles:user_policy", "What a person may do besides what they are given elsewhere."),
    },
    aliases={"list": "ls"},
)

team = group(
    "team",
    "Teams: `mlteam team NAME` shows who is in one.",
    {
        "get": (f"{HERE}:team_get", "Lists who is in a team, with their role; also as `mlteam team NAME`."),
        "ls": (f"{HERE}:team_ls", "Lists teams that I may see."),
        "role": ("mlteam_sdk.cli.roles:team_role", "Roles of a team and their members."),
        "policy": ("mlteam_sdk.cli.roles:team_policy", "What everybody in a team may do."),
    },
    aliases={"list": "ls"},
    default="get",
)

organization = group(
    "organization",
    "The installation.",
    {
        "get": (f"{HERE}:organization_get", "Prints what is known of the installation."),
        "role": ("mlteam_sdk.cli.roles:organization_role", "Roles of the installation and their members."),
    },
)


@command("get")
@click.argument("name", required=False, metavar="[USER]", shell_complete=completing.users)
@prints("id", "urn", "username", "name")
def user_get(out: Output, name: str | None) -> None:
    """Prints a person: me if nobody is named. `$(mlteam user get --field urn)` is my URN and nothing else."""
    from mlteam_sdk.cli import names

    out.one(names.user(session(), name) if name else session().me)


@command("ls")
@click.option("--search", "-q", metavar="TEXT", help="Only those with this in their name or username.")
@prints("id", "username", "name")
def user_ls(out: Output, search: str | None) -> None:
    """Lists people that I may see."""
    out.rows(session().items("/users", None, **({"q": search} if search else {})))


@command("set")
@click.option("--name", help="How I am called.")
@click.option("--username", help="How others name me in commands.")
@prints("id", "urn", "username", "name")
def user_set(out: Output, name: str | None, username: str | None) -> None:
    """Changes my name or username: `mlteam user set --name joe`."""
    changes = {key: value for key, value in (("name", name), ("username", username)) if value is not None}
    if not changes:
        raise click.UsageError("Say what to change: --name or --username.")
    out.one(session().patch("/me", changes))


@command("get")
@click.argument("name", metavar="TEAM", shell_complete=completing.teams)
@prints("id", "name", "type", "role")
def team_get(out: Output, name: str) -> None:
    """Lists who is in a team, with their role. JSON and --field give the team itself."""
    from mlteam_sdk.cli import names

    found = session().get(f"/teams/{names.team(session(), name)['id']}")
    if out.field:
        out.one(found)
        return
    members = list(session().items(f"/teams/{found['id']}/members", None))
    inner = list(session().items(f"/teams/{found['id']}/teams", None))
    if out.format == "json" and not out.fields:
        out.one({**found, "members": members, "teams": inner})
        return
    out.rows([*map(_person, members), *map(_team, inner)])


def _person(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "id": item["user"]["id"], "name": item["user"]["username"], "type": "user"}


def _team(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "id": item["team"]["id"], "name": item["team"]["name"], "type": "team", "role": "user"}


@command("ls")
@click.option("--mine", is_flag=True, help="Only those that I am in.")
@prints("id", "name", "people", "mine")
def team_ls(out: Output, mine: bool) -> None:
    """Lists teams that I may see."""
    out.rows(session().items("/teams", None, **({"mine": True} if mine else {})))


@command("get")
@prints("id", "urn", "name", "version", "url", "contact")
def organization_get(out: Output) -> None:
    """Prints what is known of the installation."""
    out.details(session().get("/installation"))
