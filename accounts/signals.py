"""What accounts tell the apps above them."""

from django.dispatch import Signal

# An email has been sent, or could not be. Arguments: email (OutgoingEmail), error ("" when it was sent).
email_attempted = Signal()

# An account may be about to be deleted: who objects answers with a list of sentences. Argument: user.
account_closing_asked = Signal()
# An account is being deleted, and nobody objected; sent inside the transaction that does it. Argument: user.
account_closing = Signal()
