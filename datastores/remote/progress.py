"""What a transfer tells of itself while it runs."""

import threading
from typing import Protocol

from datastores.remote.errors import Stopped


class Progress(Protocol):
    """Told by a transfer, from several threads at once; also what was there from before a restart, so that all ends at the totals.

    One that has a method `tick` is also called by that, every half second or more often, by the thread that waits for the transfer: there
    it can be written down how far it is.
    """

    def total(self, files: int, size: int | None) -> None:
        """How much there is, once it is known. `size`: in bytes; None where nobody says."""

    def add(self, size: int) -> None:
        """So many bytes more are here or there; fewer than 0 where some have to come once more."""

    def file_done(self) -> None:
        """One file more is whole."""

    def tries_again(self, why: str) -> None:
        """Why something is tried again just now, for people; "" as soon as it goes well."""

    @property
    def stopped(self) -> bool:
        """Whether the transfer is to end here: it then raises Stopped, and goes on where it was if it is begun again. Asked often."""


class Counted:
    """A progress that counts. `stop()` ends the transfer."""

    def __init__(self) -> None:
        self.files, self.files_done, self.bytes_done = 0, 0, 0
        self.bytes: int | None = None
        self.trouble = ""
        self._stopped, self._lock = threading.Event(), threading.Lock()

    def total(self, files: int, size: int | None) -> None:
        self.files, self.bytes = files, size

    def add(self, size: int) -> None:
        with self._lock:
            self.bytes_done += size

    def file_done(self) -> None:
        with self._lock:
            self.files_done += 1

    def tries_again(self, why: str) -> None:
        self.trouble = why

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        self._stopped.set()


def check(progress: Progress) -> None:
    """Raises Stopped."""
    if progress.stopped:
        raise Stopped
