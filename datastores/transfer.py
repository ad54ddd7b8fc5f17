"""Bytes that come in: a raw ASGI application for manifests, packs and pieces, outside Django's middleware, which would keep a whole
body before it asks who sends it.

    POST /api/v1/datastores/<id>/uploads[?base=DIGEST]     a manifest, gzipped perhaps, or what is different from that of the latest version
    POST /api/v1/datastores/<id>/changes                   a version that differs little from the latest one, whole
    PUT  /api/v1/uploads/<id>/pack                         many small files
    PUT  /api/v1/uploads/<id>/blobs/<sha256>?offset=N      a piece of a large one

Who sends is asked as by every operation of the API, and what is wrong is said in the same way.
"""

import asyncio
import io
import itertools
import json
import logging
import os
import re
import time
import zlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from ninja.errors import AuthenticationError
from ninja.responses import NinjaJSONEncoder
from pydantic import Field, ValidationError

import access
import datastores.problems  # noqa: F401 - it says what goes wrong here
from access.keys import RoleHolder
from accounts.models import User
from api import door, limits, problems, replays
from api.callers import Caller
from api.lists import In
from api.problems import Problem
from datastores import actions, manifests, places, questions, uploads
from datastores.models import Datastore, Upload
from datastores.shown import VersionOut, show_version

log = logging.getLogger(__name__)

BLOCK: Final = 2**20  # bytes that are kept at once of a piece
NAMED: Final = 500  # blobs that lack: so many are named at once, more are asked for
AT_ONCE: Final = 1.0  # seconds for a body
FIRST_LINE: Final = 16 * 2**10  # bytes of the first line of changes
DRAINED: Final = 32 * 2**20  # bytes that are still taken of what is refused, so that the refusal is read
JSON: Final = "application/json; charset=utf-8"

_id = "(?P<id>[a-z2-7]{16})"
ROUTES: Final = {
    re.compile(rf"/api/v1/datastores/{_id}/uploads"): "POST",
    re.compile(rf"/api/v1/datastores/{_id}/changes"): "POST",
    re.compile(rf"/api/v1/uploads/{_id}/pack"): "PUT",
    re.compile(rf"/api/v1/uploads/{_id}/blobs/(?P<sha256>[0-9a-f]{{64}})"): "PUT",
}

Scope = dict[str, Any]
By = User | RoleHolder
P = ParamSpec("P")
R = TypeVar("R")

_threads = ThreadPoolExecutor(8, thread_name_prefix="transfers")


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Runs a function that asks the database or touches files."""
    run = database_sync_to_async(function, thread_sensitive=False, executor=_threads)
    return await run(*args, **kwargs)


def is_here(scope: Scope) -> bool:
    """Whether this application answers the request."""
    return any(route.fullmatch(scope["path"]) for route in ROUTES)


@access.route("token")
async def application(scope: Scope, receive: Any, send: Any) -> None:
    """The ASGI application; only for HTTP, and for what `is_here`."""
    body = Body(scope, receive)
    try:
        status, said = await _answer(scope, body)
        await _send(send, status, said, JSON)
    except Disconnected:
        return
    except Exception as error:
        problem = problems.read(error)
        if problem is None:
            log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
            problem = Problem(500, "failed", "Something is broken here. Try again; if it stays, report it.")
        with suppress(Disconnected, problems.Problem):
            await body.drain()
        await _send(send, problem.status, problems.document(problem), problems.TYPE, dict(problem.headers))


async def _send(send: Any, status: int, said: Any, kind: str, more: dict[str, str] | None = None) -> None:
    content = json.dumps(said).encode()
    headers = {"content-type": kind, "content-length": str(len(content)), "cache-control": "private, no-store"}
    pairs = [(name.lower().encode(), value.encode()) for name, value in {**headers, **(more or {})}.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": content})


async def _answer(scope: Scope, body: "Body") -> tuple[int, Any]:
    found, method = next((match, how) for route, how in ROUTES.items() if (match := route.fullmatch(scope["path"])))
    if scope["method"] != method:
        raise Problem(405, "method_not_allowed", f"Only {method} here.", headers={"Allow": method})
    if "sha256" in found.groupdict():
        return await _piece(scope, body, found["id"], found["sha256"])
    if scope["path"].endswith("/pack"):
        return await _pack(scope, body, found["id"])
    if scope["path"].endswith("/changes"):
        return await _changes(scope, body, found["id"])
    return await _manifest(scope, body, found["id"])


# Who sends


class Disconnected(Exception):
    """Nobody is there any more who would read an answer."""


class Body:
    """What is sent, piece by piece."""

    def __init__(self, scope: Scope, receive: Any) -> None:
        self.headers = dict(scope["headers"])
        self._receive, self._more, self._taken = receive, True, 0

    def check_length(self, limit: int) -> None:
        """Raises Problem when more is announced."""
        length = self.headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > limit:
            raise _too_large(limit)

    async def pieces(self, limit: int) -> AsyncIterator[bytes]:
        """All of it. Raises Problem when it is more, Disconnected when it ends early."""
        while self._more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            self._more = message.get("more_body", False)
            data = message.get("body", b"")
            self._taken += len(data)
            if self._taken > limit:
                raise _too_large(limit)
            if data:
                yield data

    async def whole(self, limit: int) -> bytes:
        self.check_length(limit)
        return b"".join([piece async for piece in self.pieces(limit)])

    async def drain(self) -> None:
        """Takes what is still on its way, within limits."""
        async for _ in self.pieces(self._taken + DRAINED):
            pass


def _too_large(limit: int) -> Problem:
    return Problem(413, "too_large", f"This is more than the {limit // 2**20} MiB that the server takes here.")


def _caller(scope: Scope, *, again: bool = False) -> Caller:
    """Who asks: by a token, or by a session with its CSRF token. Raises what the API's door raises. `again`: it is known how often."""
    request = ASGIRequest(scope, io.BytesIO())
    try:
        request.get_host()  # our own, or refused
    except DisallowedHost:
        raise Problem(400, "bad_request", "The server is not called this.") from None
    SessionMiddleware(_nothing).process_request(request)
    AuthenticationMiddleware(_nothing).process_request(request)
    caller = door.caller_of(request)
    if caller is None:
        raise AuthenticationError
    if scope["method"] == "POST" and not again:
        limits.count(caller)  # not the bytes that follow: there are many, and the manifest has named them
    return caller


def _nothing(request: Any) -> HttpResponse:
    raise AssertionError("middleware is only asked for its beginning")


def _upload(scope: Scope, upload_id: str) -> Upload:
    """The upload, of which who asks may still make a version."""
    by = _caller(scope).holder
    upload = upload_for(upload_id, by)
    actions.check_may_upload(upload.datastore, by)
    return upload


def upload_for(upload_id: str, by: By) -> Upload:
    """The upload with this id, which is there only for who began it. Raises Http404."""
    upload = questions.UPLOADS.first(pk=upload_id)
    if upload is None:
        raise problems.Problem(404, "not_found", problems.NOTHING)
    actions.check_mine(upload, by)
    return upload


# What is sent


async def _manifest(scope: Scope, body: Body, datastore_id: str) -> tuple[int, Any]:
    caller, datastore = await in_thread(_datastore, scope, datastore_id)
    base = _asked(scope, "base")
    if base and not manifests.is_hash(base):
        raise problems.invalid([("base", "is the digest of a version: 64 lower-case hexadecimal digits")])
    with places.draft() as draft:
        await _take(body, draft)
        return 201, await in_thread(_begun, datastore, draft, caller.holder, base)


def _begun(datastore: Datastore, manifest: Path, by: By, base: str) -> dict[str, Any]:
    begun = actions.begin(datastore=datastore, manifest=manifest, by=by, base=base)
    upload, missing = begun.upload, begun.missing
    lacks = [asdict(one) for one in uploads.lacking(upload)] if missing <= NAMED else None
    said = {"id": upload.id, "files": upload.files, "bytes": upload.bytes}
    return said | {"missing": missing, "missing_bytes": begun.missing_bytes, "lacks": lacks}


def _datastore(scope: Scope, datastore_id: str, *, again: bool = False) -> tuple[Caller, Datastore]:
    caller = _caller(scope, again=again)
    datastore = questions.PRESENT.first(pk=datastore_id)
    if datastore is None:
        raise Problem(404, "not_found", problems.NOTHING)
    actions.check_may_upload(datastore, caller.holder)
    return caller, datastore


def _asked(scope: Scope, name: str) -> str:
    """The one parameter that an address may have; "" where it has none. Raises Problem for others."""
    asked = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    given = asked.pop(name, [""])[-1]
    if asked:
        raise problems.invalid((other[:100], f"is none of {name}") for other in asked)
    return given


async def _changes(scope: Scope, body: Body, datastore_id: str) -> tuple[int, Any]:
    caller, datastore = await in_thread(_datastore, scope, datastore_id)
    begun = time.monotonic()
    content = b"".join([part async for part in _plain(body, uploads.PACK_LIMIT)])
    if time.monotonic() - begun > AT_ONCE:  # meanwhile their token may have ended
        caller, datastore = await in_thread(_datastore, scope, datastore_id, again=True)
    key = body.headers.get(b"idempotency-key", b"").decode("latin-1")
    return await in_thread(_changed, scope["path"], caller, datastore, content, key)


class ChangesIn(In):
    """The first line of changes."""

    base: str = Field(pattern="^[0-9a-f]{64}$")
    note: str = ""


def _changed(path: str, caller: Caller, datastore: Datastore, content: bytes, key: str) -> tuple[int, Any]:
    text, _, pack = content.partition(b"\n\n")
    head, _, lines = text.partition(b"\n")
    try:
        said = ChangesIn.model_validate_json(head[:FIRST_LINE])
    except ValidationError:
        first = "begins with a line of JSON: the digest of the latest version (`base`) and a `note`"
        raise problems.invalid([("body", first)]) from None

    def made() -> HttpResponse:
        by = caller.holder
        version, new = actions.change(
            datastore=datastore, lines=lines, pack=pack, base=said.base, note=said.note, by=by
        )
        shown = VersionOut.model_validate(show_version(version, by)).model_dump()
        return HttpResponse(json.dumps(shown, cls=NinjaJSONEncoder), status=201 if new else 200)

    digest = replays.digest_of([path.encode(), b"\n", content])
    response = replays.done_once(caller.id, key, digest, made) if key else made()
    return response.status_code, json.loads(response.content)


async def _take(body: Body, file: Path) -> None:
    """Puts a manifest into a file."""
    with uploads.full_said(), os.fdopen(_private(file), "wb") as target:
        async for part in _plain(body, manifests.LONGEST):
            await in_thread(target.write, part)


async def _plain(body: Body, limit: int) -> AsyncIterator[bytes]:
    """What is sent, unpacked where it is gzipped; never more of it than that."""
    body.check_length(limit)
    packed = body.headers.get(b"content-encoding", b"identity").strip().lower()
    if packed not in {b"identity", b"gzip"}:
        raise Problem(400, "bad_request", "The Content-Encoding is gzip, or none.")
    unpack = _Gunzip() if packed == b"gzip" else None
    length = 0
    async for piece in body.pieces(limit):
        for part in unpack.parts(piece) if unpack else (piece,):
            length += len(part)
            if length > limit:
                raise _too_large(limit)
            yield part
    if unpack and not unpack.done:
        raise Problem(400, "bad_request", "What is gzipped ends too early, or is none.")


def _private(file: Path) -> int:
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


class _Gunzip:
    """Unpacks as it comes, a block at a time: a little that would become very much is found out in time."""

    def __init__(self) -> None:
        self._unpacking = zlib.decompressobj(wbits=31)

    @property
    def done(self) -> bool:
        return self._unpacking.eof and not self._unpacking.unused_data

    def parts(self, piece: bytes) -> Any:
        while piece:
            try:
                yield self._unpacking.decompress(piece, BLOCK)
            except zlib.error:
                raise Problem(400, "bad_request", "This is not gzipped, though its Content-Encoding says so.") from None
            piece = self._unpacking.unconsumed_tail


async def _pack(scope: Scope, body: Body, upload_id: str) -> tuple[int, Any]:
    upload = await in_thread(_upload, scope, upload_id)
    pack = await body.whole(uploads.PACK_LIMIT)
    return 200, {"received": await in_thread(uploads.receive_pack, upload, pack)}


async def _piece(scope: Scope, body: Body, upload_id: str, sha256: str) -> tuple[int, Any]:
    given = _asked(scope, "offset") or "0"
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise Problem(400, "bad_request", "Say where the piece begins: ?offset=N, a number of bytes.")
    upload, here, size = await in_thread(_known_piece, scope, upload_id, sha256)
    body.check_length(uploads.PIECE)
    offset = int(given)
    keeping: asyncio.Future[int] | None = None

    async def keep(at: int, data: bytes | memoryview) -> int:
        return await in_thread(uploads.receive_piece, upload, sha256, size, at, data)

    try:
        async for block in _blocks(body.pieces(uploads.PIECE)):
            if keeping:
                await keeping
            # The next block arrives while this one is kept.
            keeping = asyncio.ensure_future(keep(offset, block))
            offset += len(block)
    finally:
        if keeping:
            here = await keeping
    if not size:
        here = await keep(0, b"")
    await in_thread(uploads.touch, upload)
    return 200, {"received": here}


def _known_piece(scope: Scope, upload_id: str, sha256: str) -> tuple[Upload, int, int]:
    upload = _upload(scope, upload_id)
    return upload, *uploads.received(upload, sha256)


async def _blocks(pieces: AsyncIterator[bytes]) -> AsyncIterator[memoryview]:
    """The same bytes, in fewer and larger pieces: each stays as it is until the next but one is asked for."""
    # Always the same memory: to get and to clear new one for each block takes as long as to keep it.
    buffers = itertools.cycle([memoryview(bytearray(BLOCK)), memoryview(bytearray(BLOCK))])
    buffer, length = next(buffers), 0
    async for piece in pieces:
        rest = memoryview(piece)
        while rest:
            fits = min(len(rest), BLOCK - length)
            buffer[length : length + fits] = rest[:fits]
            rest, length = rest[fits:], length + fits
            if length == BLOCK:
                yield buffer
                buffer, length = next(buffers), 0
    if length:
        yield buffer[:length]
