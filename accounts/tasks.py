"""Doors for Celery; what they do is in accounts.mail, .actions, .device_grants and .sessions."""

from celery import shared_task

from accounts import actions, device_grants, mail, sessions


@shared_task(ignore_result=True)
def send_email(email_id: str) -> None:
    """Sends one email now; a failure is tried again by the sweep, with backoff."""
    mail.send(email_id)


@shared_task(ignore_result=True)
def send_waiting() -> None:
    """Sends what is due: the sweep behind the hints, and the retries."""
    mail.send_waiting()


@shared_task(ignore_result=True)
def forget_closed() -> None:
    """Removes what is left of deleted accounts, of programs that waited to be signed in, and of sessions."""
    actions.forget_closed()
    device_grants.forget_old()
    sessions.forget_ended()
