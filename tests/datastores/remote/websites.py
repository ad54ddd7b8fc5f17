"""A web server on loopback that can fail in many ways."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Site(ThreadingHTTPServer):
    """`files`: path -> content. What it does wrong is said by path or at once, and forgotten when it was done so often.

    `hold`: what is given of a file until `released` is set. `statuses`: what is answered next, one after the other; `cut_after`: bytes
    after which the next answer with more breaks off; `cuts`: how many have. `headers`: path -> more of them; `sends_on`: path -> where
    to. `ranges`: whether it knows them; `shifts`: how often it gives another range than it was asked for. `asked`: (path, Range).
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.clean()

    def clean(self) -> None:
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.sends_on: dict[str, str] = {}
        self.statuses: list[int] = []
        self.asked: list[tuple[str, str]] = []
        self.held: dict[str, int] = {}
        self.released = threading.Event()
        self.cut_after, self.cuts, self.ranges, self.tagged, self.says_size, self.slow = 0, 0, True, True, True, 0.0
        self.shifts = 0

    def hold(self, path: str, *, after: int) -> None:
        self.held[path] = after


class _Answers(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site, path = self.server, self.path.partition("?")[0]
        site.asked.append((path, self.headers.get("Range", "")))
        if site.statuses:
            return self._say(site.statuses.pop(0), b"")
        if path in site.sends_on:
            return self._say(302, b"", {"Location": site.sends_on[path]})
        if path not in site.files:
            return self._say(404, b"nothing")
        content = site.files[path]
        more = site.headers.get(path, {}) | ({"ETag": f'"{md5(content).hexdigest()}"'} if site.tagged else {})
        if site.ranges:
            more["Accept-Ranges"] = "bytes"
        if site.ranges and (asked := self.headers.get("Range")):
            start, _, end = asked.removeprefix("bytes=").partition("-")
            if site.shifts:
                site.shifts, start = site.shifts - 1, "0"
            stop = int(end) + 1 if end else len(content)
            more["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
            return self._say(206, content[int(start) : stop], more)
        return self._say(200, content, more)

    def _say(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        if self.server.says_size:
            self.send_header("Content-Length", str(len(content)))
        else:
            self.send_header("Connection", "close")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):
            self._send(content)

    def _send(self, content: bytes) -> None:
        cut = self.server.cut_after
        if cut and len(content) > cut:
            self.server.cut_after, self.server.cuts = 0, self.server.cuts + 1
            self.wfile.write(content[:cut])
            self.wfile.flush()
            self.connection.shutdown(2)
            self.close_connection = True
            return
        for at in range(0, len(content), 65536):
            if at >= self.server.held.get(self.path, len(content)):
                self.server.released.wait(60)
            self.wfile.write(content[at : at + 65536])
            time.sleep(self.server.slow)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def running() -> Iterator[Site]:
    site = Site()
    threading.Thread(target=site.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield site
    finally:
        site.shutdown()
        site.server_close()
