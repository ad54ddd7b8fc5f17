"""The threads in which requests are answered: one request at a time in each, and the next one in the same."""

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async

from mlteam import one_thread
from tests.server import PATIENCE


def here() -> threading.Thread:
    return threading.current_thread()


async def answered(threads, work=here):
    async with threads.one():
        return await sync_to_async(work)()


async def free(threads):
    """Returns when a thread waits for the next request."""
    async with asyncio.timeout(PATIENCE):
        while not threads._idle:
            await asyncio.sleep(0.001)


async def test_one_after_the_other_in_the_same_thread():
    threads = one_thread.Threads()
    used = []
    for _ in range(5):
        used.append(await answered(threads))
        await free(threads)
    assert len(set(used)) == 1 and used[0].is_alive()


async def test_two_at_once_in_two_and_all_of_a_request_in_one():
    threads = one_thread.Threads()
    both = threading.Barrier(2, timeout=PATIENCE)

    async def request():
        async with threads.one():
            await sync_to_async(both.wait)()
            return {await sync_to_async(here)() for _ in range(3)}

    first, second = await asyncio.gather(request(), request())
    assert len(first) == len(second) == 1 and first != second


async def test_what_still_runs_for_somebody_who_has_gone_has_its_thread_to_itself():
    threads = one_thread.Threads()
    running, end = threading.Event(), threading.Event()
    busy = []

    def work():
        busy.append(here())
        running.set()
        assert end.wait(PATIENCE)

    request = asyncio.create_task(answered(threads, work))
    await asyncio.to_thread(running.wait, PATIENCE)
    request.cancel()
    await asyncio.wait([request], timeout=0.2)
    others = {await asyncio.wait_for(answered(threads), PATIENCE) for _ in range(3)}
    assert busy[0] not in others
    end.set()
    await asyncio.wait([request], timeout=PATIENCE)
    assert request.cancelled()


async def test_what_is_too_many_ends(monkeypatch):
    monkeypatch.setattr(one_thread, "KEPT", 1)
    threads = one_thread.Threads()
    both = threading.Barrier(3, timeout=PATIENCE)

    def work():
        both.wait()
        return here()

    used = await asyncio.gather(*(answered(threads, work) for _ in range(3)))
    async with asyncio.timeout(PATIENCE):
        while sum(thread.is_alive() for thread in used) > 1:
            await asyncio.sleep(0.01)
    assert await answered(threads) in used


async def test_who_only_sends_slowly_has_no_thread():
    threads = one_thread.Threads()
    used = await answered(threads)
    await free(threads)
    async with threads.one():
        assert await answered(threads) is used


async def test_who_stays_for_long_leaves_the_thread_to_others():
    threads = one_thread.Threads()
    async with threads.one():
        used = await sync_to_async(here)()
        await one_thread.leave()
        await free(threads)
        assert await answered(threads) is used
        await free(threads)
        again = await sync_to_async(here)()
    await free(threads)
    assert again is used and len(threads._idle) == 1


async def test_an_error_gives_the_thread_back():
    threads = one_thread.Threads()
    used = await answered(threads)

    def fail():
        raise ValueError(here())

    for _ in range(2):
        await free(threads)
        with pytest.raises(ValueError) as raised:
            await answered(threads, fail)
        assert raised.value.args == (used,)
