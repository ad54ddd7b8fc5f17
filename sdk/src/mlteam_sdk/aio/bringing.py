"""Bringing what is in a volume here: files that jobs may write to meanwhile, several at once."""

import os
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from mlteam_sdk import asking, volumes
from mlteam_sdk.aio import driver, ranges
from mlteam_sdk.errors import NotFound
from mlteam_sdk.folders import LeftOut
from mlteam_sdk.manifests import Entry
from mlteam_sdk.packing import AT_ONCE
from mlteam_sdk.progress import Meter, OnProgress
from mlteam_sdk.receiving import Target
from mlteam_sdk.volumes import FILE, Found

if TYPE_CHECKING:
    from mlteam_sdk.aio.client import MLTeam


class Bringing:
    """Files of the volume at an address, on their way to a directory. `fetched` and `bytes` count those that came."""

    def __init__(self, client: "MLTeam", path: str, root: Path, on_progress: OnProgress | None) -> None:
        self._client, self._path, self._target, self._on_progress = client, path, Target(root), on_progress
        self._meter = Meter(None, "fetching", 0, 0)
        self.left_out: list[LeftOut] = []
        self.fetched = self.bytes = self.there = 0

    async def run(self, found: list[Found]) -> None:
        """Brings these. Raises UnsafePath, MLTeamError; what is whole by then stays."""
        with self._target:
            wanted = await driver.aside(self._choose, found)
            self._meter = Meter(self._on_progress, "fetching", len(wanted), sum(one.size for one in wanted))
            await driver.together(self._fetch, wanted, AT_ONCE)

    def _choose(self, found: list[Found]) -> list[Found]:
        """The files that are not here yet; the folders are made."""
        self.left_out = [LeftOut(one.path, why) for one in found if (why := volumes.why_not(one))]
        coming = [one for one in found if not volumes.why_not(one)]
        files = [one for one in coming if one.kind == FILE]
        wanted = [one for one in files if not volumes.is_here(self._target.root, one)]
        self.there = len(files) - len(wanted)
        self._target.check([_entry(one) for one in files], sum(one.size for one in wanted))
        for one in coming:
            if one.kind != FILE:
                self._target.place(f"{one.path}/x")
        return wanted

    async def _fetch(self, one: Found) -> None:
        part = self._target.part()
        try:
            size = await self._receive(one, part)
        except NotFound:  # a job took it away since it was listed
            self.left_out.append(LeftOut(one.path, "it was removed meanwhile"))
            self._meter.add(files=1)
            return
        await driver.aside(self._land, one, part)
        self.fetched, self.bytes = self.fetched + 1, self.bytes + size
        self._meter.add(files=1)

    async def _receive(self, one: Found, part: Path) -> int:
        address, size = f"{self._path}/files{asking.path(*one.path.split('/'))}", 0
        try:
            with part.open("xb") as file:
                async with aclosing(ranges.read(self._client, address)) as pieces:
                    async for piece in pieces:
                        file.write(piece)
                        size += len(piece)
                        self._meter.add(size=len(piece))
        except OSError as error:
            raise self._target.failed(self._target.root / one.path, error) from None
        return size

    def _land(self, one: Found, part: Path) -> None:
        os.utime(part, (one.modified, one.modified))  # by which it is known the next time
        self._target.land(part, _entry(one))


def _entry(one: Found) -> Entry:
    return Entry(one.path, "", one.size, one.mode)
