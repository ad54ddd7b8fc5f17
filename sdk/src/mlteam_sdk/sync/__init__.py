# Made from aio/__init__.py by sdk/unasync.py; change that.
"""The client whose methods wait themselves."""

from mlteam_sdk.sync.client import MLTeam

__all__ = ["MLTeam"]
