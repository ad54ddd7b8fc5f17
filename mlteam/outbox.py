"""Email of an installation without SMTP: a file per message under var/outbox, and a line on the console."""

import sys

from django.core.mail.backends.filebased import EmailBackend as FileBackend
from django.core.mail.message import EmailMessage


class EmailBackend(FileBackend):
    """Writes each message to EMAIL_FILE_PATH and says so."""

    def write_message(self, message: EmailMessage) -> None:
        super().write_message(message)
        name = self._get_filename()  # type: ignore[attr-defined]
        sys.stderr.write(f"email to {', '.join(message.to)}: {message.subject} ({name})\n")
