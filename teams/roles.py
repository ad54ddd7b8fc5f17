"""Who may give which role in a team."""

from typing import TYPE_CHECKING

import access
from access import refused
from teams.models import Role, Team

if TYPE_CHECKING:
    from accounts.models import User


def check_role(role: str, team: Team, by: "User") -> None:
    """An admin gives and takes no ownership: nobody gives what they do not hold."""
    if role == Role.OWNER and not access.allowed(by, "team:rm", team):
        raise refused("team:set", "not_granted", "Only an owner of the team makes or unmakes owners.")
