"""What projects tell the apps above them. All are sent inside the transaction that makes them true."""

from django.dispatch import Signal

# A project is about to be removed. Whoever objects raises projects.errors.Impossible. Arguments: project, by.
project_removing = Signal()
# A project is about to get another owner; `project` still has the former one. Argument: project.
owner_changing = Signal()
# A project's rows go for good, with all that hangs on them; files outside the database are the receiver's. Argument: project.
project_purging = Signal()
