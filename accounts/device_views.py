"""Signing in a program from a browser: the page on which somebody approves it, and the program's two calls (RFC 8628)."""

from collections.abc import Callable
from typing import Any, Final

from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import access
from accounts import attempts, device_grants, notices, tokens
from accounts.errors import Impossible
from accounts.forms import DeviceCodeForm
from accounts.models import DeviceGrant, PersonalToken
from accounts.requests import UserRequest

CLIENT: Final = "mlteam"
GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
DAY: Final = 24 * 3600  # seconds
UNKNOWN: Final = "No program waits with this code. Look at it again; each works for ten minutes, and once."
TOO_MANY: Final = "Too many wrong codes. Wait ten minutes, then start mlteam login again."

# Asks for the password or a code first, unless that was done, or the sign-in was, a few minutes ago.
confirmed = reauthentication_required(app="accounts.device")


# The pages


@access.route("self")
@never_cache
@require_http_methods(["GET", "POST"])
@confirmed
def ask(request: UserRequest) -> HttpResponse:
    """A form for the code; then what waits with it. A code in the address is filled in, and nothing is looked up by it."""
    if request.method == "GET":
        form = DeviceCodeForm(initial={"code": request.GET.get("code", "")[:40]})
        return render(request, "accounts/device.html", {"form": form})
    form, grant = _found(request)
    return _shown(request, form, grant) if grant else render(request, "accounts/device.html", {"form": form})


def _found(request: UserRequest) -> tuple[DeviceCodeForm, DeviceGrant | None]:
    """The form and what waits with its code; wrong ones are counted."""
    form = DeviceCodeForm(request.POST)
    if not form.is_valid():
        return form, None
    try:
        attempt = attempts.begin_device_code(request)
    except attempts.TooMany:
        form.add_error("code", TOO_MANY)
        return form, None
    grant = device_grants.waiting(form.cleaned_data["code"])
    if grant:
        attempt.rollback()
    else:
        form.add_error("code", UNKNOWN)
    return form, grant


def _shown(request: UserRequest, form: DeviceCodeForm, grant: DeviceGrant) -> HttpResponse:
    context = {
        "code": device_grants.shown(device_grants.typed(form.cleaned_data["code"])),
        "grant": grant,
        "days": tokens.usual_lifetime(),
        "from_here": grant.address == get_adapter().get_client_ip(request)[:45],
    }
    return render(request, "accounts/device_approve.html", context)


@access.route("self")
@require_POST
@confirmed
def approve(request: UserRequest) -> HttpResponse:
    """The program gets a token of this account."""
    return _answer(request, lambda grant: device_grants.approve(grant=grant, by=request.user)) or redirect(
        "device_approved"
    )


@access.route("self")
@require_POST
def deny(request: UserRequest) -> HttpResponse:
    """It gets nothing. No password is asked for: whoever sees something strange is in a hurry."""
    if refusal := _answer(request, lambda grant: device_grants.deny(grant=grant)):
        return refusal
    messages.success(request, "Denied. The program gets nothing.")
    return redirect("device")


def _answer(request: UserRequest, act: Callable[[DeviceGrant], None]) -> HttpResponse | None:
    """Does it to what waits with the code; the page that says why not, when it cannot be done."""
    form, grant = _found(request)
    if grant:
        try:
            act(grant)
        except Impossible as error:
            form.add_error(None, str(error))
        else:
            return None
    return render(request, "accounts/device.html", {"form": form})


@access.route("self")
@require_GET
def approved(request: UserRequest) -> HttpResponse:
    """The end of it, for the browser."""
    return render(request, "accounts/device_approved.html")


# The calls of the program


def _oauth(view: Callable[[HttpRequest, dict[str, str]], JsonResponse]) -> Callable[..., HttpResponse]:
    """A call of RFC 6749's kind: fields of a form, each once; an answer that nobody keeps. It is for our own command alone."""

    @access.route("public")
    @login_not_required
    @csrf_exempt
    @sensitive_post_parameters("device_code")
    @require_POST
    def called(request: HttpRequest) -> HttpResponse:
        answer = _refusal(request) or view(request, request.POST.dict())
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return called


def _refusal(request: HttpRequest) -> JsonResponse | None:
    if any(len(values) != 1 for _, values in request.POST.lists()):
        return _error("invalid_request", "Each field may be there once.")
    if "client_id" not in request.POST:
        return _error("invalid_request", "client_id is missing, or these are not fields of a form.")
    if request.POST["client_id"] != CLIENT:
        return _error("invalid_client", f"client_id is {CLIENT}.")
    return None


def _error(error: str, description: str = "", status: int = 400, **more: Any) -> JsonResponse:
    return JsonResponse(
        {"error": error} | ({"error_description": description} if description else {}) | more, status=status
    )


@_oauth
def code(request: HttpRequest, fields: dict[str, str]) -> JsonResponse:
    """Begins: a code for the program, and a short one for people. Fields: machine, scope (all, read)."""
    scope = fields.get("scope") or PersonalToken.Scope.ALL
    if scope not in PersonalToken.Scope:
        return _error("invalid_scope", "scope is all or read.")
    address = get_adapter().get_client_ip(request)
    try:
        begun = device_grants.begin(machine=fields.get("machine", ""), scope=scope, address=address)
    except ValidationError as error:
        return _error("invalid_request", " ".join(error.messages))
    except device_grants.TooManyOpen:
        return _error("temporarily_unavailable", "Too many programs wait at this address. Try again later.", 429)
    page = settings.MLTEAM_URL + reverse("device")
    return JsonResponse(
        {
            "device_code": begun.device_code,
            "user_code": begun.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?{urlencode({'code': begun.user_code})}",
            "expires_in": begun.expires_in,
            "interval": begun.interval,
        }
    )


@_oauth
def token(request: HttpRequest, fields: dict[str, str]) -> JsonResponse:
    """The program's poll. Fields: grant_type, device_code."""
    if missing := {"grant_type", "device_code"} - fields.keys():
        return _error("invalid_request", f"{sorted(missing)[0]} is missing.")
    if fields["grant_type"] != GRANT:
        return _error("unsupported_grant_type", f"grant_type is {GRANT}.")
    with transaction.atomic():  # with the email about it: a token that its owner is not told of is not made
        answer = device_grants.poll(fields["device_code"])
        if isinstance(answer, device_grants.Refusal):
            return _error(answer)
        notices.send(request, answer.user, notices.PROGRAM)
    return JsonResponse(
        {
            "access_token": answer.text,
            "token_type": "Bearer",
            "expires_in": answer.days * DAY,
            "scope": answer.scope,
        }
    )
