"""Google Cloud Storage on loopback as it is to a service account: with tokens, roles on prefixes, conditions, pages; and with faults.

Behind it is gcp-storage-emulator, which asks nobody anything.
"""

import http.client
import json
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import exceptions, jwt

from tests import clouds

VIEWER = ("storage.objects.get", "storage.objects.list")
CREATOR = ("storage.objects.create",)


@cache
def _pair() -> tuple[str, bytes]:
    made = rsa.generate_private_key(65537, 2048)
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    public = made.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    return made.private_bytes(pem, serialization.PrivateFormat.PKCS8, none).decode(), public


def account(name: str) -> str:
    """The JSON file of a service account's key."""
    said = {"type": "service_account", "project_id": "vision", "token_uri": "https://oauth2.googleapis.com/token"}
    return json.dumps(said | {"private_key": _pair()[0], "client_email": f"{name}@vision.iam.gserviceaccount.com"})


class Google(ThreadingHTTPServer):
    """`grants`: (service account, bucket, prefix, permissions, itself). `asked`: (permission, object or prefix) of all that was asked.

    A grant has a condition on the name of what is asked, as at Google: objects that begin with the prefix; with `itself` also the bucket,
    which alone counts for a list, whatever it begins with. Without a prefix it is `projects/_/buckets/BUCKET`, as what it begins with.

    Faults, forgotten when they have happened: `statuses` are answered next, one after the other; `cut_after`: bytes of an answer after
    which its wire breaks; `cut_sent`: bytes of a request's content after which nobody reads on.
    """

    daemon_threads = True

    def __init__(self, emulator: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.emulator, self.url, self.page = emulator, f"http://127.0.0.1:{self.server_port}", 1000
        self.host = urlsplit(emulator).netloc
        self.buckets: set[str] = set()
        self.clean()

    def clean(self) -> None:
        requests.get(f"{self.emulator}/wipe", timeout=10)
        self.tokens: dict[str, tuple[str, str]] = {}
        self.grants: list[tuple[str, str, str, tuple[str, ...], bool]] = []
        self.asked: list[tuple[str, str]] = []
        self.statuses: list[int] = []
        self.cut_after, self.cut_sent, self.cuts, self.page, self.slow, self.lost = 0, 0, 0, 1000, 0.0, 0

    @property
    def services(self) -> dict[str, str]:
        """For MLTEAM_SERVICES."""
        return {"gcp": f"{self.url}/token", "gcs": self.url}

    def account(self, name: str) -> str:
        return account(name)

    def grant(self, name: str, bucket: str, prefix: str, permissions: tuple[str, ...], *, itself: bool = False) -> None:
        who = f"{name}@vision.iam.gserviceaccount.com"
        self.grants.append((who, bucket, prefix, permissions, itself or not prefix))

    def grants_to(self, who: str, bucket: str, permission: str, name: str) -> bool:
        """`name`: of an object; "" for more of one that has been begun."""
        return any(
            account == who
            and place == bucket
            and permission in some
            and (itself if permission == "storage.objects.list" else name.startswith(prefix) or not name)
            for account, place, prefix, some, itself in self.grants
        )

    def recipe(self) -> None:
        """Nothing but a bucket that `reader` may list, and read below data/, and one where `writer` may create below results/."""
        self.clean()
        self.bucket("input")
        self.bucket("output")
        self.grant("reader", "input", "data/", VIEWER, itself=True)
        self.grant("writer", "output", "", VIEWER)
        self.grant("writer", "output", "results/", CREATOR)

    def bucket(self, name: str, files: dict[str, bytes] | None = None) -> None:
        """A new bucket with these objects."""
        requests.post(f"{self.emulator}/storage/v1/b", json={"name": name}, timeout=10).raise_for_status()
        for path, content in (files or {}).items():
            self.keep(name, path, content)

    def keep(self, bucket: str, path: str, content: bytes) -> None:
        if content:
            answer = requests.put(f"{self.emulator}/{bucket}/{quote(path)}", data=content, timeout=60)
        else:  # which the emulator takes in another way alone
            parts = {"a": ("a", json.dumps({"name": path}), "application/json"), "b": ("b", b"", "text/plain")}
            where = f"{self.emulator}/upload/storage/v1/b/{bucket}/o?uploadType=multipart"
            answer = requests.post(where, files=parts, timeout=60)
        answer.raise_for_status()

    def files(self, bucket: str) -> dict[str, bytes]:
        """What is in a bucket."""
        listed = requests.get(f"{self.emulator}/storage/v1/b/{bucket}/o", timeout=10).json()
        names = [one["name"] for one in listed.get("items", ())]
        return {name: requests.get(f"{self.emulator}/{bucket}/{quote(name)}", timeout=60).content for name in names}

    def told(self, bucket: str, name: str) -> dict[str, Any] | None:
        answer = requests.get(f"{self.emulator}/storage/v1/b/{bucket}/o/{quote(name, safe='')}", timeout=10)
        return answer.json() if answer.ok else None

    def revoke(self) -> None:
        """No token is good any more; new ones are given."""
        self.tokens.clear()


class _Denied(Exception):
    """(status, message)"""


class _Answers(BaseHTTPRequestHandler):
    server: Google
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        try:
            body = self._body()
            if body is None:
                return
            if url.path == "/token":
                return self._token(body)
            if self.server.statuses:
                raise _Denied(self.server.statuses.pop(0), "a fault")
            self._check(url.path, query, body)
        except _Denied as denied:
            status, said = denied.args
            return self._say(status, {}, json.dumps({"error": {"code": status, "message": said}}).encode())
        self._forward(url.path, query, body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer

    def _body(self) -> bytes | None:
        left, found = int(self.headers.get("Content-Length") or 0), []
        while left:
            piece = self.rfile.read(min(left, 65536))
            if self.server.slow:
                time.sleep(self.server.slow)
            if not piece:
                return None
            found.append(piece)
            left -= len(piece)
            if self.server.cut_sent and sum(map(len, found)) > self.server.cut_sent:
                self.server.cut_sent, self.server.cuts = 0, self.server.cuts + 1
                self._cut()
                return None
        return b"".join(found)

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(2)

    def _token(self, body: bytes) -> None:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        try:
            said = jwt.decode(form["assertion"], certs=_pair()[1], audience="https://oauth2.googleapis.com/token")
        except (exceptions.GoogleAuthError, ValueError):
            try:
                said = jwt.decode(form["assertion"], certs=_pair()[1])
            except (exceptions.GoogleAuthError, ValueError):
                return self._say(400, {}, b'{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}')
        if said["iss"].startswith("gone@"):
            return self._say(
                400, {}, b'{"error": "invalid_grant", "error_description": "Invalid grant: account not found"}'
            )
        token = secrets.token_hex(8)
        self.server.tokens[token] = said["iss"], said["scope"]
        answer = {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}
        return self._say(200, {}, json.dumps(answer).encode())

    def _check(self, path: str, query: dict[str, str], body: bytes) -> None:
        """Whether who asks may, and whether what they take for granted is so."""
        google = self.server
        found = re.fullmatch(r"(/upload)?/storage/v1/b/([^/]+)/o(?:/([^/]+))?", path)
        if not found:
            raise _Denied(403, "nobody may ask this")
        bucket, name = found[2], unquote(found[3] or "")
        permission = self._permission(bool(found[1]), name)
        if permission == "storage.objects.create":
            name = query.get("name") or self._named(query, body)
        elif permission == "storage.objects.list":
            name = query.get("prefix", "")
        google.asked.append((permission, name))
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" and not self._public(bucket, permission, name):
            raise _Denied(401, f"Anonymous caller does not have {permission} access.")
        if scheme == "Bearer":
            self._check_account(token, bucket, name, permission)
        told = google.told(bucket, name) if name and permission != "storage.objects.list" else None
        if query.get("ifGenerationMatch") == "0" and told:
            raise _Denied(412, "At least one of the pre-conditions you specified did not hold.")
        if "generation" in query and (not told or told["generation"] != query["generation"]):
            raise _Denied(404, f"No such object: {bucket}/{name}")

    def _permission(self, upload: bool, name: str) -> str:
        if upload:
            return "storage.objects.create"
        if self.command == "GET":
            return "storage.objects.get" if name else "storage.objects.list"
        return {"DELETE": "storage.objects.delete", "PATCH": "storage.objects.update"}.get(self.command, "another")

    def _named(self, query: dict[str, str], body: bytes) -> str:
        if "upload_id" in query:
            return ""
        part = body if query["uploadType"] == "resumable" else body.split(b"\r\n\r\n", 2)[1].rpartition(b"\r\n--")[0]
        return str(json.loads(part)["name"])

    def _public(self, bucket: str, permission: str, name: str) -> bool:
        return self.server.grants_to("everybody@vision.iam.gserviceaccount.com", bucket, permission, name)

    def _check_account(self, token: str, bucket: str, name: str, permission: str) -> None:
        if token not in self.server.tokens:
            raise _Denied(401, "Invalid Credentials")
        email, scope = self.server.tokens[token]
        if permission not in VIEWER and not scope.endswith(("read_write", "full_control")):
            raise _Denied(403, "Request had insufficient authentication scopes.")
        known = requests.get(f"{self.server.emulator}/storage/v1/b/{bucket}", timeout=10)
        if not known.ok:
            raise _Denied(404, "The specified bucket does not exist.")
        if not self.server.grants_to(email, bucket, permission, name):
            said = f"{email} does not have {permission} access to the Google Cloud Storage object."
            raise _Denied(403, f"{said} Permission '{permission}' denied on resource (or it may not exist).")

    def _forward(self, path: str, query: dict[str, str], body: bytes) -> None:
        there = http.client.HTTPConnection(self.server.host, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name != "Authorization"}
        there.request(self.command, self.path, body=body, headers=headers)
        answer = there.getresponse()
        content = answer.read()
        there.close()
        kept = {
            name: value
            for name, value in answer.getheaders()
            if name in {"Content-Range", "Range", "Location", "X-Goog-Hash"}
        }
        if kept.get("Range") == "bytes=0-0":  # Google says nothing where nothing has arrived
            del kept["Range"]
        if answer.status == 200 and path.endswith("/o") and self.command == "GET":
            content = self._paged(json.loads(content), query)
        if self.server.lost and self.command in {"POST", "PUT"} and answer.status == 200 and b'"name"' in content:
            self.server.lost -= 1
            return self._cut()
        return self._say(answer.status, kept, content)

    def _paged(self, listed: dict[str, Any], query: dict[str, str]) -> bytes:
        begin = int(query.get("pageToken", 0))
        items = listed.get("items") or []
        said: dict[str, Any] = {"kind": "storage#objects", "items": items[begin : begin + self.server.page]}
        if begin + self.server.page < len(items):
            said["nextPageToken"] = str(begin + self.server.page)
        return json.dumps(said).encode()

    def _say(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):
            if self.server.cut_after and len(content) > self.server.cut_after:
                content, self.server.cut_after, self.server.cuts = (
                    content[: self.server.cut_after],
                    0,
                    self.server.cuts + 1,
                )
                self.wfile.write(content)
                self.wfile.flush()
                return self._cut()
            for at in range(0, len(content), 65536):
                self.wfile.write(content[at : at + 65536])
                if self.server.slow:
                    time.sleep(self.server.slow)
        return None

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def running() -> Iterator[Google]:
    with clouds.gcs() as emulator:
        google = Google(emulator)
        threading.Thread(target=google.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield google
        finally:
            google.shutdown()
            google.server_close()
