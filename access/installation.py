"""The installation as a place of roles. They reach what their policies say, as roles of projects and teams do; to run the
installation is no rule about projects.
"""

from typing import Final

from access.decisions import Target
from access.urns import urn

KIND: Final = "installation"


class Installation:
    """All of it. There is one: INSTALLATION."""

    name = "this installation"

    @property
    def urn(self) -> str:
        return urn(KIND)

    def access_target(self) -> Target:
        return Target(KIND, KIND, KIND)

    def access_above(self) -> tuple[str, ...]:
        return ()


INSTALLATION: Final = Installation()


def find(place_id: str) -> Installation | None:
    """By its id, which is no project's and no team's; for `access.urns.find_place`."""
    return INSTALLATION if place_id == KIND else None
