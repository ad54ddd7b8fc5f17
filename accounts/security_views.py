"""Pages about signing in: the second step, recovery codes, sessions; and the end of an account."""

from typing import Any

from allauth.account.decorators import reauthentication_required
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.views import AddWebAuthnView
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth import logout
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import access
from accounts import actions, github, notices, second_step, sessions
from accounts.forms import AppForm, CloseForm, PasskeyForm
from accounts.models import AuthenticatorApp
from accounts.requests import UserRequest

UNPROVEN = "Confirm your address first. Then a second step can be set up."
NEEDED = "This installation requires a second step. Add another one before you remove this."

# Asks for the password or a code first, unless that was done a few minutes ago.
confirmed = reauthentication_required(app="allauth.mfa")


@access.route("self")
@never_cache
@require_GET
def security(request: UserRequest) -> HttpResponse:
    """All about signing in to one's account."""
    user = request.user
    context = {
        "apps": second_step.apps_of(user),
        "passkeys": second_step.passkeys_of(user),
        "github": github.link_of(user),
        "codes_left": second_step.codes_left(user),
        "sessions": sessions.of(user, this=request.session.session_key),
        "missing": second_step.is_missing(user),
        "verified": user.verified,
    }
    return render(request, "accounts/security.html", context)


@access.route("self")
@never_cache
@require_http_methods(["GET", "POST"])
@confirmed
def app_new(request: UserRequest) -> HttpResponse:
    """A new authenticator app: its secret, then a code of it."""
    if refusal := _unproven(request):
        return refusal
    form = AppForm(request.POST or None, initial={"name": "Phone"})
    secret = second_step.pending_secret(request) if form.is_bound else second_step.new_secret(request)
    if form.is_valid() and (codes := _add_app(request, form, secret)) is not None:
        return _added(request, codes)
    context = {"form": form, "secret": secret, "picture": second_step.picture_of(request.user, secret)}
    return render(request, "accounts/app_new.html", context)


def _add_app(request: UserRequest, form: AppForm, secret: str) -> list[str] | None:
    """The recovery codes that came with it, none when there were some; None when something was wrong."""
    try:
        codes = second_step.add_app(user=request.user, secret=secret, **form.cleaned_data)
    except ValidationError as error:
        form.add_error(None, error)
        return None
    request.session.pop(second_step.PENDING, None)
    notices.send(request, request.user, "An authenticator app was added to your account.")
    return codes


def _added(request: HttpRequest, codes: list[str]) -> HttpResponse:
    """The end of adding a second step: the recovery codes when they are new, and they are shown just this once."""
    if codes:
        then = request.session.pop(second_step.WANTED, None) or reverse("account_security")
        return render(request, "accounts/recovery_codes.html", {"codes": codes, "first": True, "then": then})
    messages.success(request, "Added. It works from the next sign-in on.")
    return redirect("account_security")


def _unproven(request: UserRequest) -> HttpResponse | None:
    """Who has not proven the address gets no second step: it would lock out the one whose address it is."""
    if request.user.verified:
        return None
    messages.error(request, UNPROVEN)
    return redirect("account_email" if second_step.is_missing(request.user) else "account_security")


class AddPasskey(AddWebAuthnView):
    """allauth's adding of passkeys, with our pages around it."""

    template_name = "accounts/passkey_new.html"

    def get_form_class(self) -> type:
        return PasskeyForm

    def get_success_url(self) -> str:
        return reverse("account_security")

    def form_valid(self, form: Any) -> HttpResponse:
        super().form_valid(form)
        return _added(
            self.request, second_step.new_codes(user=self.request.user) if self.did_generate_recovery_codes else []
        )


_passkey_new = AddPasskey.as_view()


@access.route("self")
@never_cache
@require_http_methods(["GET", "POST"])
def passkey_new(request: UserRequest) -> HttpResponse:
    """A new passkey or security key; the browser makes it."""
    return _unproven(request) or _passkey_new(request)


@access.route("self")
@require_http_methods(["GET", "POST"])
@confirmed
def app_remove(request: UserRequest, app_id: str) -> HttpResponse:
    """Takes an authenticator app away."""
    app = get_object_or_404(AuthenticatorApp.objects.filter(authenticator__user=request.user), pk=app_id)
    if request.method == "GET":
        return render(request, "accounts/step_remove.html", {"name": app.name, "action": request.path})
    try:
        second_step.remove_app(app=app)
    except second_step.LastOne:
        return _needed(request)
    return _removed(request, "An authenticator app was removed from your account.")


@access.route("self")
@require_http_methods(["GET", "POST"])
@confirmed
def passkey_remove(request: UserRequest, passkey_id: int) -> HttpResponse:
    """Takes a passkey away."""
    mine = Authenticator.objects.filter(user=request.user, type=Authenticator.Type.WEBAUTHN)
    passkey = get_object_or_404(mine, pk=passkey_id)
    if request.method == "GET":
        return render(request, "accounts/step_remove.html", {"name": str(passkey), "action": request.path})
    try:
        second_step.remove_passkey(passkey=passkey)
    except second_step.LastOne:
        return _needed(request)
    return _removed(request, "A passkey was removed from your account.")


def _needed(request: HttpRequest) -> HttpResponse:
    messages.error(request, NEEDED)
    return redirect("account_security")


def _removed(request: UserRequest, what: str) -> HttpResponse:
    notices.send(request, request.user, what)
    messages.success(request, "Removed.")
    return redirect("account_security")


@access.route("self")
@never_cache
@require_http_methods(["GET", "POST"])
@confirmed
def recovery_codes(request: UserRequest) -> HttpResponse:
    """New recovery codes in place of the older ones; they are in this one answer and nowhere else."""
    if not second_step.is_on(request.user):
        return redirect("account_security")
    if request.method == "GET":
        return render(request, "accounts/recovery_codes.html", {"left": second_step.codes_left(request.user)})
    codes = second_step.new_codes(user=request.user)
    notices.send(request, request.user, "New recovery codes were made for your account.")
    return render(
        request, "accounts/recovery_codes.html", {"codes": codes, "first": False, "then": reverse("account_security")}
    )


@access.route("self")
@require_POST
def session_end(request: UserRequest, session_id: int) -> HttpResponse:
    """Signs one browser out."""
    session = get_object_or_404(UserSession.objects.filter(user=request.user), pk=session_id)
    if session.session_key == request.session.session_key:
        logout(request)
        return redirect("account_login")
    sessions.end(session=session)
    messages.success(request, "Signed out there.")
    return redirect("account_security")


@access.route("self")
@require_POST
def sessions_end(request: UserRequest) -> HttpResponse:
    """Signs out everywhere else."""
    ended = sessions.end_others(user=request.user, this=request.session.session_key)
    messages.success(request, f"Signed out in {ended} other browser{'s' if ended != 1 else ''}.")
    return redirect("account_security")


@access.route("self")
@require_http_methods(["GET", "POST"])
@reauthentication_required(app="allauth.account")
def close(request: UserRequest) -> HttpResponse:
    """Deletes one's account, or says what has to happen first."""
    form = CloseForm(request.POST or None, username=request.user.username)
    reasons = actions.objections(user=request.user)
    if form.is_valid() and not reasons:
        try:
            return _closed(request)
        except actions.Objection as objection:
            reasons = objection.reasons
    return render(request, "accounts/close.html", {"form": form, "reasons": reasons})


def _closed(request: UserRequest) -> HttpResponse:
    user, address = request.user, request.user.email if request.user.verified else ""
    actions.close(user=user)
    if address:
        notices.send(request, user, notices.CLOSED, to=address)
    logout(request)
    messages.success(request, "Your account is deleted.")
    return redirect("account_login")
