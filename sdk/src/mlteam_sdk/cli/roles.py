"""`mlteam role …`, and `organization|team|project role …`: roles, their policies, members and keys."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from mlteam_sdk.cli import completing
from mlteam_sdk.cli.command import YES, command, group, session, sure
from mlteam_sdk.cli.lazy import Lazy
from mlteam_sdk.cli.output import Output, prints
from mlteam_sdk.cli.texts import note

if TYPE_CHECKING:
    from mlteam_sdk.cli.session import Session

Thing = dict[str, Any]
HERE: Final = "mlteam_sdk.cli.roles"
MEMBERS: Final = ("id", "name", "type")
ROLE: Final = click.argument("role", metavar="ROLE", shell_complete=completing.roles)


def _find(text: str, place: Callable[[], str] | None = None) -> Thing:
    from mlteam_sdk.cli import names

    return names.role(session(), text, place=place)


def _place(team: str | None, organization: bool, project: str | None = None) -> str:
    """Where roles are, as the address of the API: the active project, if nothing else is said."""
    from mlteam_sdk.cli import names

    if team:
        return f"/teams/{names.team(session(), team)['id']}"
    if organization:
        return "/installation"
    return f"/projects/{names.project(session(), project)['id'] if project else session().project_id}"


def _placed(function: Callable[..., Any]) -> Callable[..., Any]:
    """--team and --organization: where a role is that is no project's."""
    team = click.option("--team", metavar="TEAM", help="A role of this team.", shell_complete=completing.teams)
    return team(click.option("--organization", is_flag=True, help="A role of the installation.")(function))


role = group(
    "role",
    "Roles: who has them may do what their policies allow; programs by a key.",
    {
        "ls": (f"{HERE}:ls", "Lists the roles of a project, a team or the installation."),
        "new": (f"{HERE}:new", "Makes a role: PROJECT.ROLE."),
        "rm": (f"{HERE}:rm", "Removes a role, with its policies and keys."),
        "policy": (f"{HERE}:role_policy", "What a role may do."),
        "member": (f"{HERE}:role_member", "Who has a role."),
        "key": (f"{HERE}:role_key", "Tokens with which programs act as a role."),
    },
    aliases={"list": "ls"},
)


@command("ls")
@click.argument("place", required=False, metavar="[PROJECT]", shell_complete=completing.projects)
@_placed
@prints("id", "name", "place.kind", "place.name", "predefined", "people")
def ls(out: Output, place: str | None, team: str | None, organization: bool) -> None:
    """Lists the roles of a project (the active one if none is named), of a team, or of the installation."""
    out.rows(session().items(f"{_place(team, organization, place)}/roles", None))


@command("new")
@click.argument("name", metavar="[PROJECT.]ROLE")
@_placed
@prints("id", "name", "place.kind", "place.name", "urn")
def new(out: Output, name: str, team: str | None, organization: bool) -> None:
    """Makes a role. `mlteam role new vision.job_access` makes job_access in the project vision."""
    from mlteam_sdk.cli import names

    where, _, last = name.rpartition(".")
    place = (
        names.role_place(session(), where) if where and not team and not organization else _place(team, organization)
    )
    out.one(session().post(f"{place}/roles", {"name": last if where else name}))


@command("rm")
@ROLE
@YES
def rm(role: str, yes: bool) -> None:
    """Removes a role, with its policies and keys: programs that use them are refused at once."""
    found = _find(role)
    sure(f"This removes the role {found['name']} ({found['id']}) with its policies and keys.", found["name"], yes=yes)
    session().delete(f"/roles/{found['id']}")
    note(f"Removed {found['name']}.")


# Policies of roles, users and teams


def _policies(argument: str, complete: completing.Complete, find: Callable[[str], str], said: str) -> Lazy:
    """`policy new|ls|rm` for one kind of holder; `find` gives its address in the API."""
    argued = click.argument("who", metavar=argument, shell_complete=complete)

    @command("new")
    @argued
    @click.argument("text", metavar="POLICY")
    @prints("id", "text", "holder.kind", "holder.name")
    def policy_new(out: Output, who: str, text: str) -> None:
        """Attaches a policy: ACTION[+ACTION]@URN[+URN], with * in both."""
        out.one(session().post(f"{find(who)}/policies", {"text": text}))

    @command("ls")
    @argued
    @prints("id", "text", "granted_by.username", "created")
    def policy_ls(out: Output, who: str) -> None:
        """Lists the policies that are attached to it."""
        out.rows(session().items(f"{find(who)}/policies", None))

    @command("rm")
    @click.argument("policy", metavar="ID")
    def policy_rm(policy: str) -> None:
        """Takes a policy away, by its id."""
        session().delete(f"/policies/{policy}")
        note(f"Removed policy {policy}.")

    return _given(said, {"new": policy_new, "ls": policy_ls, "rm": policy_rm})


def _given(said: str, commands: dict[str, click.Command]) -> Lazy:
    """A group of commands that were made here."""
    return group("", said, {}, commands=commands)


def _role_address(text: str) -> str:
    return f"/roles/{_find(text)['id']}"


def _user_address(text: str) -> str:
    from mlteam_sdk.cli import names

    return f"/users/{names.user(session(), text)['id']}"


def _team_address(text: str) -> str:
    from mlteam_sdk.cli import names

    return f"/teams/{names.team(session(), text)['id']}"


role_policy = _policies("ROLE", completing.roles, _role_address, "What a role may do.")
user_policy = _policies(
    "USER", completing.users, _user_address, "What a person may do besides what they are given elsewhere."
)
team_policy = _policies("TEAM", completing.teams, _team_address, "What everybody in a team may do.")


# Members

PERSON: Final = (
    click.option("--user", metavar="USER", help="A person.", shell_complete=completing.users),
    click.option("--team", metavar="TEAM", help="A team: everybody in it.", shell_complete=completing.teams),
)


def _who(said: "Session", user: str | None, team: str | None) -> tuple[str, str]:
    """("user" or "team", its id)."""
    from mlteam_sdk.cli import names

    if bool(user) == bool(team):
        raise click.UsageError("Say who: --user USER or --team TEAM.")
    return ("user", names.user(said, user)["id"]) if user else ("team", names.team(said, team or "")["id"])


def _members(place: Callable[[], str] | None = None) -> Lazy:
    """`member ls|add|rm ROLE`; `place` says where roles are that are given by name alone."""
    argued = click.argument("role", metavar="ROLE", shell_complete=completing.roles_at(place))

    def address(text: str) -> str:
        return f"/roles/{_find(text, place)['id']}/members"

    @command("ls")
    @argued
    @prints(*MEMBERS)
    def member_ls(out: Output, role: str) -> None:
        """Lists who has a role: people and teams."""
        out.rows(session().items(address(role), None))

    @command("add")
    @argued
    @PERSON[0]
    @PERSON[1]
    @prints(*MEMBERS)
    def member_add(out: Output, role: str, user: str | None, team: str | None) -> None:
        """Gives a role to a person or a team, and lists who has it then."""
        kind, found = _who(session(), user, team)
        where = address(role)
        session().post(where, {kind: found})
        out.rows(session().items(where, None))

    @command("rm")
    @argued
    @PERSON[0]
    @PERSON[1]
    @prints(*MEMBERS)
    def member_rm(out: Output, role: str, user: str | None, team: str | None) -> None:
        """Takes a role from a person or a team, and lists who has it still."""
        _, found = _who(session(), user, team)
        where = address(role)
        session().delete(f"{where}/{found}")
        out.rows(session().items(where, None))

    return _given("Who has a role.", {"ls": member_ls, "add": member_add, "rm": member_rm})


role_member = _members()


# Keys


@command("new")
@ROLE
@click.option("--name", help="What the key is called; otherwise after the role.")
@prints("id", "name", "created", "token")
def key_new(out: Output, role: str, name: str | None) -> None:
    """Makes a token with which a program may do what the role's policies allow. It is shown once.

    `$(mlteam role key new --field token ROLE)` is the token alone.
    """
    found = _find(role)
    out.one(session().post(f"/roles/{found['id']}/keys", {"name": name or found["name"]}))
    note("The token is shown only now. Keep it where no one else reads it.")


@command("ls")
@ROLE
@prints("id", "name", "created_by.username", "created", "last_used_at")
def key_ls(out: Output, role: str) -> None:
    """Lists the keys of a role; their tokens are shown to nobody."""
    out.rows(session().items(f"{_role_address(role)}/keys", None))


@command("rm")
@ROLE
@click.argument("key", metavar="KEY")
def key_rm(role: str, key: str) -> None:
    """Revokes a key, by its id or name: programs that use it are refused at once."""
    from mlteam_sdk.cli.names import only

    where = f"{_role_address(role)}/keys"
    found = only([item for item in session().items(where, None) if key in (item["id"], item["name"])], "key", key)
    session().delete(f"{where}/{found['id']}")
    note(f"Revoked {found['name']}.")


role_key = _given("Tokens with which programs act as a role.", {"new": key_new, "ls": key_ls, "rm": key_rm})


# organization role, team role, project role


def _roles_of(metavar: str, default: Callable[[str | None], str], said: str) -> Lazy:
    """`… role ls [PLACE]` and `… role member …` of one kind of place."""

    @command("ls")
    @prints("id", "name")
    def place_ls(out: Output, place: str | None = None) -> None:
        """Lists the roles there are."""
        out.rows(session().items(f"{default(place)}/roles", None))

    complete = completing.teams if metavar == "[TEAM]" else completing.projects
    place_ls.params[:0] = (
        [click.Argument(["place"], required=False, metavar=metavar, shell_complete=complete)] if metavar else []
    )
    return _given(said, {"ls": place_ls, "member": _members(lambda: default(None))})


def _my_team(text: str | None) -> str:
    """The team that was named, or the one that I am in."""
    from mlteam_sdk.cli import names

    if text:
        return f"/teams/{names.team(session(), text)['id']}"
    mine = session().some("/teams", 2, mine=True)
    if len(mine) != 1:
        raise click.UsageError("Which team? `mlteam team ls` lists them; a role of it is written TEAM.ROLE.")
    return f"/teams/{mine[0]['id']}"


organization_role = _roles_of("", lambda _: "/installation", "Roles of the installation and their members.")
team_role = _roles_of("[TEAM]", _my_team, "Roles of a team and their members.")
project_role = _roles_of("[PROJECT]", lambda text: _place(None, False, text), "Roles of a project and their members.")
