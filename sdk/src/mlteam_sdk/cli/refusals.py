"""What the server's refusals and errors are in a command: one line that says what to do, and whose the thing is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlteam_sdk import errors
from mlteam_sdk.cli.command import Refusal, Trouble


@contextmanager
def about(thing: dict[str, Any]) -> Iterator[None]:
    """Within it a refusal names the thing and its owner."""
    try:
        yield
    except errors.ApiError as error:
        raise trouble(error, thing) from error


def trouble(error: Exception, thing: dict[str, Any] | None = None) -> Trouble:
    """The error as a command says it."""
    if not isinstance(error, errors.ApiError):
        return Trouble(str(error) or type(error).__name__)
    message = f"{_called(thing)}: {error.detail}" if thing else str(error.detail)
    kind = Refusal if error.status == 403 else Trouble
    return kind(message, more=[*_fields(error), *_rights(error, thing)])


def _called(thing: dict[str, Any]) -> str:
    name = thing.get("full_name") or thing.get("name") or thing.get("username") or ""
    return f"{name} ({thing['id']})" if name else str(thing["id"])


def _fields(error: Any) -> list[str]:
    said = [f"{item['field']}: {item['message']}" for item in error.errors or ()]
    return [] if said == [error.detail] else said


def _rights(error: Any, thing: dict[str, Any] | None) -> list[str]:
    """Whose it is, and the rule that is missing."""
    if error.status != 403:
        return []
    thing = thing or {}
    owner = thing.get("created_by") or thing.get("owner")
    whose = (
        [f"It is {owner.get('name') or owner['username']}'s ({owner['username']})."]
        if owner and not thing.get("mine")
        else []
    )
    return whose + ([f"Missing: {error.missing}"] if getattr(error, "missing", None) else [])
