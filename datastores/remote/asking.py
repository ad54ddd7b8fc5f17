"""Questions over HTTP: what goes wrong on the way to an answer, and the bytes of one."""

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from datastores.remote.errors import Refused, Trouble, Unavailable
from datastores.remote.sources import CHUNK
from mlteam import outside

PATIENCE: Final = (10.0, 60.0)  # seconds to connect, and between two parts of an answer
FAILURES: Final = (requests.RequestException, HTTPError, OSError)


def ask(session: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """The beginning of an answer, whose content is still to be read; redirects are not followed. Raises Trouble."""
    try:
        return outside.ask(session, method, url, **{"timeout": PATIENCE} | options)
    except (*FAILURES, ValueError) as error:
        raise broken(error, urlsplit(url).netloc) from error


def broken(error: BaseException, host: str) -> Trouble:
    """Why there is no answer, or only the beginning of one."""
    if isinstance(error, ValueError):
        return Refused(f"{host} cannot be asked: that is no address.")
    said = outside.explain(error, host)
    return Refused(said) if outside.is_refusal(error) else Unavailable(said)


def passes(status: int) -> bool:
    """Whether such a status may be another one later."""
    return status in {408, 425, 429} or (status >= 500 and status not in {501, 505})


def after(answer: requests.Response) -> float:
    """Seconds that a service wants to be left alone."""
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else 0.0


def skipped(status: int, content_range: str, start: int, size: int | None, host: str) -> int:
    """Bytes of the content that come before `start`, where a range from there was asked for. Raises Unavailable for another range.

    `size`: of the whole, as far as it is known.
    """
    if status != 206:
        return start
    said = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range.strip())
    if said and int(said[1]) == start and (size is None or said[2] in {"*", str(size)}):
        return 0
    raise Unavailable(f"{host} sent another part of a file than the one that was asked for. Try again later.")


def content(answer: requests.Response, start: int, stop: int | None, size: int | None, host: str) -> Iterator[bytes]:
    """The bytes that were asked for, of `size` in all. Raises Unavailable where others come, or not all."""
    skip = skipped(answer.status_code, answer.headers.get("Content-Range", ""), start, size, host)
    read = partial(answer.raw.read, decode_content=False)
    yield from pieces(read, skip, None if stop is None else stop - start, host)


def pieces(read: Callable[[int], bytes], skip: int, size: int | None, host: str) -> Iterator[bytes]:
    """What `read` gives, without the first `skip` bytes, `size` of it or all. Raises Unavailable where it breaks off."""
    left = sys.maxsize if size is None else size
    try:
        while left and (piece := read(min(CHUNK, left + skip))):
            if skip:
                skip, piece = max(skip - len(piece), 0), piece[skip:]
            left -= len(piece)
            if piece:
                yield piece
    except FAILURES as error:
        raise broken(error, host) from error
    if size is not None and left:
        raise Unavailable(f"The connection to {host} broke off. Try again; if it stays, ask whoever runs that service.")
