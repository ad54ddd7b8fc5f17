"""Outgoing email: the row is the queue."""

from datetime import timedelta
from smtplib import SMTPServerDisconnected

import pytest
from django.core import mail as sent
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from accounts import mail
from accounts.models import OutgoingEmail
from accounts.signals import email_attempted


class Broken(EmailBackend):
    """A mail server that hangs up."""

    def send_messages(self, messages):
        raise SMTPServerDisconnected("Connection unexpectedly closed")


@pytest.fixture
def broken(settings):
    settings.EMAIL_BACKEND = f"{__name__}.Broken"


@pytest.fixture
def heard():
    """What apps above are told, as (reference, error)."""
    told = []

    def listen(sender, email, error, **_):
        told.append((email.reference, error))

    email_attempted.connect(listen)
    yield told
    email_attempted.disconnect(listen)


@pytest.fixture
def email(db):
    return mail.put(to="a@example.com", subject="Two\nlines", body="the link", reference="thing:1")


def later(seconds):
    OutgoingEmail.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=seconds))


def test_the_sweep_sends_what_waits_and_forgets_it(email, heard):
    assert mail.send_waiting() == 1
    (message,) = sent.outbox
    assert (message.to, message.subject, message.body) == (["a@example.com"], "Two lines", "the link")
    assert not OutgoingEmail.objects.exists()
    assert heard == [("thing:1", "")]
    assert mail.send_waiting() == 0


def test_with_redis_away_nothing_is_lost_and_nobody_is_told_an_error(transactional_db):
    mail.put(to="a@example.com", subject="s", body="b")  # no Redis runs in this test
    assert OutgoingEmail.objects.count() == 1
    assert mail.send_waiting() == 1
    assert len(sent.outbox) == 1


def test_an_email_of_a_transaction_that_failed_never_was(transactional_db):
    from django.db import transaction

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        mail.put(to="a@example.com", subject="s", body="b")
        raise ZeroDivisionError
    assert mail.send_waiting() == 0


def test_two_workers_send_it_once(email):
    later(0)
    OutgoingEmail.objects.filter(pk=email.pk).update(next_attempt_at=timezone.now() + mail.CLAIM)  # one has it
    assert not mail.send(email.pk)
    assert sent.outbox == []


def test_one_whose_worker_died_is_sent_by_another(email):
    later(-mail.CLAIM.total_seconds() + 1)
    assert mail.send_waiting() == 0
    later(1)
    assert mail.send_waiting() == 1


def test_failures_are_tried_again_less_and_less_often(email, broken, heard, monkeypatch):
    now, waits = timezone.now(), []
    monkeypatch.setattr(timezone, "now", lambda: now)
    for _ in range(4):
        later(1)
        assert mail.send_waiting() == 1
        email.refresh_from_db()
        waits.append((email.next_attempt_at - now).total_seconds())
        assert mail.send_waiting() == 0
    assert waits == [30, 60, 120, 240]
    assert all("tried again" in error for _, error in heard)


def test_in_the_end_it_is_given_up_and_said(email, broken, heard):
    OutgoingEmail.objects.update(attempts=mail.MOST_ATTEMPTS - 1)
    mail.send_waiting()
    assert not OutgoingEmail.objects.exists()
    assert heard[-1][1].startswith("given up: SMTPServerDisconnected")


def test_one_bad_email_does_not_hold_up_the_others(email):
    OutgoingEmail.objects.create(
        to="b@example.com", subject="a\nb", body="", next_attempt_at=timezone.now() - timedelta(hours=1)
    )
    mail.send_waiting()
    assert [message.to for message in sent.outbox] == [["a@example.com"]]
