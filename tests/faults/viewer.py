"""A page that shows a log: over a WebSocket, from the offset it has reached whenever the line breaks."""

import json
import threading
import time

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.faults.installation import PATIENCE


class Viewer(threading.Thread):
    """Collects the bytes of a job's log until it is told that no more come."""

    def __init__(self, job, index=0):
        super().__init__(daemon=True)
        self.job, self.index = job, index
        self.data, self.end, self.lines_opened = b"", None, 0
        self.start()

    def run(self):
        deadline = time.monotonic() + PATIENCE
        while self.end is None and time.monotonic() < deadline:
            try:
                self._listen()
            except (OSError, WebSocketException):
                time.sleep(0.1)

    def _listen(self):
        server = self.job.server
        headers = server.headers()
        with connect(
            f"ws://{server.where}/ws/jobs/{self.job.id}/{self.index}/log?offset={len(self.data)}",
            origin=f"http://localhost:{server.port}", additional_headers=headers, max_size=None, compression=None,
            open_timeout=30,
        ) as line:  # fmt: skip
            self.lines_opened += 1
            while self.end is None:
                self._take(line.recv(timeout=PATIENCE))

    def _take(self, message):
        if isinstance(message, bytes):
            self.data += message
            return
        told = json.loads(message)
        if told["type"] == "hello":
            assert told["offset"] == len(self.data), told
        if told["type"] == "end":
            self.end = told

    def wait(self):
        """All the bytes that it was sent, once it has been told of the end."""
        self.join(timeout=PATIENCE)
        assert self.end is not None, f"never told of the end, after {len(self.data)} bytes"
        return self.data
