# Made from aio/bringing.py by sdk/unasync.py; change that.
"""Bringing what is in a volume here: files that jobs may write to meanwhile, several at once."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from mlteam_sdk import asking, volumes
from mlteam_sdk.asking import Ask
from mlteam_sdk.errors import Damaged, NotFound
from mlteam_sdk.folders import LeftOut
from mlteam_sdk.hashing import grouped
from mlteam_sdk.manifests import Entry
from mlteam_sdk.packing import AT_ONCE, HEAD, PACK, PACK_FILES, SMALL, records
from mlteam_sdk.progress import Meter, OnProgress
from mlteam_sdk.receiving import Growing, Target
from mlteam_sdk.sync import driver, ranges
from mlteam_sdk.volumes import FILE, Found

if TYPE_CHECKING:
    from mlteam_sdk.sync.client import MLTeam


class Bringing:
    """Files of the volume at an address, on their way to a directory. `fetched` and `bytes` count those that came."""

    def __init__(self, client: "MLTeam", path: str, root: Path, on_progress: OnProgress | None) -> None:
        self._client, self._path, self._target, self._on_progress = client, path, Target(root), on_progress
        self._meter, self._had = Meter(None, "fetching", 0, 0), 0
        self.left_out: list[LeftOut] = []
        self.fetched = self.bytes = self.there = 0
        self._counting = threading.Lock()

    def run(self, found: list[Found]) -> None:
        """Brings these, their paths as a disk has them. Raises Damaged, UnsafePath, MLTeamError; what is whole by then stays."""
        with self._target:
            wanted = driver.aside(self._choose, found)
            size, had = sum(one.size for one in wanted), self._had
            self._meter = Meter(self._on_progress, "fetching", len(wanted), size, had)
            driver.together(self._fetch, list(_work(wanted)), AT_ONCE)

    def _choose(self, found: list[Found]) -> list[Found]:
        """The files that are not here yet; the folders are made."""
        self.left_out = [LeftOut(volumes.told(one.path), why) for one in found if (why := volumes.why_not(one))]
        coming = [one for one in found if not volumes.why_not(one)]
        files = [one for one in coming if one.kind == FILE]
        wanted = [one for one in files if not volumes.is_here(self._target.root, one)]
        self.there = len(files) - len(wanted)
        self._had = sum(self._growing(one).at for one in wanted if one.size > SMALL)
        self._target.check([_entry(one) for one in files], sum(one.size for one in wanted) - self._had)
        for one in coming:
            if one.kind != FILE:
                self._target.place(f"{one.path}/x")
        return wanted

    def _fetch(self, what: Found | list[Found]) -> None:
        if isinstance(what, list):
            for one in self._fetch_pack(what):
                self._fetch_one(one)
        else:
            self._fetch_one(what)

    def _fetch_pack(self, files: list[Found]) -> list[Found]:
        """Brings these at once; those that are not small any more."""
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        ask = Ask(
            "POST",
            f"{self._path}/pack",
            data={"paths": [volumes.told(one.path) for one in files]},
            headers=headers,
            twice=True,
        )
        pack = ranges.whole(self._client, ask.slowly(), len(files) * (SMALL + HEAD))
        return driver.aside(self._unpack, pack, files)

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

    def _fetch_one(self, one: Found) -> None:
        growing = self._growing(one)
        try:
            self._receive(one, growing)
            _check_size(one, growing.at)
        except NotFound:  # a job took it away since it was listed
            growing.drop()
            self.left_out.append(LeftOut(volumes.told(one.path), "it was removed meanwhile"))
        except Damaged:
            growing.drop()
            raise
        else:
            driver.aside(self._land, one, growing.part)
            growing.drop()
            self._count(growing.came)
        self._meter.add(files=1)

    def _growing(self, one: Found) -> Growing:
        return Growing(self._target, f"{self._path}/{one.path}", one.path)

    def _count(self, size: int) -> None:
        with self._counting:
            self.fetched, self.bytes = self.fetched + 1, self.bytes + size

    def _receive(self, one: Found, growing: Growing) -> None:
        address, had = f"{self._path}/files{asking.path(*volumes.told(one.path).split('/'))}", growing.at

        def begin(offset: int, tag: str | None) -> None:
            growing.begin(offset, tag if tag and ranges.is_strong(tag) else None)
            self._meter.add(size=offset - had)

        arriving = ranges.read(self._client, address, offset=had, tag=growing.tag, begin=begin)
        try:
            with closing(arriving) as pieces:
                for piece in pieces:
                    growing.write(piece)
                    self._meter.add(size=len(piece))
        except Damaged:
            raise Damaged(f"{one.path} was written anew while it came. Is a job still writing it? Try again.") from None
        finally:
            growing.close()

    def _land(self, one: Found, part: Path) -> None:
        volumes.mark(part, one)
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
