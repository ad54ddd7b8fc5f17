"""What access tells the apps above it. It is sent inside the transaction that makes it true."""

from django.dispatch import Signal

# Somebody's rules in some projects were changed by a policy or a role. Arguments: places (ids of projects), action, urn, by,
# before, after (values by field, or None), details.
rules_changed = Signal()
# Users may hold less than before, anywhere: every way of losing something, a membership or a team as well as a policy or a role,
# ends in access.policies.lapse, which tells it. Arguments: users (ids), by.
may_hold_less = Signal()
