"""What runners speak to: a raw ASGI app for `/runner/<attempt>/(state|log|end)`, outside Django's middleware.

The protocol is docs/runner-protocol.md. A runner proves itself by its attempt's token and by its generation: when a
newer runner has taken over, the older one is told so (409) and leaves.
"""

import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import access
from jobs import actions, logs
from jobs.log_hub import hub, in_database, in_files
from jobs.models import Attempt

log = logging.getLogger(__name__)

LOG_LIMIT = 2**20 + 2**16  # bytes of log in one call: runners send at most 1 MiB
REPORT_LIMIT = 2**20  # bytes of a state or an end
KNOWN_FOR = 2.0  # seconds for which an attempt's token is not read again
KNOWN_AT_MOST = 10_000  # attempts

_address = re.compile(r"^/runner/([a-z0-9]{1,16})/(state|log|end)\Z")
_word = re.compile(r"^[a-z_]{1,20}\Z")


def _number_below(limit: int) -> Callable[[Any], bool]:
    return lambda value: value is None or (type(value) is int and 0 <= value < limit)


# What an end says, each with whether a value is one that the attempt's row takes.
_ENDS: dict[str, Callable[[Any], bool]] = {
    "reason": lambda value: isinstance(value, str) and bool(_word.match(value)),
    "message": lambda value: value is None or isinstance(value, str),
    "exit_status": _number_below(2**15),
    "signal": _number_below(2**15),
    "peak_memory_mib": _number_below(2**31),
}
_methods = {"state": "POST", "log": "PUT", "end": "POST"}


class Answer(Exception):
    """Ends a call with a status and a JSON body."""

    def __init__(self, status: int, **body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


@dataclass(frozen=True, slots=True)
class Known:
    """What a call needs to know of its attempt; read from the database at monotonic time `at`."""

    attempt_id: str
    job_id: str
    index: int
    token_hash: str
    generation: int
    closed: bool
    path: Path
    at: float


_known: dict[str, Known] = {}


@access.route("token")
async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The ASGI application; only for HTTP."""
    try:
        answer = await _answer(scope, receive)
    except Answer as refusal:
        answer = refusal
    except Exception:
        log.exception("a runner's call failed: %s", scope["path"])
        answer = Answer(500, error="server")
    body = json.dumps(answer.body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _answer(scope: dict[str, Any], receive: Any) -> Answer:
    found = _address.match(scope["path"])
    if not found:
        return Answer(404, error="path")
    attempt_id, call = found.groups()
    if scope["method"] != _methods[call]:
        return Answer(405, error="method")
    headers = dict(scope["headers"])
    known = await _admit(attempt_id, headers)
    if call == "log":
        return await _append(known, scope, await _body(headers, receive, LOG_LIMIT))
    report = _report(await _body(headers, receive, REPORT_LIMIT))
    return await (_state(known, report) if call == "state" else _end(known, report))


# Who speaks


async def _admit(attempt_id: str, headers: dict[bytes, bytes]) -> Known:
    """The attempt, when token and generation are right."""
    given = headers.get(b"x-runner-generation", b"")
    generation = int(given) if given.isdigit() and len(given) < 10 else -1
    known = _known.get(attempt_id)
    if known is None or time.monotonic() - known.at > KNOWN_FOR or generation > known.generation:
        known = await _look_up(attempt_id)
    kind, _, token = headers.get(b"authorization", b"").partition(b" ")
    offered = hashlib.sha256(token.strip()).hexdigest()
    if not hmac.compare_digest(offered, known.token_hash) or kind.lower() != b"bearer":
        raise Answer(401, error="token")
    if generation != known.generation:
        raise Answer(409, error="generation")
    return known


async def _look_up(attempt_id: str) -> Known:
    _known.pop(attempt_id, None)
    known = await in_database(_read, attempt_id)
    if known is None:
        raise Answer(410, error="gone")
    if len(_known) >= KNOWN_AT_MOST:
        _known.clear()
    _known[attempt_id] = known
    return known


def _read(attempt_id: str) -> Known | None:
    fields = ("job_id", "index", "token_hash", "generation", "log_size")
    row = Attempt.objects.filter(pk=attempt_id).values_list(*fields).first()
    if row is None:
        return None
    job_id, index, token_hash, generation, log_size = row
    path = logs.path_of(job_id, index)
    return Known(attempt_id, job_id, index, token_hash, generation, log_size is not None, path, time.monotonic())


# What it sends


async def _body(headers: dict[bytes, bytes], receive: Any, limit: int) -> bytes:
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > limit:
        raise Answer(413, error="too long", limit=limit)
    parts, total, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Answer(400, error="incomplete")
        parts.append(message.get("body", b""))
        total += len(parts[-1])
        if total > limit:
            raise Answer(413, error="too long", limit=limit)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _report(body: bytes) -> dict[str, Any]:
    try:
        report = json.loads(body)
    except (ValueError, RecursionError):
        report = None
    if not isinstance(report, dict):
        raise Answer(400, error="expected a JSON object")
    return report


# The three calls


async def _append(known: Known, scope: dict[str, Any], data: bytes) -> Answer:
    given = parse_qs(scope["query_string"].decode("latin-1")).get("offset", [""])[-1]
    if not (given.isascii() and given.isdigit()) or len(given) > 18:
        raise Answer(400, error="expected ?offset=N")
    offset, size = int(given), 0
    if known.closed:
        size = logs.size(known.path)
        if offset + len(data) > size:
            raise Answer(409, error="closed", size=size)
    try:
        size = await in_files(logs.append, known.path, offset, data)
    except logs.LogDiskFull as full:
        raise Answer(507, size=full.size) from full
    except logs.LogGap as gap:
        raise Answer(409, size=gap.size) from gap
    except logs.LogDiffers as other:
        log.error("attempt %s sent other bytes for a part of its log", known.attempt_id)
        raise Answer(409, error="differs", size=other.size) from other
    hub().grown(known.job_id, known.index, size)
    return Answer(200, size=size)


async def _state(known: Known, report: dict[str, Any]) -> Answer:
    await in_database(actions.attempt_reported, known.attempt_id, report)
    hub().changed(known.job_id)
    return Answer(200)


async def _end(known: Known, report: dict[str, Any]) -> Answer:
    """Accepts the end once the log is here whole; whether its bytes are right becomes `report["log"]["verified"]`."""
    claimed = report.get("log")
    if not isinstance(claimed, dict) or not isinstance(claimed.get("size"), int) or claimed["size"] < 0:
        raise Answer(400, error="expected log: {size, sha256, lines, gaps}")
    if wrong := [name for name, right in _ENDS.items() if not right(report.get(name))]:
        raise Answer(400, error=f"{', '.join(wrong)}: not what the protocol says")
    size = await in_files(logs.size, known.path)
    if size < claimed["size"]:
        raise Answer(409, size=size)
    here = await in_files(logs.checksum, known.path)
    verified = here.size == claimed["size"] and here.sha256 == claimed.get("sha256")
    closed = {**claimed, "lines": here.lines, "verified": verified}
    await in_database(actions.attempt_ended, known.attempt_id, {**report, "log": closed})
    _known.pop(known.attempt_id, None)
    hub().changed(known.job_id)
    return Answer(200)
