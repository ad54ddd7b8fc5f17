"""What the server's refusals and errors are in a command: one line that says what to do, and whose the thing is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from mlteam_sdk import errors
from mlteam_sdk.cli.command import Refusal, Trouble


@contextmanager
def about(thing: dict[str, Any]) -> Iterator[None]:
    """Within it a refusal names the thing and its owner."""
    try:
        yield
    except errors.NotSignedIn:  # which is about the token and not about the thing
        raise
    except errors.ApiError as error:
        raise trouble(error, thing) from error


def trouble(error: Exception, thing: dict[str, Any] | None = None) -> Trouble:
    """The error as a command says it."""
    if not isinstance(error, errors.ApiError):
        return Trouble(str(error) or type(error).__name__)
    detail, fields = _fields(error)
    message = f"{_called(thing)}: {detail}" if thing else detail
    kind = Refusal if error.status == 403 else Trouble
    return kind(message, more=[*fields, *_rights(error, thing)])


def not_signed_in(signed_in_by: str) -> Trouble:
    """What to say where the server knows no such token; `signed_in_by` as in Settings."""
    return Trouble(_NOT_SIGNED_IN.get(signed_in_by, _NOT_SIGNED_IN["none"]))


_NOT_SIGNED_IN: Final = {
    "none": "Nobody is signed in here. `mlteam login` signs this machine in; for programs, put a token into MLTEAM_TOKEN.",
    "variable": "The token in MLTEAM_TOKEN is not valid, or not any more. Put another one there, or unset it and say `mlteam login`.",
    "file": "The token of this machine is not valid any more: it was revoked, or its time is over. `mlteam login` gets another.",
}


def _called(thing: dict[str, Any]) -> str:
    name = thing.get("full_name") or thing.get("name") or thing.get("username") or ""
    return f"{name} ({thing['id']})" if name else str(thing["id"])


def _fields(error: Any) -> tuple[str, list[str]]:
    """What is wrong in one line, and below it what is wrong with each field, said once."""
    said = [f"{item['field']}: {item['message']}" if item["field"] else item["message"] for item in error.errors or ()]
    helped = [text + _HOW.get(text, "") for text in said]
    if not said or "; ".join(said)[:1000] != error.detail:
        return str(error.detail), helped
    return (helped[0], []) if len(said) == 1 else (f"{len(said)} things are wrong:", helped)


# What to do about a message of the server, in words of the command.
_HOW: Final = {
    "spec.command: is needed": ". Give the command after the options, `mlteam job submit -- python train.py`, or as `command` in a job.yml",
}


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
