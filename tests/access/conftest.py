"""Everybody, for the tests of who may what."""

from tests.access.everybody import world

__all__ = ["world"]
