"""What a browser does: one kept connection, cookies, forms with their CSRF token, WebSockets."""

import http.client
import time
from dataclasses import dataclass
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

from websockets.sync.client import ClientConnection, connect

TRIVIAL = {"cpu": "0.1", "mem": "0.0625", "gpu": "0", "bid": "0"}  # amounts of which slots have plenty


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Browser:
    """Somebody at their browser."""

    def __init__(self, url: str, cookies: dict[str, str] | None = None) -> None:
        self.url, self.cookies = url, dict(cookies or {})
        address = urlsplit(url)
        self.connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=120)
        self.host, self.asked = address.netloc, 0.0

    def again(self) -> "Browser":
        """The same person over another connection."""
        return Browser(self.url, self.cookies)

    def get(self, path: str) -> Answer:
        return self._ask("GET", path)

    def submit(self, path: str, fields: dict[str, str]) -> str:
        """Opens a form's page, where the token is not known yet, sends the form, and answers where that leads."""
        if not self._token():
            self.get(path)
        return self.send(path, fields)

    def send(self, path: str, fields: dict[str, str]) -> str:
        """Sends a form; answers where it leads. Raises RuntimeError when it was refused."""
        body = urlencode({**fields, "csrfmiddlewaretoken": self._token()})
        answer = self._ask("POST", path, body.encode(), {"Content-Type": "application/x-www-form-urlencoded"})
        if answer.status != 302:
            raise RuntimeError(f"{path}: {answer.status} {answer.body[:2000]!r}")
        return answer.headers["Location"]

    def new_job(self, command: str, name: str = "bench", **amounts: str) -> str:
        """Sends the form of a new job; answers its id."""
        return self.send("/p/bench/jobs/new", {"name": name, "command": command, **TRIVIAL, **amounts}).rpartition("/")[
            2
        ]

    def log_socket(self, job_id: str, query: str = "") -> ClientConnection:
        """The WebSocket of a job's first log."""
        return connect(
            self.log_url(job_id, query), compression=None, proxy=None, max_size=None, **self.socket_options()
        )

    def log_url(self, job_id: str, query: str = "") -> str:
        return f"{self.url.replace('http', 'ws', 1)}/ws/jobs/{job_id}/0/log{query}"

    def socket_options(self) -> dict:
        return {"additional_headers": {"Cookie": self._cookie_header()}, "origin": self.url}

    def _ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        if time.monotonic() - self.asked > 3:  # the server closes connections that are idle for five seconds
            self.connection.close()
        self.asked = time.monotonic()
        sent = {"Host": self.host, "Cookie": self._cookie_header(), **(headers or {})}
        self.connection.request(method, path, body, sent)
        response = self.connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        for line in response.headers.get_all("Set-Cookie") or ():
            self.cookies.update({name: morsel.value for name, morsel in SimpleCookie(line).items()})
        return answer

    def _token(self) -> str:
        return next((value for name, value in self.cookies.items() if "csrf" in name), "")

    def _cookie_header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())
