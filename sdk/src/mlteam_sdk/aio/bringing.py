"""Bringing what is in a volume here: files that jobs may write to meanwhile, several at once."""

import os
import threading
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from mlteam_sdk import asking, volumes
from mlteam_sdk.aio import driver, ranges
from mlteam_sdk.asking import Ask
from mlteam_sdk.errors import Damaged, NotFound
from mlteam_sdk.folders import LeftOut
from mlteam_sdk.hashing import grouped
from mlteam_sdk.manifests import Entry
from mlteam_sdk.packing import AT_ONCE, HEAD, PACK, PACK_FILES, SMALL, records
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
        self._counting = threading.Lock()

    async def run(self, found: list[Found]) -> None:
        """Brings these, their paths as a disk has them. Raises Damaged, UnsafePath, MLTeamError; what is whole by then stays."""
        with self._target:
            wanted = await driver.aside(self._choose, found)
            self._meter = Meter(self._on_progress, "fetching", len(wanted), sum(one.size for one in wanted))
            await driver.together(self._fetch, list(_work(wanted)), AT_ONCE)

    def _choose(self, found: list[Found]) -> list[Found]:
        """The files that are not here yet; the folders are made."""
        self.left_out = [LeftOut(volumes.told(one.path), why) for one in found if (why := volumes.why_not(one))]
        coming = [one for one in found if not volumes.why_not(one)]
        files = [one for one in coming if one.kind == FILE]
        wanted = [one for one in files if not volumes.is_here(self._target.root, one)]
        self.there = len(files) - len(wanted)
        self._target.check([_entry(one) for one in files], sum(one.size for one in wanted))
        for one in coming:
            if one.kind != FILE:
                self._target.place(f"{one.path}/x")
        return wanted

    async def _fetch(self, what: Found | list[Found]) -> None:
        if isinstance(what, list):
            for one in await self._fetch_pack(what):
                await self._fetch_one(one)
        else:
            await self._fetch_one(what)

    async def _fetch_pack(self, files: list[Found]) -> list[Found]:
        """Brings these at once; those that are not small any more."""
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        ask = Ask(
            "POST",
            f"{self._path}/pack",
            data={"paths": [volumes.told(one.path) for one in files]},
            headers=headers,
            twice=True,
        )
        pack = await ranges.whole(self._client, ask.slowly(), len(files) * (SMALL + HEAD))
        return await driver.aside(self._unpack, pack, files)

    def _unpack(self, pack: bytes, files: list[Found]) -> list[Found]:
        left = []
        for one, content in zip(files, records(pack, len(files)), strict=True):
            if content is None:
                left.append(one)
                continue
            part = self._target.part()
            try:
                part.write_bytes(content)
            except OSError as error:
                raise self._target.failed(self._target.root / one.path, error) from None
            self._land(one, part)
            self._count(len(content))
            self._meter.add(size=len(content), files=1)
        return left

    async def _fetch_one(self, one: Found) -> None:
        part = self._target.part()
        try:
            size = await self._receive(one, part)
        except NotFound:  # a job took it away since it was listed
            self.left_out.append(LeftOut(volumes.told(one.path), "it was removed meanwhile"))
        else:
            _check_size(one, size)
            await driver.aside(self._land, one, part)
            self._count(size)
        self._meter.add(files=1)

    def _count(self, size: int) -> None:
        with self._counting:
            self.fetched, self.bytes = self.fetched + 1, self.bytes + size

    async def _receive(self, one: Found, part: Path) -> int:
        address, size = f"{self._path}/files{asking.path(*volumes.told(one.path).split('/'))}", 0
        try:
            with part.open("xb") as file:
                async with aclosing(ranges.read(self._client, address)) as pieces:
                    async for piece in pieces:
                        file.write(piece)
                        size += len(piece)
                        self._meter.add(size=len(piece))
        except Damaged:
            raise Damaged(f"{one.path} was written anew while it came. Is a job still writing it? Try again.") from None
        except OSError as error:
            raise self._target.failed(self._target.root / one.path, error) from None
        return size

    def _land(self, one: Found, part: Path) -> None:
        os.utime(part, (one.modified, one.modified))  # by which it is known the next time
        self._target.land(part, _entry(one))


def _check_size(one: Found, arrived: int) -> None:
    """A file that is added to comes as it is now. One that has become shorter is being written anew, and this is a part of it."""
    if arrived < one.size:
        raise Damaged(f"{one.path} has {one.size} bytes and {arrived} arrived. Is a job still writing it? Try again.")


def _work(files: list[Found]) -> Iterator[Found | list[Found]]:
    """Large files one by one, small ones many together."""
    yield from (one for one in files if one.size > SMALL)
    yield from grouped([one for one in files if one.size <= SMALL], lambda one: one.size + HEAD, PACK, PACK_FILES)


def _entry(one: Found) -> Entry:
    return Entry(one.path, "", one.size, one.mode)
