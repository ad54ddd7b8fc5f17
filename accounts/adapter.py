"""How allauth does things here: sign-up by invitation, absolute links from MLTEAM_URL, email through the outbox, second steps."""

import base64
import hashlib
from functools import cache
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib import messages
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import devices, invited, mail, notices, second_step, sessions
from accounts.models import User
from accounts.names import fold_email
from accounts.requests import client_address
from mlteam import state

# Ways to confirm that it is oneself, in our words.
WAYS: Final = {
    "reauthenticate": "Use your password",
    "mfa_reauthenticate": "Use a code",
    "mfa_reauthenticate:webauthn": "Use a passkey",
}
# Links that allauth puts into its emails from the request's Host header; ours take their place.
LINKS: Final = {"signup_url": "account_signup", "password_reset_url": "account_reset_password"}


def absolute(path: str) -> str:
    """The address of a page of ours, whatever host the request named."""
    return settings.MLTEAM_URL + path


class Adapter(DefaultAccountAdapter):
    """Named in settings.ACCOUNT_ADAPTER."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return invited.find(request) is not None

    def is_email_verified(self, request: HttpRequest, email: str) -> bool:
        """The emailed link of an invitation has proven the address that it was sent to."""
        found = invited.find(request)
        return found is not None and found.proves_address and fold_email(email) == found.email

    def is_safe_url(self, url: str | None) -> bool:
        """Where a sign-in may lead: to pages of ours, by their path alone."""
        return bool(url) and url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Not when another account has the address, though it may not have proven it: each has one of its own."""
        others = User.objects.exclude(pk=email_address.user_id)
        if others.filter(email=fold_email(email_address.email)).exists():
            messages.error(request, "Another account has this address. Sign in with that, or use another address.")
            return False
        return super().confirm_email(request, email_address)

    def clean_email(self, email: str) -> str:
        return fold_email(email)

    def clean_password(self, password: str, user: User | None = None) -> str:
        return super().clean_password(password, user)

    def save_user(self, request: HttpRequest, user: User, form: BaseForm, commit: bool = True) -> User:
        user.name = form.cleaned_data.get("name", "")
        return super().save_user(request, user, form, commit)

    def login(self, request: HttpRequest, user: User) -> None:
        """Signs in; from a browser that is new to the account, its owner is told. An account's first sign-in is no news."""
        news = user.last_login is not None and not devices.is_known(request, user)
        super().login(request, user)
        sessions.note(request, first=True)
        if news:
            notices.send(request, user, notices.SIGNED_IN)

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        response = super().post_login(request, user, **kwargs)
        devices.remember(request, response, user)
        return response

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Not for an account's first second step just after the sign-in, nor for signing a program in, which begins with one.

        The password was asked for a moment ago.
        """
        if app == "allauth.mfa" and second_step.confirmed_by_sign_in(context.request):
            return False
        if app == "accounts.device" and second_step.has_just_signed_in(context.request):
            return False
        return super().is_reauthentication_required(app=app, **kwargs)

    def get_client_ip(self, request: HttpRequest) -> str:
        """The network address of who asks, by which attempts are limited too."""
        return client_address(request) or "unknown"

    def get_reauthentication_methods(self, user: User) -> list[dict[str, Any]]:
        return [way | {"description": WAYS[way["id"]]} for way in super().get_reauthentication_methods(user)]

    def get_reset_password_from_key_url(self, key: str) -> str:
        user, _, rest = key.partition("-")
        return absolute(reverse("account_reset_password_from_key", kwargs={"uidb36": user, "key": rest}))

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: EmailConfirmationHMAC) -> str:
        return absolute(reverse("account_confirm_email", args=[emailconfirmation.key]))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Renders with our own address, and leaves the sending to the outbox."""
        site = SimpleNamespace(name="mlteam", domain=urlsplit(settings.MLTEAM_URL).netloc)
        links = {name: absolute(reverse(route)) for name, route in LINKS.items() if _from_request(context, name)}
        message = self.render_mail(template_prefix, email, {"email": email, "current_site": site} | context | links)
        mail.put(to=email, subject=message.subject, body=message.body)

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """What allauth wants an account's owner to know, in our words."""
        if what := notices.SENTENCES.get(template_prefix):
            notices.send(self.request, user, what, to=email or "")


class SecondStepAdapter(DefaultMFAAdapter):
    """Named in settings.MFA_ADAPTER."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "This is not right, or it was used before. Take the newest code.",
    }

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _cipher().decrypt(encrypted_text.encode()).decode()

    def get_totp_issuer(self) -> str:
        """What an app calls its codes: people may have accounts on several installations."""
        return f"mlteam {_host()}"

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        return f"Passkey {Authenticator.objects.filter(user=user, type=type).count() + 1}"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """A passkey belongs to our own host name, whatever name the request used."""
        return {"id": _host(), "name": "mlteam"}


def _host() -> str:
    return urlsplit(settings.MLTEAM_URL).hostname or "localhost"


@cache
def _cipher() -> Fernet:
    """Keeps secrets of second steps unreadable to whoever has the database alone; its key is a file beside it."""
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(state.secret("second-steps").encode()).digest()))


def _from_request(context: dict[str, Any], name: str) -> bool:
    """Whether the link is a plain page; a password reset with its key comes from us already."""
    return name in context and "key" not in context
