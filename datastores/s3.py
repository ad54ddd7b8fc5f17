"""Blobs as objects of an S3 bucket, or of another service's that speaks S3: with the installation's own credentials.

They and the endpoint are those that boto3 finds: `AWS_ACCESS_KEY_ID` …, a profile, the role of the machine; `AWS_ENDPOINT_URL_S3`.
boto3 sends a checksum with all that it sends, which S3 compares, and compares what is read whole with the one that S3 has.
"""

import base64
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)

from datastores.blobs import CHUNK, Full, Missing, Unavailable

PIECE: Final = 32 * 2**20  # bytes of one part of a large object, of which several go at once
RETRIES: Final = {"mode": "standard", "total_max_attempts": 5}
AGAIN: Final = 4  # times that a reader goes on where a connection broke off before it brought anything
GONE: Final = {"404", "NoSuchKey", "NotFound"}
NO_ROOM: Final = {"QuotaExceeded", "XMinioStorageFull", "XMinioBackendDown", "InsufficientStorage", "507"}
REFUSED: Final = {"403", "AccessDenied", "AllAccessDisabled"}
UNKNOWN: Final = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}


class S3Store:
    """`s3://bucket/prefix`. An object is there when all of it has arrived and its checksum was right."""

    at_once = 16

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self.bucket, self.prefix = bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        config = Config(retries=RETRIES, max_pool_connections=32, connect_timeout=10, read_timeout=60)
        self.client: Any = boto3.session.Session().client("s3", config=config)

    def _of(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.prefix + key}

    def put(self, key: str, file: Path) -> None:
        with self._said("s3:PutObject"):
            if file.stat().st_size <= PIECE:
                with file.open("rb") as content:
                    self.client.put_object(**self._of(key), Body=content)
            else:  # in parts beside each other; they are taken back where one of them fails
                sizes = TransferConfig(multipart_threshold=PIECE, multipart_chunksize=PIECE, max_concurrency=4)
                self.client.upload_file(str(file), **self._of(key), ExtraArgs=self._whole(file), Config=sizes)
        file.unlink()

    def _whole(self, file: Path) -> dict[str, str]:
        """The checksum of all parts together, for S3 to compare; {} where the installation wants none (a service that knows none)."""
        if self.client.meta.config.request_checksum_calculation == "when_required":
            return {}
        found = 0
        with file.open("rb") as content:
            while piece := content.read(CHUNK):
                found = zlib.crc32(piece, found)
        return {"ChecksumCRC32": base64.b64encode(found.to_bytes(4, "big")).decode()}

    def settle(self) -> None:
        """What S3 has taken it keeps."""

    def size(self, key: str) -> int | None:
        try:
            with self._said("s3:GetObject and s3:ListBucket"):
                found: int = self.client.head_object(**self._of(key))["ContentLength"]
                return found
        except Missing:
            return None

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length == 0:
            if self.size(key) is None:
                raise Missing(key)
            return
        end = None if length is None else start + length
        at, failed = start, 0
        while True:
            with self._said("s3:GetObject and s3:ListBucket"):
                try:
                    for piece in self._pieces(key, at, end):
                        yield piece
                        at, failed = at + len(piece), 0
                    return
                except (HTTPClientError, IncompleteReadError):
                    failed += 1
                    if failed > AGAIN:
                        raise

    def _pieces(self, key: str, start: int, end: int | None) -> Iterator[bytes]:
        """One request. What is read from its beginning to its end is compared with its checksum: a range has none."""
        part = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start else {}
        try:
            answer = self.client.get_object(**self._of(key), **part)
        except ClientError as error:
            if _code(error) in {"InvalidRange", "416"}:
                return  # it ends before
            raise
        left = answer["ContentLength"] if end is None else min(end - start, answer["ContentLength"])
        whole = left == answer["ContentLength"]
        with closing(answer["Body"]) as body:
            while left and (piece := body.read(min(CHUNK, left))):
                left -= len(piece)
                if whole and not left:
                    body.read(CHUNK)  # its end, where the checksum is compared
                yield piece

    def delete(self, key: str) -> None:
        with self._said("s3:DeleteObject"):
            self.client.delete_object(**self._of(key))

    def keys(self, prefix: str) -> Iterator[tuple[str, int]]:
        with self._said("s3:ListBucket"):
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix):
                for found in page.get("Contents", ()):
                    yield found["Key"].removeprefix(self.prefix), found["Size"]

    @contextmanager
    def _said(self, right: str) -> Iterator[None]:
        """What went wrong, as a store says it. `right`: what is needed."""
        try:
            yield
        except S3UploadFailedError as error:
            raise self._read(error.__context__ or error, right) from error
        except (ClientError, BotoCoreError) as error:
            raise self._read(error, right) from error

    def _read(self, error: BaseException, right: str) -> Exception:
        code = _code(error)
        if code in GONE:
            return Missing(str(error))
        if code in NO_ROOM:
            return Full(f"The bucket {self.bucket} takes no more: {code}.")
        said = _SAID.get(code) or (
            lambda bucket, _: f"The bucket {bucket} does not answer as it should: {code or error}."
        )
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            said = _nobody
        return Unavailable(said(self.bucket, right))


def _code(error: BaseException) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _nobody(bucket: str, _: str) -> str:
    return f"mlteam has no credentials for the bucket {bucket}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for all its parts."


def _stranger(bucket: str, _: str) -> str:
    return f"The bucket {bucket} does not know mlteam's credentials: they are wrong, or have expired."


def _forbidden(bucket: str, right: str) -> str:
    return f"mlteam's credentials may not do this in the bucket {bucket}. They need {right}."


_SAID: Final[dict[str, Callable[[str, str], str]]] = {
    "NoSuchBucket": lambda bucket, _: f"There is no bucket {bucket}.",
    **dict.fromkeys(REFUSED, _forbidden),
    **dict.fromkeys(UNKNOWN, _stranger),
}
