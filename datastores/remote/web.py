"""One file at an https:// address."""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from email.message import Message
from typing import Any, Final
from urllib.parse import unquote, urljoin, urlsplit

import requests

from datastores import paths
from datastores.remote import asking
from datastores.remote.addresses import LOOPBACK, Address
from datastores.remote.errors import Changed, Denied, NotThere, Refused, Trouble, Unavailable
from datastores.remote.sources import Item
from mlteam import outside

REDIRECTS: Final = 10
HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "mlteam"}
NAMELESS: Final = "download"


class WebSource:
    """What a web server has under one address, wherever it sends on to: to https:// alone, and to nothing private."""

    at_once = 4  # a web server that somebody else pays for

    def __init__(self, address: Address) -> None:
        self.address, self.shown = address, address.shown
        self._session = outside.session()
        self._first: requests.Response | None = None  # what `items` has asked for, for whoever reads from the beginning
        self._lock = threading.Lock()

    def items(self) -> Iterator[Item]:
        answer = self._ask({})
        size = answer.headers.get("Content-Length", "")
        version = _version(answer.headers)
        item = Item(
            path=_name(answer),
            size=int(size) if size.isdecimal() else None,
            version=version,
            parts=bool(version) and answer.headers.get("Accept-Ranges", "").lower() == "bytes",
        )
        with self._lock:
            self._first = answer
        yield item

    def read(self, item: Item, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        answer = self._taken() if start == 0 and stop is None else None
        if answer is None:
            part = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if start or stop is not None else {}
            answer = self._ask(part)
        with closing(answer):
            if _version(answer.headers) != item.version:
                raise Changed(f"{self.shown} has changed since its transfer began. Try again.")
            yield from asking.content(answer, start, stop, item.size, self.address.place)

    def _taken(self) -> requests.Response | None:
        with self._lock:
            found, self._first = self._first, None
            return found

    def looked_up(self, item: Item) -> Item:
        return item

    def close(self) -> None:
        if found := self._taken():
            found.close()
        self._session.close()

    def _ask(self, headers: Mapping[str, str]) -> requests.Response:
        """Follows it to where it is. Raises Trouble."""
        url = self.address.text
        for _ in range(REDIRECTS):
            answer = asking.ask(self._session, "GET", url, headers={**HEADERS, **headers})
            if not answer.is_redirect:
                return self._checked(answer)
            answer.close()
            url = self._sent_on(url, answer.headers["Location"])
        raise Refused(f"{self.shown} sends on more than {REDIRECTS} times.")

    def _sent_on(self, url: str, location: str) -> str:
        try:
            found = urljoin(url, location)
            there = urlsplit(found)
            host = there.hostname or ""
        except ValueError:
            raise Refused(f"{self.shown} sends on to what is no address.") from None
        if there.scheme != "https" and not (there.scheme == "http" and host in LOOPBACK):
            raise Refused(f"{self.shown} sends on to {there.scheme}://{host}, which is not https://.")
        return found

    def _checked(self, answer: requests.Response) -> requests.Response:
        if answer.status_code in {200, 206}:
            return answer
        answer.close()
        raise self._wrong(answer)

    def _wrong(self, answer: requests.Response) -> Trouble:
        status = answer.status_code
        if status in {401, 403}:
            return Denied(
                f"{self.shown} is not for everybody (status {status}). Give an address that anybody may open."
            )
        if status in {404, 410}:
            return NotThere(f"There is nothing at {self.shown} (status {status}). Look at how it is written.")
        if status in {412, 416}:
            return Changed(f"{self.shown} has changed since its transfer began. Try again.")
        if asking.passes(status):
            return Unavailable(
                f"{self.address.place} has trouble of its own (status {status}). Try again later.", asking.after(answer)
            )
        return Trouble(f"{self.shown} cannot be fetched: its server answers with the status {status}.")


def _version(headers: Mapping[str, str]) -> str:
    """What changes with the content: a strong ETag, or else when it was modified."""
    etag = headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")


def _name(answer: requests.Response) -> str:
    """What the file is called: as the server says, or as its address ends."""
    said: Any = Message()
    said["Content-Disposition"] = (
        answer.headers.get("Content-Disposition", "").encode("latin-1", "replace").decode("utf-8", "replace")
    )
    return _fit(said.get_filename() or "") or _fit(unquote(urlsplit(answer.url).path)) or NAMELESS


def _fit(name: str) -> str:
    """The last part of it, if a file can be called this; else ""."""
    last = re.split(r"[/\\]", name.rstrip("/"))[-1]
    return last if paths.is_clean(last) else ""
