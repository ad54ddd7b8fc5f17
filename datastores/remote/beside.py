"""Work done beside each other in threads, which ends with the first thing that goes wrong."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

from datastores.remote.errors import Stopped
from datastores.remote.progress import Progress

Work = Callable[[], None]

TICK: Final = 0.5  # seconds


class Watched:
    """A progress that also stops all where one of them has failed."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.total, self.add, self.file_done = progress.total, progress.add, progress.file_done
        self.tick: Callable[[], None] = getattr(progress, "tick", lambda: None)
        self.failed: BaseException | None = None
        self._lock = threading.Lock()

    @property
    def stopped(self) -> bool:
        return self.failed is not None or self._progress.stopped

    def fail(self, error: BaseException) -> None:
        """What others raise because of this one does not count."""
        with self._lock:
            self.failed = self.failed or error


def run(works: Iterable[Work], at_once: int, watched: Watched) -> None:
    """Does them all, taking not many more than are done at once. Raises what went wrong first."""
    room = threading.Semaphore(2 * at_once)

    def do(work: Work) -> None:
        try:
            if watched.stopped:
                raise Stopped
            work()
        except BaseException as error:
            watched.fail(error)
        finally:
            room.release()

    begun: set[Future[None]] = set()
    with ThreadPoolExecutor(at_once, thread_name_prefix="transfer") as threads:
        try:
            for work in works:
                while not room.acquire(timeout=TICK):
                    watched.tick()
                watched.tick()
                if watched.stopped:
                    break
                begun.add(threads.submit(do, work))
                begun = {one for one in begun if not one.done()}
            while begun:
                begun = wait(begun, TICK).not_done
                watched.tick()
        except BaseException as error:
            watched.fail(error)
    if watched.failed:
        raise watched.failed
    if watched.stopped:
        raise Stopped
