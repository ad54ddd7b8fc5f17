"""S3, of Amazon or of anybody else, for a user with their key: read with `s3:ListBucket` and `s3:GetObject`, written with `s3:PutObject`.

botocore signs and finds the region; the server's own credentials and settings for AWS are not used. What is written carries its CRC-32,
which the service compares.
"""

import base64
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from contextvars import copy_context
from functools import cache
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError, ParamValidationError
from django.conf import settings

from datastores import paths
from datastores.remote import asking, sending
from datastores.remote.addresses import Address
from datastores.remote.errors import Changed, Damaged, Denied, Exists, NotThere, Refused, Trouble, Unavailable
from datastores.remote.keys import Key
from datastores.remote.progress import Counted
from datastores.remote.retrying import again
from datastores.remote.slices import Slice
from datastores.remote.sources import CHUNK, Item, Notes, Sendable, below_or_alone
from datastores.remote.sums import Sum, together
from mlteam import outside

PIECE: Final = 16 * 2**20  # bytes of a part that is sent; a larger object has larger ones, of which there are
MOST_PIECES: Final = 10_000
WHOLE: Final = 64 * 2**20  # bytes of an object that is sent in one request; AWS advises parts from 100 MB on
PIECES_AT_ONCE: Final = 4  # of an object
SENT_AT_ONCE: Final = 10  # requests with content in all, as boto3 has it: more would share the same line
LONGEST_NAME: Final = 1024  # bytes
PLAIN: Final = re.compile(r'"[0-9a-f]{32}"')  # an ETag that may be the MD5
PARTED: Final = re.compile(r'"([0-9a-f]{32}-([0-9]+))"')  # and one of what was sent in parts
UNKNOWN: Final = {
    "InvalidAccessKeyId": "The service knows no such access key ID",
    "SignatureDoesNotMatch": "The secret access key is not the one of its access key ID",
    "ExpiredToken": "Its session token has expired",
    "InvalidToken": "Its session token does not belong to its access key ID",
}
CHANGED: Final = {"PreconditionFailed", "412"}
GONE: Final = {"NoSuchKey", "NotFound", "404"}
REFUSED: Final = {"AccessDenied", "AllAccessDisabled", "403"}
LATER: Final = {
    "SlowDown",
    "InternalError",
    "ServiceUnavailable",
    "RequestTimeout",
    "ConditionalRequestConflict",
    "OperationAborted",
    "Throttling",
}
ELSEWHERE: Final = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
FAILURES: Final = (*asking.FAILURES, BotoCoreError, ClientError)

_making = threading.Lock()  # one client after the other, as botocore wants it


class _Bucket:
    """Asks for one address, with a key or as nobody."""

    at_once = 16

    def __init__(self, address: Address, key: Key | None) -> None:
        self.address, self.shown, self.key = address, address.shown, key
        self.endpoint = _endpoint(key)
        self.client = _client(key, self.endpoint, connections=self.at_once * PIECES_AT_ONCE)
        self.host = urlsplit(self.endpoint or self.client.meta.endpoint_url).netloc

    def close(self) -> None:
        self.client.close()

    def of(self, path: str) -> dict[str, str]:
        """For the object that lies below the address at a path."""
        return self.of_name(self.address.key_of(path))

    def of_name(self, name: str) -> dict[str, str]:
        return {"Bucket": self.address.place, "Key": name}

    def ask(self, right: str, name: str, **asked: Any) -> dict[str, Any]:
        """The answer of an operation for which this right is needed. Raises Trouble."""
        try:
            found: dict[str, Any] = getattr(self.client, name)(**asked)
        except FAILURES as error:
            raise self.trouble(error, right) from error
        return found

    def trouble(self, error: BaseException, right: str) -> Trouble:
        """What went wrong, as a source or a target says it."""
        code, status = _code(error)
        if isinstance(error, FlexibleChecksumError):
            return Damaged(f"What {self.host} gave is not what it keeps. Try again later.")
        if isinstance(error, ParamValidationError):
            return Refused(f"{self.shown} has a name that S3 does not take.")
        if not code:
            return asking.broken(error, self.host)
        if code in UNKNOWN:
            return Denied(
                f"The key {self.key.name if self.key else ''} opens nothing. {UNKNOWN[code]}. Replace the key."
            )
        return self._said(code, status, right)

    def _said(self, code: str, status: int, right: str) -> Trouble:
        bucket = self.address.place
        if code in CHANGED:
            return Changed(f"{self.shown} has changed since its transfer began. Try again.")
        if code == "NoSuchBucket":
            return NotThere(f"There is no bucket {bucket}. Look at how it is written.")
        if code in GONE:
            return NotThere(f"There is nothing at {self.shown}. Look at how it is written.")
        if code in REFUSED:
            return self.denied(right)
        if code in ELSEWHERE:
            return Trouble(
                f"The bucket {bucket} is in another region than the key says. Write its region into the key."
            )
        if code == "InvalidObjectState":
            return Trouble(f"{self.shown} has objects in an archive (Glacier, say). Restore them first.")
        if code in LATER or asking.passes(status):
            return Unavailable(f"{self.host} has trouble of its own ({code}). Try again later.")
        return Trouble(f"{self.host} does not do this: {paths.shown(code)}.")

    def denied(self, right: str) -> Denied:
        """For a right that is missing."""
        bucket = self.address.place
        if self.key is None:
            return Denied(
                f"The bucket {bucket} is not for everybody. Name a key of the type aws or wasabi that may read {self.shown}."
            )
        place = f"arn:aws:s3:::{bucket}" + ("" if right == "s3:ListBucket" else f"/{self.address.key_of('*')}")
        return Denied(f"The key {self.key.name} may not do this in the bucket {bucket}: it needs {right} on {place}.")

    def below(self) -> Iterator[Item]:
        """All objects below the address. Raises Denied."""
        prefix = self.address.key_of("")
        asked = {"Bucket": self.address.place, "Prefix": prefix}
        while True:
            page = again(lambda: self.ask("s3:ListBucket", "list_objects_v2", **asked), Counted())
            for said in page.get("Contents", ()):
                if not (said["Key"].endswith("/") and not said["Size"]):  # a folder that somebody made by itself
                    yield Item(said["Key"].removeprefix(prefix), said["Size"], said["ETag"])
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]


def _endpoint(key: Key | None) -> str | None:
    """Where the key opens something, if that is not where AWS has the bucket."""
    if key is None:
        return settings.MLTEAM_SERVICES.get("s3")
    if key.type == "wasabi":
        region = key.values.get("region")
        where = f"https://s3.{region}.wasabisys.com" if region else "https://s3.wasabisys.com"
        return settings.MLTEAM_SERVICES.get("wasabi") or where
    return key.values.get("endpoint") or settings.MLTEAM_SERVICES.get("s3")


def _client(key: Key | None, endpoint: str | None, *, connections: int) -> Any:
    """For this key alone: nothing that the server's environment or home directory says of AWS."""
    config = Config(
        signature_version=UNSIGNED if key is None else "s3v4",
        retries={"total_max_attempts": 1, "mode": "standard"},  # we try again ourselves, and say so
        max_pool_connections=connections,
        connect_timeout=asking.PATIENCE[0],
        read_timeout=asking.PATIENCE[1],
        # Its checksum says whether a body has arrived as it was sent; a signature of it would say so once more, slowly.
        s3={"addressing_style": "path" if endpoint else "auto", "payload_signing_enabled": False},
        request_checksum_calculation="when_required",  # ours go with all that is sent
        response_checksum_validation="when_supported",
        ignore_configured_endpoint_urls=True,
        user_agent="mlteam",
    )
    values = key.values if key else {}
    with _making:
        client: Any = _session().create_client(
            "s3",
            endpoint_url=endpoint,
            region_name=values.get("region") or "us-east-1",
            aws_access_key_id=values.get("access_key_id"),
            aws_secret_access_key=values.get("secret_access_key"),
            aws_session_token=values.get("session_token"),
            config=config,
        )
    client.meta.events.register("before-send.s3", _arm)
    outside.check_boto(client)
    return client


@cache
def _session() -> Any:
    """What makes clients: it knows how S3 is asked, and nothing else."""
    made: Any = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    for name in ("config_file", "credentials_file"):
        made.set_config_variable(name, os.devnull)
    return made


def _arm(request: Any, **_: Any) -> None:
    """From here on it is sent, and no longer read to be signed."""
    if isinstance(request.body, Slice):
        request.body.armed = True


def _code(error: BaseException) -> tuple[str, int]:
    if not isinstance(error, ClientError):
        return "", 0
    said = error.response
    return str(said.get("Error", {}).get("Code", "")) or "Unknown", _status(said)


def _status(answer: Any) -> int:
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


class S3Source(_Bucket):
    """All objects below `s3://bucket/path/`, or the one that is called so."""

    def items(self) -> Iterator[Item]:
        return below_or_alone(self.below(), self._alone, self.address)

    def _alone(self) -> Item | None:
        name = self.address.path
        with suppress(Denied, NotThere):
            found = self.ask("s3:GetObject", "head_object", **self.of_name(name))
            return Item(name.rpartition("/")[2], found["ContentLength"], found["ETag"], name=name)
        return None

    def _asked(self, item: Item) -> dict[str, str]:
        return self.of_name(item.name or self.address.key_of(item.path)) | {"IfMatch": item.version}

    def read(self, item: Item, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        part = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if start or stop is not None else {}
        try:
            answer = self.ask("s3:GetObject", "get_object", **self._asked(item), **part)
        except NotThere as error:
            raise Changed(f"{self.shown} has changed since its transfer began. Try again.") from error
        found = None if part else _md5_of(answer)
        with closing(answer["Body"]) as body:
            skip = asking.skipped(_status(answer), answer.get("ContentRange", ""), start, item.size, self.host)
            try:
                for piece in asking.pieces(body.read, skip, None if stop is None else stop - start, self.host):
                    if found:
                        found.update(piece)
                    yield piece
            except FAILURES as error:
                raise self.trouble(error, "s3:GetObject") from error
        if found and found.differs():
            raise Damaged(f"What {self.host} gave is not what it keeps: {paths.shown(item.path)}. Try again later.")

    def looked_up(self, item: Item) -> Item:
        """With checksums, which lists do not tell."""
        found = self.ask("s3:GetObject", "head_object", **self._asked(item), ChecksumMode="ENABLED")
        return Item(item.path, item.size, item.version, sums=self._sums(item, found), name=item.name)

    def _sums(self, item: Item, found: dict[str, Any]) -> dict[str, str]:
        if sum_ := _whole_crc(found):
            return {"crc32": base64.b64decode(sum_).hex()}
        if _is_encrypted(found):
            return {}
        if PLAIN.fullmatch(item.version):
            return {"md5": item.version.strip('"')}
        return self._of_parts(item)

    def _of_parts(self, item: Item) -> dict[str, str]:
        """The ETag of what was sent in parts, if they had all one size: then it can be compared."""
        parted = PARTED.fullmatch(item.version)
        if not parted or not item.size:
            return {}
        first = self.of_name(item.name or self.address.key_of(item.path))
        size = self.ask("s3:GetObject", "head_object", **first, PartNumber=1)["ContentLength"]
        return {"etag": parted[1], "part": str(size)} if size and -(-item.size // size) == int(parted[2]) else {}


def _whole_crc(found: dict[str, Any]) -> str:
    """The CRC-32 of all bytes, in base64; "" where there is none: one of what was sent in parts may be that of their sums."""
    whole = found.get("ChecksumType") == "FULL_OBJECT" or "-" not in found["ETag"]
    return str(found.get("ChecksumCRC32", "")) if whole else ""


def _is_encrypted(answer: dict[str, Any]) -> bool:
    """With a key of its owner's: then an ETag is no MD5."""
    return "aws:kms" in answer.get("ServerSideEncryption", "") or "SSECustomerAlgorithm" in answer


def _md5_of(answer: dict[str, Any]) -> Any:
    """What compares an object with its ETag, where that is its MD5 and nothing else is compared."""
    compared = {"ChecksumCRC32", "ChecksumCRC32C", "ChecksumSHA1", "ChecksumSHA256"} & set(answer)
    if compared or _is_encrypted(answer) or not PLAIN.fullmatch(answer.get("ETag", "")):
        return None
    return Sum(Item("", None, "", sums={"md5": answer["ETag"].strip('"')}))


class S3Target(_Bucket):
    """New objects below `s3://bucket/path/`. Of rights it needs `s3:PutObject`; it looks at what is there where it may."""

    at_once = 8
    listed = False  # whether all that was there has been told

    def __init__(self, address: Address, key: Key | None) -> None:
        super().__init__(address, key)
        self._sending = threading.BoundedSemaphore(SENT_AT_ONCE)

    def check_name(self, path: str) -> None:
        if len(self.address.key_of(path).encode()) > LONGEST_NAME:
            said = f"A name in a bucket has at most {LONGEST_NAME} bytes"
            raise Refused(f"“{paths.shown(path)}” cannot be sent to {self.shown}. {said}.")

    def existing(self) -> Iterator[Item]:
        yield from self.below()
        self.listed = True

    def put(self, file: Sendable, notes: Notes, add: Callable[[int], None], *, ours: bool) -> None:
        begun = next((str(said["upload"]) for said in notes.noted() if "upload" in said), "")
        # Not all that speak S3 know the condition that nothing is there: where nobody has listed that, it is asked for.
        unsure = ours or (self.endpoint and not self.listed)
        if unsure and not begun and self._is_there(file, ours):
            return
        try:
            if file.size <= WHOLE:
                self._small(file, add)
            else:
                self._large(file, begun, notes, add)
        except Changed as error:
            if not isinstance(error.__cause__, ClientError):
                raise
            if not self._is_there(file, ours):
                raise sending.exists(self, file.path) from None

    def _is_there(self, file: Sendable, ours: bool) -> bool:
        """Whether it is there as it was sent. Raises Exists where something else is; False also where it may not look."""
        try:
            found = self.ask("s3:GetObject", "head_object", **self.of(file.path), ChecksumMode="ENABLED")
        except (NotThere, Denied):
            return False
        if not ours or not self._same(file, found):
            raise sending.exists(self, file.path)
        return True

    def _same(self, file: Sendable, found: dict[str, Any]) -> bool:
        if found["ContentLength"] != file.size:
            return False
        with file.open() as content:
            if sum_ := _whole_crc(found):
                return sum_ == _coded(_crc(content, 0, file.size))
            sent = (
                {"md5": found["ETag"].strip('"')}
                if PLAIN.fullmatch(found["ETag"])
                else {"etag": found["ETag"].strip('"'), "part": str(_piece(file.size))}
            )
            summed = Sum(Item("", None, "", sums=sent))
            while piece := content.read(CHUNK):
                summed.update(piece)
        return not summed.differs()

    def _create(self, name: str, **asked: Any) -> dict[str, Any]:
        """Only where nothing is. A service that knows no such condition was asked before whether something is."""
        try:
            return self.ask("s3:PutObject", name, IfNoneMatch="*", **asked)
        except Trouble as error:
            if _code(error.__cause__ or error)[0] != "NotImplemented" or not self.endpoint:
                raise
            return self.ask("s3:PutObject", name, **asked)

    def _small(self, file: Sendable, add: Callable[[int], None]) -> None:
        with file.open() as content:
            sum_ = _coded(_crc(content, 0, file.size))
            body = Slice(content, 0, file.size, add)
            with self._sending:
                self._create("put_object", **self.of(file.path), Body=body, ChecksumCRC32=sum_)

    def _large(self, file: Sendable, begun: str, notes: Notes, add: Callable[[int], None]) -> None:
        """In parts beside each other. Which of them have arrived is in the notes: to ask the service would need another right."""
        upload = begun or self._begin(file, notes)
        size = _piece(file.size)
        here = {int(said["part"]): said for said in notes.noted() if "part" in said}
        parts = range(1, -(-file.size // size) + 1)

        def send(part: int) -> None:
            at = (part - 1) * size
            length = min(size, file.size - at)
            sum_ = _crc(content, at, length)
            asked = {"UploadId": upload, "PartNumber": part, "ChecksumCRC32": _coded(sum_)}
            body = Slice(content, at, length, add)
            with self._sending:
                found = self.ask("s3:PutObject", "upload_part", **self.of(file.path), **asked, Body=body)
            here[part] = {"part": part, "etag": found["ETag"], "crc": sum_, "size": length}
            notes.note(**here[part])

        try:
            add(sum(said["size"] for said in here.values()))
            with file.open() as content:
                _all(send, [part for part in parts if part not in here])
            self._complete(file, upload, [here[part] for part in parts])
        except NotThere as error:  # it was ended, or ended well while its answer was lost
            notes.forget()
            raise Unavailable(f"{self.host} no longer has what was sent of “{paths.shown(file.path)}”.") from error
        except Exists:
            self.abandon(file.path, notes)
            raise

    def _begin(self, file: Sendable, notes: Notes) -> str:
        whole = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
        upload: str = self.ask("s3:PutObject", "create_multipart_upload", **self.of(file.path), **whole)["UploadId"]
        notes.note(upload=upload)
        return upload

    def _complete(self, file: Sendable, upload: str, parts: list[dict[str, Any]]) -> None:
        said = [{"PartNumber": one["part"], "ETag": one["etag"], "ChecksumCRC32": _coded(one["crc"])} for one in parts]
        sum_ = together("crc32", [(one["crc"], one["size"]) for one in parts])
        whole = {"ChecksumCRC32": _coded(int(sum_, 16)), "ChecksumType": "FULL_OBJECT"}
        asked = {"UploadId": upload, "MultipartUpload": {"Parts": said}}
        self._create("complete_multipart_upload", **self.of(file.path), **asked, **whole)

    def abandon(self, path: str, notes: Notes) -> None:
        """Whoever pays for the bucket pays for parts, too; to take them back needs s3:AbortMultipartUpload."""
        for said in notes.noted():
            if "upload" in said:
                with suppress(Trouble):
                    self.ask(
                        "s3:AbortMultipartUpload", "abort_multipart_upload", **self.of(path), UploadId=said["upload"]
                    )
        notes.forget()


def _all(send: Callable[[int], None], parts: list[int]) -> None:
    """Raises what went wrong first; those that are under way come to their end."""
    with ThreadPoolExecutor(PIECES_AT_ONCE, thread_name_prefix="parts") as threads:
        # In the context of the thread that waits, so that they are cut off with it.
        begun = [threads.submit(copy_context().run, send, part) for part in parts]
        try:
            for one in begun:
                one.result()
        finally:
            threads.shutdown(cancel_futures=True)


def _piece(size: int) -> int:
    """Bytes of each part of an object."""
    return max(PIECE, -(-size // MOST_PIECES))


def _crc(content: BinaryIO, start: int, size: int) -> int:
    found, at = 0, start
    while piece := os.pread(content.fileno(), min(CHUNK, start + size - at), at):
        found, at = zlib.crc32(piece, found), at + len(piece)
    return found


def _coded(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(4, "big")).decode()
