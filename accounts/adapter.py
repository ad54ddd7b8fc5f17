"""How allauth does things here: sign-up by invitation, absolute links from MLTEAM_URL, email through the outbox."""

from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailConfirmationHMAC
from django.conf import settings
from django.forms import BaseForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import invited, mail
from accounts.models import User
from accounts.names import fold_email

# Links that allauth puts into its emails from the request's Host header; ours take their place.
LINKS: Final = {"signup_url": "account_signup", "password_reset_url": "account_reset_password"}


def absolute(path: str) -> str:
    """The address of a page of ours, whatever host the request named."""
    return settings.MLTEAM_URL + path


class Adapter(DefaultAccountAdapter):
    """Named in settings.ACCOUNT_ADAPTER."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return settings.OPEN_SIGNUP or invited.find(request) is not None

    def is_email_verified(self, request: HttpRequest, email: str) -> bool:
        """The emailed link of an invitation has proven the address that it was sent to."""
        found = invited.find(request)
        return found is not None and found.proves_address and fold_email(email) == found.email

    def is_safe_url(self, url: str | None) -> bool:
        """Where a sign-in may lead: to pages of ours, by their path alone."""
        return bool(url) and url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def clean_email(self, email: str) -> str:
        return fold_email(email)

    def clean_password(self, password: str, user: User | None = None) -> str:
        return super().clean_password(password, user)

    def save_user(self, request: HttpRequest, user: User, form: BaseForm, commit: bool = True) -> User:
        user.name = form.cleaned_data.get("name", "")
        return super().save_user(request, user, form, commit)

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


def _from_request(context: dict[str, Any], name: str) -> bool:
    """Whether the link is a plain page; a password reset with its key comes from us already."""
    return name in context and "key" not in context
