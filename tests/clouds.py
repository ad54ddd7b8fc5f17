"""Cloud storage on loopback, each in this process with a server of its own."""

import logging
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import requests
from gcp_storage_emulator.server import create_server
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


@contextmanager
def gcs() -> Iterator[str]:
    """The address of Google Cloud Storage. It asks nobody who they are."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


class Wire(socketserver.ThreadingTCPServer):
    """A wire to a server, which `cut_after` breaks once: when so many bytes have come back through one connection.

    With `hold_after` it lets nothing more through, either way, when so many bytes have gone there and back; `held` is set then.
    """

    allow_reuse_address = daemon_threads = True

    def __init__(self, to: str, at: tuple[str, int]) -> None:
        super().__init__(at, _End)
        self.to, self.cut_after, self.cuts = urlsplit(to), 0, 0
        self.flips = False  # turns a bit in whatever is long
        self.hold_after, self.gone, self.held = 0, 0, threading.Event()

    def let_through(self, size: int) -> None:
        """Returns when so many bytes may go on their way."""
        self.gone += size
        while self.hold_after and self.gone > self.hold_after:
            self.held.set()
            time.sleep(0.05)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host}:{port}"


class _End(socketserver.BaseRequestHandler):
    server: Wire

    def handle(self) -> None:
        with socket.create_connection((self.server.to.hostname, self.server.to.port)) as there, suppress(OSError):
            there_to = threading.Thread(target=self._forth, args=(there,), daemon=True)
            there_to.start()
            self._back(there)

    def _forth(self, there: socket.socket) -> None:
        with suppress(OSError):
            while content := self.request.recv(65536):
                self.server.let_through(len(content))
                there.sendall(content)
            there.shutdown(socket.SHUT_WR)

    def _back(self, there: socket.socket) -> None:
        passed = 0
        while content := there.recv(65536):
            passed += len(content)
            self.server.let_through(len(content))
            if self.server.cut_after and passed > self.server.cut_after:
                self.server.cut_after, self.server.cuts = 0, self.server.cuts + 1
                break
            if self.server.flips and len(content) > 5000:
                content = content[:-1] + bytes([content[-1] ^ 1])
            self.request.sendall(content)
        self.request.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire(to: str, at: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[Wire]:
    """A wire to this server, which begins at an address, with 0 at any free port of it; until then."""
    server = Wire(to, at)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
