"""How a command prints: a table, JSON or CSV, whole or some fields, on standard output and nothing else there."""

import csv
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from mlteam_sdk.cli.paths import NoSuchField, look_up
from mlteam_sdk.cli.texts import clean, clean_json

Thing = dict[str, Any]
NOTHING: Final = "-"  # an empty cell of a table: every line has as many columns
SHRINK_TO: Final = 12  # characters; no cell is cut further than this on a narrow terminal


@dataclass
class Output:
    """What was asked for with --field, --fields, --format and --no-header, and the columns that a table has by itself."""

    columns: Sequence[str]
    field: str | None = None
    fields: str | None = None
    format: str = "table"
    header: bool = True

    def rows(
        self, things: Iterable[Thing], columns: Sequence[str] = (), *, titles: Mapping[str, str] | None = None
    ) -> None:
        """Prints a list. `titles`: what columns are called in a table, where that is not their path."""
        self._print(list(things), columns or self.columns, single=False, titles=titles or {})

    def one(self, thing: Thing, columns: Sequence[str] = ()) -> None:
        """Prints one thing: a table of one row, or one object of JSON."""
        self._print([thing], columns or self.columns, single=True)

    def details(self, thing: Thing, columns: Sequence[str] = ()) -> None:
        """Prints one thing for people, a field in each line; otherwise as `one`."""
        if self.is_for_people:
            chosen = columns or self.columns
            width = max(map(len, chosen))
            for path in chosen:
                _write(f"{path.ljust(width)}  {_cell(path, _of(thing, path))}")
        else:
            self.one(thing, columns)

    @property
    def is_for_people(self) -> bool:
        """Whether a table is printed, with the columns that it has by itself."""
        return self.format == "table" and not self.field and not self.fields

    def text(self, text: str) -> None:
        """Prints text of several lines, such as a job.yml."""
        for line in text.splitlines():
            _write(clean(line) if sys.stdout.isatty() else line)

    def _print(
        self, things: list[Thing], columns: Sequence[str], *, single: bool, titles: Mapping[str, str] | None = None
    ) -> None:
        if self.fields:
            titles, columns = None, [name.strip() for name in self.fields.split(",") if name.strip()]
        if self.field:
            _bare([_of(thing, self.field) for thing in things], self.format, single=single)
        elif self.format == "json":
            shown = [{path: _of(thing, path) for path in columns} for thing in things] if self.fields else things
            _write(_json(shown[0] if single else shown, indent=2))
        elif self.format == "csv":
            _csv(things, columns, self.header)
        else:
            _table(things, columns, titles or {}, self.header)


def prints(*columns: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of a command that prints; it is given `out`, an Output with these columns."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(
            *args: Any, field: str | None, fields: str | None, form: str, no_header: bool, **kwargs: Any
        ) -> Any:
            out = Output(columns, field, fields, form, not no_header)
            return function(*args, out=out, **kwargs)

        wrapped.__name__, wrapped.__doc__ = function.__name__, function.__doc__
        wrapped.__click_params__ = [*getattr(function, "__click_params__", ()), *_options()]  # type: ignore[attr-defined]
        return wrapped

    return decorate


def _options() -> list[click.Option]:
    """In the order in which help shows them, from the last."""
    return [
        click.Option(["--no-header", "-H"], is_flag=True, help="No line with the names of the columns."),
        click.Option(
            ["--format", "form"], type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
        ),
        click.Option(["--fields"], metavar="A,B.C", help="These fields only, as columns; dots reach inside."),
        click.Option(["--field"], metavar="NAME", help="The bare value of one field, a line for each thing."),
    ]


def _of(thing: Thing, path: str) -> Any:
    try:
        return look_up(thing, path)
    except NoSuchField as error:
        known = f" There are: {', '.join(error.known)}." if error.known else ""
        raise click.UsageError(f"There is no field {clean(path)}.{known}") from None


def _bare(values: list[Any], form: str, *, single: bool) -> None:
    if form == "json":
        _write(_json(values[0] if single else values))
        return
    for value in values:
        _write(_terminal_safe(_text(value)))


def _text(value: Any) -> str:
    """A value as a shell takes it: text bare, several values with commas, what is nested as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return ",".join(_text(item) for item in value)
    return json.dumps(value, ensure_ascii=False)


def _json(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # half of a pair of surrogates, or what the encoding lacks: only its code can be written
        text = json.dumps(value, indent=indent)
    return clean_json(text)


def _terminal_safe(text: str) -> str:
    return clean(text) if sys.stdout.isatty() else text.encode("utf-8", "replace").decode()


# A spreadsheet takes a cell that begins so for a formula. Numbers are none.
_FORMULA: Final = re.compile(r"[=+\-@\t\r\n](?!\d+(\.\d+)?\Z)")


def _csv(things: list[Thing], columns: Sequence[str], header: bool) -> None:
    writer = csv.writer(_Lines(), lineterminator="\n")
    if header:
        writer.writerow(columns)
    for thing in things:
        cells = (_terminal_safe(_short(_of(thing, path))) for path in columns)
        writer.writerow([f"'{cell}" if _FORMULA.match(cell) else cell for cell in cells])


class _Lines:
    def write(self, line: str) -> int:
        return sys.stdout.write(line)


def _table(things: list[Thing], columns: Sequence[str], titles: Mapping[str, str], header: bool) -> None:
    rows = [[_cell(path, _of(thing, path)) for path in columns] for thing in things]
    if header:
        rows.insert(0, [clean(titles.get(path, path)) for path in columns])
    widths = [max((wide(row[index]) for row in rows), default=0) for index in range(len(columns))]
    if sys.stdout.isatty():
        widths = _fitting(widths)
    for number, row in enumerate(rows):
        line = "  ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        _write(click.style(line, bold=True) if header and not number and sys.stdout.isatty() else line)


def _cell(path: str, value: Any) -> str:
    """One line of text. A command is written as its words in brackets."""
    if path.rpartition(".")[2] == "command" and isinstance(value, list):
        return clean(f"[{' '.join(map(str, value))}]")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        value = round(value, 2)
    return _FRACTION.sub("", clean(_short(value))) or NOTHING


_FRACTION: Final = re.compile(r"(?<=T\d\d:\d\d:\d\d)\.\d+(?=Z\Z)")  # of a second, which tables leave out


def _short(value: Any) -> str:
    """A value as a cell: of a thing that has one, its name."""
    if isinstance(value, dict):
        value = next((value[name] for name in ("full_name", "username", "name") if value.get(name)), value)
    return _text(value)


def _fitting(widths: list[int]) -> list[int]:
    """Widths that fit the terminal, taken from the widest columns."""
    room = shutil.get_terminal_size().columns - 2 * (len(widths) - 1)
    widths = list(widths)
    while sum(widths) > room and max(widths, default=0) > SHRINK_TO + 12:
        widths[widths.index(max(widths))] -= 1
    return widths


def wide(text: str) -> int:
    """How many places of a terminal a text takes: two for a Chinese character, none for a combining mark."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _padded(cell: str, width: int) -> str:
    if wide(cell) > width:
        while wide(cell) > width - 1:
            cell = cell[:-1]
        cell += "…"
    return cell + " " * (width - wide(cell))


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
