"""Parts of what is long, over HTTP: `Range` and `If-Range`."""

import re
from collections.abc import AsyncIterator, Callable, Mapping

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

_range = re.compile(r"^bytes=(\d{0,18})-(\d{0,18})\Z")

Pieces = Callable[[int, int], AsyncIterator[bytes]]  # the bytes from one to another (exclusive)


def answer(
    request: HttpRequest, size: int, pieces: Pieces, headers: Mapping[str, str], same: Callable[[str], bool]
) -> HttpResponseBase:
    """So many bytes, or the range of them that is asked for; 416 beyond the end. `headers` say the kind and the ETag.

    `same`: whether what If-Range says is about these bytes, too.
    """
    start, end, status = wanted(request, size, same)
    response: HttpResponseBase
    if status == 416 or request.method == "HEAD":
        response = HttpResponse(status=status)
    else:
        response = StreamingHttpResponse(pieces(start, end), status=status)
    for name, value in {**headers, "Accept-Ranges": "bytes", "Content-Length": str(end - start)}.items():
        response[name] = value
    if status == 206:
        response["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    elif status == 416:
        response["Content-Range"] = f"bytes */{size}"
    return response


def wanted(request: HttpRequest, size: int, same: Callable[[str], bool]) -> tuple[int, int, int]:
    """The bytes asked for, from and to (exclusive), and the status: 200 for all, 206 for a part, 416 beyond the end."""
    found = _range.match(request.headers.get("Range", ""))
    condition = request.headers.get("If-Range")
    if not found or not (condition is None or same(condition)):
        return 0, size, 200
    first, last = found.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return 0, size, 200  # no valid range: as if none was asked for
    elif last:
        start, end = max(0, size - int(last)), size
    else:
        return 0, size, 200
    return (start, end, 206) if start < end else (0, 0, 416)
