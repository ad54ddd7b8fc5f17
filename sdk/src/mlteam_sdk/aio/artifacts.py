"""The files that a job left: what there is, and bringing it here."""

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from mlteam_sdk import asking
from mlteam_sdk.aio import ranges
from mlteam_sdk.aio.things import Items, Listing
from mlteam_sdk.errors import MLTeamError, NotFound
from mlteam_sdk.landing import Landing, inside
from mlteam_sdk.models import Artifact

if TYPE_CHECKING:
    from mlteam_sdk.aio.client import MLTeam

NO_FILES = frozenset({"link", "special", "directory"})


class TooMany(MLTeamError):
    """A job left more files than a server lists."""


class Artifacts(Listing[Artifact]):
    """The files of one job; the first 2000 are listed."""

    _paged = False

    def __init__(self, client: "MLTeam", job: str) -> None:
        super().__init__(client, asking.path("jobs", job, "artifacts"), Artifact)
        self._job = job

    async def read(self, path: str, *, offset: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes of a file, in pieces."""
        address = f"{self._path}/files{asking.path(*path.split('/'))}"
        async with aclosing(ranges.read(self._client, address, offset=offset, end=end)) as pieces:
            async for piece in pieces:
                yield piece

    async def download(self, path: str | None = None, to: str | os.PathLike[str] = ".") -> Items[Path]:
        """Brings a file, those in a directory, or all, below `to`; returns where they are.

        A file has its name when it is whole, never before. Raises NotFound, UnsafePath, Damaged; TooMany where not all are listed.
        """
        root, wanted = Path(to), await self._wanted(path)
        targets = [inside(root, one.path) for one in wanted]
        for one in wanted:
            with Landing(root, one.path, one.size) as landing:
                async with aclosing(self.read(one.path)) as pieces:
                    async for piece in pieces:
                        landing.write(piece)
        return targets

    async def _wanted(self, path: str | None) -> Items[Artifact]:
        listed = await self._client.get(self._path)
        found = [self._told(data) for data in listed["items"]]
        files = [one for one in found if one.kind not in NO_FILES and _is_wanted(one.path, path)]
        if path is not None and [one.path for one in files] == [path]:
            return files
        if listed.get("truncated"):
            if path is not None and not files:
                return [Artifact(path=path)]  # not listed, but perhaps there
            raise TooMany("The job left more files than are listed. Fetch them as an archive: artifacts.archive(to=…)")
        if path is not None and not files:
            raise NotFound(404, {"code": "not_found", "detail": f"The job left no file {path}."})
        return files

    async def archive(self, to: str | os.PathLike[str]) -> Path:
        """Brings all as one zip file; returns where it is."""
        target = Path(to)
        with Landing(target.parent, target.name, None) as landing:
            async with aclosing(ranges.read(self._client, f"{self._path}.zip")) as pieces:
                async for piece in pieces:
                    landing.write(piece)
        return target


def _is_wanted(path: str, wanted: str | None) -> bool:
    return wanted is None or path == wanted or path.startswith(wanted.rstrip("/") + "/")
