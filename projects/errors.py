"""What to tell a person when a thing cannot be done."""

from access import refused
from accounts.errors import Impossible, InvalidInvitation, OtherAccount

__all__ = ["Impossible", "InvalidInvitation", "OtherAccount", "TooOften", "refused"]


class TooOften(Impossible):
    """Somebody asks for more than there is for one; `seconds` says when to come back."""

    def __init__(self, said: str, *, seconds: int) -> None:
        super().__init__(said)
        self.seconds = seconds
