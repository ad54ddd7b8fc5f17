"""A job as the command makes it: the job.yml, what flags change in it, and the words of the command.

The server checks it; here only what it means is put together.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import click

from mlteam_sdk.cli.command import Trouble

Spec = dict[str, Any]
LARGEST: Final = 256 * 1024  # bytes of a job.yml, as the server has it
INPUT: Final = "/input"  # where a job sees an input that says no place, as the server has it
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def load(path: str) -> Spec:
    """The mapping in a job.yml; `-` reads standard input. Raises Trouble for what is none."""
    import yaml

    name = "standard input" if path == "-" else path
    try:
        text = sys.stdin.read(LARGEST + 1) if path == "-" else _read(Path(path))
        found = yaml.load(text, Loader=_loader())  # noqa: S506 a SafeLoader, made stricter
        json.dumps(found, allow_nan=False)
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise Trouble(f"{name} is no YAML{where}: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(found, dict):
        raise Trouble(f"{name} should be a mapping of keys such as name and command.")
    return found


@cache
def _loader() -> Any:
    """Loads plain data: a date stays the text that it is, and no key is there twice."""
    import yaml

    class Plain(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    raise yaml.constructor.ConstructorError(None, None, f"{key} is there twice", node.start_mark)
            return super().construct_mapping(node, deep)

    resolvers = yaml.SafeLoader.yaml_implicit_resolvers
    plain = {sign: [one for one in found if one[0] != _TIMESTAMP] for sign, found in resolvers.items()}
    Plain.yaml_implicit_resolvers = plain
    return Plain


def _read(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise ValueError(f"it has more than {LARGEST // 1024} KiB")
    return text


def merged(spec: Spec, flags: Mapping[str, Any], words: Sequence[str], *, after_dashes: bool) -> Spec:
    """The spec with the flags that were given (others are None or empty) in it. Words, if any, are the command instead of the file's.

    Lists (tags, packages, data) gain what flags add; a variable of the same name, and data at the same path, is replaced.
    """
    spec = dict(spec)
    for key, value in flags.items():
        if value is None or value == () or value == {}:
            continue
        spec[key] = _joined(key, spec.get(key), value)
    if words:
        spec["command"] = command_of(words, after_dashes=after_dashes)
    return spec


def _joined(key: str, old: Any, new: Any) -> Any:
    if key == "environmentVars":
        return {**_mapping(old), **new}
    if key in ("resources", "packages"):
        old = old if isinstance(old, dict) else {}
        return {**old, **{name: _joined(name, old.get(name), value) for name, value in new.items()}}
    if key == "data":
        paths = {_mounted_at(item) for item in new}
        return [item for item in _listed(old) if _mounted_at(item) not in paths] + list(new)
    if key == "input":
        paths = {one.get("to", INPUT) for one in new}
        kept = [one for one in _listed(old) if not isinstance(one, dict) or one.get("to", INPUT) not in paths]
        return kept + list(new)
    if isinstance(new, list | tuple):
        return _listed(old) + [item for item in new if item not in _listed(old)]
    return new


_ADDRESS: Final = re.compile(r"(?P<source>\w+://.+?)(?::(?P<path>/[^/].*))?", re.DOTALL)
_OPTIONS: Final = re.compile(r",(key|existing)=([^,]*)\Z|,(always)\Z")


def an_input(text: str) -> dict[str, Any]:
    """`ADDRESS[:/PATH][,key=NAME]` as an input of a job file."""
    text, options = _options(text, {"key"})
    found = _ADDRESS.fullmatch(text)
    if not found:
        raise click.BadParameter(f"expected an address such as gs://BUCKET/PATH, not {text!r}", param_hint="--input")
    return {"from": found["source"], **({"to": found["path"]} if found["path"] else {}), **options}


def an_output(text: str) -> dict[str, Any]:
    """`model:NAME`, `dataset:NAME` or `ADDRESS,key=NAME[,existing=new-prefix][,always]` as an output of a job file."""
    text, options = _options(text, {"key", "existing", "always"})
    return {"to": text, **options}


def _options(text: str, known: set[str]) -> tuple[str, dict[str, Any]]:
    """What follows the last commas, as far as it is one of these."""
    options: dict[str, Any] = {}
    while (found := _OPTIONS.search(text)) and (name := found[1] or found[3]) in known:
        options = {name: True if found[3] else found[2], **options}
        text = text[: found.start()]
    return text, options


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _mapping(value: Any) -> dict[str, Any]:
    """Variables as a mapping: a job.yml may have them as a list of NAME=VALUE. What is neither, the server refuses in its own words."""
    if isinstance(value, list):
        return {name: text for name, _, text in (str(item).partition("=") for item in value)}
    return dict(value) if isinstance(value, dict) else {}


def _mounted_at(item: Any) -> str:
    """The path of `[OWNER:]NAME[@version][/sub]:/path[:ro|rw]`."""
    return str(item).removesuffix(":ro").removesuffix(":rw").rpartition(":")[2]


def command_of(words: Sequence[str], *, after_dashes: bool) -> str | list[str]:
    """The command: words as they are; one word with spaces in it that does not follow `--` is a line for the shell."""
    if len(words) == 1 and not after_dashes and re.search(r"\s", words[0].strip()):
        return words[0]
    return list(words)


def with_what_was_said(text: str, said: Mapping[str, Any]) -> str:
    """A job.yml as the server writes it, which leaves out what is its default, with what was said nevertheless."""
    import yaml

    written = yaml.safe_load(text) or {}
    whole = _completed(written, said)
    if whole == written:
        return text
    return str(yaml.dump(whole, Dumper=yaml.SafeDumper, sort_keys=False, allow_unicode=True, width=120))


def _completed(written: Mapping[str, Any], said: Mapping[str, Any]) -> Spec:
    """What is written, and below it what was said besides; empty values say nothing."""
    found = dict(written)
    for key, value in said.items():
        if isinstance(value, Mapping) and isinstance(found.get(key, {}), Mapping):
            value = _completed(found.get(key, {}), value)
        if key not in found or isinstance(value, Mapping):
            found[key] = value
    return {key: value for key, value in found.items() if key in written or value not in (None, (), [], {})}


def variables(pairs: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE as given with --env, split at the first “=” only; a NAME alone takes the value that it has here."""
    import os

    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name:
            raise click.BadParameter(f"expected NAME=VALUE, not {pair!r}", param_hint="--env")
        if not equals and name not in os.environ:
            raise click.BadParameter(f"{name} is not set here; write {name}=VALUE", param_hint="--env")
        found[name] = value if equals else os.environ[name]
    return found


class Duration(click.ParamType):  # type: ignore[type-arg]
    """Seconds, or 90s, 30m, 8h, 2d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"(\d+)([smhd]?)", str(value).strip().lower())
        if not found:
            self.fail(f"{value!r} is no time; write seconds, or 90s, 30m, 8h, 2d.", param, ctx)
        return int(found[1]) * _SECONDS[found[2]]


def files_of(spec: Spec, beside: str | None, given: Sequence[str]) -> list[tuple[str, Path]]:
    """What is uploaded with the job: the `files` of the job.yml, beside it, and those of --file; (name in the job, path here).

    Takes `files` out of the spec. Raises Trouble for what is no readable file, or for one name twice.
    """
    listed = spec.pop("files", None) or []
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise Trouble("files: expected a list of files beside the job.yml.")
    start = Path(beside).parent if beside and beside != "-" else Path()
    found = [_named(item, start) for item in listed] + [_named(item, Path()) for item in given]
    names = [name for name, _ in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise Trouble(f"Two files would be called {twice} in the job. Give one of them another name: --file PATH:NAME.")
    return found


def _named(text: str, start: Path) -> tuple[str, Path]:
    path, _, name = text.rpartition(":") if not (start / text).exists() else (text, "", "")
    file = start / Path(path or text).expanduser()
    if file.is_dir():
        raise Trouble(f"{file} is a directory. Name its files, or pack them: tar -czf code.tar.gz {file}")
    if not file.is_file():
        raise Trouble(f"There is no file {file}.")
    return (name if path else "") or file.name, file
