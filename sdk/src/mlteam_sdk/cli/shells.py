"""`mlteam completion`: what makes a shell complete commands, options and names."""

import sys
from typing import Any, Final

import click

from mlteam_sdk.cli.command import command
from mlteam_sdk.cli.texts import note

WHERE: Final = {
    "bash": 'Add to ~/.bashrc:  eval "$(mlteam completion bash)"',
    "zsh": 'Add to ~/.zshrc:  eval "$(mlteam completion zsh)"',
    "fish": "Keep it:  mlteam completion fish > ~/.config/fish/completions/mlteam.fish",
}


@command("completion")
@click.argument("shell", type=click.Choice(list(WHERE)))
def completion(shell: str) -> None:
    """Prints what makes a shell complete commands, options and names of jobs, projects and people."""
    from click.shell_completion import get_completion_class

    made: Any = get_completion_class(shell)
    click.echo(made(click.get_current_context().find_root().command, {}, "mlteam", "_MLTEAM_COMPLETE").source())
    if sys.stdout.isatty():
        note(WHERE[shell])
