"""What tests of open lines share: a running attempt, and threads whose database connections end with the test."""

import asyncio
import contextlib
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvicorn
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.db import connections
from django.test import override_settings

from jobs import log_hub, queue, runner_api, transitions
from mlteam import asgi, bodies, uploads

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


@contextlib.asynccontextmanager
async def serving():
    """The dashboard on a free port of this event loop; answers the port."""
    with override_settings(SERVESTATIC_USE_FINDERS=True):  # browsers ask for static files, other than test clients
        asgi.pages = bodies.limited(uploads.Handler())
    config = uvicorn.Config(asgi.application, port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    task = asyncio.create_task(running._serve())
    while not running.started:
        await asyncio.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    settings.WEBSOCKET_ORIGINS.append(f"http://localhost:{port}")  # the list that the application looks into
    try:
        yield port
    finally:
        settings.WEBSOCKET_ORIGINS.pop()
        running.should_exit = True
        await task
