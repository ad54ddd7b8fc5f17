"""mlteam for programs: jobs, projects and people of an mlteam server.

    from mlteam_sdk import MLTeam             # asynchronous: await client.jobs.create(...)
    from mlteam_sdk.sync import MLTeam        # the same without await

Nothing is read and nothing heavy is imported before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mlteam_sdk.aio import MLTeam as MLTeam
    from mlteam_sdk.errors import ApiError as ApiError
    from mlteam_sdk.errors import Conflict as Conflict
    from mlteam_sdk.errors import ConnectionFailed as ConnectionFailed
    from mlteam_sdk.errors import Invalid as Invalid
    from mlteam_sdk.errors import MLTeamError as MLTeamError
    from mlteam_sdk.errors import NotFound as NotFound
    from mlteam_sdk.errors import NotSignedIn as NotSignedIn
    from mlteam_sdk.errors import Refused as Refused
    from mlteam_sdk.errors import SettingsError as SettingsError
    from mlteam_sdk.errors import TooManyRequests as TooManyRequests
    from mlteam_sdk.errors import WaitedInVain as WaitedInVain

_WHERE = {
    "MLTeam": "aio",
    "ApiError": "errors",
    "Conflict": "errors",
    "ConnectionFailed": "errors",
    "Invalid": "errors",
    "MLTeamError": "errors",
    "NotFound": "errors",
    "NotSignedIn": "errors",
    "Refused": "errors",
    "SettingsError": "errors",
    "TooManyRequests": "errors",
    "WaitedInVain": "errors",
}

__all__ = [*_WHERE, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
