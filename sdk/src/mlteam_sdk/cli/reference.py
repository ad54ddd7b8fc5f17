"""`mlteam reference`: docs/cli.md, made from the commands themselves."""

from collections.abc import Iterator
from typing import Final

import click

from mlteam_sdk.cli.command import EVERYWHERE
from mlteam_sdk.cli.lazy import Lazy

PRINTING: Final = ("field", "fields", "form", "no_header")

BEGINNING: Final = """\
# The mlteam command

Made from the commands by `make docs`. Coming from another system? [Their commands in mlteam's words](coming-from.md).

    pip install mlteam-sdk
    mlteam login https://gpu.example.com
    mlteam configure
    mlteam job submit --wait -- python train.py --epochs 3

**Names and ids.** A project, person, team, role or job is named by its id, its URN or its name; a project also by its
full name, `vision.production`, and somebody's job by `USER:NAME`. Several things of one name are listed with their ids.
Of jobs, the newest is taken, which is said on standard error; `kill` and `rm` take only a name that one job has.
`MLTEAM_PROJECT` takes an id.
A dataset, model or volume is named by its name in the active project, `USER:NAME`, or `PROJECT.NAME`; `NAME@3` is one of its
versions.

**What is printed.** Standard output holds what was asked for and nothing else; notes and warnings go to standard error.
Commands that print take

| option | |
|---|---|
| `--field NAME` | the bare value, a line for each thing: `$(mlteam job get --field urn --last)` |
| `--fields A,B.C` | these columns; dots reach inside, and into every item of a list: `attempts.exit_code` |
| `--format table\\|json\\|csv` | JSON holds all that is known; a cell of CSV that looks like a formula, and is no number, begins with `'` |
| `--no-header`, `-H` | without the names of the columns |

On a terminal, columns are cut to its width; into a pipe or a file they are written whole, with `-` for what is empty.
Names that others chose are written with their control characters as codes, such as `\\x1b`. Logs go into a pipe or a
file byte for byte; on a terminal only their colours, tabs and carriage returns have an effect.

**Exit status.** 0; 1 when something failed or was refused, with a line that says what to do; 2 for wrong usage; 130
after Ctrl-C. `rule allowed` ends with 0 or 1. `job submit --wait` and `--follow` end with the job's own status, with
128 and the number for one that a signal ended, and with 1 for one that was stopped or never started. Ctrl-C while a log
is followed or a job waited for leaves the job running.

**Everywhere.** `--project NAME|ID`, `--profile NAME`, `--url URL` and `--debug` go with every command, before or after
its name.

| variable | |
|---|---|
| `MLTEAM_URL`, `MLTEAM_TOKEN` | server and token, instead of those of `mlteam login` |
| `MLTEAM_PROJECT` | the id of the project, instead of that of `mlteam configure` |
| `MLTEAM_PROFILE` | one of several servers or accounts |
| `MLTEAM_COMPLETION_SECONDS` | for how long a shell waits for names from the server: 1 |
| `MLTEAM_CONFIG_DIR` | where `credentials.json` (mode 0600) and `config.json` are; `~/.mlteam` |

**Shells.** `eval "$(mlteam completion bash)"` in `~/.bashrc` (or `zsh`, or `fish`) completes commands, options and
names from the server.
"""


@click.command("reference")
def reference() -> None:
    """Prints docs/cli.md."""
    root = click.get_current_context().find_root().command
    assert isinstance(root, Lazy)
    click.echo(text(root), nl=False)


def text(root: Lazy) -> str:
    """The whole document."""
    return BEGINNING + "".join(_group(root, "mlteam"))


def _group(group: Lazy, name: str) -> Iterator[str]:
    context = click.Context(group, info_name=name)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command
        path = f"{name} {word}"
        if name == "mlteam":
            yield f"\n## {path}\n"
        if isinstance(command, Lazy):
            yield f"\n{command.help}\n" if name == "mlteam" else ""
            yield from _group(command, path)
        else:
            yield from _command(command, path, heading=name != "mlteam")


def _command(command: click.Command, path: str, *, heading: bool) -> Iterator[str]:
    own = [
        one
        for one in command.params
        if one.name not in (*EVERYWHERE, *PRINTING) or (one.expose_value and one.name in EVERYWHERE)
    ]
    arguments = " ".join(one.make_metavar(click.Context(command)) for one in own if isinstance(one, click.Argument))
    options = [one for one in own if isinstance(one, click.Option)]
    if heading:
        yield f"\n### {path}\n"
    yield f"\n    {path}{' [OPTIONS]' if options else ''}{f' {arguments}' if arguments else ''}\n"
    yield "\n" + "\n\n".join(_paragraphs(command.help or "")) + "\n"
    if options:
        yield "\n| option | |\n|---|---|\n" + "".join(map(_row, options))
    if any(one.name == "fields" for one in command.params):
        yield "\nPrints: `--field`, `--fields`, `--format`, `--no-header`.\n"


def _paragraphs(help: str) -> list[str]:
    """Of a docstring, each as one line."""
    return [" ".join(paragraph.split()) for paragraph in help.split("\n\n")]


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    value = "" if option.is_flag else f" `{option.make_metavar(click.Context(click.Command('')))}`"
    said = (option.help or "").replace("|", "\\|")
    default = f" Otherwise {option.default}." if option.show_default and option.default is not None else ""
    value = value.replace("|", "\\|")
    return f"| {names}{value} | {said}{default} |\n"
