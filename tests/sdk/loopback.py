"""A real HTTP server on loopback that answers, breaks off and stalls as a test wishes."""

import json
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Asked:
    """A request that arrived."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


@dataclass
class Says:
    """One answer. `cut`: the connection is broken after so many bytes of the body, as by a server that is killed."""

    status: int = 200
    data: Any = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    silent: bool = False  # breaks off before it says anything

    def bytes(self) -> bytes:
        return self.body if self.body is not None else json.dumps(self.data).encode()


class Loopback:
    """Answers the `script` in its order; a callable in it is given the request. After its end the last one again."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.script: deque[Says | Callable[[Asked], Says]] = deque()
        self.server = _Server(self)
        self.scheme = "https" if tls else "http"
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self) -> "Loopback":
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.drop_connections()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.server.server_port}"

    def say(self, *answers: Says | Callable[[Asked], Says]) -> None:
        """What to answer from now on."""
        self.script = deque(answers)

    def next(self, asked: Asked) -> Says:
        self.asked.append(asked)
        said = self.script.popleft() if len(self.script) > 1 else self.script[0]
        return said(asked) if callable(said) else said


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what these tests are about."""

    def __init__(self, loopback: Loopback) -> None:
        self.loopback = loopback
        self.open: list[socket.socket] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.open.append(connection)
        return connection, address

    def drop_connections(self) -> None:
        """So that an idle one, or one whose client waits, does not hold up the end of a test."""
        for connection in self.open:
            with suppress(OSError):  # it is closed already
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not TLS's own: its thread may be reading


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True  # a body does not wait until the head has been heard

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self._chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        says = self.server.loopback.next(Asked(self.command, parts.path, parse_qsl(parts.query), headers, body))
        if says.silent:
            self._break()
        else:
            self._say(says)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = _answer

    def _say(self, says: Says) -> None:
        body = b"" if says.status == 204 else says.bytes()
        self.send_response(says.status)
        kind = "application/json" if says.body is None else "application/octet-stream"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **says.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: says.cut])
        if says.cut is not None:
            self._break()

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _break(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *words: Any) -> None:
        """Says nothing."""
