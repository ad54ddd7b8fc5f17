"""Transfers in processes that are killed."""

import os
import signal
import warnings
from collections.abc import Callable

from datastores.remote.progress import Counted, Progress


class _Said(Counted):
    """Writes a byte into a pipe when so much has passed."""

    def __init__(self, size: int, pipe: int) -> None:
        super().__init__()
        self._size, self._pipe = size, pipe

    def add(self, size: int) -> None:
        super().add(size)
        if self.bytes_done >= self._size:
            os.write(self._pipe, b".")


def killed_after(size: int, transfer: Callable[[Progress], object]) -> None:
    """Does the transfer in a process of its own, and kills that when so many bytes have passed."""
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads: those of the test are only servers
        process = os.fork()
    if not process:
        try:
            os.close(ours)
            transfer(_Said(size, theirs))
        finally:
            os._exit(1)
    os.close(theirs)
    try:
        assert os.read(ours, 1), "it ended before it could be killed"
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(ours)
