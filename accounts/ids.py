"""Ids of everything that has a URN."""

import base64
import secrets


def new_id() -> str:
    """A random id of 16 lower-case base32 characters (80 bits): safe in addresses and file names, never sequential."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()
