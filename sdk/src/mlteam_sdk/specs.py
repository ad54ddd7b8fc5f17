"""Jobs as people write them: a job.yml, or arguments; both become the spec that a server takes."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlteam_sdk.errors import MLTeamError

Command = str | list[str]


class BadJobFile(MLTeamError):
    """A job.yml that cannot be read."""


@dataclass
class Wish:
    """A job to submit: its spec, the project that job.yml names (or None), and files to upload with it."""

    spec: dict[str, Any]
    project: str | None = None
    files: list[Path] = field(default_factory=list)


def read(path: str | os.PathLike[str]) -> Wish:
    """The job that a job.yml (or .json) says; the files that it names lie beside it. Raises BadJobFile."""
    where = Path(path)
    try:
        text = where.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadJobFile(f"{where} cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    return of(_parsed(where, text), where.parent)


def of(data: Any, beside: Path = Path()) -> Wish:
    """The job that these plain data say, as a job.yml would."""
    if not isinstance(data, Mapping):
        raise BadJobFile("A job file holds keys such as name and command.")
    spec = {str(key): value for key, value in data.items()}
    project, names = spec.pop("project", None), spec.pop("files", None) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadJobFile("files: expected a list of paths.")
    return Wish(spec, None if project is None else str(project), [beside / name for name in names])


def _parsed(where: Path, text: str) -> Any:
    if where.suffix == ".json":
        import json

        try:
            return json.loads(text)
        except ValueError as error:
            raise BadJobFile(f"{where} is no JSON: {error}.") from None
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadJobFile(f"{where} is no YAML: {' '.join(str(error).split())}") from None


def merged(
    spec: Mapping[str, Any],
    *,
    name: str | None = None,
    command: Command | None = None,
    cpu: float | None = None,
    mem: float | None = None,
    gpu: int | None = None,
    packages: Iterable[str] | None = None,
    env: Mapping[str, Any] | None = None,
    tags: Iterable[str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The spec with these changes; None changes nothing. Other keys of job.yml may be written max_run_time or maxRunTime."""
    found = dict(spec)
    plain = {"name": name, "command": command, "tags": None if tags is None else list(tags)}
    found |= {key: value for key, value in plain.items() if value is not None}
    found |= {_camel(key): value for key, value in more.items() if value is not None}
    resources = {key: value for key, value in (("cpu", cpu), ("mem", mem), ("gpu", gpu)) if value is not None}
    if resources:
        found["resources"] = {**(found.get("resources") or {}), **resources}
    if packages is not None:
        found["packages"] = {**(found.get("packages") or {}), "pip": list(packages)}
    if env is not None:
        found["environmentVars"] = _variables(found.get("environmentVars")) | dict(env)
    return found


def _variables(said: Any) -> dict[str, Any]:
    """Variables as a mapping; job.yml also takes a list of NAME=VALUE."""
    if isinstance(said, list):
        return dict(str(one).split("=", 1) for one in said if "=" in str(one))
    return dict(said or {})


def _camel(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)


def uploads(paths: Iterable[str | os.PathLike[str]]) -> tuple[tuple[str, Path], ...]:
    """(name in the job's directory, path) of each file. Raises MLTeamError for what is no file, or two of one name."""
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        if not path.is_file():
            raise MLTeamError(f"{path} is no file. Directories are not uploaded; name the files in them.")
        if path.name in found:
            raise MLTeamError(f"{path} and {found[path.name]} would have the same name in the job. Rename one.")
        found[path.name] = path
    return tuple(found.items())
