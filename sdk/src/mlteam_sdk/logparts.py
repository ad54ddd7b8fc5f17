"""The parts of a log that is followed: bytes and lines of attempts, changes of state, and what events say of them."""

from dataclasses import dataclass
from typing import Any, Final

from mlteam_sdk import asking
from mlteam_sdk.errors import ConnectionFailed, Refused
from mlteam_sdk.events import Event

FINAL: Final = frozenset({"succeeded", "failed", "cancelled", "interrupted"})


@dataclass(frozen=True)
class Piece:
    """Some bytes of a log: which attempt's, and the offset of the first."""

    attempt: int
    offset: int
    data: bytes

    @property
    def end(self) -> int:
        return self.offset + len(self.data)


@dataclass(frozen=True)
class State:
    """What became of the job: `name` is state or end, `data` what the server says."""

    attempt: int
    name: str
    data: dict[str, Any]


def log_path(job: str, attempt: int, *rest: str) -> str:
    return asking.path("jobs", job, "attempts", attempt, "log", *rest)


def following(end: State) -> int | None:
    """The attempt to follow next; None when the job has ended too."""
    named: int | None = end.data.get("next_attempt")
    if named is None and end.data.get("state") not in FINAL:
        return end.attempt + 1  # it is to come
    return named


def meant(event: Event, index: int, offset: int) -> Piece | State | None:
    """What an event says to whoever has read up to `offset`."""
    if event.name == "log":
        data = event.data["text"].encode("utf-8", "surrogateescape")
        begin = int(event.data["offset"])
        if begin > offset:
            raise ConnectionFailed(f"The log went on at byte {begin} and not at {offset}.")
        new = data[offset - begin :]
        return Piece(index, offset, new) if new else None
    if event.name in {"state", "end"}:
        return State(index, event.name, event.data)
    if event.name == "gone":
        raise Refused(403, event.data)
    return None


class Lines:
    """Makes lines of pieces of a log: text without line ends; what is no UTF-8 is shown as �."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete."""
        *lines, self._left = (self._left + data).split(b"\n")
        return [_text(line) for line in lines]

    def rest(self) -> list[str]:
        """What was written after the last line end, as a line."""
        left, self._left = self._left, b""
        return [_text(left)] if left else []


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
