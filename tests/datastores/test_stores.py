"""What each store of blobs does. A store of another kind is added to STORES: its name, and what makes an empty one."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from copy import copy

import pytest
from google.cloud import storage

from datastores.blobs import CHUNK, Missing, Store, key_of
from datastores.disk import DiskStore
from tests import clouds


def _on_disk(tmp_path, request):
    return DiskStore(tmp_path / "blobs")


def _on_s3(tmp_path, request):
    made = copy(request.getfixturevalue("s3"))  # another client would take longer than most tests
    made.prefix = f"of/{os.urandom(4).hex()}/"
    return made


def _on_gcs(tmp_path, request):
    from datastores.gcs import GCSStore

    request.getfixturevalue("gcs")
    return GCSStore("content", f"of/{os.urandom(4).hex()}")


STORES = {"disk": _on_disk, "s3": _on_s3, "gcs": _on_gcs}


@pytest.fixture(scope="module")
def s3():
    """A store in the bucket `content` of an S3."""
    from datastores.s3 import S3Store

    with clouds.aws() as url, pytest.MonkeyPatch.context() as patch:
        known = {"ACCESS_KEY_ID": "AKIA12345678", "SECRET_ACCESS_KEY": "01234567", "DEFAULT_REGION": "us-east-1"}
        for name, value in {**known, "ENDPOINT_URL": url}.items():
            patch.setenv(f"AWS_{name}", value)
        store = S3Store("content")
        store.client.create_bucket(Bucket="content")
        yield store


@pytest.fixture(scope="module")
def gcs():
    """The address of a Google Cloud Storage with the bucket `content`."""
    with clouds.gcs() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        storage.Client().create_bucket("content")
        yield url


PROJECT, OTHER = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"


@pytest.fixture(params=STORES)
def store(request, tmp_path) -> Store:
    return STORES[request.param](tmp_path, request)


@pytest.fixture
def put(store, tmp_path):
    """put(content) keeps it and says its key."""

    def keep(content: bytes, project: str = PROJECT) -> str:
        file = tmp_path / f"spooled-{os.urandom(4).hex()}"
        file.write_bytes(content)
        key = key_of(project, hashlib.sha256(content).hexdigest())
        store.put(key, file)
        return key

    return keep


def all_of(store: Store, key: str, *part: int) -> bytes:
    return b"".join(store.read(key, *part))


@pytest.mark.parametrize("content", [b"", b"a", os.urandom(CHUNK), os.urandom(2 * CHUNK + 1)], ids=len)
def test_what_is_kept_is_read_again(store, put, content):
    key = put(content)
    store.settle()
    pieces = list(store.read(key))
    assert b"".join(pieces) == content and store.size(key) == len(content)
    assert all(0 < len(piece) <= CHUNK for piece in pieces)


def test_a_part_is_read(store, put):
    content = os.urandom(2 * CHUNK + 100)
    key = put(content)
    for start, length in [(0, 1), (5, 10), (CHUNK - 1, 2), (1, 2 * CHUNK), (len(content) - 1, 1), (7, 0)]:
        assert all_of(store, key, start, length) == content[start : start + length]
    assert all_of(store, key, CHUNK) == content[CHUNK:]
    assert all_of(store, key, len(content)) == b""


def test_less_is_read_where_there_is_less(store, put):
    key = put(b"abc")
    assert all_of(store, key, 1, 100) == b"bc"


def test_what_is_put_is_taken_away(store, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    store.put(key_of(PROJECT, "ab" * 32), file)
    assert not file.exists()


def test_the_same_key_again_is_no_error(store, put):
    assert put(b"abc") == (key := put(b"abc"))
    assert all_of(store, key) == b"abc" and len(list(store.keys(f"{PROJECT}/"))) == 1


def test_two_at_once_put_the_same(store, put):
    content = os.urandom(CHUNK)
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(put, [content] * 16))
    assert len(keys) == 1 and all_of(store, keys.pop()) == content


def test_a_reader_goes_on_while_the_same_is_put_again(store, put):
    content = os.urandom(3 * CHUNK)
    reading = store.read(key := put(content))
    first = next(reading)
    assert put(content) == key
    assert first + b"".join(reading) == content


def test_what_is_not_there_is_missing(store, put):
    put(b"abc")
    key = key_of(PROJECT, "00" * 32)
    assert store.size(key) is None
    with pytest.raises(Missing):
        next(store.read(key))
    with pytest.raises(Missing):
        next(store.read(key, 5, 10))


def test_what_is_deleted_is_gone(store, put):
    key, stays = put(b"abc"), put(b"def")
    store.delete(key)
    store.delete(key)
    assert store.size(key) is None and all_of(store, stays) == b"def"
    with pytest.raises(Missing):
        next(store.read(key))
    assert put(b"abc") == key and all_of(store, key) == b"abc"


def test_keys_are_in_order_and_of_one_project(store, put):
    contents = [bytes([number]) * number for number in range(20)]
    sizes = {put(content): len(content) for content in contents}
    other = put(b"of another", OTHER)
    found = list(store.keys(f"{PROJECT}/"))
    assert found == sorted(sizes.items())
    assert list(store.keys("")) == [*found, (other, 10)]
    some = found[3][0]
    assert list(store.keys(some[:-1])) == [found[3]]
    assert [key for key, _ in store.keys(some[:20])] == [key for key in sorted(sizes) if key.startswith(some[:20])]


def test_nothing_is_listed_of_what_holds_nothing(store):
    assert list(store.keys("")) == list(store.keys(f"{PROJECT}/")) == []
