"""What the API remembers: answers, for those who could not hear them."""

from django.db import models
from django.utils import timezone


class Answer(models.Model):
    """What was answered to a request with an Idempotency-Key; kept for a day."""

    holder = models.CharField(max_length=40, help_text="who asked: user:ID or role:ID")
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64, help_text="SHA-256 of what was asked, hexadecimal")
    status = models.PositiveSmallIntegerField(default=0)
    body = models.BinaryField(default=b"", help_text="encrypted: some answers hold a secret that is shown once")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["holder", "key"], name="answered_once")]
