"""What tests of open lines share: a running attempt, and threads whose database connections end with the test."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections

from jobs import log_hub, queue, runner_api, transitions

TOKEN = "a runner's token"
THREADS = 2


@pytest.fixture
def threads(transactional_db, monkeypatch):
    """Threads of the test's own for questions to the database, with their connections closed at its end."""
    with ThreadPoolExecutor(THREADS) as pool:
        monkeypatch.setattr(log_hub, "_database", pool)
        yield
        all_at_once = threading.Barrier(THREADS)
        for done in [pool.submit(_close, all_at_once) for _ in range(THREADS)]:
            done.result()
    async_to_sync(sync_to_async(connections.close_all))()


def _close(all_at_once):
    connections.close_all()
    all_at_once.wait()


@pytest.fixture
def attempt(threads, queued, resource, project, owner):
    """A running attempt, generation 3, whose runner has TOKEN."""
    runner_api._known.clear()
    queued(project, owner)
    [attempt] = queue.place(resource)
    attempt.generation, attempt.token_hash = 3, hashlib.sha256(TOKEN.encode()).hexdigest()
    attempt.save()
    transitions.started(attempt, {})
    return attempt
