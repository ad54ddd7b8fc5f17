"""A small real server that speaks the runner's protocol, keeps what it gets in memory, and can be told to fail."""

import http.server
import json
import threading
import time
from urllib.parse import parse_qs, urlsplit


class Record:
    """What the server knows of one attempt."""

    def __init__(self, token):
        self.token, self.generation = token, 0
        self.log, self.states, self.end = bytearray(), [], None
        self.calls, self.first_byte_at, self.ended_at = [], None, None
        self.gone = False


class Server:
    """Listens on a free port of 127.0.0.1 from start to stop; may be stopped and started again, on another port."""

    def __init__(self):
        self.attempts, self.lock = {}, threading.RLock()
        self.faults = {}  # name -> how many more times: "error", "lost", "full", "forget"
        self.http = None

    def start(self):
        self.http = _Http(("127.0.0.1", 0), _Handler)
        self.http.server = self
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{self.http.server_port}"

    def stop(self):
        if self.http:
            self.http.shutdown()
            self.http.server_close()
            self.http.drop_connections()
            self.http = None

    def fails(self, name):
        """Whether this call is to fail in that way."""
        with self.lock:
            left = self.faults.get(name, 0)
            self.faults[name] = max(left - 1, 0)
            return left > 0


class _Http(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *args):
        self.open = set()
        super().__init__(*args)

    def get_request(self):
        connection, address = super().get_request()
        self.open.add(connection)
        return connection, address

    def drop_connections(self):
        for connection in self.open:
            connection.close()

    def handle_error(self, request, client_address):
        """A connection that was cut is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def do_POST(self):
        self._call()

    def do_PUT(self):
        self._call()

    def _call(self):
        url = urlsplit(self.path)
        _, _, attempt, verb = url.path.split("/")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server = self.server.server
        if server.fails("error"):
            return self._answer(500, {})
        with server.lock:
            status, answer = self._decide(server, attempt, verb, parse_qs(url.query), body)
        if server.fails("lost"):
            self.close_connection = True
            return None
        return self._answer(status, answer)

    def _decide(self, server, attempt, verb, query, body):
        record = server.attempts.get(attempt)
        if record is None or self.headers["Authorization"] != f"Bearer {record.token}":
            return 401, {}
        if record.gone:
            return 410, {}
        generation = int(self.headers["X-Runner-Generation"])
        if generation < record.generation:
            return 409, {"error": "generation"}
        record.generation = generation
        record.calls.append(verb)
        return getattr(self, f"_{verb}")(server, record, query, body)

    def _state(self, server, record, query, body):
        record.states.append(json.loads(body))
        return 200, {}

    def _log(self, server, record, query, body):
        if server.fails("full"):
            return 507, {"size": len(record.log)}
        if server.fails("forget"):
            del record.log[len(record.log) // 2 :]
        offset, size = int(query["offset"][0]), len(record.log)
        if offset > size:
            return 409, {"size": size}
        assert bytes(record.log[offset : offset + len(body)]) == body[: size - offset], "an overlap differs"
        record.log += body[size - offset :]
        if record.log and record.first_byte_at is None:
            record.first_byte_at = time.time()
        return 200, {"size": len(record.log)}

    def _end(self, server, record, query, body):
        report = json.loads(body)
        if report["log"]["size"] > len(record.log):
            return 409, {"size": len(record.log)}
        record.end, record.ended_at = report, time.time()
        return 200, {}

    def _answer(self, status, answer):
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
