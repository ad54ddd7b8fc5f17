"""How far a push or a pull is, for who waits: a line that changes on a terminal, now and then a line elsewhere."""

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Final

from mlteam_sdk.cli.texts import note

if TYPE_CHECKING:
    from mlteam_sdk.models import ImportFacts
    from mlteam_sdk.progress import Progress

EVERY: Final = 10.0  # seconds between lines where nothing can be written over
UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


class Shown(AbstractContextManager["Shown"]):
    """Writes progress to standard error; called with each."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet, self.live = quiet, sys.stderr.isatty()
        self._last, self._dirty = time.monotonic(), False

    def __call__(self, progress: "Progress") -> None:
        if self.quiet or not (progress.all_files or progress.bytes):
            return
        if self.live:
            sys.stderr.write(f"\r{in_words(progress)}\x1b[K")
            sys.stderr.flush()
            self._dirty = True
        elif time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            note(in_words(progress))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._dirty:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class Fetching(AbstractContextManager["Fetching"]):
    """The same for what the server fetches from an address; called with the import."""

    def __init__(self, id: str, *, quiet: bool = False) -> None:
        self.id, self.quiet, self.live = id, quiet, sys.stderr.isatty()
        self._last, self._dirty, self._said = time.monotonic(), False, ""

    def __call__(self, one: "ImportFacts") -> None:
        if self.quiet:
            return
        if one.said != self._said and not one.ended:  # why it is tried again
            self._said = one.said
            self._clear()
            if one.said:
                note(one.said)
        text = f"{one.state.capitalize()} {size(one.bytes_done)}" + (f" of {size(one.bytes)}" if one.bytes else "")
        if self.live:
            sys.stderr.write(f"\r{text}\x1b[K")
            sys.stderr.flush()
            self._dirty = True
        elif time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            note(text)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()
        if isinstance(error, KeyboardInterrupt):
            note(f"The server goes on with it. To stop it: mlteam data import stop {self.id}")

    def _clear(self) -> None:
        if self._dirty:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._dirty = False


def in_words(progress: "Progress") -> str:
    """Sending 12 of 30 files, 1.2 of 3.4 GB, 56 MB/s, 0:40 left; fetching 1.2 GB, 56 MB/s, where no more is known."""
    if not progress.all_files:
        return f"{progress.doing.capitalize()} {size(progress.bytes)}, {size(progress.rate)}/s"
    files = f"{progress.files:,} of {progress.all_files:,} files"
    amount = f"{size(progress.bytes)} of {size(progress.all_bytes)}"
    left = progress.left
    more = f", {size(progress.rate)}/s" + ("" if left is None else f", {span(left)} left")
    return f"{progress.doing.capitalize()} {files}, {amount}{more}"


def size(amount: float) -> str:
    """1234567 is 1.2 MB."""
    for unit in UNITS:
        if amount < 1000 or unit == UNITS[-1]:
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def span(seconds: float) -> str:
    """Minutes and seconds, and hours where there are some: 1:02:03."""
    minutes, rest = divmod(round(min(seconds, 359_999)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
