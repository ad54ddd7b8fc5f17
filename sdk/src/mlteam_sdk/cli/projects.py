"""`mlteam project …`: lists, makes and removes projects, and says who belongs to them."""

from typing import Any, Final

import click

from mlteam_sdk.cli import completing
from mlteam_sdk.cli.command import YES, command, group, session, sure
from mlteam_sdk.cli.output import Output, prints
from mlteam_sdk.cli.texts import note

LEVELS: Final = ("none", "read", "own", "all")
KINDS: Final = ("job", "dataset", "model", "volume")
COLUMNS: Final = ("id", "name", "organization", "parent")
PRESETS: Final = ("Viewer", "Teammate", "Collaborator", "Full")

project = group(
    "project",
    "Projects: list them, make them, choose one, see who belongs to them.",
    {
        "ls": ("mlteam_sdk.cli.projects:ls", "Lists projects, or those in one."),
        "get": ("mlteam_sdk.cli.projects:get", "Prints a project, or fields of it."),
        "new": ("mlteam_sdk.cli.projects:new", "Makes a project; PARENT.NAME makes it in another."),
        "use": ("mlteam_sdk.cli.configure:use", "Makes a project the active one."),
        "members": ("mlteam_sdk.cli.projects:members", "Lists who belongs to a project, and what they may do."),
        "invite": ("mlteam_sdk.cli.projects:invite", "Invites somebody by email."),
        "lend": ("mlteam_sdk.cli.projects:lend", "Lets jobs of other projects read a project's data, or no longer."),
        "leave": ("mlteam_sdk.cli.projects:leave", "Leaves a project."),
        "rm": ("mlteam_sdk.cli.projects:rm", "Removes a project with all that is in it."),
        "role": ("mlteam_sdk.cli.roles:project_role", "Roles of a project and their members."),
        "credential": ("mlteam_sdk.cli.keys:credential", "Third-party keys, one of each type, as trainML has them."),
    },
    aliases={"list": "ls", "create": "new", "remove": "rm"},
)

NAME = click.argument("name", required=False, metavar="[PROJECT]", shell_complete=completing.projects)


def _meant(name: str | None) -> dict[str, Any]:
    """The project that was named, or the active one."""
    from mlteam_sdk.cli import names

    return names.project(session(), name) if name else session().project


@command("ls")
@click.argument("parent", required=False, metavar="[PARENT]", shell_complete=completing.projects)
@click.option("--mine", is_flag=True, help="Only those that I own.")
@prints(*COLUMNS)
def ls(out: Output, parent: str | None, mine: bool) -> None:
    """Lists the projects that I may see; with PARENT those in it: id, name, organization, parent."""
    from mlteam_sdk.cli import names

    said = session()
    asked: dict[str, Any] = {"sort": "name"}
    if parent:
        asked["parent"] = names.project(said, parent)["id"]
    if mine:
        asked["mine"] = True
    out.rows(map(_with_organization, said.items("/projects", None, **asked)))


def _with_organization(thing: dict[str, Any]) -> dict[str, Any]:
    """A project with the name of its installation, which is what its URN begins with."""
    return {"organization": thing["urn"].partition(":")[0], **thing}


@command("get")
@NAME
@prints(
    "id",
    "urn",
    "full_name",
    "owner.username",
    "organization",
    "parent.full_name",
    "created",
    "member_count",
    "team_count",
    "jobs",
    "url",
)
def get(out: Output, name: str | None) -> None:
    """Prints a project, or fields of it; without a name the active one."""
    out.details(_with_organization(session().get(f"/projects/{_meant(name)['id']}")))


@command("new")
@click.argument("name", metavar="[PARENT.]NAME")
@click.option(
    "--parent",
    metavar="PROJECT",
    help="The project that it is in; NAME may then have dots.",
    shell_complete=completing.projects,
)
@click.option("--copy-keys", is_flag=True, help="It begins with the third-party keys of my Personal project.")
@prints(*COLUMNS)
def new(out: Output, name: str, parent: str | None, copy_keys: bool) -> None:
    """Makes a project. `mlteam project new vision.production` makes production in vision, which must exist."""
    from mlteam_sdk.cli import names

    said = session()
    if parent is None and "." in name:
        parent, _, name = name.rpartition(".")
        if not parent or not name:
            raise click.UsageError("Write PARENT.NAME, or --parent PROJECT and the name.")
    body: dict[str, Any] = {"name": name, **({"parent": names.project(said, parent)["id"]} if parent else {})}
    if copy_keys:
        body["copy_keys"] = True
    out.one(_with_organization(said.post("/projects", body)))


@command("rm")
@click.argument("name", metavar="PROJECT", shell_complete=completing.projects)
@YES
def rm(name: str, yes: bool) -> None:
    """Removes a project with its jobs, their logs and files. That cannot be undone."""
    from mlteam_sdk.cli import names
    from mlteam_sdk.cli.refusals import about

    found = names.project(session(), name)
    question = (
        f"This removes {found['full_name']} ({found['id']}) with {found.get('jobs', 'its')} jobs, their logs and files."
    )
    sure(question, found["name"], yes=yes)
    with about(found):
        session().delete(f"/projects/{found['id']}", confirm=found["name"])
    note(f"Removed {found['full_name']}.")


@command("lend")
@NAME
@click.option("--off", is_flag=True, help="No longer.")
@prints("id", "full_name", "lends_data")
def lend(out: Output, name: str | None, off: bool) -> None:
    """Lets jobs of other projects have the data of a project, of whoever may read these. They stay where they are."""
    from mlteam_sdk.cli.refusals import about

    found = _meant(name)
    with about(found):
        changed = session().patch(f"/projects/{found['id']}", {"lends_data": not off})
    out.one(changed)


@command("members")
@NAME
@prints("id", "name", "type", *KINDS, "joined")
def members(out: Output, name: str | None) -> None:
    """Lists the people and teams that belong to a project, with their levels for jobs, datasets, models and volumes."""
    said, found = session(), _meant(name)
    people = [
        _row(item, item["user"], item["user"]["username"], "user")
        for item in said.items(f"/projects/{found['id']}/members", None)
    ]
    teams = [
        _row(item, item["team"], item["team"]["name"], "team")
        for item in said.items(f"/projects/{found['id']}/teams", None)
    ]
    out.rows(people + teams)


def _row(item: dict[str, Any], who: dict[str, Any], name: str, kind: str) -> dict[str, Any]:
    joined = item.get("joined_at") or item.get("added_at")
    return {**item, **item["levels"], "id": who["id"], "name": name, "type": kind, "joined_at": joined}


@command("invite")
@click.argument("email")
@click.argument("name", required=False, metavar="[PROJECT]", shell_complete=completing.projects)
@click.option(
    "--preset",
    type=click.Choice(PRESETS, case_sensitive=False),
    help="Levels that go together; Collaborator if nothing is said.",
)
@click.option(
    "--level",
    "levels",
    multiple=True,
    metavar="KIND=LEVEL",
    help=f"{', '.join(KINDS)} = {', '.join(LEVELS)}; repeatable.",
)
@prints("id", "email", "sent", "expires_at", "link")
def invite(out: Output, email: str, name: str | None, preset: str | None, levels: tuple[str, ...]) -> None:
    """Invites somebody by email to a project, the active one if none is named."""
    from mlteam_sdk.cli.refusals import about

    if preset and levels:
        raise click.UsageError("Give --preset or --level, not both.")
    body: dict[str, Any] = {"levels": _levels(levels)} if levels else {"preset": preset or "Collaborator"}
    found = _meant(name)
    with about(found):
        made = session().post(f"/projects/{found['id']}/invitations", {"email": email, **body})
    out.one(made)


def _levels(pairs: tuple[str, ...]) -> dict[str, str]:
    """{kind: level} of KIND=LEVEL; kinds that were not named get none."""
    found = dict.fromkeys(KINDS, "none")
    for pair in pairs:
        kind, _, level = pair.partition("=")
        kind = kind.removesuffix("s")
        if kind not in KINDS or level not in LEVELS:
            raise click.BadParameter(
                f"expected KIND=LEVEL, of {', '.join(KINDS)} and {', '.join(LEVELS)}", param_hint="--level"
            )
        found[kind] = level
    return found


@command("leave")
@click.argument("name", metavar="PROJECT", shell_complete=completing.projects)
@YES
def leave(name: str, yes: bool) -> None:
    """Leaves a project that somebody shares with me. Only its owner can let me in again."""
    from mlteam_sdk.cli import names
    from mlteam_sdk.cli.refusals import about

    found = names.project(session(), name)
    sure(f"You leave {found['full_name']} ({found['id']}).", found["name"], yes=yes)
    with about(found):
        session().post(f"/projects/{found['id']}/leave")
    if session().stored_project == found["id"]:
        session().store_project(None)
    note(f"You left {found['full_name']}.")
