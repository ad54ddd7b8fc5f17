"""What teams tell the apps above them. All are sent inside the transaction that makes them true."""

from django.dispatch import Signal

# Users belong to a team now who did not before, directly or through a team in it. Arguments: team, users (ids), by.
users_joined = Signal()
# Users who belonged to a team no longer do, directly or through a team in it. Arguments: team, users (ids), by.
users_left = Signal()
# A team is about to go. Arguments: team, by.
team_removing = Signal()
