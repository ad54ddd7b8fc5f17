"""Pages of personal tokens."""

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

import access
from accounts import notices
from accounts import tokens as personal
from accounts.forms import TokenForm
from accounts.requests import UserRequest


@access.route("self")
@require_GET
def tokens(request: UserRequest) -> HttpResponse:
    """One's personal tokens."""
    return render(request, "accounts/tokens.html", {"tokens": personal.of(request.user)})


@access.route("self")
@never_cache
@require_http_methods(["GET", "POST"])
@reauthentication_required(app="allauth.account")
def token_new(request: UserRequest) -> HttpResponse:
    """A new one. Its text is in the one answer that makes it, and nowhere else."""
    form = TokenForm(request.POST or None)
    text = _make(request, form) if form.is_valid() else None
    if text is None:
        return render(request, "accounts/token_new.html", {"form": form})
    return render(request, "accounts/token_made.html", {"text": text, "name": form.cleaned_data["name"]})


def _make(request: UserRequest, form: TokenForm) -> str | None:
    try:
        text = personal.make(user=request.user, **form.cleaned_data)
    except ValidationError as error:
        form.add_error(None, error)
        return None
    notices.send(request, request.user, "A personal token was made for your account.")
    return text


@access.route("self")
@require_http_methods(["GET", "POST"])
def token_revoke(request: UserRequest, token_id: str) -> HttpResponse:
    """Ends one. It asks for no password: whoever has found a leak is in a hurry."""
    token = get_object_or_404(personal.of(request.user), pk=token_id)
    if request.method == "GET":
        return render(request, "accounts/token_revoke.html", {"token": token})
    personal.revoke(token=token)
    messages.success(request, f"Revoked {token.name}.")
    return redirect("tokens")
