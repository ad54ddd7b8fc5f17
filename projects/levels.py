"""Levels as data: what a member may do, per kind of resource, and how it is stored as guardian permissions."""

from typing import Final

from django.db.models import TextChoices

KINDS: Final = ("job", "dataset", "model", "volume")


class Level(TextChoices):
    NONE = "none", "None"
    READ = "read", "Read"
    OWN = "own", "Own"
    ALL = "all", "All"


Levels = dict[str, str]  # kind -> level

PRESETS: Final[dict[str, Levels]] = {
    "Viewer": dict.fromkeys(KINDS, "read"),
    "Teammate": dict.fromkeys(KINDS, "own"),
    "Collaborator": {"job": "all", "dataset": "read", "model": "read", "volume": "read"},
    "Full": dict.fromkeys(KINDS, "all"),
}
DEFAULT_PRESET: Final = "Collaborator"
TEAM_PRESET: Final = "Teammate"  # the default for a team

# A level is stored as the permissions of its row and all above it, so that user.has_perm agrees with what the page says.
VERBS: Final = {"read": "read", "own": "create", "all": "manage"}
VIEW: Final = "view_project"


def permission(kind: str, level: str) -> str:
    """The codename that stands for a level: manage_jobs for ("job", "all")."""
    return f"{VERBS[level]}_{kind}s"


def permissions_of(levels: Levels) -> list[str]:
    """All codenames that a member with these levels holds; each member may at least see the project."""
    held = [VIEW]
    for kind in KINDS:
        for level in VERBS:
            if _rank(levels.get(kind, "none")) >= _rank(level):
                held.append(permission(kind, level))
    return held


def levels_of(codenames: set[str]) -> Levels:
    """The levels that a set of codenames stands for."""
    return {kind: _highest(kind, codenames) for kind in KINDS}


def preset_of(levels: Levels) -> str:
    """The preset's name, or "" for levels of one's own."""
    return next((name for name, preset in PRESETS.items() if preset == levels), "")


def _highest(kind: str, codenames: set[str]) -> str:
    held = [level for level in VERBS if permission(kind, level) in codenames]
    return held[-1] if held else "none"


def _rank(level: str) -> int:
    return ["none", "read", "own", "all"].index(level)
