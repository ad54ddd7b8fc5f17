"""What datastores tell the apps above them. Sent inside the transaction that makes it true."""

from django.dispatch import Signal

# A datastore is about to be removed. A receiver answers with what uses it, as a list of datastores.errors.User. Arguments: datastore; by,
# who asks: of what they may not see only that it is there.
datastore_removing = Signal()
