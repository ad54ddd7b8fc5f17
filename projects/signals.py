"""What projects tell the apps above them. All are sent inside the transaction that makes them true."""

from django.dispatch import Signal

from projects.errors import Impossible


class StillInUse(Impossible):
    """A receiver of project_removing objects; the message says why, and what to do first."""


# A project is about to be removed. Whoever objects raises StillInUse with a sentence. Arguments: project, by.
project_removing = Signal()
# A project's rows go for good, with all that hangs on them; files outside the database are the receiver's. Argument: project.
project_purging = Signal()
# Somebody has lost their membership, removed or by leaving. Arguments: project, user, by.
member_removed = Signal()
