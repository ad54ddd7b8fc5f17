"""The client whose methods are awaited."""

from mlteam_sdk.aio.client import MLTeam

__all__ = ["MLTeam"]
