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
    """What uses a datastore, as far as who asks may see that: its URN, and what it is called; whether it writes there; whose it is, a
    person's or a role's; and the thing itself, which has a page and a state. Of one that is not for them only that it is there, in
    words, and whether it writes."""

    urn: str
    name: str
    writes: bool = False
    created_by: Any = None
    by_role: str = ""
    target: Any = None

    @property
    def state(self) -> str:
        return self.target.state if self.target else ""

    @property
    def said(self) -> str:
        """In a sentence; two of one name differ by their ids."""
        whose = self.created_by.shown if self.created_by else f"role {self.by_role}" if self.by_role else ""
        of = f" of {whose}" if whose else ""
        return f"{self.name}{of} ({self.target.pk}, {self.state})" if self.target else f"{self.name}{of}"


class InUse(Impossible):
    """It cannot be removed now."""

    def __init__(self, users: list[User], by: Any = None) -> None:
        self.users, self.by = users, by
        named = ", ".join(user.said for user in users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
        super().__init__(f"It is in use by {named}. Wait until that has ended, or stop it.")


class Incomplete(Impossible):
    """Some of an upload's content has not arrived."""

    def __init__(self, missing: int) -> None:
        self.missing = missing
        many = "One blob is" if missing == 1 else f"{missing:,} blobs are"
        super().__init__(f"{many} not here yet. Ask what is missing and send it, then commit again.")


class TooMuch(Impossible):
    """There would be more content than its project may have."""
