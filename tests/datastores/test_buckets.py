"""Blobs in buckets: in parts, over wires that break, and what is said when a bucket does not do what it should."""

import base64
import hashlib
import io
import os
import socket
import tarfile
import threading
import zlib
from collections.abc import Callable

import boto3
import pytest
from django.core.exceptions import ImproperlyConfigured
from google.cloud import storage

from datastores import blobs, checks, contents, gcs, s3, trees
from datastores.blobs import CHUNK, Store, Unavailable, key_of
from datastores.blobs import store as configured
from mlteam import health
from tests import clouds
from tests.datastores.pushing import push

KEY = key_of("a" * 16, "ab" * 32)
LARGE = os.urandom(11 * CHUNK + 17)


@pytest.fixture(scope="module")
def amazon():
    """A wire to an S3 with the bucket `content`, for which this process has credentials."""
    with clouds.aws() as url, clouds.wire(url) as wire, pytest.MonkeyPatch.context() as patch:
        known = {"ACCESS_KEY_ID": "AKIA12345678", "SECRET_ACCESS_KEY": "01234567", "DEFAULT_REGION": "us-east-1"}
        for name, value in {**known, "ENDPOINT_URL": wire.url}.items():
            patch.setenv(f"AWS_{name}", value)
        boto3.client("s3").create_bucket(Bucket="content")
        wire.behind = url
        yield wire


@pytest.fixture(scope="module")
def google():
    """A wire to a Google Cloud Storage with the bucket `content`."""
    with clouds.gcs() as url, clouds.wire(url) as wire, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", wire.url)
        storage.Client().create_bucket("content")
        yield wire


@pytest.fixture(params=["s3", "gcs"])
def bucket(request, monkeypatch) -> tuple[Callable[[str], Store], clouds.Wire]:
    """What makes a store of a bucket's name, with a place of its own in it; and the wire to it."""
    wire = request.getfixturevalue("amazon" if request.param == "s3" else "google")
    made = {"s3": s3.S3Store, "gcs": gcs.GCSStore}[request.param]
    monkeypatch.setattr(s3, "PIECE", 5 * CHUNK)
    monkeypatch.setattr(gcs, "PIECE", 4 * CHUNK)
    monkeypatch.setattr(gcs, "RETRY", gcs.RETRY.with_timeout(120).with_delay(initial=0.01, maximum=0.1))
    place = os.urandom(4).hex()
    yield (lambda name: made(name, place)), wire
    wire.cut_after, wire.flips = 0, False


@pytest.fixture
def store(bucket) -> Store:
    return bucket[0]("content")


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "file"
    made.write_bytes(LARGE)
    return made


def read(store: Store, *part: int) -> bytes:
    return b"".join(store.read(KEY, *part))


def test_the_setting_says_where(settings, amazon, google):
    stores = {
        "s3://content/some/place": (s3.S3Store, "some/place/"),
        "s3://content": (s3.S3Store, ""),
        "gs://content/place/": (gcs.GCSStore, "place/"),
    }
    for where, (kind, prefix) in stores.items():
        settings.MLTEAM_BLOBS = where
        made = configured.__wrapped__()
        assert type(made) is kind and made.prefix == prefix
    for where in ("s3:content", "s3://", "http://content", "content"):
        settings.MLTEAM_BLOBS = where
        with pytest.raises(ImproperlyConfigured, match="MLTEAM_BLOBS"):
            configured.__wrapped__()


def test_what_is_large_goes_in_parts(store, file):
    store.put(KEY, file)
    assert store.size(KEY) == len(LARGE) and read(store) == LARGE and not file.exists()
    assert read(store, 5 * CHUNK - 3, 7) == LARGE[5 * CHUNK - 3 :][:7]


def test_what_is_put_again_heals_what_was_damaged(store, tmp_path):
    for content in (b"damaged", b"whole"):
        file = tmp_path / "file"
        file.write_bytes(content)
        store.put(KEY, file)
    assert read(store) == b"whole" and list(store.keys("")) == [(KEY, 5)]


def test_a_reader_goes_on_where_the_wire_broke(bucket, store, file):
    store.put(KEY, file)
    wire, before = bucket[1], bucket[1].cuts
    wire.cut_after = 4 * CHUNK + 5000
    assert read(store) == LARGE and wire.cuts == before + 1
    wire.cut_after = CHUNK
    assert read(store, 3, 4 * CHUNK) == LARGE[3 : 4 * CHUNK + 3] and wire.cuts == before + 2


def test_what_is_sent_arrives_once_though_its_answer_was_lost(bucket, tmp_path):
    wire = bucket[1]
    for size in (100, len(LARGE)):
        file = tmp_path / "file"
        file.write_bytes(LARGE[:size])
        store = bucket[0]("content")  # with a wire of its own
        wire.cut_after, before = 1, wire.cuts
        store.put(KEY, file)
        assert wire.cuts == before + 1 and read(store) == LARGE[:size]
        assert list(store.keys("")) == [(KEY, size)]
        store.delete(KEY)


def test_what_was_damaged_on_its_way_is_not_taken_for_whole(bucket, store, file):
    store.put(KEY, file)
    bucket[1].flips = True
    with pytest.raises(Unavailable):
        read(store)
    bucket[1].flips = False
    assert read(store) == LARGE


def test_nothing_is_left_of_what_could_not_be_sent(amazon, bucket, store, file):
    """Neither an object nor parts of one, for which one would pay."""
    sent = []

    def fail(*args, **_):
        sent.append(1)
        if len(sent) > 1:
            raise OSError("no more")
        return real(*args, **_) if isinstance(store, gcs.GCSStore) else None

    if isinstance(store, gcs.GCSStore):
        real = store.client._http.request
        store.client._http.request = fail
    else:
        store.client.meta.events.register("before-call.s3.UploadPart", fail)
    with pytest.raises(OSError, match="no more"):
        store.put(KEY, file)
    if isinstance(store, gcs.GCSStore):
        store.client._http.request = real
    assert file.read_bytes() == LARGE and store.size(KEY) is None and len(sent) > 1
    begun = boto3.client("s3").list_multipart_uploads(Bucket="content").get("Uploads", ())
    assert not [one for one in begun if one["Key"].startswith(store.prefix)]


def test_s3_compares_the_checksum_of_all_parts_together(amazon, file, monkeypatch):
    monkeypatch.setattr(s3, "PIECE", 5 * CHUNK)
    store = s3.S3Store("content", "whole")
    store.put(KEY, file)
    asked = {"Bucket": "content", "Key": f"whole/{KEY}", "ChecksumMode": "ENABLED"}
    found = store.client.head_object(**asked)
    assert found["ChecksumType"] == "FULL_OBJECT"
    assert found["ChecksumCRC32"] == base64.b64encode(zlib.crc32(LARGE).to_bytes(4, "big")).decode()


def test_a_bucket_that_is_not_there_is_said(bucket, file):
    store = bucket[0]("missing")
    for ask in (lambda: store.put(KEY, file), lambda: list(store.keys(""))):
        with pytest.raises(Unavailable, match="There is no bucket missing"):
            ask()
    assert file.exists()


def test_a_bucket_that_is_away_is_said(bucket, file, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", closed)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", closed)
    monkeypatch.setattr(s3, "RETRIES", {"mode": "standard", "total_max_attempts": 1})
    monkeypatch.setattr(gcs, "RETRY", gcs.RETRY.with_timeout(0.2))
    monkeypatch.setattr(gcs, "AGAIN", 1)
    monkeypatch.setattr(s3, "AGAIN", 1)
    store = bucket[0]("content")
    for ask in (
        lambda: store.put(KEY, file),
        lambda: store.size(KEY),
        lambda: read(store),
        lambda: list(store.keys("")),
    ):
        with pytest.raises(Unavailable, match="The bucket content does not answer as it should"):
            ask()
    assert file.exists()


def test_credentials_that_do_not_fit_are_said(amazon, file, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN1")
    store = s3.S3Store("content")
    with clouds.who_may_what_counts(amazon.behind):
        for ask in (lambda: store.put(KEY, file), lambda: list(store.keys(""))):
            with pytest.raises(Unavailable, match="does not know mlteam's credentials"):
                ask()
    assert file.exists()


def test_credentials_that_may_too_little_are_told_what_they_lack(amazon, file, monkeypatch):
    iam = boto3.client("iam")
    iam.create_user(UserName="server")
    made = iam.create_access_key(UserName="server")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", made["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", made["SecretAccessKey"])
    store = s3.S3Store("content")
    with clouds.who_may_what_counts(amazon.behind):
        for right, ask in {
            "s3:PutObject": lambda: store.put(KEY, file),
            "s3:GetObject and s3:ListBucket": lambda: read(store),
            "s3:ListBucket": lambda: list(store.keys("")),
            "s3:DeleteObject": lambda: store.delete(KEY),
        }.items():
            with pytest.raises(Unavailable, match=f"They need {right}"):
                ask()


def test_the_doctor_says_whether_the_bucket_answers(amazon, settings, monkeypatch):
    monkeypatch.setattr(health, "store", configured.__wrapped__)
    assert list(health.content()) == []
    for where, verdict, said in [
        ("s3://content", "ok", "s3://content answers"),
        ("s3://missing", "wrong", "There is no bucket missing."),
        ("ftp://content", "wrong", "s3://BUCKET/PREFIX"),
    ]:
        settings.MLTEAM_BLOBS = where
        [found] = health.content()
        assert (found.verdict, found.subject) == (verdict, "Content") and said in found.text


def test_no_credentials_are_said(amazon, google, file, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Unavailable, match="mlteam has no credentials for the bucket content"):
        s3.S3Store("content").put(KEY, file)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nothing.json"))
    with pytest.raises(Unavailable, match="mlteam has no credentials for Google Cloud Storage"):
        gcs.GCSStore("content")


@pytest.mark.django_db(transaction=True)
def test_a_version_lives_in_a_bucket(store, dataset, owner, monkeypatch):
    for module in (blobs, checks, contents):
        monkeypatch.setattr(module, "store", lambda: store)
    large = LARGE[: contents.SMALL + 5]
    files = {f"deep/{number}.bin": os.urandom(37 * number) for number in range(17)} | {"large": large, "z": b"last"}
    version = push(dataset, files, owner)
    with tarfile.open(fileobj=io.BytesIO(b"".join(contents.archived(version, "", "tar")))) as archive:
        assert {one.name: archive.extractfile(one).read() for one in archive} == files
    assert trees.lay_out(version)
    assert {path: (trees.place_of(version) / path).read_bytes() for path in files} == files
    report = checks.run(whole=True)
    assert report.good and report.compared == len(files) + 1 and not report.deleted
    lost = key_of(dataset.project_id, hashlib.sha256(files["z"]).hexdigest())
    store.delete(lost)
    assert checks.run().missing == [lost]


@pytest.mark.django_db(transaction=True)
def test_what_is_damaged_in_a_bucket_is_not_laid_out(store, dataset, owner, monkeypatch, tmp_path):
    monkeypatch.setattr(blobs, "store", lambda: store)
    version = push(dataset, {"a": b"whole", "b": b"other"}, owner)
    key = key_of(dataset.project_id, hashlib.sha256(b"whole").hexdigest())
    store.delete(key)
    (tmp_path / "damaged").write_bytes(b"whale")
    store.put(key, tmp_path / "damaged")
    with pytest.raises(blobs.Missing):
        trees.lay_out(version)
    assert not trees.stands(version)


def test_a_store_that_is_far_away_is_asked_beside_each_other(store, monkeypatch):
    monkeypatch.setattr(blobs, "store", lambda: store)
    together = threading.Barrier(store.at_once)

    def ask(number: int) -> int:
        together.wait(timeout=30)
        return number

    asked = range(3 * store.at_once)
    assert list(blobs.beside_each_other(ask, asked)) == list(asked)


def test_what_nobody_takes_any_more_is_not_asked(store, monkeypatch):
    monkeypatch.setattr(blobs, "store", lambda: store)
    asked = []
    answers = blobs.beside_each_other(asked.append, range(1000))
    next(answers)
    answers.close()
    assert len(asked) <= 2 * store.at_once
    with pytest.raises(ZeroDivisionError):
        list(blobs.beside_each_other(lambda number: 1 / (number - 5), range(1000)))
