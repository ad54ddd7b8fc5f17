"""Following what a job writes, through lost connections, restarts of the server and of the job: every byte once, in order."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx

from mlteam_sdk import asking
from mlteam_sdk.aio import driver
from mlteam_sdk.aio.transport import Transport
from mlteam_sdk.asking import Ask
from mlteam_sdk.errors import ApiError, ConnectionFailed, MLTeamError
from mlteam_sdk.events import Parser
from mlteam_sdk.logparts import FINAL, Lines, Piece, State, following, log_path, meant

PATIENCE = 15 * 60.0  # seconds for which a server may be away while its log is followed
SHORTEST, LONGEST = 0.5, 5.0  # seconds between two looks at a job
HEADERS = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}


async def follow(
    transport: Transport, job: str, *, attempt: int | None = None, offset: int = 0
) -> AsyncGenerator[Piece | State, None]:
    """Everything that a job writes from `attempt` (the first) and its byte `offset` on, and its changes of state.

    It ends when the job has. Raises Refused when one may not read it any more, ConnectionFailed when the server is gone for good.
    """
    index: int | None = 0 if attempt is None else attempt
    while index is not None and await _begun(transport, job, index):
        then: int | None = index + 1
        async with aclosing(_attempt(transport, job, index, offset)) as said:
            async for one in said:
                yield one
                if isinstance(one, State) and one.name == "end":
                    then = following(one)
        index, offset = then, 0


async def _begun(transport: Transport, job: str, index: int) -> bool:
    """Waits until the attempt is there; false when the job ends without it."""
    wait = SHORTEST
    while True:
        known = await transport.get(asking.path("jobs", job), fields="state,attempts")
        if any(one["index"] == index for one in known["attempts"]):
            return True
        if known["state"] in FINAL:
            return False
        await driver.sleep(wait)
        wait = min(LONGEST, wait * 1.5)


async def _attempt(transport: Transport, job: str, index: int, offset: int) -> AsyncGenerator[Piece | State, None]:
    """What one attempt writes, over as many connections as it takes."""
    heard, wait = time.monotonic(), SHORTEST
    while True:
        try:
            async with aclosing(_connection(transport, job, index, offset)) as said:
                async for one in said:
                    heard = time.monotonic()
                    if one is None:
                        continue
                    if isinstance(one, Piece):
                        offset, wait = one.end, SHORTEST
                    yield one
                    if isinstance(one, State) and one.name == "end":
                        return
        except (httpx.TransportError, MLTeamError) as error:
            problem = _passing(error, transport)
            if time.monotonic() - heard > PATIENCE:
                raise problem from error
        await driver.sleep(wait)
        wait = min(LONGEST, wait * 2)


def _passing(error: httpx.TransportError | MLTeamError, transport: Transport) -> MLTeamError:
    """What to say if this lasts. Raises what will not pass by itself."""
    if isinstance(error, httpx.TransportError):
        return asking.broken(error, transport.settings)
    if isinstance(error, ConnectionFailed):
        return error
    if isinstance(error, ApiError) and (error.status in asking.PASSING or error.status == 429):
        return error
    raise error


async def _connection(
    transport: Transport, job: str, index: int, offset: int
) -> AsyncGenerator[Piece | State | None, None]:
    """What one connection brings from the offset on, nothing that was there before; None says that the server is still there."""
    ask = Ask("GET", log_path(job, index, "events"), {"from": offset}, headers=HEADERS)
    parser = Parser()
    async with transport.stream(ask, events=True) as response:
        async for received in response.aiter_bytes():
            for event in parser.feed(received):
                one = meant(event, index, offset)
                if isinstance(one, Piece):
                    offset = one.end
                if one is not None:
                    yield one
            yield None


async def lines(
    transport: Transport, job: str, *, attempt: int | None = None, offset: int = 0
) -> AsyncGenerator[str, None]:
    """Every line that a job writes, from now until it has ended."""
    made, index = Lines(), attempt
    async with aclosing(follow(transport, job, attempt=attempt, offset=offset)) as said:
        async for one in said:
            if isinstance(one, Piece):
                if one.attempt != index:
                    index = one.attempt
                    for line in made.rest():
                        yield line
                for line in made.feed(one.data):
                    yield line
    for line in made.rest():
        yield line
