"""What every command has: --profile, --project, --url and --debug, and `session`, which speaks to the server."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from mlteam_sdk.cli.lazy import Lazy

if TYPE_CHECKING:
    from mlteam_sdk.cli.session import Session

WIDTH = 110  # columns of help texts at most
EVERYWHERE = ("profile", "project", "url", "debug")


class Wishes(dict[str, Any]):
    """What was said with the options that every command has; one for a whole run."""


def wishes() -> Wishes:
    return click.get_current_context().find_root().ensure_object(Wishes)


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value:
        context.find_root().ensure_object(Wishes)[option.name or ""] = value


def everywhere() -> list[click.Option]:
    """The options that every command has; they may also stand before the command's name."""

    def option(*names: str, **more: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_keep, **more)

    return [
        option(
            "--project", metavar="NAME|ID", help="The project, instead of the active one.", shell_complete=_projects
        ),
        option("--profile", metavar="NAME", help="Another profile: server, token and active project."),
        option("--url", metavar="URL", help="Another server."),
        option("--debug", is_flag=True, help="Show more when something goes wrong."),
    ]


def _projects(context: click.Context, option: click.Parameter, incomplete: str) -> list[Any]:
    from mlteam_sdk.cli.completing import projects

    return projects(context, option, incomplete)


class Command(click.Command):
    """A command with the options that every command has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        taken = {name for parameter in self.params for name in parameter.opts}
        self.params += [option for option in everywhere() if not taken.intersection(option.opts)]
        self.context_settings.setdefault("max_content_width", WIDTH)
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])


def command(name: str, **kwargs: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Makes a command of a function, whose docstring is its help."""
    return click.command(name, cls=Command, **kwargs)


def group(name: str, said: str, lazy: dict[str, tuple[str, str]], **kwargs: Any) -> Lazy:
    """A group of commands that are loaded when they are used."""
    settings = {"max_content_width": WIDTH, "help_option_names": ["-h", "--help"]}
    options = [] if name == "mlteam" else everywhere()
    for option in options:
        option.hidden = True
    return Lazy(
        name,
        help=said,
        short_help=said,
        lazy=lazy,
        context_settings=settings,
        no_args_is_help=kwargs.pop("no_args_is_help", True),
        params=[*kwargs.pop("params", []), *options],
        **kwargs,
    )


def session() -> "Session":
    """The one session of this run: the server, and who asks it."""
    from mlteam_sdk.cli.session import Session

    said = wishes()
    if "session" not in said:
        said["session"] = Session(**{name: said.get(name) for name in EVERYWHERE if name != "debug"})
        click.get_current_context().find_root().call_on_close(said["session"].close)
    found: Session = said["session"]
    return found


class Trouble(click.ClickException):
    """What went wrong and what to do, in one line. Exit status 1."""

    exit_code = 1

    def __init__(self, message: str, *, more: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.more = more  # lines below it: candidates, fields

    def show(self, file: Any = None) -> None:
        from mlteam_sdk.cli.texts import note

        note("\n".join([f"Error: {self.message}", *(f"  {line}" for line in self.more)]))


class Refusal(Trouble):
    """The server does not allow it; nothing was changed."""

    def show(self, file: Any = None) -> None:
        from mlteam_sdk.cli.texts import note

        note("\n".join([f"Warning: {self.message}", *(f"  {line}" for line in self.more)]))


YES: Final = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def sure(question: str, word: str, *, yes: bool) -> None:
    """Asks for a word before what cannot be undone. Without a terminal, --yes is needed."""
    import sys

    if yes:
        return
    if not sys.stdin.isatty():
        raise Trouble(f"{question} This asks for confirmation: add --yes.")
    if click.prompt(f"{question} Type {word} to go on", err=True, default="", show_default=False) != word:
        raise Trouble("Nothing was done: that was not the name.")
