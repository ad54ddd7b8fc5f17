"""Wakes those who watch: one hub in each web process (more exactly, for each event loop).

What changes in this process wakes its watchers at once. Other processes learn of it by hints through the channel layer,
over one subscription of each; hints may be lost (Redis may be dead), so watchers also look by themselves now and then.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer

import access

log = logging.getLogger(__name__)

HINT_EVERY = 0.1  # seconds between two hints about one attempt; the first goes at once
LOOK_AT_ACCESS_EVERY = 0.5  # seconds
RETRY_AFTER = 1.0  # seconds without Redis before it is tried again
LOGS = "logs"  # the group of all hints about logs
GROWN = "grown"  # the note with which the watchers of a log are woken
ACCESS = "access"  # the topic that is woken when anybody's access may have been taken away

P = ParamSpec("P")
R = TypeVar("R")

_database = ThreadPoolExecutor(4, thread_name_prefix="live-database")
_files = ThreadPoolExecutor(8, thread_name_prefix="live-files")
_hubs: "WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = WeakKeyDictionary()


async def in_database(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Runs a function that asks the database, in a thread: a slow question never holds up the loop or the pages."""
    ask = database_sync_to_async(function, thread_sensitive=False, executor=_database)
    return await ask(*args, **kwargs)


async def in_files(function: Callable[..., R], *args: Any) -> R:
    """Runs a function that touches files, in a thread."""
    return await asyncio.get_running_loop().run_in_executor(_files, function, *args)


def hub() -> "Hub":
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]


class Watch:
    """One watcher's ear: what it was woken for since it last waited."""

    def __init__(self) -> None:
        self._notes: set[str] = set()
        self._event = asyncio.Event()

    def wake(self, note: str) -> None:
        self._notes.add(note)
        self._event.set()

    async def wait(self, seconds: float) -> set[str]:
        """The notes that came, as soon as there is one; an empty set after that many seconds of nothing."""
        with contextlib.suppress(TimeoutError):
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the event.
            async with asyncio.timeout(seconds):
                await self._event.wait()
        notes, self._notes = self._notes, set()
        self._event.clear()
        return notes


class Hub:
    """The watchers of one process by topic: `log.<job>.<index>` (it grew), `job.<id>`, `project.<id>`, `access`."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}
        self._running: list[asyncio.Task[None]] = []
        self._regroup = asyncio.Event()
        self._hints = _Hints()

    @contextlib.contextmanager
    def watch(self, *topics: str) -> Iterator[Watch]:
        """A watch on the topics while the block runs. Open it before looking at what it is about."""
        watch = Watch()
        for topic in topics:
            self._watches.setdefault(topic, set()).add(watch)
        self._start()
        try:
            yield watch
        finally:
            self._leave(watch, topics)

    def _leave(self, watch: Watch, topics: tuple[str, ...]) -> None:
        for topic in topics:
            self._watches[topic].discard(watch)
            if not self._watches[topic]:
                del self._watches[topic]
        self._regroup.set()
        if not self._watches:
            for task in self._running:
                task.cancel()
            self._running = []

    def grown(self, job_id: str, index: int, size: int) -> None:
        """The attempt's log has this many bytes: wakes its viewers here and hints to other processes."""
        topic = f"log.{job_id}.{index}"
        self._wake(topic, GROWN)
        self._hints.send(topic, size)

    def changed(self, job_id: str) -> None:
        """The job has changed: wakes who looks at it in this process. Others hear it from jobs.events."""
        self._wake(f"job.{job_id}", job_id)

    def _wake(self, topic: str, note: str) -> None:
        for watch in self._watches.get(topic, ()):
            watch.wake(note)

    def _start(self) -> None:
        self._regroup.set()
        if not self._running:
            self._running = [asyncio.create_task(self._listen()), asyncio.create_task(self._look_at_access())]

    async def _look_at_access(self) -> None:
        """Wakes everybody who is open when access may have been taken away, and once at the start."""
        known = None
        while True:
            try:
                now = await in_database(access.generation)
                if now != known:
                    known = now
                    self._wake(ACCESS, ACCESS)
            except Exception:
                log.exception("could not read the access generation")
            await asyncio.sleep(LOOK_AT_ACCESS_EVERY)

    async def _listen(self) -> None:
        """Hears hints of other processes; without Redis, tries again and again."""
        layer = get_channel_layer()
        while layer is not None:
            try:
                channel = await layer.new_channel()
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._receive(layer, channel))
                    group.create_task(self._join(layer, channel))
            except Exception as error:
                log.debug("no hints: %s", error)
            await asyncio.sleep(RETRY_AFTER)

    async def _receive(self, layer: Any, channel: str) -> None:
        while True:
            self._heard(await layer.receive(channel))

    async def _join(self, layer: Any, channel: str) -> None:
        """Keeps the channel in just those groups of which somebody here watches the topic."""
        joined: set[str] = set()
        while True:
            self._regroup.clear()
            wanted = {LOGS} | {topic for topic in self._watches if topic.startswith(("job.", "project."))}
            for group in wanted - joined:
                await layer.group_add(group, channel)
            for group in joined - wanted:
                await layer.group_discard(group, channel)
            joined = wanted
            await self._regroup.wait()

    def _heard(self, message: dict[str, Any]) -> None:
        if message.get("type") == "log.grown":
            self._wake(message["log"], GROWN)
        elif message.get("type") == "job.changed":
            self._wake(f"job.{message['job']}", message["job"])
            self._wake(f"project.{message.get('project')}", message["job"])


class _Hints:
    """Tells other processes how far logs have grown: the first time at once, then seldom, and never fails."""

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}  # topic -> size to tell when its pause is over; 0 for nothing new
        self._sending: set[asyncio.Task[None]] = set()

    def send(self, topic: str, size: int) -> None:
        if topic in self._latest:
            self._latest[topic] = size
        else:
            self._tell(topic, size)

    def _tell(self, topic: str, size: int) -> None:
        self._latest[topic] = 0
        self._spawn(self._group_send({"type": "log.grown", "log": topic, "size": size}))
        asyncio.get_running_loop().call_later(HINT_EVERY, self._pause_over, topic)

    def _pause_over(self, topic: str) -> None:
        size = self._latest.pop(topic)
        if size:
            self._tell(topic, size)

    def _spawn(self, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(sending)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _group_send(self, message: dict[str, Any]) -> None:
        layer = get_channel_layer()
        try:
            async with asyncio.timeout(RETRY_AFTER):
                if layer is not None:
                    await layer.group_send(LOGS, message)
        except Exception as error:
            log.debug("no hint sent: %s", error)
