"""Pages about accounts: the first one, one's own, and sign-up by invitation."""

from typing import Any

from allauth.account.utils import perform_login
from allauth.account.views import LoginView as AllauthLoginView
from allauth.account.views import SignupView as AllauthSignupView
from allauth.account.views import email as change_email
from allauth.decorators import rate_limit
from django.conf import settings
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
from accounts import actions, first, github, invited, open_signup, wishes
from accounts.forms import AddressForm, EmailsForm, ProfileForm, SetupForm
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
@require_http_methods(["GET", "POST"])
def emails(request: UserRequest) -> HttpResponse:
    """Which emails one gets."""
    form = EmailsForm(request.POST if request.method == "POST" else None, user=request.user)
    if form.is_valid():
        wishes.choose(user=request.user, wanted={kind for kind, wanted in form.cleaned_data.items() if wanted})
        messages.success(request, "Saved.")
        return redirect("account_emails")
    return render(request, "accounts/emails.html", {"form": form})


@access.route("self")
def email(request: UserRequest) -> HttpResponse:
    """One's address. It is proven before it is changed: an invitation is to an address, and not to whoever has the link."""
    if "action_add" in request.POST and not request.user.verified:
        messages.error(request, "Confirm this address first; then you can change it.")
        return redirect("account_email")
    return change_email(request)


class LoginView(AllauthLoginView):
    """allauth's sign-in, which also offers that with GitHub where there are keys for it."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"github": github.is_on(), "open_signup": settings.OPEN_SIGNUP}


class SignupView(AllauthSignupView):
    """allauth's sign-up, which knows what one is invited to."""

    def get_initial(self) -> dict[str, Any]:
        return super().get_initial() | {"address": self.request.GET.get("address", "")}

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


login = access.route("public")(LoginView.as_view())
_by_invitation = SignupView.as_view()


@access.route("public")
@login_not_required
def signup(request: HttpRequest) -> HttpResponse:
    """Sign-up: by invitation, or, where it is open, first the address."""
    if settings.OPEN_SIGNUP and not request.user.is_authenticated and invited.find(request) is None:
        return _ask_address(request)
    return _by_invitation(request)


@never_cache
@require_http_methods(["GET", "POST"])
@rate_limit(action="signup")
def _ask_address(request: HttpRequest) -> HttpResponse:
    form = AddressForm(request.POST or None)
    if form.is_valid():
        open_signup.send_link(request, form.cleaned_data["email"])
        return redirect("account_email_verification_sent")
    return render(request, "account/signup_open.html", {"form": form})
