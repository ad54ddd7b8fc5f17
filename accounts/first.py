"""The one-time token with which the first account is made. It is a file that only the server's own user reads."""

import secrets
from pathlib import Path
from typing import Final

from accounts.models import Installation, User
from mlteam import state

NAME: Final = "setup-token"


def make_token() -> str:
    """The token of an installation that has nobody yet; the same until it is used."""
    return state.secret(NAME)


def path() -> str:
    """Where the first account is made. Without asking the addresses of all pages for it, which load all that answers them."""
    return f"/setup/{make_token()}/"


def discard_token() -> None:
    """Removes the token's file; it is worthless by then anyway."""
    _file().unlink(missing_ok=True)


def opens(token: str) -> bool:
    """Whether the token makes the first account now."""
    return _matches(token) and not is_set_up()


def is_set_up() -> bool:
    """Whether the installation has an account, or had its first one."""
    return Installation.objects.filter(set_up_at__isnull=False).exists() or User.objects.exists()


def _matches(token: str) -> bool:
    try:
        known = _file().read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return False
    return bool(known) and secrets.compare_digest(known.encode(), token.encode())


def _file() -> Path:
    return state.directory("secrets") / NAME
