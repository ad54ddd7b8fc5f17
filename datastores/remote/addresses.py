"""Addresses that users write: `https://host/path`, `s3://bucket/path`, `gs://bucket/path`."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from datastores import paths

LONGEST: Final = 4096  # characters
BUCKETS: Final = {"s3": "Amazon S3, or what speaks S3", "gs": "Google Cloud Storage"}
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1"})  # where no TLS is needed
_bucket = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


class BadAddress(ValueError):
    """Nothing can be there; the sentence says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Address:
    """`place`: the bucket, or the host with its port. `path`: below that, without a slash at either end; "" is the whole bucket.

    `folder`: it is meant as one, by a slash at its end. `text`: as it was written.
    """

    scheme: str
    place: str
    path: str
    folder: bool
    text: str

    @classmethod
    def of(cls, text: str) -> "Address":
        """Raises BadAddress."""
        text = text.strip()
        if len(text) > LONGEST or not text.isprintable():
            raise BadAddress(f"An address has at most {LONGEST} characters, and no line breaks or control characters.")
        scheme, colon, rest = text.partition("://")
        if not colon or scheme.lower() not in {*BUCKETS, "https", "http"}:
            raise BadAddress(f"“{paths.shown(text)}” is no address: it begins with https://, s3:// or gs://.")
        return _in_bucket(scheme.lower(), rest, text) if scheme.lower() in BUCKETS else _on_web(text)

    @property
    def in_bucket(self) -> bool:
        return self.scheme in BUCKETS

    @property
    def shown(self) -> str:
        """For sentences: what follows a question mark may be a secret."""
        if self.in_bucket:
            return f"{self.scheme}://{self.place}/{self.path}".rstrip("/") + "/" * self.folder
        return self.text.partition("?")[0] + "?…" * ("?" in self.text)

    def key_of(self, path: str) -> str:
        """What an object is called in the bucket that lies below this address at a relative path."""
        return f"{self.path}/{path}" if self.path else path


def _in_bucket(scheme: str, rest: str, text: str) -> Address:
    bucket, _, path = rest.partition("/")
    if not _bucket.fullmatch(bucket):
        raise BadAddress(f"“{paths.shown(bucket)}” is no name of a bucket: {scheme}://BUCKET/PATH.")
    folder, path = path.endswith("/") or not path, path.removesuffix("/")
    try:
        paths.clean_folder(path)
    except paths.BadPath as error:
        raise BadAddress(f"The path in the bucket: {error}") from None
    return Address(scheme, bucket, path, folder, text)


def _on_web(text: str) -> Address:
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise BadAddress(f"“{paths.shown(text)}” is no address of a host and its port.") from None
    if not host or " " in text:
        raise BadAddress(f"“{paths.shown(text)}” names no host: https://HOST/PATH.")
    if url.username is not None or url.password is not None:
        raise BadAddress("No name or password belongs into an address: everybody who sees it would see them.")
    if url.scheme == "http" and host not in LOOPBACK:
        raise BadAddress("What comes over http:// anybody on its way can change. Write https://.")
    place = f"{host}:{port}" if port else host
    return Address(url.scheme, place, url.path.strip("/"), False, text.partition("#")[0])
