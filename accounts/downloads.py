"""Files that are made while they are sent, and CSV in which no spreadsheet finds a formula."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final, TypeVar

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

CSV: Final = "text/csv; charset=utf-8"
FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")

NOTHING_SHOWN: Final = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}

Piece = TypeVar("Piece", str, bytes)


def response(pieces: Iterator[str], *, filename: str, kind: str) -> StreamingHttpResponse:
    """The pieces as a file of this media type, which no browser shows; `filename`: ASCII without quotes."""
    headers = {"Content-Disposition": f'attachment; filename="{filename}"', "X-Content-Type-Options": "nosniff"}
    return StreamingHttpResponse(one_by_one(pieces), content_type=kind, headers=headers)


async def one_by_one(pieces: Iterator[Piece], *, thread_sensitive: bool = True) -> AsyncIterator[Piece]:
    """The same pieces, each made in a thread: in the request's own, as what reads the database must, unless told otherwise."""
    following = sync_to_async(lambda: next(pieces, None), thread_sensitive=thread_sensitive)
    while (piece := await following()) is not None:
        if piece:
            yield piece


class Sink(io.RawIOBase):
    """Where zipfile writes: gathers what has come since it was last emptied; cannot seek, so nothing has to be kept."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def empty(self) -> bytes:
        data, self.parts = b"".join(self.parts), []
        return data


def lines(rows: Iterable[Iterable[str]]) -> str:
    """Rows as CSV. Whatever somebody else may have typed goes through `cell` before."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def cell(text: str) -> str:
    """The text with an apostrophe before what a spreadsheet would take for a formula. Not for numbers: one below zero stays one."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULAS) else text
