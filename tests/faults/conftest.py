"""A real server whose processes are killed, one for all tests here."""

import os
import secrets
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.installation import Installation, until


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.xdist_group("serial"))


@pytest.fixture(scope="package")
def installation():
    """The server's home, started once. Tests take `server`."""
    root = Path(tempfile.mkdtemp(prefix="mlteam-"))
    root.chmod(0o711)  # jobs of users of their own pass through
    server = Installation(root, **_database())
    try:
        yield server.start()
    finally:
        server.close()
        shutil.rmtree(root, ignore_errors=True)


def _database():
    """A database of the server's own on the PostgreSQL of DATABASE_URL; SQLite where there is none."""
    if not os.environ.get("DATABASE_URL"):
        return {}
    import psycopg

    url, name = os.environ["DATABASE_URL"], f"faults_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return {"DATABASE_URL": urlsplit(url)._replace(path=f"/{name}").geturl()}


@pytest.fixture
def fresh(installation):
    """A supervisor that has not yet seen anything die, and starts again at once what does."""
    installation.end()
    return installation.start()


@pytest.fixture
def server(installation):
    """The server, up and without a job; afterwards nothing may hold a slot."""
    if installation.process.poll() is not None:
        installation.start()
    yield installation
    if installation.process.poll() is None:
        _end_all(installation)
        assert installation.idle(), installation.ask("held")


def _end_all(server):
    """What a failed test has left."""
    for job_id in server.ask("unfinished"):
        server.ask("stop", job_id=job_id)
    until(lambda: not server.ask("unfinished"), "the end of all jobs", server.trouble)
