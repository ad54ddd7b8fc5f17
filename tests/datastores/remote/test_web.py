"""What is fetched from web servers: whole or not at all, and on where it broke off."""

import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from datastores.blobs import Full
from datastores.remote import beside, errors, fetching, retrying
from datastores.remote.addresses import Address, BadAddress
from datastores.remote.keys import Key
from datastores.remote.opening import open_source, open_target
from datastores.remote.progress import Counted
from tests.datastores.remote import websites
from tests.datastores.remote.killing import killed_after

MIB = 2**20


@pytest.fixture(scope="module")
def running_site():
    with websites.running() as site:
        yield site


@pytest.fixture
def site(running_site, settings, monkeypatch):
    settings.MLTEAM_REACHABLE = [ip_network("127.0.0.1/32")]
    monkeypatch.setattr(retrying, "FIRST", 0.001)
    monkeypatch.setattr(fetching, "PART", MIB)
    running_site.clean()
    return running_site


def fetch(site, path, to, progress=None, **how):
    source = open_source(site.url + path)
    try:
        return fetching.fetch(source, to, progress or Counted(), **how)
    finally:
        source.close()


def below(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ftp://host/a", "begins with https://, s3:// or gs://"),
        ("bucket/a", "begins with https://, s3:// or gs://"),
        ("http://example.org/a", "Write https://"),
        ("https:///a", "names no host"),
        ("https://ada:secret@example.org/a", "No name or password"),
        ("https://example.org:port/a", "is no address"),
        ("https://exa mple.org/a", "names no host"),
        ("s3://", "no name of a bucket"),
        ("gs://Bucket/a", "no name of a bucket"),
        ("s3://bucket/a//b", "empty name"),
        ("gs://bucket/../other/a", "“..” in it"),
        ("s3://bucket/a\nb", "line breaks"),
        ("https://example.org/" + "a" * 5000, "4096 characters"),
    ],
)
def test_an_address_that_is_none_says_why(text, said):
    with pytest.raises(BadAddress, match=said.replace(".", r"\.")) as raised:
        Address.of(text)
    assert "secret" not in str(raised.value)


def test_an_address_is_taken_apart():
    assert Address.of("gs://data/some/place/") == Address("gs", "data", "some/place", True, "gs://data/some/place/")
    assert Address.of("S3://data") == Address("s3", "data", "", True, "S3://data")
    assert Address.of("s3://data/a").key_of("b/c") == "a/b/c" and Address.of("s3://data").key_of("b") == "b"
    web = Address.of("https://example.org:8443/a/b.zip?signature=secret#part")
    assert (web.place, web.path, web.shown) == ("example.org:8443", "a/b.zip", "https://example.org:8443/a/b.zip?…")


def test_a_key_opens_what_it_is_for():
    aws, google = Key("a", "aws", {}), Key("g", "gcp", {})
    for text, key in [("https://example.org/a", aws), ("gs://bucket/a", aws), ("s3://bucket/a", google)]:
        with pytest.raises(errors.Refused):
            open_source(text, key)
    with pytest.raises(errors.Refused, match="Nothing can be written"):
        open_target("https://example.org/a", aws)
    assert "secret" not in repr(Key("a", "aws", {"secret_access_key": "secret"}))


def test_a_file_is_fetched_under_its_name(site, tmp_path):
    site.files = {"/a/faces.csv": b"1,2\n", "/x": b"abc", "/": b"root", "/empty": b""}
    site.headers["/x"] = {"Content-Disposition": 'attachment; filename="../../étude 1.csv"'.encode().decode("latin-1")}
    progress = Counted()
    assert fetch(site, "/a/faces.csv?token=1", tmp_path / "a", progress) == fetching.Fetched(1, 4)
    assert below(tmp_path / "a") == {"faces.csv": b"1,2\n"}
    assert (progress.files, progress.bytes, progress.files_done, progress.bytes_done) == (1, 4, 1, 4)
    for path, name in [("/x", "étude 1.csv"), ("/", "download"), ("/empty", "empty")]:
        fetch(site, path, tmp_path / name)
        assert below(tmp_path / name) == {name: site.files[path]}
    assert not list(tmp_path.glob("*.arriving"))


@pytest.mark.parametrize("ranges", [True, False])
def test_it_goes_on_where_the_connection_was_cut(site, tmp_path, ranges):
    site.ranges = ranges
    for size in (MIB, 5 * MIB + 17):
        site.files["/large"], site.cut_after = os.urandom(size), 300_000
        progress, before = Counted(), site.cuts
        fetch(site, "/large", tmp_path / str(size), progress)
        assert below(tmp_path / str(size)) == {"large": site.files["/large"]}
        assert progress.bytes_done == size and site.cuts == before + 1


def test_one_that_has_no_version_comes_once_more_from_its_beginning(site, tmp_path):
    site.tagged, site.says_size = False, False
    site.files["/large"] = os.urandom(MIB)
    fetch(site, "/large", tmp_path / "to", progress := Counted())
    assert below(tmp_path / "to") == {"large": site.files["/large"]} and progress.bytes is None
    site.says_size, site.cut_after = True, 300_000
    fetch(site, "/large", tmp_path / "again", progress := Counted())
    assert below(tmp_path / "again") == {"large": site.files["/large"]} and progress.bytes_done == MIB
    assert progress.trouble == ""


def test_trouble_that_passes_is_waited_for(site, tmp_path):
    site.files["/a"], site.statuses = b"abc", [503, 429, 500]
    assert fetch(site, "/a", tmp_path / "to").bytes == 3
    site.statuses = [503] * retrying.TRIES
    with pytest.raises(errors.Unavailable, match="trouble of its own"):
        fetch(site, "/a", tmp_path / "to")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, errors.NotThere), (403, errors.Denied), (401, errors.Denied), (410, errors.NotThere), (418, errors.Trouble)],
)
def test_what_is_wrong_is_said(site, tmp_path, status, kind):
    site.statuses = [status]
    with pytest.raises(kind) as raised:
        fetch(site, "/a?secret=1", tmp_path / "to")
    assert str(raised.value).endswith(".") and "secret" not in str(raised.value) and not (tmp_path / "to").exists()


def test_it_follows_to_where_the_file_is_and_to_nothing_private(site, tmp_path):
    site.files["/b"] = b"abc"
    site.sends_on = {
        "/a": "/b",
        "/round": "/round",
        "/plain": "http://example.org/b",
        "/file": "file:///etc/passwd",
        "/nowhere": "https://[no",
    }
    fetch(site, "/a", tmp_path / "a")
    assert below(tmp_path / "a") == {"b": b"abc"}
    for path, said in {
        "/round": "more than 10",
        "/plain": "not https",
        "/file": "not https",
        "/nowhere": "no address",
    }.items():
        with pytest.raises(errors.Refused, match=said):
            fetch(site, path, tmp_path / "no")


def test_an_address_within_the_servers_network_is_not_gone_to(site, settings, tmp_path):
    site.files["/a"] = b"abc"
    site.sends_on["/to"] = "https://127.0.0.2/a"
    with pytest.raises(errors.Refused, match="private network"):
        fetch(site, "/to", tmp_path / "to")
    settings.MLTEAM_REACHABLE = []
    with pytest.raises(errors.Refused, match="private network"):
        fetch(site, "/a", tmp_path / "to")


def test_what_changes_meanwhile_is_begun_anew(site, tmp_path):
    site.files["/large"] = os.urandom(4 * MIB)
    source = open_source(site.url + "/large")
    [item] = source.items()
    site.files["/large"] = os.urandom(4 * MIB)
    with pytest.raises(errors.Changed):
        list(source.read(item, 5, 10))
    source.close()
    (to := tmp_path / "to").mkdir()
    scratch = fetching.scratch_of(to)
    scratch.mkdir()
    (scratch / "listing").write_text('{"path":"large","size":4194304,"version":"\\"other\\"","parts":true,"sums":{}}\n')
    with pytest.raises(errors.Changed):
        fetch(site, "/large", to)
    assert not scratch.exists()
    fetch(site, "/large", to)
    assert below(to) == {"large": site.files["/large"]}


def test_there_is_a_limit_also_where_nobody_says_the_size(site, tmp_path):
    site.files["/a"] = os.urandom(3 * MIB)
    for site.says_size in (True, False):
        with pytest.raises(errors.TooLarge, match=r"1\.0 MiB"):
            fetch(site, "/a", tmp_path / "to", most=MIB)
    assert not (tmp_path / "to").exists()


def test_a_full_disk_is_said_before_it_is(site, tmp_path, monkeypatch):
    site.files["/a"] = b"abc"
    monkeypatch.setattr(fetching.room, "LEFT", 2**60)
    with pytest.raises(Full, match=r"needs 3 bytes"):
        fetch(site, "/a", tmp_path / "to")


def test_it_stops_and_goes_on(site, tmp_path):
    class Stops(Counted):
        def add(self, size: int) -> None:
            super().add(size)
            if self.bytes_done > 3 * MIB:
                self.stop()

    site.files["/large"] = os.urandom(8 * MIB)
    with pytest.raises(errors.Stopped):
        fetch(site, "/large", tmp_path / "to", Stops())
    assert not below(tmp_path / "to")
    before = len(site.asked)
    fetch(site, "/large", tmp_path / "to", progress := Counted())
    assert below(tmp_path / "to") == {"large": site.files["/large"]} and progress.bytes_done == 8 * MIB
    assert 0 < len(site.asked) - before < 8


def test_what_comes_too_slowly_is_not_waited_for(site, tmp_path, monkeypatch):
    monkeypatch.setattr(beside, "SLOW", 0.1)
    monkeypatch.setattr(beside, "TICK", 0.05)
    site.files["/large"], site.slow = os.urandom(8 * MIB), 0.5
    with pytest.raises(errors.Unavailable, match="too slowly"):
        fetch(site, "/large", tmp_path / "to")


@pytest.mark.parametrize("ranges", [True, False])
def test_one_that_was_killed_goes_on(site, tmp_path, ranges):
    site.ranges, site.files["/large"], site.slow = ranges, os.urandom(8 * MIB), 0.005
    to = tmp_path / "to"
    killed_after(4 * MIB, lambda progress: fetch(site, "/large", to, progress))
    assert not below(to)
    site.slow, before = 0, len(site.asked)
    fetch(site, "/large", to, progress := Counted())
    assert below(to) == {"large": site.files["/large"]} and progress.bytes_done == 8 * MIB
    again = site.asked[before:]
    assert len(again) <= 8 and any(part for _, part in again)
    assert not fetching.scratch_of(to).exists()


@pytest.mark.parametrize("size", [3 * MIB, 2 * MIB])  # in parts, and in one piece that breaks off
def test_another_range_than_was_asked_for_is_not_kept(site, tmp_path, size):
    site.files["/a"] = content = os.urandom(size)
    site.shifts, site.cut_after = 2, MIB // 2
    fetch(site, "/a", tmp_path / "to")
    assert below(tmp_path / "to") == {"a": content} and not site.shifts and site.cuts == 1
    site.shifts, site.cut_after = 1000, MIB // 2
    with pytest.raises(errors.Unavailable, match="another part"):
        fetch(site, "/a", tmp_path / "never")
    assert not (tmp_path / "never" / "a").exists()
