"""Ids of everything that has a URN."""

import base64
import re
import secrets
from typing import Final

_ID: Final = re.compile(r"[a-z2-7]{16}\Z")


def new_id() -> str:
    """A random id of 16 lower-case base32 characters (80 bits): safe in addresses and file names, never sequential."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()


def is_id(text: str) -> bool:
    """Whether it may be one."""
    return bool(_ID.match(text))
