"""What goes wrong with what lies elsewhere. Each says why, and what to do."""


class Trouble(Exception):
    """It cannot be read or written. As it is, trying again does not help."""


class Denied(Trouble):
    """The key may not; the sentence names the role or permission that is missing."""


class NotThere(Trouble):
    """There is nothing at the address."""


class Changed(Trouble):
    """It is another than when its transfer began. Beginning anew helps."""


class Exists(Trouble):
    """Where something was to be written there is something else, which stays."""


class Refused(Trouble):
    """The server does not do this for anybody: an address within its own network, a key that leads elsewhere, an impossible name."""


class TooLarge(Trouble):
    """There is more of it than is taken."""


class Unavailable(Trouble):
    """It does not answer, or not whole. Later it may; `after`: seconds that it wants to be left alone, 0 where it says nothing."""

    def __init__(self, said: str, after: float = 0.0) -> None:
        super().__init__(said)
        self.after = after


class Damaged(Unavailable):
    """What has come is not what the service keeps: it has to come once more from its beginning."""


class Stopped(Exception):
    """Whoever waits for the transfer has stopped it."""
