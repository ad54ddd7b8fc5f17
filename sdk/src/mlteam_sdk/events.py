"""Server-sent events, as they come over the network in pieces."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlteam_sdk.errors import Damaged


@dataclass(frozen=True)
class Event:
    """One event: its name, its id ("" without one) and what its data say."""

    name: str
    id: str
    data: Any


class Parser:
    """Takes pieces of a stream, cut anywhere, and gives back the events that are whole."""

    def __init__(self) -> None:
        self._left = b""
        self._lines: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that this piece completes. Raises Damaged for what is no event of mlteam."""
        *lines, self._left = (self._left + piece).split(b"\n")
        for line in lines:
            text = line.removesuffix(b"\r").decode("utf-8", "replace")
            if text:
                self._lines.append(text)
                continue
            event, self._lines = _event(self._lines), []
            if event is not None:
                yield event


def _event(lines: list[str]) -> Event | None:
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    if "data" not in fields:
        return None  # a comment, that the server is still there
    name, number = fields.get("event", ["message"])[-1], fields.get("id", [""])[-1]
    try:
        return Event(name, number, json.loads("\n".join(fields["data"])))
    except ValueError:
        raise Damaged(f"An event {name} of the server cannot be read. Is this the address of mlteam?") from None
