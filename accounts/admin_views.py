"""The page of the installation's admins."""

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import access
from access import refused
from accounts import admins, notices
from accounts.errors import Impossible
from accounts.forms import UserField
from accounts.requests import UserRequest


class AdminForm(forms.Form):
    """Somebody by username; `cleaned_data["username"]` is the User."""

    username = UserField()


@access.route("self")
@require_GET
def index(request: UserRequest) -> HttpResponse:
    """Who the admins are: everybody may know whom to ask."""
    return _page(request, AdminForm())


def _page(request: UserRequest, form: AdminForm) -> HttpResponse:
    context = {"admins": admins.all_of_them(), "form": form, "can_set": request.user.is_superuser}
    return render(request, "accounts/admins.html", context)


@access.route("self")
@require_POST
def add(request: UserRequest) -> HttpResponse:
    """Makes somebody an admin."""
    _check(request)
    form = AdminForm(request.POST)
    if form.is_valid():
        user = form.cleaned_data["username"]
        try:
            admins.add(user=user, by=request.user)
        except Impossible as error:
            form.add_error("username", str(error))
        else:
            notices.send(request, user, notices.ADMIN)
            messages.success(request, f"{user.shown} is an admin now.")
            return redirect("admins")
    return _page(request, form)


@access.route("self")
@require_http_methods(["GET", "POST"])
def remove(request: UserRequest, username: str) -> HttpResponse:
    """Asks, then makes an admin a user like others."""
    _check(request)
    user = get_object_or_404(admins.all_of_them(), username=username)
    if request.method == "POST":
        try:
            admins.remove(user=user, by=request.user)
        except Impossible as error:
            messages.error(request, str(error))
        else:
            notices.send(request, user, notices.NO_ADMIN)
            messages.success(request, f"{user.shown} is no admin any more.")
        return redirect("admins")
    return render(request, "accounts/admin_remove.html", {"admin": user})


def _check(request: UserRequest) -> None:
    if not request.user.is_superuser:
        raise refused("user:set", "not_granted", admins.ONLY_ADMINS)
