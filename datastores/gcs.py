"""Blobs as objects of a Google Cloud Storage bucket, with the installation's own credentials.

They are those that Google's library finds: `GOOGLE_APPLICATION_CREDENTIALS`, or the service account of the machine.
"""

import base64
import random
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import google_crc32c
from google.api_core.exceptions import (
    Forbidden,
    GoogleAPIError,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
    from_http_response,
)
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY
from requests import RequestException
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from datastores.blobs import CHUNK, Missing, Unavailable

PIECE: Final = 16 * 2**20  # bytes that go in one request of a large object, and again where it breaks off
AGAIN: Final = 4  # times that a reader goes on where a connection broke off before it brought anything
RETRY: Final = DEFAULT_RETRY.with_timeout(30)
PATIENCE: Final = (10, 60)  # seconds to connect, and between two parts of an answer
GET, DELETE = "storage.objects.get", "storage.objects.delete"  # the rights that are needed
NOBODY: Final = (
    "mlteam has no credentials for Google Cloud Storage: set GOOGLE_APPLICATION_CREDENTIALS for all its parts, "
    "or give the machine a service account."
)


class GCSStore:
    """`gs://bucket/prefix`. An object is there when all of it has arrived and its checksum was right."""

    at_once = 16

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        try:
            self.client: Any = storage.Client()
        except DefaultCredentialsError as error:
            raise Unavailable(NOBODY) from error
        for scheme in ("https://", "http://"):  # as many connections as there are threads
            self.client._http.mount(scheme, HTTPAdapter(pool_maxsize=32))
        self.bucket = self.client.bucket(bucket)

    def _blob(self, key: str, **options: Any) -> Any:
        return self.bucket.blob(self.prefix + key, **options)

    def put(self, key: str, file: Path) -> None:
        options = {
            "timeout": PATIENCE,
            "retry": RETRY,
            "content_type": "application/octet-stream",
            "checksum": "crc32c",
        }
        with self._said("storage.objects.create"):
            self._blob(key, chunk_size=PIECE).upload_from_filename(str(file), **options)
        file.unlink()

    def settle(self) -> None:
        """What Google has taken it keeps."""

    def size(self, key: str) -> int | None:
        with self._said(GET):
            found = self.bucket.get_blob(self.prefix + key, timeout=PATIENCE, retry=RETRY)
            return None if found is None else int(found.size)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length == 0:
            if self.size(key) is None:
                raise Missing(key)
            return
        end, sum_ = None if length is None else start + length, Sum()
        at, failed = start, 0
        while True:
            with self._said(GET):
                try:
                    for piece in self._pieces(key, at, end, sum_):
                        yield piece
                        at, failed = at + len(piece), 0
                    return
                except (HTTPError, RequestException, TooManyRequests, ServerError):
                    failed += 1
                    if failed > AGAIN:
                        raise
                    time.sleep(random.random() * 2**failed / 4)  # noqa: S311 - so that not all come back at once

    def _pieces(self, key: str, start: int, end: int | None, sum_: "Sum") -> Iterator[bytes]:
        """One request; the library's own downloads need the memory for all that they ask for. What is read from its beginning to its
        end is compared with its checksum."""
        path = f"/b/{self.bucket.name}/o/{quote(self.prefix + key, safe='')}"
        url = self.client._connection.build_api_url(path, query_params={"alt": "media"})
        part = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start else {}
        headers = {"Accept-Encoding": "identity"} | part
        with self.client._http.get(url, headers=headers, stream=True, timeout=PATIENCE) as answer:
            if answer.status_code == 416:
                return  # it ends before
            if not answer.ok:
                raise from_http_response(answer)
            if not start:
                sum_.begin(answer.headers)
            left = sys.maxsize if end is None else end - start
            while left and (piece := answer.raw.read(min(CHUNK, left))):
                left -= len(piece)
                sum_.add(piece)
                yield piece
        if sum_.differs():
            raise Unavailable(f"What the bucket {self.bucket.name} gave is not what it keeps: {key}.")

    def delete(self, key: str) -> None:
        with suppress(Missing), self._said(DELETE):
            self._blob(key).delete(timeout=PATIENCE, retry=RETRY)

    def keys(self, prefix: str) -> Iterator[tuple[str, int]]:
        asked = {"prefix": self.prefix + prefix, "fields": "items(name,size),nextPageToken"}
        with self._said("storage.objects.list"):
            for found in self.client.list_blobs(self.bucket, timeout=PATIENCE, retry=RETRY, **asked):
                yield found.name.removeprefix(self.prefix), int(found.size)

    @contextmanager
    def _said(self, right: str) -> Iterator[None]:
        """What went wrong, as a store says it. `right`: what is needed."""
        name = self.bucket.name
        try:
            yield
        except NotFound as error:
            of_one = right in {GET, DELETE} and not re.search("bucket does not exist", str(error))
            raise (Missing(str(error)) if of_one else Unavailable(f"There is no bucket {name}.")) from error
        except Forbidden as error:
            said = f"mlteam's credentials may not do this in the bucket {name}. They need {right}."
            raise Unavailable(said) from error
        except (Unauthorized, GoogleAuthError) as error:
            said = f"The bucket {name} does not know mlteam's credentials: they are wrong, or have expired."
            raise Unavailable(said) from error
        except (GoogleAPIError, RequestException, HTTPError, DataCorruption) as error:
            raise Unavailable(f"The bucket {name} does not answer as it should: {error}.") from error


class Sum:
    """The checksum of what is read from its beginning on, for when it is read to its end."""

    def __init__(self) -> None:
        self.expected, self.left, self.found = "", 0, google_crc32c.Checksum()

    def begin(self, headers: Mapping[str, str]) -> None:
        """`headers` say which checksum the bucket has of it, and its size."""
        said = re.search(r"crc32c=([\w+/=]+)", headers.get("X-Goog-Hash", ""))
        self.expected = said[1] if said else ""
        self.left = int(headers.get("Content-Length", 0))

    def add(self, piece: bytes) -> None:
        self.left -= len(piece)
        if self.expected:
            self.found.update(piece)

    def differs(self) -> bool:
        is_whole = self.expected and not self.left
        return bool(is_whole and base64.b64encode(self.found.digest()).decode() != self.expected)
