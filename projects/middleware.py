"""What a request leaves behind: the project whose page was opened becomes the active one; the audit trail knows from where."""

from collections.abc import Callable
from functools import partial

from django.http import HttpResponse

from accounts.requests import UserRequest
from projects import active, origin


def noted_origin(get_response: Callable[[UserRequest], HttpResponse]) -> Callable[[UserRequest], HttpResponse]:
    """What the request does is written into the audit trail with where it came from."""

    def middleware(request: UserRequest) -> HttpResponse:
        with origin.noted(partial(origin.of, request)):
            return get_response(request)

    return middleware


def active_project(get_response: Callable[[UserRequest], HttpResponse]) -> Callable[[UserRequest], HttpResponse]:
    """Remembers the project of a page that was shown; fragments do not count, they may come from a forgotten tab."""

    def middleware(request: UserRequest) -> HttpResponse:
        response = get_response(request)
        slug = _opened(request, response)
        if slug:
            active.remember(request, response, slug)
        return response

    return middleware


def _opened(request: UserRequest, response: HttpResponse) -> str | None:
    fragment = request.htmx and not request.htmx.boosted
    if request.method != "GET" or response.status_code != 200 or fragment or not request.user.is_authenticated:
        return None
    if not response.get("Content-Type", "").startswith("text/html") or request.resolver_match is None:
        return None
    return request.resolver_match.kwargs.get("slug")
