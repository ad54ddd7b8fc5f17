"""How often somebody may ask: so many requests in a minute, counted for each account and role in Redis.

A limit protects others from a loop that went wrong. While Redis is away nobody is held up: nothing is counted.
"""

import logging
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.http import HttpResponseBase
from redis import Redis, RedisError

from api.problems import Problem

if TYPE_CHECKING:
    from api.callers import Caller

log = logging.getLogger(__name__)

WINDOW: Final = 60  # seconds
PATIENCE: Final = 0.2  # seconds in which Redis is to answer
AWAY: Final = 5.0  # seconds for which a Redis that did not answer is not asked again

asked_again = 0.0  # when a Redis that did not answer is asked once more: a time.monotonic()


@dataclass(frozen=True, slots=True)
class Rate:
    """What is left to somebody: requests, of how many, until so many seconds from now."""

    limit: int
    left: int
    seconds: int


def count(caller: "Caller") -> Rate | None:
    """Counts one request; None where nothing is limited. Raises Problem when it is one too many."""
    limit = settings.MLTEAM_API_RATE
    if not limit:
        return None
    minute, second = divmod(int(time.time()), WINDOW)
    used = _count(f"{settings.CHANNEL_PREFIX}:api:{caller.id}:{minute}")
    rate = Rate(limit, max(0, limit - used), WINDOW - second)
    if used > limit:
        said = f"More than {limit} requests in a minute. Wait {rate.seconds} s."
        raise Problem(429, "too_many_requests", said, headers=headers(rate) | {"Retry-After": str(rate.seconds)})
    return rate


def headers(rate: Rate) -> dict[str, str]:
    return {
        "RateLimit-Limit": str(rate.limit),
        "RateLimit-Remaining": str(rate.left),
        "RateLimit-Reset": str(rate.seconds),
    }


def tell(response: HttpResponseBase, rate: Rate | None) -> None:
    """Says in the answer what is left."""
    for name, value in headers(rate).items() if rate else ():
        response.headers.setdefault(name, value)


def _count(key: str) -> int:
    global asked_again
    if time.monotonic() < asked_again:
        return 0
    try:
        both = redis().pipeline()
        both.incr(key)
        both.expire(key, 2 * WINDOW)
        return int(both.execute()[0])
    except RedisError as error:
        asked_again = time.monotonic() + AWAY
        log.debug("requests are not counted: %s", error)
        return 0


@cache
def redis() -> Redis:
    """The connections of this process."""
    return Redis.from_url(settings.REDIS_URL, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
