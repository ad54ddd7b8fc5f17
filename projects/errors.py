"""What to tell a person when a thing cannot be done."""

from access import refused
from accounts.errors import Impossible

__all__ = ["Impossible", "InvalidInvitation", "OtherAccount", "refused"]


class InvalidInvitation(Exception):
    """The link opens nothing: used, expired, revoked, of a removed project, or never made. Nobody is told which."""


class OtherAccount(Exception):
    """The invitation is for another address than that of the account that is signed in."""
