"""What to tell whoever asked when a thing cannot be done."""

from dataclasses import dataclass
from typing import Any

from projects.errors import Impossible

__all__ = ["Impossible", "InUse", "Incomplete", "TooMuch", "Unfit", "User"]


class Unfit(ValueError):
    """What was sent makes no datastore: (field, sentence)."""

    def __init__(self, field: str, said: str) -> None:
        super().__init__(said)
        self.field = field


@dataclass(frozen=True, slots=True)
class User:
    """What uses a datastore: its URN, and what it is called; whether it writes there; and of what to ask who may see that it does."""

    urn: str
    name: str
    writes: bool = False
    target: Any = None


class InUse(Impossible):
    """It cannot be removed now."""

    def __init__(self, users: list[User]) -> None:
        self.users = users
        named = ", ".join(user.name for user in users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
        super().__init__(f"It is in use by {named}. Wait until that has ended, or stop it.")


class Incomplete(Impossible):
    """Some of an upload's content has not arrived."""

    def __init__(self, missing: int) -> None:
        self.missing = missing
        many = "One blob is" if missing == 1 else f"{missing:,} blobs are"
        super().__init__(f"{many} not here yet. Ask what is missing and send it, then commit again.")


class TooMuch(Impossible):
    """There would be more content than its project may have."""
