"""The same request made twice is done once: a POST with an Idempotency-Key answers again what it answered.

The answer is written in the transaction that does what was asked: there is the thing and its answer, or neither. Of two such
requests at once the second waits for the first.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import cache, wraps
from typing import Any, Final

from cryptography.fernet import Fernet
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from api.models import Answer
from api.problems import Problem, answer
from mlteam import state

KEPT: Final = timedelta(hours=24)
LONGEST: Final = 255
CHUNK: Final = 2**20


def each_time(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Marks an operation that is done each time, for it waits for others and no transaction may wait with it."""
    operation.each_time = True  # type: ignore[attr-defined]
    return operation


def once(run: Callable[..., Any]) -> Callable[..., Any]:
    """The operation, done once for each key; called when it is known who asks."""

    @wraps(run)
    def done(request: Any, *args: Any, **kwargs: Any) -> Any:
        key = request.headers.get("Idempotency-Key")
        if key is None or request.method != "POST":
            return run(request, *args, **kwargs)
        try:
            return done_once(request.auth.id, key, digest_of(_parts(request)), lambda: run(request, *args, **kwargs))
        except Problem as problem:
            return answer(request, problem)

    return done


def done_once(holder: str, key: str, digest: str, run: Callable[[], HttpResponse]) -> HttpResponse:
    """What `run` answers, or has answered when the holder asked the same with this key. Raises Problem, and what `run` raises."""
    if not key or len(key) > LONGEST or not key.isascii() or not key.isprintable():
        raise Problem(400, "bad_request", f"An Idempotency-Key is 1 to {LONGEST} visible ASCII characters.")
    asked = {"holder": holder, "key": key}
    while True:
        try:
            return _first(Answer(**asked, digest=digest), run)
        except IntegrityError:
            said = Answer.objects.filter(**asked).first()
            if said is None:  # it was not the key that was taken
                raise
            if said.created_at > timezone.now() - KEPT:
                return _again(said, digest)
            said.delete()


@transaction.atomic
def _first(row: Answer, run: Callable[[], HttpResponse]) -> HttpResponse:
    row.save(force_insert=True)
    response = run()
    if response.status_code >= 400 or response.streaming:
        transaction.set_rollback(True)
    else:
        row.status, row.body = response.status_code, _cipher().encrypt(response.content)
        row.save(update_fields=["status", "body"])
    return response


def _again(said: Answer, digest: str) -> HttpResponse:
    if said.digest != digest:
        used = "This Idempotency-Key was used for another request. Use a new one for each thing that you create."
        raise Problem(422, "idempotency_mismatch", used)
    body = _cipher().decrypt(bytes(said.body))
    headers = {"Idempotency-Replayed": "true"}
    return HttpResponse(body, status=said.status, content_type="application/json; charset=utf-8", headers=headers)


def digest_of(parts: Iterable[bytes]) -> str:
    """Of what was asked. It is keyed: a secret that is sent cannot be guessed from what is kept here."""
    digest = hmac.new(_secret(), digestmod="sha256")
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _parts(request: HttpRequest) -> Iterator[bytes]:
    """The address and all that was sent; of a form its parts, for their borders are drawn anew each time."""
    yield f"{request.method} {request.get_full_path()}\n".encode()
    if request.content_type != "multipart/form-data":
        yield request.body
        return
    for name, values in sorted(request.POST.lists()):
        yield repr((name, values)).encode()
    for name, files in sorted(request.FILES.lists()):
        for file in files:
            yield repr((name, file.name, file.size)).encode()
            yield from file.chunks(CHUNK)
            file.seek(0)


@cache
def _cipher() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(_secret()).digest()))


@cache
def _secret() -> bytes:
    return state.secret("answers").encode()


def forget() -> None:
    """Removes what is older than a day."""
    Answer.objects.filter(created_at__lte=timezone.now() - KEPT).delete()
