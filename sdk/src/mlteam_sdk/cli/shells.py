"""`mlteam completion`: what makes a shell complete commands, options and names."""

import os
import sys
from typing import Any, Final

import click
from click.shell_completion import BashComplete, add_completion_class, split_arg_string

from mlteam_sdk.cli.command import command
from mlteam_sdk.cli.texts import note

WHERE: Final = {
    "bash": 'Add to ~/.bashrc:  eval "$(mlteam completion bash)"',
    "zsh": 'Add to ~/.zshrc:  eval "$(mlteam completion zsh)"',
    "fish": "Keep it:  mlteam completion fish > ~/.config/fish/completions/mlteam.fish",
}


# bash takes a colon for the end of a word: the line is given whole, and what stands before the last colon is left out of what it inserts.
_BASH: Final = r"""
%(complete_func)s() {
    local IFS=$'\n' line="${COMP_LINE:0:COMP_POINT}" word="${COMP_WORDS[COMP_CWORD]}" before="" completion type value
    if [[ $COMP_WORDBREAKS == *:* && ${line##*[[:space:]]} == *:* ]]; then
        before="${line##*[[:space:]]}"
        before="${before%%:*}:"
    fi
    COMPREPLY=()
    while IFS= read -r completion; do
        type="${completion%%%%,*}" value="${completion#*,}"
        if [[ $type == dir ]]; then
            compopt -o dirnames
        elif [[ $type == file ]]; then
            compopt -o default
        elif [[ $type == plain ]]; then
            value="${value#"$before"}"
            [[ $word == [\"\']* ]] || printf -v value %%q "$value"
            COMPREPLY+=("$value")
        fi
    done < <(env COMP_LINE="$line" %(complete_var)s=bash_complete "$1")
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """Completion for bash, also of names with colons and spaces."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ.get("COMP_LINE")
        if line is None:
            return super().get_completion_args()
        words = split_arg_string(line)
        while "=" in words[0]:  # NAME=VALUE before the command
            words.pop(0)
        incomplete = "" if line[-1:].isspace() and not line.endswith("\\ ") else words.pop()
        return words[1:], incomplete


def prepare() -> None:
    """Makes bash complete as here."""
    add_completion_class(Bash)


@command("completion")
@click.argument("shell", type=click.Choice(list(WHERE)))
def completion(shell: str) -> None:
    """Prints what makes a shell complete commands, options and names of jobs, projects and people."""
    from click.shell_completion import get_completion_class

    prepare()
    made: Any = get_completion_class(shell)
    click.echo(made(click.get_current_context().find_root().command, {}, "mlteam", "_MLTEAM_COMPLETE").source())
    if sys.stdout.isatty():
        note(WHERE[shell])
