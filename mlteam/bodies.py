"""How much a stranger may send: Django takes a request's whole body to the disk before it asks who sends it."""

import json
from typing import Any, Final

from django.conf import settings

from api import problems

SMALL: Final = settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 2**20  # bytes of a body without files
FILES: Final = settings.MLTEAM_UPLOAD_CAP + SMALL  # bytes of a job with its files
WITH_FILES: Final = ("/jobs/new", "/jobs/with-files")  # how the addresses end that take them


class TooLong(Exception):
    """The body is longer than its page takes."""


def limited(application: Any) -> Any:
    """The same ASGI application, for HTTP, which answers 413 to bodies that are too long and keeps no more of them."""

    async def http(scope: dict[str, Any], receive: Any, send: Any) -> None:
        limit = FILES if scope["path"].endswith(WITH_FILES) else SMALL
        try:
            if _announced(scope) > limit:
                raise TooLong
            await application(scope, _counted(receive, limit), send)
        except TooLong:
            kind, said = _refusal(scope["path"], limit)
            headers = [(b"content-type", kind.encode()), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 413, "headers": headers})
            await send({"type": "http.response.body", "body": said.encode()})

    return http


def _refusal(path: str, limit: int) -> tuple[str, str]:
    """The media type and the text of the answer: a page's, or the API's."""
    if not path.startswith(problems.ROOT):
        return "text/plain", "This is more than the page takes.\n"
    said = f"This is more than the {limit // 2**20} MiB that the server takes here."
    return problems.TYPE, json.dumps(problems.document(problems.Problem(413, "too_large", said)))


def _announced(scope: dict[str, Any]) -> int:
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else 0


def _counted(receive: Any, limit: int) -> Any:
    total = 0

    async def counted() -> dict[str, Any]:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            raise TooLong
        return message

    return counted
