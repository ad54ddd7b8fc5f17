"""Servers on loopback that take the keys which they know, as the real services answer about keys."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from google.auth import exceptions, jwt

Said = tuple[int, Any, dict[str, str]]
GOOD = "good-key-0123456789"  # what all of them take
PUBLIC: dict[str, Any] = {}  # the service account whose key Google knows: its address -> its public half


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, coded = authorization.partition(" ")
    name, _, password = base64.b64decode(coded).decode().partition(":") if scheme == "Basic" else ("", "", "")
    return name, password


def _huggingface(asked: "Asked") -> Said:
    known = asked.headers["Authorization"] == f"Bearer {GOOD}"
    return (200, {"name": "ada"}, {}) if known else (401, {"error": "Invalid credentials in Authorization header"}, {})


def _wandb(asked: "Asked") -> Said:
    if _basic(asked.headers["Authorization"]) != ("api", GOOD):
        return 401, {"errors": [{"message": "user is not logged in"}]}, {}
    assert "viewer" in json.loads(asked.body)["query"]
    return 200, {"data": {"viewer": {"username": "ada"}}}, {}


def _kaggle(asked: "Asked") -> Said:
    known = _basic(asked.headers["Authorization"]) == ("ada", GOOD)
    return (200, [], {}) if known else (401, {"code": 401, "message": "Unauthorized"}, {})


def _azure(asked: "Asked") -> Said:
    form, tenant = asked.form, asked.path.split("/")[1]
    assert form["grant_type"] == "client_credentials" and form["scope"] == "https://management.azure.com/.default"
    if tenant != "t-1":
        return 400, {"error": "invalid_request", "error_description": f"AADSTS90002: Tenant '{tenant}' not found."}, {}
    if form["client_secret"] != GOOD:
        said = f"AADSTS7000215: Invalid client secret provided: {form['client_secret']}"
        return 401, {"error": "invalid_client", "error_description": said}, {}
    return 200, {"access_token": "token", "expires_in": 3599}, {}


def _google(asked: "Asked") -> Said:
    """As Google's token address: what was signed is checked with the public half."""
    assert asked.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    issuer = jwt.decode(asked.form["assertion"], verify=False)["iss"]
    if issuer not in PUBLIC:
        return 400, {"error": "invalid_grant", "error_description": "Invalid grant: account not found"}, {}
    try:
        said = jwt.decode(asked.form["assertion"], certs=PUBLIC[issuer])
    except exceptions.GoogleAuthError:
        return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, {}
    assert said["scope"] and abs(said["iat"] - time.time()) < 60
    return 200, {"access_token": "token", "expires_in": 3599, "token_type": "Bearer"}, {}


def _registry(asked: "Asked") -> Said:
    """A registry with tokens; at /basic one that takes passwords itself."""
    here = f"http://{asked.headers['Host']}"
    if asked.path == "/v2/":
        return 401, {}, {"WWW-Authenticate": f'Bearer realm="{here}/token",service="registry",scope="a:b"'}
    assert asked.query["service"] == "registry" and asked.query["scope"] == "a:b"
    name, password = _basic(asked.headers["Authorization"])
    known = name in {"ada", "$oauthtoken"} and password == GOOD
    return (200, {"token": "token"}, {}) if known else (401, {"details": "incorrect username or password"}, {})


def _passwords(asked: "Asked") -> Said:
    if _basic(asked.headers.get("Authorization", "")) == ("ada", GOOD):
        return 200, {}, {}
    return 401, {}, {"WWW-Authenticate": 'Basic realm="Registry"'}


def _open(asked: "Asked") -> Said:
    return 200, {}, {}


def _sends_on(asked: "Asked") -> Said:
    return 302, {}, {"Location": "http://127.0.0.2:9/elsewhere"}


def _misleads(asked: "Asked") -> Said:
    return 302, {}, {"Location": "http://[nowhere", "WWW-Authenticate": 'Bearer realm="http://[nowhere"'}


def _strange(asked: "Asked") -> Said:
    return 200, {"data": ["viewer"], "name": ["ada"], "error": {}}, {}


def _echoes(asked: "Asked") -> Said:
    """Shows what it was sent, in the place of a name."""
    return 200, {"name": f"<b>{asked.headers['Authorization']}"}, {}


def _breaks(asked: "Asked") -> Said:
    return 503, {"error": "down"}, {}


def _busy(asked: "Asked") -> Said:
    return 429, {}, {}


def _nonsense(asked: "Asked") -> Said:
    return 200, "[" * 2000, {}


def _huge(asked: "Asked") -> Said:
    return 200, "x" * 10_000_000, {}


class Asked:
    """A request: its path, query, headers and body."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        self.path, self.headers = url.path, handler.headers
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


SERVICES: dict[str, Callable[[Asked], Said]] = {
    "huggingface": _huggingface,
    "wandb": _wandb,
    "kaggle": _kaggle,
    "azure": _azure,
    "gcp": _google,
    "ngc": _registry,
    "docker": _registry,
    "passwords": _passwords,
    "open": _open,
    "sends_on": _sends_on,
    "misleads": _misleads,
    "strange": _strange,
    "echoes": _echoes,
    "breaks": _breaks,
    "busy": _busy,
    "nonsense": _nonsense,
    "huge": _huge,
}


ENDLESS = "sends_on_for_ever"


class SendsOnForEver(BaseHTTPRequestHandler):
    """Sends on to itself, in an answer that does not end; `sent`: bytes of the longest one."""

    sent = 0

    def do_GET(self) -> None:
        Asked(self)
        self.send_response(302)
        self.send_header("Location", "/again")
        self.end_headers()
        sent = 0
        with suppress(ConnectionError):  # who asked has read enough
            while True:
                sent += self.wfile.write(bytes(64 * 1024))
                type(self).sent = max(self.sent, sent)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


def _handler(answer: Callable[[Asked], Said]) -> type[BaseHTTPRequestHandler]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, data, headers = answer(Asked(self))
            content = data.encode() if isinstance(data, str) else json.dumps(data).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):  # who asked has read enough
                self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    return Answers


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Each of the services -> its address."""
    handlers = {name: _handler(answer) for name, answer in SERVICES.items()} | {ENDLESS: SendsOnForEver}
    servers = {name: ThreadingHTTPServer(("127.0.0.1", 0), handler) for name, handler in handlers.items()}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield {name: f"http://127.0.0.1:{server.server_port}" for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()
