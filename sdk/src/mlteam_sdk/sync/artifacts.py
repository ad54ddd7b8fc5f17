# Made from aio/artifacts.py by sdk/unasync.py; change that.
"""The files that a job left: what there is, and bringing it here."""

import os
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from mlteam_sdk import asking
from mlteam_sdk.errors import NotFound
from mlteam_sdk.landing import Landing, inside
from mlteam_sdk.models import Artifact
from mlteam_sdk.sync import ranges
from mlteam_sdk.sync.things import Items, Listing

if TYPE_CHECKING:
    from mlteam_sdk.sync.client import MLTeam

NO_FILES = frozenset({"link", "special", "directory"})


class Artifacts(Listing[Artifact]):
    """The files of one job."""

    def __init__(self, client: "MLTeam", job: str) -> None:
        super().__init__(client, asking.path("jobs", job, "artifacts"), Artifact)
        self._job = job

    def read(self, path: str, *, offset: int = 0, end: int | None = None) -> Generator[bytes, None, None]:
        """The bytes of a file, in pieces."""
        address = f"{self._path}/files{asking.path(*path.split('/'))}"
        with closing(ranges.read(self._client, address, offset=offset, end=end)) as pieces:
            for piece in pieces:
                yield piece

    def download(self, path: str | None = None, to: str | os.PathLike[str] = ".") -> Items[Path]:
        """Brings a file, those in a directory, or all, below `to`; returns where they are.

        A file has its name when it is whole, never before. Raises NotFound, UnsafePath, Damaged.
        """
        listed = [one for one in self.list() if one.kind not in NO_FILES and _is_wanted(one.path, path)]
        if path is not None and not listed:
            raise NotFound(404, {"code": "not_found", "detail": f"The job left no file {path}."})
        root = Path(to)
        targets = [inside(root, one.path) for one in listed]
        for one in listed:
            with Landing(root, one.path, one.size) as landing:
                with closing(self.read(one.path)) as pieces:
                    for piece in pieces:
                        landing.write(piece)
        return targets


def _is_wanted(path: str, wanted: str | None) -> bool:
    return wanted is None or path == wanted or path.startswith(wanted.rstrip("/") + "/")
