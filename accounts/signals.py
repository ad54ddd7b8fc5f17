"""What accounts tell the apps above them."""

from django.dispatch import Signal

# An email has been sent, or could not be. Arguments: email (OutgoingEmail), error ("" when it was sent).
email_attempted = Signal()
