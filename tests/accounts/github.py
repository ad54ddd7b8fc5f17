"""A server on loopback that answers as GitHub does; its person agrees to everything."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

KEYS = {"client_id": "mlteam-here", "client_secret": "its secret"}


class GitHub:
    """What GitHub knows, and the codes that it has given out."""

    def __init__(self):
        self.person = {"id": 7, "login": "olga-at-github"}
        self.emails = [{"email": "Olga@Example.com", "verified": True, "primary": True}]
        self.codes = {}
        self.broken = None
        self.url = ""

    def agree(self, address):
        """The person agrees on GitHub's page: answers the address that the browser is sent back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["client_id"] == KEYS["client_id"]
        given = f"code-{len(self.codes)}"
        self.codes[given] = asked
        return f"{asked['redirect_uri']}?code={given}&state={asked['state']}"

    def token(self, fields):
        asked = self.codes.pop(fields.get("code"), None)
        challenge = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or any(fields.get(name) != value for name, value in KEYS.items())
            or asked["redirect_uri"] != fields["redirect_uri"]
            or base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() != asked["code_challenge"]
        ):
            return {"error": "bad_verification_code"}
        return {"access_token": "token-of-this-sign-in", "token_type": "bearer"}


class Answers(BaseHTTPRequestHandler):
    known: GitHub

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        assert self.path == "/login/oauth/access_token"
        self.say(self.known.token({name: values[0] for name, values in parse_qs(body).items()}))

    def do_GET(self):
        if self.path.startswith("/login/oauth/authorize?"):
            return self.send_back(self.known.agree(self.path))
        if self.headers["authorization"] != "Bearer token-of-this-sign-in":
            return self.say({"message": "Bad credentials"}, 401)
        self.say({"/api/v3/user": self.known.person, "/api/v3/user/emails": self.known.emails}[self.path])

    def send_back(self, address):
        self.send_response(302)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def say(self, answer, status=200):
        text = json.dumps(answer) if self.known.broken is None else self.known.broken
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@contextmanager
def serving() -> Iterator[GitHub]:
    """GitHub at an address of its own (`url`)."""
    known = GitHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Answers,), {"known": known}))
    known.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
