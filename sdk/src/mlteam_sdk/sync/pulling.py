# Made from aio/pulling.py by sdk/unasync.py; change that.
"""Bringing the files of a version here: only what is not here yet, several requests at once, each file checked."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from mlteam_sdk import asking
from mlteam_sdk.asking import Ask
from mlteam_sdk.errors import ApiError, Damaged, MLTeamError
from mlteam_sdk.folders import size_of
from mlteam_sdk.hashing import Memory, checksums, grouped
from mlteam_sdk.manifests import Entry, sha256_in
from mlteam_sdk.models import Doubt
from mlteam_sdk.packing import AT_ONCE, HEAD, PACK, PACK_FILES, RANGE, SMALL, unpacked
from mlteam_sdk.progress import Meter, OnProgress
from mlteam_sdk.receiving import NOTED, Pieces, Target
from mlteam_sdk.sync import driver, ranges

if TYPE_CHECKING:
    from mlteam_sdk.sync.client import MLTeam

NAMED: Final = 5  # files, in a sentence
Group = list[Entry]  # files of the same content


class Range(NamedTuple):
    """Some bytes of a large file, of which those up to `at` are here."""

    pieces: Pieces
    begin: int
    at: int
    end: int


class Pulling:
    """Files of the version at an address, on their way to a directory. `fetched` and `bytes` count those that came."""

    def __init__(self, client: "MLTeam", path: str, root: Path, on_progress: OnProgress | None) -> None:
        self._client, self._path, self._target, self._on_progress = client, path, Target(root), on_progress
        self._meter = Meter(None, "fetching", 0, 0)
        self._pieces: list[Pieces] = []
        self.fetched = self.bytes = 0

    def run(self, entries: list[Entry]) -> None:
        """Brings these. Raises Damaged, UnsafePath, MLTeamError; what is whole by then stays."""
        with self._target:
            try:
                self._bring(entries)
            finally:
                for one in self._pieces:
                    one.close()

    def _bring(self, entries: list[Entry]) -> None:
        there = self._there(entries)
        wanted = [one for one in entries if one.path not in there]
        groups: dict[str, Group] = {}
        for one in wanted:
            groups.setdefault(one.sha256, []).append(one)
        large = [group[0] for group in groups.values() if group[0].size > SMALL]
        self._here = driver.aside(lambda: {one.sha256: self._target.here_of(one, RANGE) for one in large})
        had = sum(at - begin for here in self._here.values() for begin, at in here.items())
        driver.aside(self._target.check, entries, sum(one.size for one in wanted) - had)
        size = sum(group[0].size for group in groups.values())
        self.bytes = size - had
        self._meter = Meter(self._on_progress, "fetching", len(wanted), size, had)
        driver.together(self._fetch, self._work(list(groups.values())), AT_ONCE)
        if self._meter.files != len(wanted):
            raise Damaged("The server sent less than it said. Try again; if it stays so, tell who runs it.")
        self.fetched = len(wanted)

    def _there(self, entries: list[Entry]) -> set[str]:
        """The paths that need not be fetched: the same content is there."""
        files = driver.aside(self._target.there, entries)
        meter = Meter(self._on_progress, "reading", len(files), size_of(files.values()))
        root, stop = self._target.root, threading.Event()
        try:
            found = driver.aside(checksums, root, files, meter, Memory(root), stop)
        finally:
            stop.set()
        here = {path: sha256_in(line) for path, (_, line) in found.items()}
        same = [one for one in entries if here.get(one.path) == one.sha256]
        driver.aside(self._target.set_modes, same)
        return {one.path for one in same}

    def _work(self, groups: list[Group]) -> Iterator[Range | list[Group]]:
        for group in groups:
            if (size := group[0].size) > SMALL:
                pieces = Pieces(self._target, group, self._here[group[0].sha256])
                self._pieces.append(pieces)
                for begin in range(0, size, RANGE):
                    at, end = pieces.here.get(begin, begin), min(begin + RANGE, size)
                    if at < end:
                        yield Range(pieces, begin, at, end)
        small = [group for group in groups if group[0].size <= SMALL]
        yield from grouped(small, lambda group: group[0].size + HEAD, PACK, PACK_FILES)

    def _fetch(self, what: Range | list[Group]) -> None:
        try:
            if isinstance(what, list):
                self._fetch_pack(what)
            else:
                self._fetch_range(what)
        except Damaged as error:
            raise Damaged(_said(error, self._doubt(what))) from None
        except ApiError as error:
            if error.code == "lost":
                self._doubt(what)
            raise

    def _doubt(self, what: Range | list[Group]) -> list[Doubt]:
        """Has the server look at what did not arrive as it should, so that a push brings it again; what it found, nothing where it
        does not say."""
        paths = [group[0].path for group in what] if isinstance(what, list) else [what.pieces.entries[0].path]
        ask = Ask("POST", f"{self._path}/doubts", data={"paths": paths}, twice=True)
        try:
            return [Doubt.model_validate(one) for one in self._client.ask(ask.slowly())]
        except MLTeamError:
            return []

    def _fetch_pack(self, groups: list[Group]) -> None:
        wished = {"paths": [group[0].path for group in groups]}
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        ask = Ask("POST", f"{self._path}/pack", data=wished, headers=headers, twice=True)
        most = sum(group[0].size + HEAD for group in groups)
        pack = ranges.whole(self._client, ask.slowly(), most)
        driver.aside(self._unpack, pack, groups)

    def _unpack(self, pack: bytes, groups: list[Group]) -> None:
        wanted = {group[0].sha256: group for group in groups}
        try:
            for digest, content in unpacked(pack):
                group = wanted.pop(digest, None)
                if group is None or group[0].size != len(content):
                    raise Damaged("The server sent another file than the one that was asked for.")
                self._target.write(content, group)
                self._meter.add(files=len(group), size=len(content))
        except Damaged as error:
            path = (
                next(iter(wanted.values()))[0].path if wanted else ""
            )  # they come in the order in which they were asked for
            raise Damaged(f"{path}: {error}" if path else str(error)) from None

    def _fetch_range(self, what: Range) -> None:
        entries, offset = what.pieces.entries, what.at
        noted = offset
        address = f"{self._path}/files{asking.path(*entries[0].path.split('/'))}"
        with closing(ranges.read(self._client, address, offset=offset, end=what.end)) as arriving:
            for piece in arriving:
                what.pieces.write(offset, piece)
                offset += len(piece)
                self._meter.add(size=len(piece))
                if offset - noted >= NOTED or offset == what.end:
                    what.pieces.note(what.begin, offset)
                    noted = offset
        if driver.aside(what.pieces.finish):
            self._meter.add(files=len(entries))


def _said(error: Damaged, doubts: list[Doubt]) -> str:
    """The error, with what the server found where it looked."""
    bad = [one for one in doubts if one.state in {"missing", "damaged"}]
    if bad:
        named = ", ".join(f"{one.path} ({one.state})" for one in bad[:NAMED])
        more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        return (
            f"The server has lost {named}{more}. Push a folder that has the same again: that heals every version. "
            "Or tell who runs the server."
        )
    if any(one.state == "later" for one in doubts):
        return f"{error} The server compares its own copy now: ask again in a while."
    return f"{error} The server's own copy is whole." if doubts else str(error)
