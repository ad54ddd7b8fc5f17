"""Names of resources, the same everywhere: `<organization>:project:<id>:job:<id>`.

The apps register how a resource of their kind is found by its id; what is found must call itself by that name.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from access.decisions import Resource

Finder = Callable[[str], "Resource | None"]
_finders: dict[str, Finder] = {}


def urn(*segments: str) -> str:
    """The name of a resource of this installation: `urn("project", "abc", "job", "def")`."""
    return ":".join([settings.MLTEAM_ORGANIZATION, *segments])


def register_finder(kind: str, find: Finder) -> None:
    """How a resource of this kind is found by its id; called by an app when it is ready."""
    _finders[kind] = find


def find_place(place_id: str) -> "Resource | None":
    """What can have roles: the installation, or the project or team with this id."""
    found = (_finders[kind](place_id) for kind in ("installation", "project", "team") if kind in _finders)
    return next((place for place in found if place is not None), None)


def find(name: str) -> "Resource | None":
    """The resource of that name; None when there is none. Whether somebody may see it is the caller's question."""
    segments = name.split(":")
    if len(segments) < 3 or not name.isprintable() or len(name) > 400:
        return None
    finder = _finders.get(segments[-2])
    found = finder(segments[-1]) if finder else None
    return found if found is not None and found.urn == name else None
