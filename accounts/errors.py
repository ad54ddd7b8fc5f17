"""What to tell a person when a thing cannot be done."""


class Impossible(Exception):
    """The thing cannot be done as things stand; the message is a sentence for the person who asked."""


class InvalidInvitation(Exception):
    """The link opens nothing: used, expired, revoked, to what is no longer there, or never made. Nobody is told which."""


class OtherAccount(Exception):
    """The invitation is for another address than that of the account that is signed in."""
