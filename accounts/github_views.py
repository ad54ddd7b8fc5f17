"""Signing in with GitHub: the way there, the way back, and forgetting it."""

from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from allauth.decorators import rate_limit
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import access
from accounts import github, notices
from accounts.models import User
from accounts.requests import UserRequest


@access.route("public")
@login_not_required
@never_cache
@require_POST
@rate_limit(action="login")
def ask(request: HttpRequest) -> HttpResponse:
    """Off to GitHub."""
    _check_offered(request)
    then = request.POST.get("next", "")
    return redirect(github.ask(request, then=then if get_adapter(request).is_safe_url(then) else ""))


@access.route("public")
@login_not_required
@never_cache
@require_GET
def answer(request: HttpRequest) -> HttpResponse:
    """Back from GitHub."""
    _check_offered(request)
    if request.user.is_authenticated:
        return redirect("home")
    try:
        person, then = github.answered(request, request.GET.dict())
        user, is_new = github.account_of(person)
    except github.Failed as error:
        messages.error(request, str(error))
        return redirect("account_login")
    if is_new:
        notices.send(request, user, notices.CONNECTED)
    return _sign_in(request, user, then)


def _sign_in(request: HttpRequest, user: User, then: str) -> HttpResponse:
    """As with the password: the second step comes after it, and nothing of an older session stays."""
    record_authentication(request, user, method="github")
    return perform_login(request, user, redirect_url=then or None)


@access.route("self")
@require_http_methods(["GET", "POST"])
@reauthentication_required(app="allauth.account")
def disconnect(request: UserRequest) -> HttpResponse:
    """Forgets the GitHub account."""
    link = github.link_of(request.user)
    if request.method == "GET" and link:
        return render(request, "accounts/github_remove.html", {"login": link.login})
    if github.disconnect(user=request.user):
        notices.send(request, request.user, notices.DISCONNECTED)
        messages.success(request, "Disconnected.")
    return redirect("account_security")


def _check_offered(request: HttpRequest) -> None:
    if not github.is_on():
        raise Http404("This installation does not offer to sign in with GitHub.")
