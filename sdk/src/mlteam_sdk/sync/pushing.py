# Made from aio/pushing.py by sdk/unasync.py; change that.
"""Sending a folder to a server, as a new version: only what the server lacks, several requests at once."""

import gzip
import json
import threading
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlteam_sdk import asking, folders, manifests, pushed
from mlteam_sdk.asking import Ask
from mlteam_sdk.errors import Conflict, ConnectionFailed, Damaged, Invalid, MLTeamError
from mlteam_sdk.folders import Folder, Source, size_of
from mlteam_sdk.hashing import Changed, Memory, Row, checksum, checksums, read_exactly
from mlteam_sdk.manifests import Entry
from mlteam_sdk.models import Upload
from mlteam_sdk.packing import AT_ONCE, PACK_FILES, PIECE, SMALL, Lacking, in_packs, packed
from mlteam_sdk.progress import Meter, OnProgress
from mlteam_sdk.sync import driver, ranges

if TYPE_CHECKING:
    from mlteam_sdk.sync.client import MLTeam

LITTLE = 1 << 20  # bytes that go with what is different, whether they lack or not
ROUNDS = 3  # how often it is asked what is missing
IN_VAIN = 3  # times that a piece may bring nothing
MOST_MISSING = 512 << 20  # bytes of the list of what is missing


class Reading:
    """A folder, the states of its files when they had their checksums, and the lines of a manifest that has these."""

    def __init__(self, folder: Folder, rows: dict[str, Row], memory: Memory) -> None:
        self.folder, self.memory = folder, memory
        self._rows = rows
        self.lines = [line for _, line in rows.values()]

    def entries(self) -> list[Entry]:
        """What a version of it holds."""
        sources = (Source(path, state) for path, (state, _) in self._rows.items())
        lines = zip(sources, self.lines, strict=True)
        return [Entry(one.path, manifests.sha256_in(line), one.size, one.mode) for one, line in lines]

    def holding(self, wanted: AbstractSet[str] | None, lines: Iterable[str]) -> dict[str, Source]:
        """A file for each of these contents, or for each at all, if one of the lines has it."""
        each = ((manifests.sha256_in(line), line) for line in lines)
        found = {one: line for one, line in each if one and (wanted is None or one in wanted)}
        paths = {sha256: manifests.path_in(line) for sha256, line in found.items()}
        return {sha256: Source(path, self._rows[path][0]) for sha256, path in paths.items()}


def read(path: Path, on_progress: OnProgress | None) -> Reading:
    """Reads what is at this path; of what did not change since the last time only that. Raises Changed, BadPath."""
    folder = driver.aside(folders.read, path)
    if not folder.files:
        raise MLTeamError(f"There are no files in {path} that could be sent.")
    meter = Meter(on_progress, "reading", len(folder.files), size_of(folder.files.values()))
    memory, stop = Memory(path), threading.Event()
    try:
        rows = driver.aside(checksums, folder.root, folder.files, meter, memory, stop)
    finally:
        stop.set()
    return Reading(folder, rows, memory)


class Pushing:
    """One folder on its way to one datastore, whose address is `path`; `versioned`: it has versions, and is no volume. `files` and `bytes`
    count what went out."""

    def __init__(
        self, client: "MLTeam", path: str, reading: Reading, on_progress: OnProgress | None, *, versioned: bool = True
    ) -> None:
        self._client, self._path, self._reading, self._on_progress = client, path, reading, on_progress
        self._root = reading.folder.root
        self._pushed = pushed.Memory(path.rpartition("/")[2]) if versioned else None
        self._manifest = b""
        self._different: list[str] | None = None  # lines that tell what is not as in the version with this digest
        self._base = ""
        self._told: list[str] = []  # lines with which the upload began
        self._upload = ""
        self._meter = Meter(None, "sending", 0, 0)
        self.files = self.bytes = 0

    def run(self, note: str) -> tuple[Any, bool]:
        """What the server says of the version that has these files, and whether it is new."""
        self._manifest = driver.aside(manifests.text, self._reading.lines)
        told = self._made_of_changes(note) or self._uploaded(note)
        if self._pushed:
            driver.aside(self._pushed.save, self._manifest)
        return told

    def _uploaded(self, note: str) -> tuple[Any, bool]:
        upload = self._begin()
        self._upload = asking.path("uploads", upload.id)
        try:
            return self._finish(upload, note)
        except Changed:  # what is pushed next is another folder: nothing goes on from here
            with suppress(MLTeamError):
                self._client.delete(self._upload)
            raise

    def _finish(self, upload: Upload, note: str) -> tuple[Any, bool]:
        for _ in range(ROUNDS):
            if upload.missing:
                self._send(self._missing() if upload.lacks is None else self._lacking(upload.lacks))
                upload.lacks = None
            commit = Ask("POST", f"{self._upload}/commit", data={"note": note}, headers=asking.post_headers(None))
            try:
                response = self._client.response(commit.slowly())
            except Conflict as error:
                if error.code != "incomplete":
                    raise
                upload.missing = 1
            else:
                return asking.answer(response), response.status_code == 201
        raise ConnectionFailed("The server does not keep what it is sent. Try again, or tell who runs it.")

    def _made_of_changes(self, note: str) -> tuple[Any, bool] | None:
        """Of little that is different from the last push from here, all in one request; None where that is not so, or not enough."""
        old = driver.aside(self._pushed.load) if self._pushed else b""
        self._different = driver.aside(pushed.changes, old, self._reading.lines)
        if self._different is None:
            return None
        self._base = pushed.digest(old)
        if len(self._different) > PACK_FILES:
            return None
        files = [Lacking(*one, 0) for one in self._reading.holding(None, self._different).items()]
        size = sum(one.source.size for one in files)
        if size > LITTLE:
            return None
        meter = Meter(self._on_progress, "sending", len(files), size)
        content = driver.aside(self._changes, note, files)
        headers = {"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"} | asking.post_headers(None)
        ask = Ask("POST", f"{self._path}/changes", content=content, headers=headers)
        try:
            response = self._client.response(ask.slowly())
        except Conflict as error:
            if error.code not in {"other_base", "incomplete"}:
                raise
            if error.code == "other_base":
                self._different = None
            return None
        except Invalid as error:
            self._check_damaged(error, files, last=False)
            return None
        self.files, self.bytes = len(files), size
        meter.add(files=len(files), size=size)
        return asking.answer(response), response.status_code == 201

    def _changes(self, note: str, files: list[Lacking]) -> bytes:
        head = json.dumps({"base": self._base, "note": note}).encode()
        text = manifests.text(self._different or [])
        return gzip.compress(b"".join([head, b"\n", text, b"\n", packed(self._root, files)]), 1)

    def _begin(self) -> Upload:
        """By what is different from the last push from here, if that is still the latest version; else by the whole manifest."""
        if self._different is not None:
            with suppress(Conflict):
                return self._begin_with(self._different, manifests.text(self._different), base=self._base)
        return self._begin_with(self._reading.lines, self._manifest)

    def _begin_with(self, lines: list[str], text: bytes, **params: str) -> Upload:
        self._told = lines
        content = driver.aside(gzip.compress, text, 1)
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        ask = Ask("POST", f"{self._path}/uploads", params, content=content, headers=headers, twice=True)
        return Upload.model_validate(self._client.ask(ask.slowly()))

    def _missing(self) -> list[Lacking]:
        ask = Ask("GET", f"{self._upload}/missing", headers={"Accept": "*/*"})
        text = ranges.whole(self._client, ask.slowly(), MOST_MISSING)
        return self._lacking([json.loads(line) for line in text.splitlines()])

    def _lacking(self, said: list[dict[str, Any]]) -> list[Lacking]:
        lacking = {one["sha256"] for one in said}
        known = self._reading.holding(lacking, self._told)
        if len(known) < len(lacking):  # also of what had not to be told, some is gone there
            known = self._reading.holding(lacking, self._reading.lines)
        return [Lacking(one["sha256"], known[one["sha256"]], one["received"]) for one in said if one["sha256"] in known]

    def _send(self, lacking: list[Lacking]) -> None:
        size, there = sum(one.source.size for one in lacking), sum(one.received for one in lacking)
        self._meter = Meter(self._on_progress, "sending", len(lacking), size, there)
        large = [one for one in lacking if one.source.size > SMALL]
        packs = in_packs(one for one in lacking if one.source.size <= SMALL)
        large.sort(key=lambda one: one.received - one.source.size)
        work: list[Lacking | list[Lacking]] = [*large, *packs]
        driver.together(self._send_one, work, min(AT_ONCE, len(work)))
        self.files, self.bytes = self.files + len(lacking), self.bytes + size - there

    def _send_one(self, what: Lacking | list[Lacking]) -> None:
        if isinstance(what, list):
            self._send_pack(what)
        else:
            self._send_large(what)

    def _send_pack(self, files: list[Lacking]) -> None:
        for last in (False, True):
            content = driver.aside(packed, self._root, files)
            try:
                self._put(f"{self._upload}/pack", content)
                break
            except Invalid as error:
                self._check_damaged(error, files, last)
        self._meter.add(files=len(files), size=sum(one.source.size for one in files))

    def _send_large(self, one: Lacking) -> None:
        source, offset, in_vain = one.source, one.received, 0
        while offset < source.size:
            length = min(PIECE, source.size - offset)
            piece = driver.aside(read_exactly, self._root / source.path, source.state, offset, length)
            try:
                said = self._put(self._upload + asking.path("blobs", one.sha256), piece, offset=offset)
                received = int(said["received"])
            except Conflict as error:
                if not isinstance(error.problem.get("received"), int):
                    raise
                received = error.problem["received"]
            except Invalid as error:
                self._check_damaged(error, [one], in_vain >= IN_VAIN)
                received = 0
            in_vain += received <= offset
            if in_vain > IN_VAIN:
                raise Damaged(f"{source.path} does not arrive. Try again; if it stays so, tell who runs the server.")
            self._meter.add(size=received - offset)
            offset = received
        self._meter.add(files=1)

    def _put(self, path: str, content: bytes, **params: Any) -> Any:
        headers = {"Content-Type": "application/octet-stream"}
        return self._client.ask(Ask("PUT", path, params, headers=headers, content=content).slowly())

    def _check_damaged(self, error: Invalid, files: list[Lacking], last: bool) -> None:
        """Raises Changed for a file that is not what it was, and the error unless it is only worth another try."""
        if error.code != "damaged":
            raise error
        for one in files:
            place = self._root / one.source.path
            _, digest = driver.aside(checksum, place, threading.Event(), lambda _: None)
            if digest != one.sha256:
                self._reading.memory.forget()
                raise Changed(str(place))
        if last:
            raise error
