"""Outgoing email. The row is the queue: Redis only hurries it, and nothing is lost while Redis or the mail server is away."""

import logging
import re
from collections.abc import Iterable
from datetime import timedelta
from smtplib import SMTPException
from typing import Final

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import F
from django.template.loader import render_to_string
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.models import OutgoingEmail
from accounts.signals import email_attempted

log = logging.getLogger(__name__)

CLAIM: Final = timedelta(minutes=2)  # longer than a mail server may take to answer
FIRST_RETRY: Final = timedelta(seconds=30)
LONGEST_RETRY: Final = timedelta(hours=1)
MOST_ATTEMPTS: Final = 30  # a little more than a day
BATCH: Final = 20


def put(*, to: str, subject: str, body: str, reference: str = "") -> OutgoingEmail:
    """Queues an email in the current transaction; it goes out within a second of the commit when all is well."""
    email = OutgoingEmail.objects.create(to=to, subject=" ".join(subject.split())[:300], body=body, reference=reference)
    transaction.on_commit(lambda: _hurry(email.pk))
    return email


def put_all(*, to: Iterable[str], subject: str, body: str) -> None:
    """Queues the same email for many, one for each, in the current transaction; the sweep finds them."""
    subject = " ".join(subject.split())[:300]
    emails = (OutgoingEmail(to=address, subject=subject, body=body) for address in to)
    OutgoingEmail.objects.bulk_create(emails, batch_size=500)


def _hurry(email_id: str) -> None:
    from accounts.tasks import send_email

    try:
        send_email.apply_async([email_id], retry=False)
    except (OperationalError, OSError) as error:
        log.debug("the sweep will send email %s: %s", email_id, error)


def send_waiting() -> int:
    """Sends what is due, oldest first; the number of emails tried."""
    due = OutgoingEmail.objects.filter(next_attempt_at__lte=timezone.now()).order_by("next_attempt_at")
    tried = [email_id for email_id in due.values_list("pk", flat=True)[:BATCH] if send(email_id)]
    return len(tried)


def send(email_id: str) -> bool:
    """Tries one email, when it is due and nobody else is at it; failures are tried again later, less and less often."""
    now = timezone.now()
    claimed = OutgoingEmail.objects.filter(pk=email_id, next_attempt_at__lte=now).update(
        next_attempt_at=now + CLAIM, attempts=F("attempts") + 1
    )
    if not claimed:
        return False
    email = OutgoingEmail.objects.get(pk=email_id)
    try:
        message_of(email).send()
    except (OSError, SMTPException, ValueError) as error:  # ValueError: a header that cannot be sent
        _failed(email, f"{type(error).__name__}: {error}")
    else:
        _done(email, "")
    return True


def message_of(email: OutgoingEmail) -> EmailMultiAlternatives:
    """The email with its two parts: the text as it was written, and the same as HTML."""
    message = EmailMultiAlternatives(subject=email.subject, body=email.body, to=[email.to])
    context = {"subject": email.subject, "paragraphs": paragraphs(email.body)}
    message.attach_alternative(render_to_string("account/email/page.html", context), "text/html")
    return message


def paragraphs(body: str) -> list[list[tuple[str, bool]]]:
    """Paragraphs of a text, each in pieces (text, whether it is a link). Only addresses of ours become links.

    Names that people chose are part of such texts: one that looks like an address elsewhere stays a text.
    """
    link = re.compile(rf"({re.escape(settings.MLTEAM_URL)}/\S*)")
    parts = [part for part in re.split(r"\n\s*\n", body.strip()) if part]
    return [[(piece, bool(link.fullmatch(piece))) for piece in link.split(part) if piece] for part in parts]


def _failed(email: OutgoingEmail, error: str) -> None:
    log.warning("email %s to %s was not sent: %s", email.pk, email.to, error)
    if email.attempts >= MOST_ATTEMPTS:
        _done(email, f"given up: {error}")
        return
    wait = min(FIRST_RETRY * 2 ** (email.attempts - 1), LONGEST_RETRY)
    with transaction.atomic():
        OutgoingEmail.objects.filter(pk=email.pk).update(next_attempt_at=timezone.now() + wait)
        email_attempted.send(sender=OutgoingEmail, email=email, error=f"not sent yet, will be tried again: {error}")


@transaction.atomic
def _done(email: OutgoingEmail, error: str) -> None:
    email_attempted.send(sender=OutgoingEmail, email=email, error=error)
    OutgoingEmail.objects.filter(pk=email.pk).delete()
