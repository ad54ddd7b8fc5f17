"""The root of the command, and what happens to everything that goes wrong below it."""

import io
import os
import sys
from typing import Final

import click

from mlteam_sdk import __version__
from mlteam_sdk.cli.command import Trouble, Wishes, everywhere, group

HERE: Final = "mlteam_sdk.cli"


def _version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"mlteam {__version__}")
        context.exit()


VERSION: Final = click.Option(
    ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
mlteam = group(
    "mlteam",
    "Jobs, projects and people of an mlteam server, from a terminal.",
    {
        "login": (f"{HERE}.login:login", "Signs this machine in."),
        "logout": (f"{HERE}.login:logout", "Revokes this machine's token and forgets it."),
        "whoami": (f"{HERE}.login:whoami", "Prints who is signed in, where, and what is active."),
        "configure": (f"{HERE}.configure:configure", "Shows the active project and asks which it should be."),
        "project": (f"{HERE}.projects:project", "Projects: list them, make them, choose one, see who belongs to them."),
        "job": (f"{HERE}.jobs:job", "Submit jobs, watch them, stop them."),
        "status": (f"{HERE}.grid:status", "Shows my jobs in all projects; --global everyone's."),
        "session": (f"{HERE}.grid:sessions", "Lists sessions."),
        "logs": (f"{HERE}.logs:logs", "Prints what a job wrote: NAME or USER:NAME."),
        "artifacts": (f"{HERE}.artifacts:artifacts", "Fetches the files that a job left: NAME or USER:NAME."),
        "team": (f"{HERE}.people:team", "Teams: `mlteam team NAME` shows who is in one."),
        "user": (f"{HERE}.people:user", "People."),
        "organization": (f"{HERE}.people:organization", "The installation."),
        "rule": (f"{HERE}.rules:rule", "Access: what I may do, whether I may do something, who may."),
        "role": (f"{HERE}.roles:role", "Roles: who has them may do what their policies allow; programs by a key."),
        "data": (
            f"{HERE}.data:data",
            "Datasets, models and volumes: make them, push and pull folders, look into versions.",
        ),
        "datastore": (f"{HERE}.grid:datastore", "Lists my datasets, models and volumes in all projects."),
        "key": (f"{HERE}.keys:key", "Third-party keys of a project, with which its jobs open other services."),
        "api": (f"{HERE}.asking:api", "Asks any operation of the server's API."),
        "open": (f"{HERE}.opening:open_page", "Opens the page of anything."),
        "doctor": (f"{HERE}.doctor:doctor", "Is it me or the server?"),
        "completion": (f"{HERE}.shells:completion", "Prints what makes a shell complete names."),
    },
    aliases={"teams": "team", "sessions": "session", "projects": "project", "jobs": "job", "datastores": "datastore"},
    hidden={"reference": f"{HERE}.reference:reference"},
    params=[*everywhere(), VERSION],
)


def run(arguments: list[str] | None = None) -> None:
    """Runs a command and ends this process: 0, 1 when it failed, 2 for wrong usage, 130 after Ctrl-C."""
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # httpx's own command, which takes as long to load as all of ours
    _open_streams()
    if "_MLTEAM_COMPLETE" in os.environ:
        from mlteam_sdk.cli import shells

        shells.prepare()
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    said = Wishes()
    try:
        status = mlteam.main(arguments, prog_name="mlteam", standalone_mode=False, obj=said)
        sys.stdout.flush()
    except Exception as error:
        status = _failed(error, said, debug)
    except KeyboardInterrupt:
        status = _gave_up()
    sys.exit(status if isinstance(status, int) else 0)


def _open_streams() -> None:
    """Standard streams that are there, also where they were closed, and that take any text: what an encoding lacks as its code."""
    sys.stdin = sys.stdin or os.fdopen(
        os.open(os.devnull, os.O_RDONLY)
    )  # in this order they get the numbers that they should have
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")  # to be written to only in vain
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _failed(error: Exception, said: Wishes, debug: bool) -> int:
    """Says what went wrong in one line; the exit status."""
    if isinstance(error, OSError) and error.filename is None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left unwritten is not tried again at the end
    if isinstance(error, BrokenPipeError):  # whoever read has enough: `mlteam job ls | head -1`
        return 1
    if isinstance(error, click.exceptions.Abort):
        if not isinstance(error.__context__, EOFError):
            return _gave_up()
        sys.stderr.write("\n")
        error = Trouble("The input ended before there was an answer. Nothing was done.")
    if debug:
        import traceback

        traceback.print_exception(error)
    shown = error if isinstance(error, click.ClickException) else _as_trouble(error, said)
    if isinstance(shown, click.UsageError) and not isinstance(shown, click.exceptions.NoArgsIsHelpError):
        _show_usage(shown)
    else:
        shown.show()
    return shown.exit_code


def _show_usage(error: click.UsageError) -> None:
    from mlteam_sdk.cli.texts import note

    where = error.ctx.command_path if error.ctx else "mlteam"
    note(f"Error: {error.format_message()} (`{where} --help` says more.)")


def _as_trouble(error: Exception, said: Wishes) -> Trouble:
    from mlteam_sdk import errors
    from mlteam_sdk.cli.refusals import not_signed_in, trouble

    if isinstance(error, errors.NotSignedIn):
        return not_signed_in(said["session"].settings.signed_in_by if "session" in said else "none")
    if isinstance(error, errors.MLTeamError):
        return trouble(error)
    if isinstance(error, OSError):
        why = error.strerror or error
        if error.filename is None:
            return Trouble(f"What was to be written cannot be: {why}. Is standard output closed, or a disk full?")
        return Trouble(f"{error.filename}: {why}.")
    return Trouble(f"This is a fault of mlteam ({type(error).__name__}: {error}). The same with --debug shows where.")


def _gave_up() -> int:
    sys.stderr.write("\n")
    return 130
