"""Groups whose commands are loaded when they are used, so that `mlteam --help` needs none of them."""

from importlib import import_module
from typing import Any

import click


class Lazy(click.Group):
    """A group that knows its commands by name: `{"ls": ("mlteam_sdk.cli.jobs:ls", "Lists jobs.")}`.

    `aliases` are other names of them, and `hidden` commands that help does not list. With `default`, a first word that is no command
    belongs to the command of that name: `mlteam team vision` is `mlteam team get vision`.
    """

    def __init__(
        self,
        *args: Any,
        lazy: dict[str, tuple[str, str]] | None = None,
        aliases: dict[str, str] | None = None,
        hidden: dict[str, str] | None = None,
        default: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.lazy, self.aliases, self.hidden_ones, self.default = lazy or {}, aliases or {}, hidden or {}, default

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = self.aliases.get(cmd_name, cmd_name)
        found = self.lazy[name][0] if name in self.lazy else self.hidden_ones.get(name)
        if found is None:
            return self.commands.get(name)
        module, _, name = found.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.default and args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            args = [self.default, *args]
        name, command, rest = super().resolve_command(ctx, args)
        return self.aliases.get(name or "", name), command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with what they do, without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(self.said())

    def said(self) -> list[tuple[str, str]]:
        """What each command does, in a line."""
        given = [(name, made.get_short_help_str(limit=200)) for name, made in self.commands.items()]
        return [(name, said) for name, (_, said) in self.lazy.items()] + given

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=said) for name, said in self.said() if name.startswith(incomplete)]
        if not names and self.default and not incomplete.startswith("-"):
            default = self.get_command(ctx, self.default)
            argument = (
                next((one for one in default.params if isinstance(one, click.Argument)), None) if default else None
            )
            names = argument.shell_complete(ctx, incomplete) if argument else []
        return names or super(click.Group, self).shell_complete(ctx, incomplete)
