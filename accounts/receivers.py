"""What accounts do when somebody signs out, or an account changes: what is open asks again who it belongs to."""

from typing import TYPE_CHECKING

import access

if TYPE_CHECKING:
    from accounts.models import User


def signed_out(sender: type, **_: object) -> None:
    """A session has ended; so has what was opened with it."""
    access.bump()


def saved(
    sender: type, instance: "User", created: bool, raw: bool = False, update_fields: object = None, **_: object
) -> None:
    """A new password or a closed account ends sessions. A sign-in alone (`last_login`) does not."""
    if not created and not raw and update_fields != frozenset({"last_login"}):
        access.bump()
