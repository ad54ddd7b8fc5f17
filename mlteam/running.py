"""One server for one `var/`: the lock that makes it so, who holds it, and how to end it."""

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from mlteam import state


@dataclass(frozen=True)
class Server:
    """A server that runs now: its supervisor's process, and its address ("" while it is still starting).

    `drained`: its worker and beat have ended, so that nothing new is started; web still hears how jobs end.
    """

    pid: int
    url: str = ""
    drained: bool = False


class AlreadyRunning(Exception):
    """Another server holds this `var/`; `server` says which."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.server = server


class Claim:
    """This process's hold on `var/`; it ends with the process, however that ends."""

    def __init__(self) -> None:
        self._file = _open_lock()
        # Somebody who only looks holds the lock for an instant: one refusal is not yet a server.
        for _ in range(10):
            if _take(self._file, fcntl.LOCK_EX):
                break
            time.sleep(0.05)
        else:
            with self._file:
                raise AlreadyRunning(_read(self._file))
        self.announce("")

    def announce(self, url: str, *, drained: bool = False) -> None:
        """Let others know the address, and whether no job is started any more."""
        self._file.seek(0)
        self._file.truncate()
        json.dump(asdict(Server(os.getpid(), url, drained)), self._file)
        self._file.flush()

    def release(self) -> None:
        """Give it up, as the end of the process would."""
        self._file.close()


def find() -> Server | None:
    """The server that runs on this `var/` now, or None."""
    if not _lock_path().exists():
        return None
    with _open_lock() as file:
        return None if _take(file, fcntl.LOCK_SH) else _read(file)


def drain(server: Server) -> bool:
    """Ask `server` to start nothing more, and wait until it cannot. False if it still could after half a minute."""
    os.kill(server.pid, signal.SIGUSR1)
    return wait(lambda: (found := find()) is None or found.drained, seconds=30)


def end(server: Server) -> bool:
    """Ask `server` to end, and wait for it. False if it has not ended after half a minute."""
    with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(server.pid, signal.SIGTERM)
    return wait(lambda: find() is None, seconds=30)


def wait(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Whether `condition()` came true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return met


def _lock_path() -> Path:
    return state.directory("run") / "server.lock"


def _open_lock() -> IO[str]:
    return os.fdopen(os.open(_lock_path(), os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8")


def _take(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: IO[str]) -> Server:
    file.seek(0)
    try:
        return Server(**json.load(file))
    except (ValueError, TypeError):  # taken a moment ago, not yet written
        time.sleep(0.2)
        file.seek(0)
        return Server(**json.load(file))
