"""What to tell a person when a thing cannot be done."""

from access import refused
from accounts.errors import Impossible, InvalidInvitation, OtherAccount

__all__ = ["Impossible", "InvalidInvitation", "OtherAccount", "refused"]
