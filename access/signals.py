"""What access tells the apps above it. It is sent inside the transaction that makes it true."""

from django.dispatch import Signal

# Somebody's rules in some projects were changed by a policy or a role. Arguments: places (ids of projects), action, urn, by,
# before, after (values by field, or None), details.
rules_changed = Signal()
