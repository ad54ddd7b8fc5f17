"""Cloud storage on loopback, each in this process with a server of its own."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from moto.server import ThreadedMotoServer


@contextmanager
def aws() -> Iterator[str]:
    """The address of S3, STS and IAM in one. Whoever asks may all, until `who_may_what_counts`."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        yield url
    finally:
        requests.post(f"{url}/moto-api/reset", timeout=10)
        server.stop()


@contextmanager
def who_may_what_counts(url: str) -> Iterator[None]:
    """From here on keys and policies are looked at."""
    requests.post(f"{url}/moto-api/reset-auth", data=b"0", timeout=10)
    try:
        yield
    finally:
        requests.post(f"{url}/moto-api/reset-auth", data=b"inf", timeout=10)
