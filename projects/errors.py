"""What to tell a person when a thing cannot be done."""

from access import Decision, Refused


class Impossible(Exception):
    """The thing cannot be done as things stand; the message is a sentence for the person who asked."""


class InvalidInvitation(Exception):
    """The link opens nothing: used, expired, revoked, of a removed project, or never made. Nobody is told which."""


class OtherAccount(Exception):
    """The invitation is for another address than that of the account that is signed in."""


def refused(action: str, code: str, reason: str) -> Refused:
    """A refusal by a rule that no level can change."""
    return Refused(Decision(False, action, code, reason))
