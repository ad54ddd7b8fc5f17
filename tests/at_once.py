"""Several acts at once: each in a thread of its own, all of which begin in the same moment."""

import threading
from collections.abc import Callable
from typing import Any

from django.db import connections

PATIENCE = 120  # seconds; nothing takes that long unless it is stuck


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """What each act answered, or the exception that it raised, in their order."""
    start, results = threading.Barrier(len(acts)), [None] * len(acts)

    def run(place: int, act: Callable[[], Any]) -> None:
        try:
            start.wait(PATIENCE)
            results[place] = act()
        except Exception as error:
            results[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=one, daemon=True) for one in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "an act did not end"
    return results


def together(*acts: Callable[[], Any]) -> list[str]:
    """Does all at once; what each came to, as the name of its exception or "done"."""
    return [type(one).__name__ if isinstance(one, Exception) else "done" for one in at_once(*acts)]
