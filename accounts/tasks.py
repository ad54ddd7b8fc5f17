"""Doors for Celery; what they do is in accounts.mail."""

from celery import shared_task

from accounts import mail


@shared_task(ignore_result=True)
def send_email(email_id: str) -> None:
    """Sends one email now; a failure is tried again by the sweep, with backoff."""
    mail.send(email_id)


@shared_task(ignore_result=True)
def send_waiting() -> None:
    """Sends what is due: the sweep behind the hints, and the retries."""
    mail.send_waiting()
