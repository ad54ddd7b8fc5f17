"""Google Cloud Storage, for a user with a service account's key: read with `roles/storage.objectViewer` on a prefix and on the bucket
itself, by whose name Google judges who may list; written with `roles/storage.objectCreator` on another prefix.

By its JSON API: Google's library signs for the token, but its uploads and downloads hold whole parts in memory, and ask for more rights.
"""

import json
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, Final
from urllib.parse import quote, urlsplit

import google_crc32c
import requests
from django.conf import settings
from django.core.exceptions import ValidationError
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from datastores import paths
from datastores.remote import asking, sending
from datastores.remote.addresses import Address
from datastores.remote.errors import Changed, Denied, NotThere, Refused, Trouble, Unavailable
from datastores.remote.keys import Key
from datastores.remote.progress import Counted
from datastores.remote.retrying import again
from datastores.remote.slices import Pieces
from datastores.remote.sources import CHUNK, Item, Notes, Sendable, below_or_alone
from mlteam import outside
from projects.third_party_tries import SERVICES, refused_by_google
from projects.third_party_types import check

SERVICE: Final = "https://storage.googleapis.com"
SCOPE: Final = "https://www.googleapis.com/auth/devstorage."
SMALL: Final = 2 * 2**20  # bytes that are sent in one request, from memory
# Bytes of a request of what is larger: a multiple of 256 KiB. Of one that breaks off Google keeps what has arrived.
PIECE: Final = 128 * 2**20
LONGEST_NAME: Final = 1024  # bytes
VIEWER: Final = "Storage Object Viewer (roles/storage.objectViewer)"
CREATOR: Final = "Storage Object Creator (roles/storage.objectCreator)"
FIELDS: Final = "name,size,generation,crc32c,md5Hash"


class _Bucket:
    """Asks for one address, as a service account or as nobody."""

    def __init__(self, address: Address, key: Key | None, scope: str) -> None:
        self.address, self.shown, self.key = address, address.shown, key
        self.session = outside.session(self.at_once)
        self.root = (settings.MLTEAM_SERVICES.get("gcs") or SERVICE).rstrip("/")
        self.host = urlsplit(self.root).netloc
        self.objects = f"/storage/v1/b/{quote(address.place, safe='')}/o"
        self._account: Any = _account(key, scope) if key else None
        self._lock = threading.Lock()

    at_once = 16

    def close(self) -> None:
        self.session.close()

    def ask(
        self, method: str, where: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> requests.Response:
        """The beginning of an answer with a status below 400. Raises Trouble."""
        url = where if "://" in where else self.root + where
        for fresh in (False, True):
            said = {"Accept-Encoding": "gzip", "User-Agent": "mlteam", **(headers or {}), **self._authorized(fresh)}
            answer = asking.ask(self.session, method, url, headers=said, **options)
            if answer.status_code != 401 or not self._account:
                break
            answer.close()
        if answer.status_code < 300 or answer.status_code == 308:
            return answer
        with closing(answer):
            raise self._wrong(answer)

    def asked(self, method: str, where: str, **options: Any) -> dict[str, Any]:
        """The object that it answers with."""
        with closing(self.ask(method, where, **options)) as answer:
            try:
                found = answer.json()
            except (*asking.FAILURES, ValueError) as error:
                raise Unavailable(f"{self.host} broke off. Try again later.") from error
        return found if isinstance(found, dict) else {}

    def _authorized(self, fresh: bool) -> dict[str, str]:
        account = self._account
        if not account:
            return {}
        with self._lock:
            if fresh or not account.valid:
                self._refresh(account)
            return {"Authorization": f"Bearer {account.token}"}

    def _refresh(self, account: Any) -> None:
        try:
            account.refresh(Request(self.session))  # type: ignore[no-untyped-call]
        except TransportError as error:
            raise asking.broken(error, urlsplit(account._token_uri).netloc) from error
        except (GoogleAuthError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            if getattr(error, "retryable", False):
                raise Unavailable("Google gives no token just now. Try again later.") from error
            said = refused_by_google(str(error))
            raise _Stranger(f"The key {self.key.name if self.key else ''} opens nothing. {said}") from error

    def _wrong(self, answer: requests.Response) -> Trouble:
        status, said = answer.status_code, _said(answer)
        if status == 404 and "bucket" in said.lower():
            return NotThere(f"There is no bucket {self.address.place}. Look at how it is written.")
        if status in {404, 410}:
            return NotThere(f"There is nothing at {self.shown}. Look at how it is written.")
        # To write over something needs another right, which is said before any condition is looked at.
        if status == 403 and "storage.objects.delete" in said:
            return Changed(f"{self.shown} has something there.")
        if status in {401, 403}:
            return self.denied("storage.objects.get")
        if status == 412:
            return Changed(f"{self.shown} has changed since its transfer began. Try again.")
        if asking.passes(status):
            wait = asking.after(answer)
            return Unavailable(f"{self.host} has trouble of its own (status {status}). Try again later.", wait)
        return Trouble(f"{self.host} does not do this (status {status}): {paths.shown(said) or 'it does not say why'}")

    def denied(self, right: str) -> Denied:
        """For a right that is missing."""
        where, role = f"the bucket {self.address.place}", CREATOR if right.endswith("create") else VIEWER
        if self.key is None:
            return Denied(
                f"{where.capitalize()} is not for everybody. Name a key of the type gcp that may read {self.shown}."
            )
        who = self._account.service_account_email
        give = f"Give it the role {role}{self._condition(right)}."
        return Denied(f"The key {self.key.name} ({who}) may not do this in {where}: {right} is missing. {give}")

    def _condition(self, right: str) -> str:
        """Where the role has to hold at least: a list is asked of the bucket, whatever it begins with, and all else of an object."""
        bucket, path = f"projects/_/buckets/{self.address.place}", self.address.path
        if not path:
            return " on the bucket"
        if not right.endswith("list"):
            return f", at least for names that begin with {bucket}/objects/{path}"
        objects = json.dumps(f"{bucket}/objects/{path}", ensure_ascii=False)
        return f' on the bucket, at least on this condition: resource.name == "{bucket}" || resource.name.startsWith({objects})'

    def object(self, name: str) -> str:
        return f"{self.objects}/{quote(name, safe='')}"

    def found(self, name: str) -> dict[str, Any]:
        """What the bucket says of an object. Raises NotThere, Denied."""
        return self.asked("GET", self.object(name), params={"fields": FIELDS})

    def below(self) -> Iterator[Item]:
        """All objects below the address. Raises Denied."""
        prefix = self.address.key_of("")
        asked = {"prefix": prefix, "fields": f"items({FIELDS}),nextPageToken", "maxResults": "1000"}
        while True:
            page = again(lambda: self._page(asked), Counted())
            for said in page.get("items", ()):
                if not (said["name"].endswith("/") and said["size"] == "0"):  # a folder that somebody made by itself
                    yield _item(said, said["name"].removeprefix(prefix))
            if not page.get("nextPageToken"):
                return
            asked["pageToken"] = page["nextPageToken"]

    def _page(self, asked: dict[str, str]) -> dict[str, Any]:
        try:
            return self.asked("GET", self.objects, params=asked)
        except _Stranger:
            raise
        except Denied as error:
            raise self.denied("storage.objects.list") from error


class _Stranger(Denied):
    """Google does not take the key at all."""


def _account(key: Key, scope: str) -> Any:
    """Raises Refused for what is no service account's key, or leads elsewhere than to Google."""
    try:
        secrets, _ = check("gcp", {"credentials": key.values.get("credentials", "")})
        info = json.loads(secrets["credentials"]) | {
            "token_uri": settings.MLTEAM_SERVICES.get("gcp") or SERVICES["gcp"]
        }
        return service_account.Credentials.from_service_account_info(info, scopes=[SCOPE + scope])  # type: ignore[no-untyped-call]
    except ValidationError as error:
        raise Refused(f"The key {key.name} is not used. {' '.join(error.messages)}") from None
    except (GoogleAuthError, ValueError):
        raise Refused(f"The key {key.name} is no key of a service account.") from None


def _said(answer: requests.Response) -> str:
    """What Google says is wrong: the beginning of it."""
    try:
        found = json.loads(answer.raw.read(CHUNK, decode_content=True))
        return str(found["error"]["message"])
    except (*asking.FAILURES, ValueError, LookupError, TypeError, RecursionError):
        return ""


def _item(said: dict[str, Any], path: str, name: str = "") -> Item:
    sums = {"crc32c": b64decode(said["crc32c"]).hex()} if said.get("crc32c") else {}
    return Item(path, int(said["size"]), said["generation"], sums=sums, name=name)


class GCSSource(_Bucket):
    """All objects below `gs://bucket/path/`, or the one that is called so."""

    def __init__(self, address: Address, key: Key | None) -> None:
        super().__init__(address, key, "read_only")

    def items(self) -> Iterator[Item]:
        return below_or_alone(self.below(), self._alone, self.address)

    def _alone(self) -> Item | None:
        name = self.address.path
        try:
            return _item(self.found(name), name.rpartition("/")[2], name)
        except Denied:
            return None
        except NotThere as error:
            if error.args[0].startswith("There is no bucket"):
                raise
            return None

    def read(self, item: Item, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        part = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if start or stop is not None else {}
        asked = {"alt": "media", "generation": item.version}
        try:
            answer = self.ask(
                "GET", self.object(item.name or self.address.key_of(item.path)), params=asked, headers=part
            )
        except NotThere as error:
            raise Changed(f"{self.shown} has changed since its transfer began. Try again.") from error
        with closing(answer):
            yield from asking.content(answer, start, stop, item.size, self.host)

    def looked_up(self, item: Item) -> Item:
        return item


class GCSTarget(_Bucket):
    """New objects below `gs://bucket/path/`. Of rights it needs `storage.objects.create`; it looks at what is there where it may."""

    at_once = 8

    def __init__(self, address: Address, key: Key) -> None:
        super().__init__(address, key, "read_write")
        self.upload = f"/upload{self.objects}"

    def check_name(self, path: str) -> None:
        if len(self.address.key_of(path).encode()) > LONGEST_NAME:
            said = f"A name in a bucket has at most {LONGEST_NAME} bytes"
            raise Refused(f"“{paths.shown(path)}” cannot be sent to {self.shown}. {said}.")

    def existing(self) -> Iterator[Item]:
        return self.below()

    def put(self, file: Sendable, notes: Notes, add: Callable[[int], None], *, ours: bool) -> None:
        try:
            found = self._small(file, add) if file.size <= SMALL else self._large(file, notes, add)
        except Changed as error:  # something of this name is there
            if not isinstance(error, _IsThere) or not (ours and self._same(file)):
                raise (sending.exists(self, file.path) if isinstance(error, _IsThere) else error) from None
            return
        if found and found.get("crc32c") not in {None, _sum(file)}:
            raise Unavailable(f"What {self.host} has of “{paths.shown(file.path)}” is not what was sent.")

    def _create(self, method: str, where: str, **options: Any) -> requests.Response:
        try:
            return self.ask(method, where, **options)
        except Changed:
            raise _IsThere from None
        except _Stranger:
            raise
        except Denied as error:
            raise self.denied("storage.objects.create") from error

    def _small(self, file: Sendable, add: Callable[[int], None]) -> dict[str, Any]:
        with file.open() as content:
            data = content.read(file.size)
        said = {
            "name": self.address.key_of(file.path),
            "crc32c": b64encode(google_crc32c.Checksum(data).digest()).decode(),
        }
        border = f"mlteam-{said['crc32c'].rstrip('=')}-{len(data)}"
        while border.encode() in data:
            border += "-"
        head = (
            f"--{border}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(said)}\r\n--{border}\r\n"
        )
        body = b"".join(
            (head.encode(), b"Content-Type: application/octet-stream\r\n\r\n", data, f"\r\n--{border}--\r\n".encode())
        )
        asked = {"uploadType": "multipart", "ifGenerationMatch": "0", "fields": FIELDS}
        kind = {"Content-Type": f'multipart/related; boundary="{border}"'}
        with closing(self._create("POST", self.upload, params=asked, headers=kind, data=body)) as answer:
            add(len(data))
            return _object(answer)

    def _large(self, file: Sendable, notes: Notes, add: Callable[[int], None]) -> dict[str, Any]:
        """In pieces, in a session that Google keeps for a week."""
        session = next((str(said["session"]) for said in notes.noted() if "session" in said), "")
        at, found = self._arrived(session, file, notes) if session else (-1, None)
        if found is not None:
            return found
        if at < 0:
            session, at = self._begin(file, notes), 0
        add(at)
        with file.open() as content:
            while True:
                stop = min(at + PIECE, file.size)
                body = Pieces(content, at, stop - at, add)
                headers = {"Content-Range": f"bytes {at}-{stop - 1}/{file.size}"}
                with closing(self._create("PUT", session, headers=headers, data=body)) as answer:
                    if answer.status_code != 308:
                        return _object(answer)
                    arrived = _arrived(answer)
                if arrived <= at:
                    raise Unavailable(f"{self.host} takes nothing just now. Try again later.")
                add(arrived - stop)
                at = arrived
                notes.note(at=at)

    def _begin(self, file: Sendable, notes: Notes) -> str:
        """The address of a new session."""
        asked = {"uploadType": "resumable", "ifGenerationMatch": "0", "fields": FIELDS}
        headers = {"X-Upload-Content-Length": str(file.size), "X-Upload-Content-Type": "application/octet-stream"}
        said = {"name": self.address.key_of(file.path), "crc32c": _sum(file)}
        with closing(self._create("POST", self.upload, params=asked, headers=headers, json=said)) as answer:
            session = answer.headers.get("Location", "")
        if urlsplit(session).netloc != self.host:
            raise Refused(f"{self.host} sends on to another host.")
        notes.note(session=session)
        return session

    def _arrived(self, session: str, file: Sendable, notes: Notes) -> tuple[int, dict[str, Any] | None]:
        """How much has arrived in a session, -1 where it is no more; and the object where that is all of it."""
        try:
            with closing(self._create("PUT", session, headers={"Content-Range": f"bytes */{file.size}"})) as answer:
                return (_arrived(answer), None) if answer.status_code == 308 else (0, _object(answer))
        except NotThere:
            notes.forget()
            return -1, None

    def _same(self, file: Sendable) -> bool:
        """Whether what is there is this very file."""
        try:
            found = self.found(self.address.key_of(file.path))
        except Denied:
            return False
        return found.get("size") == str(file.size) and found.get("crc32c") == _sum(file)

    def abandon(self, path: str, notes: Notes) -> None:
        """Google forgets a session by itself; it costs nothing."""


class _IsThere(Changed):
    """An object of this name is there already."""


def _sum(file: Sendable) -> str:
    found = google_crc32c.Checksum()
    with file.open() as content:
        while piece := content.read(CHUNK):
            found.update(piece)
    return b64encode(found.digest()).decode()


def _object(answer: requests.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except (*asking.FAILURES, ValueError) as error:
        raise Unavailable("Google broke off. Try again later.") from error
    return found if isinstance(found, dict) else {}


def _arrived(answer: requests.Response) -> int:
    """Bytes of a session."""
    last = answer.headers.get("Range", "").rpartition("-")[2]
    return int(last) + 1 if last.isdecimal() else 0
