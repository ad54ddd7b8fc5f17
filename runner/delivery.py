"""Bringing states, log bytes and the end to the server: in that order, each until acknowledged, for ever if need be."""

import _socket  # without what `socket` adds, which costs more to import than all else here
import json
import os
import threading
import time

try:  # likewise without OpenSSL, which `hashlib` loads; only a long log is worth it
    from _sha2 import sha256
except ImportError:
    try:
        from _sha256 import sha256
    except ImportError:
        from hashlib import sha256

CHUNK = 1 << 20
PACE = 0.04  # seconds between two calls with little in them; the first after silence goes at once
ENOUGH = 1 << 18
LONG = 4 << 20  # bytes of log from which on a quicker checksum pays
TIMEOUT = 30


class Server:
    """One kept connection to the server, wherever the endpoint file says that it is now."""

    def __init__(self, config):
        self.config = config
        self.connection = None
        self.base = f"/runner/{config.attempt}/"
        self.fixed = f"Authorization: Bearer {config.token}\r\nX-Runner-Generation: {config.generation}\r\n"

    def call(self, method, path, body):
        """(status, answer as a mapping). OSError or ValueError when there is no server that answers."""
        fresh = self.connection is None
        try:
            return self._call(method, path, body)
        except (OSError, ValueError):
            self.close()
            if fresh:
                raise
        return self._call(method, path, body)  # a kept connection that the server had closed meanwhile

    def _call(self, method, path, body):
        if self.connection is None:
            self._connect()
        head = f"{method} {self.prefix}{self.base}{path} HTTP/1.1\r\nHost: {self.host}\r\n{self.fixed}Content-Length: {len(body)}\r\n\r\n"
        self.connection.sendall(head.encode() + body)
        status, headers = self._head()
        answer = self._body(headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, _mapping(answer)

    def _connect(self):
        with open(self.config.endpoint_file) as file:
            scheme, _, rest = json.load(file)["url"].partition("://")
        self.host, slash, prefix = rest.partition("/")
        self.prefix = (slash + prefix).rstrip("/")
        name, _, port = self.host.rpartition(":") if self.host.rpartition(":")[2].isdigit() else (self.host, "", "")
        secure = scheme == "https"
        self.connection = _connected(name.strip("[]"), int(port or (443 if secure else 80)))
        if secure:
            import socket
            import ssl

            plain = socket.socket(fileno=self.connection.detach())
            plain.settimeout(TIMEOUT)
            self.connection = ssl.create_default_context().wrap_socket(plain, server_hostname=name.strip("[]"))
        self.buffer = b""

    def _more(self):
        data = self.connection.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data

    def _until(self, mark):
        while mark not in self.buffer:
            if len(self.buffer) > 1 << 20:
                raise ValueError("no HTTP answer")
            self._more()
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def _exactly(self, length):
        while len(self.buffer) < length:
            self._more()
        found, self.buffer = self.buffer[:length], self.buffer[length:]
        return found

    def _head(self):
        while True:
            first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            status = int(first.split()[1])
            if status >= 200:  # else: an interim answer
                break
        pairs = (line.partition(":") for line in lines)
        return status, {name.strip().lower(): value.strip() for name, _, value in pairs}

    def _body(self, headers):
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while length := int(self._until(b"\r\n").partition(b";")[0], 16):
                body += self._exactly(length)
                self._exactly(2)
            self._until(b"\r\n")
            return body
        return self._exactly(int(headers.get("content-length", 0)))

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def _connected(host, port):
    """A connection to the first of the host's addresses that answers."""
    trouble = OSError(f"no address for {host}")
    # As bytes the name needs no IDNA codec, whose tables are large.
    for family, kind, protocol, _, address in _socket.getaddrinfo(host.encode(), port, 0, _socket.SOCK_STREAM):
        connection = _socket.socket(family, kind, protocol)
        try:
            connection.settimeout(TIMEOUT)
            connection.connect(address)
            connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            return connection
        except OSError as error:
            trouble = error
            connection.close()
    raise trouble


def _mapping(body):
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


class Delivery(threading.Thread):
    """The thread that speaks to the server.

    `spool` is the descriptor of the log on disk, of which `size` bytes may go. `outcome` becomes "delivered" when the server has
    acknowledged the end, "superseded" when a newer runner has taken over, "gone" when the attempt is no longer known; then `told`
    is called.
    """

    def __init__(self, config, spool, *, told, resume):
        super().__init__(daemon=True)
        self.server, self.spool, self.told = Server(config), spool, told
        self.states, self.report, self.outcome = [], None, None
        self.size = self.offset = self.hashed = self.lines = 0
        self.last = b"\n"
        self.digest = sha256()
        self.asked = not resume  # whether the server's size is known
        self.bell, self.closing = threading.Event(), threading.Event()
        self.pause = 0.1

    # Called by the runner's main thread.

    def post_state(self, **state):
        self.states.append(state)
        self.bell.set()

    def grown(self, size):
        """The first `size` bytes of the spool may go."""
        if size > self.size:
            self.size = size
            self.bell.set()

    def post_end(self, report, size):
        """Nothing more will come: deliver up to `size`, then the end."""
        self.size, self.report = size, report
        self.closing.set()
        self.bell.set()

    # The thread.

    def run(self):
        try:
            while self.outcome is None:
                self._step()
            self.told()
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(70)  # a runner that cannot speak is of no use; the server starts another

    def _step(self):
        self.bell.clear()
        if self.states:
            if self._try("POST", "state", json.dumps(self.states[0]).encode()) is not None:
                self.states.pop(0)
        elif not self.asked or self.offset < self.size:
            self._send_log()
        elif self.report is not None:
            self._send_end()
        else:
            self.bell.wait()

    def _send_log(self):
        data = os.pread(self.spool, min(CHUNK, self.size - self.offset), self.offset) if self.asked else b""
        self._account(self.offset, data)
        answer = self._try("PUT", f"log?offset={self.offset}", data)
        if answer is None:
            return
        self.asked = True
        self.offset = min(answer["size"], self.size)
        if len(data) < ENOUGH and self.report is None:
            self.closing.wait(PACE)

    def _account(self, offset, data):
        """Take bytes that are new into the checksum and the count of lines."""
        new = data[max(self.hashed - offset, 0) :] if offset <= self.hashed else b""
        if new:
            if self.hashed < LONG <= self.hashed + len(new):
                self._quicken()
            self.digest.update(new)
            self.lines += new.count(b"\n")
            self.last = new[-1:]
            self.hashed += len(new)

    def _quicken(self):
        """Go on with OpenSSL's checksum, from the beginning."""
        from hashlib import sha256

        self.digest = sha256(os.pread(self.spool, self.hashed, 0))

    def _catch_up(self):
        """Bytes that an earlier runner delivered are in the checksum too."""
        while self.hashed < self.size:
            data = os.pread(self.spool, min(CHUNK, self.size - self.hashed), self.hashed)
            if not data:
                break
            self._account(self.hashed, data)

    def _send_end(self):
        self._catch_up()
        log = {"size": self.size, "sha256": self.digest.hexdigest(), "lines": self.lines + (self.last != b"\n")}
        report = {**self.report, "log": {**log, "gaps": self.report["log"]["gaps"]}}
        if self._try("POST", "end", json.dumps(report).encode()) is not None:
            self.outcome = "delivered"

    def _try(self, method, path, body):
        """The server's answer, or None after a pause when it has to be tried again."""
        try:
            status, answer = self.server.call(method, path, body)
        except (OSError, ValueError, LookupError) as error:
            status, answer = 0, {"error": str(error)}
        if status == 200 and (method != "PUT" or isinstance(answer.get("size"), int)):
            self.pause = 0.1
            return answer
        if status == 410:
            self.outcome = "gone"
        elif status == 409 and answer.get("error") == "generation":
            self.outcome = "superseded"
        else:
            self._hold(status, answer)
        return None

    def _hold(self, status, answer):
        if status == 409 and isinstance(answer.get("size"), int) and min(answer["size"], self.size) != self.offset:
            self.asked, self.offset = True, min(answer["size"], self.size)
            return
        self.server.close()
        time.sleep(self.pause)
        self.pause = min(self.pause * 2, 2.0)
