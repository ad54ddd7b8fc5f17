"""What a request takes from the person who makes it."""

from collections.abc import Callable
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django_htmx.http import HttpResponseClientRedirect

from accounts import second_step, sessions

# What somebody may do who has yet to set up the second step that the installation requires: that, prove the address, leave.
BEFORE_ENROLMENT: Final = frozenset(
    """
    account_security app_new passkey_new recovery_codes account_reauthenticate mfa_reauthenticate
    mfa_reauthenticate_webauthn account_logout account_email account_confirm_email account_email_verification_sent
    """.split()  # noqa: SIM905 - words are easier to read and to add to than a list of strings
)

API: Final = "api:"  # refuses by itself, in its own words


def time_zone(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Shows times in the user's zone."""

    def middleware(request: HttpRequest) -> HttpResponse:
        zone = request.user.time_zone if request.user.is_authenticated else "UTC"
        with timezone.override(ZoneInfo(zone)):
            return get_response(request)

    return middleware


def last_seen(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Notes now and then when and from where a session was seen."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            sessions.note(request)
        return get_response(request)

    return middleware


class SecondStepRequired:
    """Lets nobody past the pages that set up a second step, where the installation requires one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Asked before there is a view: the page of an address that leads nowhere shows no projects either.
        request.enrolling = request.user.is_authenticated and second_step.is_missing(request.user)  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        name = request.resolver_match.view_name if request.resolver_match else ""
        if not request.enrolling or name in BEFORE_ENROLMENT or name.startswith(API):  # type: ignore[attr-defined]
            return None
        if request.htmx:  # type: ignore[attr-defined]
            return HttpResponseClientRedirect(redirect("account_security").url)
        if request.method == "GET":
            request.session[second_step.WANTED] = request.get_full_path()
        return redirect("account_security")
