"""What a transfer has done, written down line by line, so that one that was killed goes on."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path


class Journal:
    """Lines at the end of a file, each of them there whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._cut()

    def _cut(self) -> None:
        """What was written when it was killed, or when the disk was full, may have no end."""
        content = self._path.read_bytes()
        os.ftruncate(self._file, content.rfind(b"\n") + 1)

    def lines(self) -> Iterator[str]:
        with self._path.open(encoding="utf-8") as lines:
            for line in lines:
                yield line.rstrip("\n")

    def note(self, line: str) -> None:
        with self._lock:
            said = f"{line}\n".encode()
            if os.write(self._file, said) < len(said):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        os.close(self._file)
