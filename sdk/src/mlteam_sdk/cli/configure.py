"""`mlteam configure` and `mlteam project use`: the active project."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from mlteam_sdk.cli import names
from mlteam_sdk.cli.command import Command, command, session
from mlteam_sdk.cli.completing import projects as complete_projects
from mlteam_sdk.cli.texts import clean, note

if TYPE_CHECKING:
    from mlteam_sdk.cli.session import Session

PERSONAL = "Personal"
UNSET = "UNSET"
Thing = dict[str, Any]


class Configure(Command):
    """--project is its own option here: what to make active."""


@click.command("configure", cls=Configure)
@click.option(
    "--project",
    "wanted",
    metavar="NAME|ID",
    help="Make this one active without asking.",
    shell_complete=complete_projects,
)
def configure(wanted: str | None) -> None:
    """Shows the active project and asks which it should be.

    It is kept in config.json in MLTEAM_CONFIG_DIR (~/.mlteam), beside whatever else stands there.
    """
    said = session()
    if wanted:
        use_project(said, wanted)
        return
    choices = labels(list(said.items("/projects", None)))
    current = current_label(choices, said.stored_project)
    click.echo(f"Current Active Project: {clean(current or UNSET)}")
    chosen = ask(choices, current or PERSONAL)
    _store(said, choices[chosen])


def labels(projects: list[Thing]) -> dict[str, Thing]:
    """What is typed for each project, sorted: its name; where several have it, with the owner in brackets, the full name, or the id."""
    ways = [_label_of(thing) for thing in projects]
    used = [Counter(labels) for labels in zip(*ways, strict=True)]
    found: dict[str, Thing] = {}
    for thing, labels in zip(projects, ways, strict=True):
        alone = (label for label, times in zip(labels, used, strict=True) if times[label] == 1)
        found[next(alone, labels[-1])] = thing
    if all(not thing.get("personal") for thing in projects):
        found[PERSONAL] = {"id": None, "name": PERSONAL, "personal": True}
    return dict(sorted(found.items(), key=lambda item: (item[0].casefold(), item[0])))


def _label_of(thing: Thing) -> tuple[str, ...]:
    """A project's label, from the shortest to the one that is its own."""
    name, owner, full = thing["name"], thing["owner"]["username"], thing["full_name"]
    return name, f"{name} ({owner})", f"{name} ({owner}, {full})", f"{name} ({owner}) ({thing['id']})"


def current_label(choices: dict[str, Thing], stored: str | None) -> str | None:
    """The label of the project that is stored; None when nothing is. One that is not to be seen any more is shown by its id."""
    if stored is None:
        return None
    return next((label for label, thing in choices.items() if thing["id"] == stored), stored)


def ask(choices: dict[str, Thing], default: str) -> str:
    """Asks until a choice is typed; Enter takes the current one."""
    shown = ", ".join(map(clean, choices))
    while True:
        typed = click.prompt(f"Select Active Project: ({shown})", default=clean(default), type=str).strip()
        found = typed if typed in choices else _by_name_or_id(choices, typed)
        if found:
            return found
        note(_why_not(choices, typed))


def _why_not(choices: dict[str, Thing], typed: str) -> str:
    """Why what was typed is no choice, and what may be typed instead."""
    called = [
        f"  {label}  {thing['id'] or ''}"
        for label, thing in choices.items()
        if typed.casefold() in (thing["name"].casefold(), str(thing.get("full_name")).casefold())
    ]
    if called:
        return "\n".join(
            [f"{len(called)} projects are named {typed}. Type one of these as it stands here, or its id:", *called]
        )
    return f"There is no project {typed}. Type one of the names in brackets, or an id."


def _by_name_or_id(choices: dict[str, Thing], typed: str) -> str | None:
    """A choice by its id, full name or, without regard to case, its label, when that is one alone."""
    ways = (
        lambda label, thing: typed in (thing["id"], thing.get("full_name"), clean(label)),
        lambda label, thing: label.casefold() == typed.casefold(),
    )
    for fits in ways:
        found = [label for label, thing in choices.items() if fits(label, thing)]
        if len(found) == 1:
            return found[0]
    return None


def use_project(said: "Session", wanted: str) -> None:
    """Makes a project active by its name or id."""
    _store(
        said,
        {"id": None, "name": PERSONAL, "personal": True}
        if wanted in (PERSONAL, UNSET)
        else names.project(said, wanted),
    )


def _store(said: "Session", thing: Thing) -> None:
    said.store_project(None if thing.get("personal") else thing["id"])
    note(f"Active project: {thing.get('full_name') or thing['name']}" + (f" ({thing['id']})" if thing["id"] else ""))


@command("use")
@click.argument("name", metavar="NAME|ID", shell_complete=complete_projects)
def use(name: str) -> None:
    """Makes a project the active one, as `mlteam configure` does."""
    use_project(session(), name)
