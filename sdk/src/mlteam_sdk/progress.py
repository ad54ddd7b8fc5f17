"""How far something is that takes a while."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

OFTEN: Final = 0.1  # seconds between two calls at least


@dataclass(frozen=True)
class Progress:
    """How far reading, sending or fetching is; `doing` says which. `seconds`: since it began.

    `all_files` and `all_bytes` are 0 where nobody knows how much it will be: of an archive, which is made as it is sent.
    """

    doing: str
    files: int
    all_files: int
    bytes: int
    all_bytes: int
    seconds: float
    begun_at: int = 0  # bytes that were there before

    @property
    def rate(self) -> float:
        """Bytes in a second, so far."""
        return (self.bytes - self.begun_at) / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that it will take yet; None where that cannot be told."""
        return (self.all_bytes - self.bytes) / self.rate if self.rate > 0 and self.all_bytes else None

    @property
    def done(self) -> bool:
        return 0 < self.all_files == self.files


OnProgress = Callable[[Progress], None]


class Meter:
    """Counts what several do at once, and tells it."""

    def __init__(self, on_progress: OnProgress | None, doing: str, files: int, size: int, begun_at: int = 0) -> None:
        self.tell, self.doing, self.all_files, self.all_bytes, self.begun_at = on_progress, doing, files, size, begun_at
        self.files, self.bytes = 0, begun_at
        self._begun, self._told = time.monotonic(), 0.0
        self._lock = threading.Lock()

    def add(self, *, files: int = 0, size: int = 0) -> None:
        """So many more files and bytes."""
        with self._lock:
            self.files, self.bytes = self.files + files, self.bytes + size
            now = time.monotonic()
            if self.tell is None or (now - self._told < OFTEN and not 0 < self.all_files == self.files):
                return
            self._told = now
            said = self._said(now)
            self.tell(said)

    def end(self) -> None:
        """Tells the last of something of which nobody knew how much it would be."""
        if self.tell is not None:
            self.tell(self._said(time.monotonic()))

    def _said(self, now: float) -> Progress:
        return Progress(
            self.doing, self.files, self.all_files, self.bytes, self.all_bytes, now - self._begun, self.begun_at
        )
