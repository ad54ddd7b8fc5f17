"""Work done beside each other in threads, which ends with the first thing that goes wrong."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from math import inf
from time import monotonic
from typing import Final

from datastores.remote.errors import Stopped, Unavailable
from datastores.remote.progress import Progress
from mlteam import outside

Work = Callable[[], None]

TICK: Final = 0.5  # seconds
SLOW: Final = 600.0  # seconds in which some bytes have to pass at least
SLOWEST: Final = 2**20


class Watched:
    """A progress that also stops all where one of them has failed, and that cuts off what is asked of somebody who does not answer."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.total, self.file_done, self.tries_again = progress.total, progress.file_done, progress.tries_again
        self.tick: Callable[[], None] = getattr(progress, "tick", lambda: None)
        self.failed: BaseException | None = None
        self.cut = outside.Deadline(inf)  # of the connections of what is stopped: each may wait long for an answer
        self._lock = threading.Lock()
        self._passed, self._seen, self._looked = 0, 0, monotonic()

    @contextmanager
    def cutting(self) -> Iterator[None]:
        """What is asked inside is cut off as soon as it is stopped, by a thread that only looks at that."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(TICK):
                self._end_if_stopped()

        looking = threading.Thread(target=look, name="cutting", daemon=True)
        looking.start()
        try:
            with outside.cut_by(self.cut):
                yield
        finally:
            over.set()
            looking.join()
            self._end_if_stopped()  # what stays open is for nobody

    def add(self, size: int) -> None:
        with self._lock:
            self._passed += abs(size)
        self._progress.add(size)

    def look(self) -> None:
        """Now and then, by the thread that waits."""
        self.tick()
        if monotonic() - self._looked > SLOW:
            if self._passed - self._seen < SLOWEST:
                self.fail(Unavailable("What is elsewhere answers too slowly to be waited for. Try again later."))
            self._seen, self._looked = self._passed, monotonic()
        self._end_if_stopped()

    def _end_if_stopped(self) -> None:
        if self.stopped:
            self.cut.end()

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
            with outside.cut_by(watched.cut):
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
                    watched.look()
                watched.look()
                if watched.stopped:
                    break
                begun.add(threads.submit(do, work))
                begun = {one for one in begun if not one.done()}
            while begun:
                begun = wait(begun, TICK).not_done
                watched.look()
        except BaseException as error:
            watched.fail(error)
            watched.cut.end()
    if watched.failed:
        raise watched.failed
    if watched.stopped:
        raise Stopped
