"""A page asks many times what its reader may do; the answer is the same each time."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from access.evaluator import asked_once


def pages_ask_once(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """For requests that change nothing."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            return get_response(request)
        with asked_once():
            return get_response(request)

    return middleware
