"""Texts that a program shows to say who it is: made at random, stored as hashes, known by how they begin."""

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.utils import timezone

if TYPE_CHECKING:
    from access.prepared import Prepared

RANDOM: Final = 43  # characters: 256 bits in base64
NOTE_EVERY: Final = timedelta(minutes=1)  # between two notes of a text's last use

Row = TypeVar("Row")


def new(prefix: str) -> str:
    """A new text. `prefix`: so that one that lies about is known for what it is."""
    return prefix + secrets.token_urlsafe(32)


def digest(text: str) -> str:
    """What is stored of it. It is random and long: a plain hash cannot be turned around."""
    return hashlib.sha256(text.encode()).hexdigest()


def find(rows: "Prepared[Row]", prefix: str, text: str) -> "Row | None":
    """The one of the rows with a `digest` that has this text's; None when there is none, or when it cannot be such a text at all."""
    if not text.startswith(prefix) or len(text) != len(prefix) + RANDOM or not text.isascii():
        return None
    return rows.first(digest=digest(text))


def note_use(row: Any) -> None:
    """Notes in `last_used_at` that the text of this row was used, at most once a minute."""
    now = timezone.now()
    if row.last_used_at is None or row.last_used_at <= now - NOTE_EVERY:
        type(row)._default_manager.filter(pk=row.pk).update(last_used_at=now)
        row.last_used_at = now
