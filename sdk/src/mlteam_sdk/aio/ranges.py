"""Reading bytes that lie on the server: by ranges, so that a lost connection goes on where it was."""

from collections.abc import AsyncGenerator, Callable

import httpx

from mlteam_sdk import asking
from mlteam_sdk.aio import driver
from mlteam_sdk.aio.transport import Transport
from mlteam_sdk.asking import Ask
from mlteam_sdk.errors import ApiError, ConnectionFailed, Damaged

TRIES = 8  # in a row without a byte


async def read(
    transport: Transport,
    path: str,
    *,
    offset: int = 0,
    end: int | None = None,
    grows: bool = False,
    tag: str | None = None,
    begin: Callable[[int, str | None], None] | None = None,
) -> AsyncGenerator[bytes, None]:
    """The bytes from `offset` up to `end` (what is there now). `grows`: it is only ever added to. Raises Damaged when it changed.

    `tag`: the ETag of what comes before `offset`. `begin` is told from where what comes begins, and its ETag: from `offset`, or where the
    ETag is another by now from 0.
    """
    tries = 0
    while end is None or offset < end:
        ask = Ask("GET", path, headers=_headers(offset, end, tag))
        try:
            async with transport.stream(ask) as response:
                if begin is not None:
                    offset, tag = _begun(response, offset, tag)
                    begin(offset, tag)
                    begin = None
                _check(response, offset, tag)
                tag = tag or (None if grows else response.headers.get("ETag"))
                async for piece in response.aiter_bytes():
                    wanted = piece if end is None else piece[: end - offset]
                    offset, tries = offset + len(wanted), 0
                    yield wanted
            return
        except ApiError as error:
            if error.status == 416:  # there is nothing from here on
                return
            raise
        except httpx.TransportError as error:
            tries += 1
            if tries >= TRIES:
                raise asking.broken(error, transport.settings) from error
        await driver.sleep(min(5.0, asking.FIRST_WAIT * 2**tries))


async def whole(transport: Transport, ask: Ask, most: int) -> bytes:
    """All of an answer that fits into memory, asked for anew when the connection breaks. Raises Damaged for more than `most` bytes."""
    for tries in range(1, TRIES + 1):
        parts, size = list[bytes](), 0
        try:
            async with transport.stream(ask) as response:
                async for piece in response.aiter_bytes():
                    parts.append(piece)
                    size += len(piece)
                    if size > most:
                        raise Damaged("The server sent more than it was asked for.")
            return b"".join(parts)
        except httpx.TransportError as error:
            if tries == TRIES:
                raise asking.broken(error, transport.settings) from error
        await driver.sleep(min(5.0, asking.FIRST_WAIT * 2**tries))
    raise AssertionError("the last try returns or raises")


def _headers(offset: int, end: int | None, tag: str | None) -> dict[str, str]:
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    if offset or end is not None:
        headers["Range"] = f"bytes={offset}-{'' if end is None else end - 1}"
        if tag and is_strong(tag):
            headers["If-Range"] = tag
    return headers


def _begun(response: httpx.Response, offset: int, tag: str | None) -> tuple[int, str | None]:
    """Where what comes begins, and its ETag."""
    return (offset, tag) if response.status_code == 206 else (0, response.headers.get("ETag"))


def is_strong(tag: str) -> bool:
    """Whether it is another one as soon as a byte is."""
    return not tag.startswith("W/")


def _check(response: httpx.Response, offset: int, tag: str | None) -> None:
    """Raises Damaged where what comes is of another state than what is here."""
    same = tag is None or (is_strong(tag) and response.headers.get("ETag", tag) == tag)
    if offset and (response.status_code != 206 or not same):
        raise Damaged("This changed while it was being read. Read it again.")
    begins = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    if offset and begins != str(offset):
        raise ConnectionFailed("The server sent another part than the one that was asked for.")
