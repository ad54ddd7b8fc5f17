"""Emails that tell somebody what has happened to their account, so that what they did not do does not go unnoticed."""

from typing import TYPE_CHECKING, Final

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts import devices, mail

if TYPE_CHECKING:
    from django.http import HttpRequest

    from accounts.models import User

SIGNED_IN: Final = "Your account was signed in to from a browser that we have not seen before."
GUESSED: Final = (
    "Somebody who knows your password has typed too many wrong codes for the second step. They did not get in."
)
CONNECTED: Final = "A GitHub account was connected with your account: it can sign you in from now on."
DISCONNECTED: Final = "The GitHub account was disconnected from your account."
PROGRAM: Final = "A program was signed in to your account by mlteam login, and got a personal token."
ADMIN: Final = "You are an admin of this installation now."
NO_ADMIN: Final = "You are no longer an admin of this installation."
FORGOTTEN: Final = "The second step of your account was taken away by whoever runs this server."
CLOSED: Final = "Your account was deleted, as asked."
# allauth's own notices, by what it calls them.
SENTENCES: Final = {
    "account/email/password_changed": "The password of your account was changed.",
    "account/email/password_reset": "The password of your account was reset by an emailed link.",
    "account/email/email_changed": "The address of your account was changed. This one no longer belongs to it.",
    "mfa/email/webauthn_added": "A passkey was added to your account.",
}


def send(request: "HttpRequest | None", user: "User", what: str, *, to: str = "") -> None:
    """Puts a notice in the outbox: to the account's address when that is proven, or to the one named.

    `request`: None for what was done on the server itself.
    """
    if not to and not user.verified:
        return
    adapter = get_adapter(request)
    context = {
        "what": what,
        "user": user,
        "at": timezone.now(),
        "address": adapter.get_client_ip(request) if request else "the server itself",
        "browser": devices.in_words(adapter.get_http_user_agent(request)) if request else "a command",
        "link": settings.MLTEAM_URL + reverse("account_security"),
    }
    subject = what.partition(". ")[0].rstrip(".")
    mail.put(to=to or user.email, subject=subject, body=render_to_string("account/email/notice.txt", context))
