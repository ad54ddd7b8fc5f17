"""Trying again what may go well a moment later."""

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from datastores.remote.errors import Unavailable
from datastores.remote.progress import Progress, check
from mlteam import outside

Made = TypeVar("Made")

TRIES: Final = 6
FIRST: Final = 0.5  # seconds to wait after the first; twice as long after each more
LONGEST_WAIT: Final = 30.0  # seconds
STEP: Final = 0.2  # seconds after which somebody may have stopped it


class Tries:
    """How often something has failed in a row."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.failed = progress, 0

    def well(self) -> None:
        """Something went well: it counts anew."""
        if self.failed:
            self.failed = 0
            self.progress.tries_again("")

    def wait(self, error: Unavailable) -> None:
        """Until it is worth another try. Raises the error when it was tried often enough, or nothing more is asked; Stopped."""
        check(self.progress)
        self.failed += 1
        if self.failed >= TRIES or outside.is_cut():
            raise error
        self.progress.tries_again(str(error))
        longest = min(FIRST * 2.0**self.failed, LONGEST_WAIT)
        wanted = max(min(error.after, LONGEST_WAIT), longest * random.uniform(0.5, 1))  # noqa: S311 - so that not all come back at once
        end = time.monotonic() + wanted
        while (left := end - time.monotonic()) > 0:
            check(self.progress)
            time.sleep(min(left, STEP))


def again(do: Callable[[], Made], progress: Progress) -> Made:
    """What comes of it, at the first time that it goes well."""
    tries = Tries(progress)
    while True:
        check(progress)
        try:
            made = do()
        except Unavailable as error:
            tries.wait(error)
        else:
            tries.well()
            return made
