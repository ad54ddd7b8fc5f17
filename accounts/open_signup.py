"""Sign-up where it is open to everybody: first the address, then, by the link that is sent there, the account.

So nobody learns who has an account here: the answer is the same for every address, and what differs is in its owner's mailbox.
"""

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.core.internal import ratelimit
from django.conf import settings
from django.core import signing
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import mail
from accounts.models import User

if TYPE_CHECKING:
    from django.http import HttpRequest

HOLDS: Final = 3 * 24 * 3600  # seconds
LINKS: Final = {"signup_link": "3/h/key"}  # to one address, whoever asks
_signer = signing.TimestampSigner(salt="accounts.signup", sep=".")


def send_link(request: "HttpRequest", address: str) -> None:
    """Writes to the address (folded): a link to sign up with, or that there is an account already."""
    if ratelimit.consume(request, app="accounts", action="signup_link", config=LINKS, key=address) is None:
        return
    if User.objects.filter(email=address).exists():
        get_adapter(request).send_account_already_exists_mail(address)
        return
    link = f"{settings.MLTEAM_URL}{reverse('account_signup')}?{urlencode({'address': _signer.sign(address)})}"
    body = render_to_string("account/email/signup_link.txt", {"link": link})
    mail.put(to=address, subject="Create your mlteam account", body=body)


def address_of(proof: str) -> str | None:
    """The address that a link was sent to; None when it is not ours, too old, or sign-up is closed."""
    if not settings.OPEN_SIGNUP:
        return None
    try:
        return _signer.unsign(proof, max_age=HOLDS)
    except signing.BadSignature:
        return None
