"""Sends files below a folder to an address: beside each other, large ones in parts, and on where it was killed.

The journal says of each file when it was begun, what its target noted of it, and when it was whole there. It may hold what lets one go on
writing an object, so it is for the server alone.
"""

import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from compute import trees
from datastores import paths
from datastores.remote.beside import Watched, Work, run
from datastores.remote.errors import Changed, Denied, Exists, Refused, Trouble, Unavailable
from datastores.remote.fetching import full_said
from datastores.remote.journals import Journal
from datastores.remote.progress import Counted, Progress, check
from datastores.remote.retrying import Tries, again
from datastores.remote.sources import Sendable, Target
from mlteam import outside, state

LOOKED_AT: Final = (
    20_000  # of what is there already, before anything is sent; whatever is written is never written over anyway
)


SOON: Final = 5.0  # seconds for what is of use to others alone


@dataclass(frozen=True, slots=True)
class Sent:
    """What an address has got."""

    files: int
    bytes: int


def send(root: Path, entries: Iterable[trees.Entry], target: Target, progress: Progress, *, journal: Path) -> Sent:
    """The regular files among these entries of a tree, below the target's address. Asked again after it was killed or stopped, it goes on.

    Raises errors.Trouble (Exists before anything is sent, where something of a name is there and may be listed; after Unavailable it
    goes on when it is asked again), errors.Stopped, blobs.Full. The journal is taken away when all is there.
    """
    files = [entry for entry in entries if entry.kind == "file"]
    journal.parent.mkdir(parents=True, exist_ok=True)
    with state.alone(journal.with_name(f"{journal.name}.lock")) as alone:
        if not alone:
            raise Unavailable(f"{target.shown} is being written to already.")
        work = _Send(root, files, target, progress, journal)
        with full_said(), work.progress.cutting():
            work.run()
        journal.unlink()
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    return Sent(len(files), sum(entry.size for entry in files))


def abandon(target: Target, journal: Path) -> None:
    """Forgets what a send would go on with, also where it is sent to, as far as that may be asked and is answered soon."""
    if not journal.exists():
        return
    send = _Send(journal, [], target, Counted(), journal)
    send.journal = Journal(journal)
    try:
        send.recall()
        with suppress(TimeoutError), outside.within(SOON):
            for path in send.noted:
                with suppress(Trouble):
                    target.abandon(path, _Notes(send, path, Tries(send.progress)))
    finally:
        send.journal.close()
    journal.unlink(missing_ok=True)


class _Send:
    def __init__(self, root: Path, files: list[trees.Entry], target: Target, progress: Progress, journal: Path) -> None:
        self.root, self.files, self.target, self.path = root, files, target, journal
        self.progress = Watched(progress)
        self.done: set[str] = set()
        self.begun: set[str] = set()
        self.noted: dict[str, list[dict[str, Any]]] = {}
        self.journal: Journal

    def run(self) -> None:
        self.progress.total(len(self.files), sum(entry.size for entry in self.files))
        for entry in self.files:
            self._check_name(entry.path)
        self.journal = Journal(self.path)
        try:
            self.recall()
            again(self._check_nothing_there, self.progress)
            run(self._works(), self.target.at_once, self.progress)
        finally:
            self.journal.close()

    def _check_name(self, path: str) -> None:
        try:
            paths.clean(path)
        except paths.BadPath as error:
            raise Refused(f"A file cannot be sent under its name: {error}") from None
        self.target.check_name(path)

    def recall(self) -> None:
        for line in self.journal.lines():
            said = json.loads(line)
            path = said["path"]
            self.begun.add(path)
            if said.get("done"):
                self.done.add(path)
            if "note" in said:
                self.noted.setdefault(path, []).append(said["note"])
            if said.get("forget"):
                self.noted.pop(path, None)
        for entry in self.files:
            if entry.path in self.done:
                self.progress.add(entry.size)
                self.progress.file_done()

    def note(self, path: str, **said: Any) -> None:
        self.journal.note(json.dumps({"path": path, **said}))

    def _check_nothing_there(self) -> None:
        """Raises Exists for what would not be written."""
        wanted = {entry.path for entry in self.files} - self.begun
        try:
            for item in islice(self.target.existing() if wanted else (), LOOKED_AT):
                check(self.progress)
                if item.path in wanted:
                    raise exists(self.target, item.path)
        except Denied:
            return  # it may write, which is enough

    def _works(self) -> Iterator[Work]:
        return (partial(self._put, entry) for entry in self.files if entry.path not in self.done)

    def _put(self, entry: trees.Entry) -> None:
        file = Sendable(entry.path, entry.size, partial(_opened, self.root, entry))
        tries, ours = Tries(self.progress), entry.path in self.begun
        notes = _Notes(self, entry.path, tries)
        self.note(entry.path)
        while True:
            counted = _Counted(self.progress)
            try:
                self.target.put(file, notes, counted.add, ours=ours)
                tries.well()
                break
            except Unavailable as error:
                counted.forget()
                tries.wait(error)
                ours = True
        self.note(entry.path, done=True)
        counted.complete(entry.size)
        self.progress.file_done()


@contextmanager
def _opened(root: Path, entry: trees.Entry) -> Iterator[BinaryIO]:
    """The file, if it is still what was listed."""
    try:
        with trees.opened(root, entry.path) as file:
            if os.fstat(file.fileno()).st_size != entry.size:
                raise trees.NotThere
            yield file
    except trees.NotThere:
        raise Changed(f"“{paths.shown(entry.path)}” has changed while it was being sent.") from None


def exists(target: Target, path: str) -> Exists:
    """For what is there and stays."""
    there = f"{target.shown} has “{paths.shown(path)}” already, and nothing is overwritten."
    return Exists(
        f"{there} Take it away there and try again; with `existing: new-prefix` each attempt has a place of its own."
    )


class _Counted:
    """The bytes of one try."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._sent = progress, 0
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        check(self._progress)
        with self._lock:
            self._sent += size
        self._progress.add(size)

    def forget(self) -> None:
        self._progress.add(-self._sent)

    def complete(self, size: int) -> None:
        """What was there already, because it had been sent before, counts too."""
        self._progress.add(size - self._sent)


class _Notes:
    def __init__(self, send: _Send, path: str, tries: Tries) -> None:
        self._send, self._path, self._tries = send, path, tries
        self._noted = send.noted.get(path, [])

    def note(self, **said: str | int) -> None:
        self._noted.append(said)
        self._send.note(self._path, note=said)
        self._tries.well()  # what is noted need not be sent again

    def noted(self) -> list[dict[str, Any]]:
        return list(self._noted)

    def forget(self) -> None:
        self._noted.clear()
        self._send.note(self._path, forget=True)
