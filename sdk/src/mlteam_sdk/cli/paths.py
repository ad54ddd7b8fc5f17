"""Dotted names of fields: `parent.name`, `attempts.exit_code`, `resources.cpu`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

# Other names of the same: those of the seeds' commands, and the shorter ones of tables.
OTHER_NAMES: Final = {
    "created": "created_at",
    "queued": "queued_at",
    "started": "started_at",
    "ended": "ended_at",
    "placed": "placed_at",
    "exit_code": "exit_status",
    "runs": "attempts",
    "account": "project",
    "env": "environmentVars",
    "active": "active_at",
    "joined": "joined_at",
}


class NoSuchField(LookupError):
    """There is no such field: its name, and the names that there are."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(name)
        self.name, self.known = name, known


def look_up(thing: Any, path: str) -> Any:
    """What stands at a path; None below what is None. Of a list, the value in each of its items. Raises NoSuchField."""
    found = thing
    for name in path.split("."):
        found = _step(found, name)
    return found


def _step(found: Any, name: str) -> Any:
    if found is None:
        return None
    if isinstance(found, Mapping):
        return found[_name_in(found, name)] if _name_in(found, name) in found else _instead(found, name)
    if isinstance(found, list):
        if name.lstrip("-").isdigit():
            return found[int(name)] if -len(found) <= int(name) < len(found) else None
        return [_step(item, name) for item in found]
    raise NoSuchField(name, [])


def _name_in(thing: Mapping[str, Any], name: str) -> str:
    """The name as this thing has it: as given, in snake case, or by its other name."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    for candidate in (name, snake, OTHER_NAMES.get(name, ""), OTHER_NAMES.get(snake, "")):
        if candidate in thing:
            return candidate
    return OTHER_NAMES.get(snake, snake)


def _instead(thing: Mapping[str, Any], name: str) -> Any:
    """A list of jobs has only the newest attempt of each."""
    if _name_in(thing, name) == "attempts" and "attempt" in thing:
        return [thing["attempt"]] if thing["attempt"] else []
    raise NoSuchField(name, sorted(thing))
