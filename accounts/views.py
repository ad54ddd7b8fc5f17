"""Pages about accounts: the first one, one's own, and sign-up by invitation."""

from typing import Any

from allauth.account.utils import perform_login
from allauth.account.views import SignupView as AllauthSignupView
from allauth.account.views import email as change_email
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

import access
from accounts import actions, first, invited
from accounts.forms import ProfileForm, SetupForm
from accounts.models import User
from accounts.requests import UserRequest


@access.route("token")
@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def setup(request: HttpRequest, token: str) -> HttpResponse:
    """The first account; nothing is here without the token, or once there is an account."""
    if not first.opens(token):
        raise Http404
    form = SetupForm(request.POST or None)
    if form.is_valid():
        try:
            user = actions.create_first_account(token=token, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        except actions.SetupClosed:
            raise Http404 from None
        else:
            return perform_login(request, user)
    return render(request, "accounts/setup.html", {"form": form})


@access.route("self")
@require_http_methods(["GET", "POST"])
def profile(request: UserRequest) -> HttpResponse:
    """One's own account."""
    # The form gets a copy: a name that was refused must not be shown in the header.
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=request.user.pk))
    if form.is_valid():
        actions.change_profile(user=request.user, fields=form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("profile")
    return render(request, "accounts/profile.html", {"form": form, "unverified": not request.user.verified})


@access.route("self")
def email(request: UserRequest) -> HttpResponse:
    """One's address. It is proven before it is changed: an invitation is to an address, and not to whoever has the link."""
    if "action_add" in request.POST and not request.user.verified:
        messages.error(request, "Confirm this address first; then you can change it.")
        return redirect("account_email")
    return change_email(request)


class SignupView(AllauthSignupView):
    """allauth's sign-up, which knows what one is invited to."""

    def get_form(self, form_class: type | None = None) -> Any:
        form = super().get_form(form_class)
        if found := invited.find(self.request):
            form.invite(found)
        return form

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            return super().form_valid(form)
        except IntegrityError:  # two at once with the same address or username
            form.add_error(None, "Somebody has just taken this address or username. Sign in, or choose another.")
            return self.form_invalid(form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"invitation": invited.find(self.request)}


signup = access.route("public")(SignupView.as_view())
