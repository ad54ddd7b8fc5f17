"""Google Cloud Storage with exactly the rights of the recipe: a viewer of one prefix, a creator in another."""

import json
import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from compute import trees
from datastores.remote import errors, fetching, gcs, retrying, sending
from datastores.remote.keys import Key
from datastores.remote.opening import open_source, open_target
from datastores.remote.progress import Counted
from tests import google_storage
from tests.datastores.remote.killing import killed_after
from tests.google_storage import CREATOR, VIEWER

MIB = 2**20
SMALL = {f"data/{number % 3}/{number}.bin": os.urandom(number * 100) for number in range(8)}


@pytest.fixture(scope="module")
def running_google():
    with google_storage.running() as found:
        yield found


@pytest.fixture
def google(running_google, settings, monkeypatch):
    """With the buckets `input`, which the account `reader` may read below data/, and `output`, where `writer` may create below results/."""
    settings.MLTEAM_REACHABLE = [ip_network("127.0.0.1/32")]
    settings.MLTEAM_SERVICES = running_google.services
    monkeypatch.setattr(retrying, "FIRST", 0.001)
    monkeypatch.setattr(fetching, "PART", MIB)
    monkeypatch.setattr(gcs, "SMALL", 100_000)
    monkeypatch.setattr(gcs, "PIECE", MIB)
    running_google.recipe()
    return running_google


def key(google, name="reader") -> Key:
    return Key(name, "gcp", {"credentials": google.account(name)})


def fetch(google, to, where="gs://input/data", progress=None, name="reader"):
    source = open_source(where, key(google, name) if name else None)
    try:
        return fetching.fetch(source, to, progress or Counted())
    finally:
        source.close()


def send(google, root, progress=None, where="gs://output/results", name="writer"):
    target = open_target(where, key(google, name))
    try:
        entries = trees.walk(root)
        return sending.send(root, entries, target, progress or Counted(), journal=root.with_name("journal"))
    finally:
        target.close()


def below(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def fill(root: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def test_what_is_below_an_address_is_fetched(google, tmp_path):
    for name, content in {
        **SMALL,
        "data/": b"",
        "data/large": (large := os.urandom(5 * MIB + 3)),
        "database/a": b"no",
    }.items():
        google.keep("input", name, content)
    google.page = 3
    fetched = fetch(google, tmp_path / "to", progress=(progress := Counted()))
    expected = {name.removeprefix("data/"): content for name, content in SMALL.items()} | {"large": large}
    assert below(tmp_path / "to") == expected and fetched.files == len(expected) == progress.files_done
    assert fetched.bytes == progress.bytes == progress.bytes_done == sum(map(len, expected.values()))
    assert {permission for permission, _ in google.asked} == set(VIEWER)
    assert all(name.startswith("data/") for _, name in google.asked)
    fetch(google, tmp_path / "one", "gs://input/data/large")
    assert below(tmp_path / "one") == {"large": large}


def test_what_is_not_there_is_said(google, tmp_path):
    google.grant("reader", "input", "", VIEWER)
    for where, said in {
        "gs://input/nothing": "nothing at gs://input/nothing",
        "gs://elsewhere/a": "no bucket elsewhere",
    }.items():
        with pytest.raises(errors.NotThere, match=said):
            fetch(google, tmp_path / "to", where)


def test_where_listing_is_denied_one_object_can_be_fetched(google, tmp_path):
    google.grants.clear()
    google.grant("reader", "input", "data/", VIEWER)
    google.keep("input", "data/one", b"abc")
    fetch(google, tmp_path / "to", "gs://input/data/one")
    assert below(tmp_path / "to") == {"one": b"abc"}
    with pytest.raises(
        errors.Denied, match=r"storage\.objects\.list is missing.*roles/storage\.objectViewer"
    ) as raised:
        fetch(google, tmp_path / "all", "gs://input/data/")
    objects = "projects/_/buckets/input/objects/data"
    assert f'resource.name == "projects/_/buckets/input" || resource.name.startsWith("{objects}' in str(raised.value)
    with pytest.raises(errors.Denied, match=r"roles/storage\.objectViewer\) on the bucket\.$"):
        fetch(google, tmp_path / "all", "gs://input")
    google.grant("reader", "input", "data/", VIEWER, itself=True)
    fetch(google, tmp_path / "all", "gs://input/data/")
    assert below(tmp_path / "all") == {"one": b"abc"}
    with pytest.raises(errors.Denied, match=r"get is missing.*names that begin with projects/_/buckets/input/objects/"):
        google.keep("input", "other/one", b"abc")
        fetch(google, tmp_path / "other", "gs://input/other")


def test_a_public_bucket_needs_no_key(google, tmp_path):
    google.keep("input", "data/one", b"abc")
    with pytest.raises(errors.Denied, match="Name a key"):
        fetch(google, tmp_path / "to", name=None)
    google.grant("everybody", "input", "", VIEWER)
    fetch(google, tmp_path / "to", name=None)
    assert below(tmp_path / "to") == {"one": b"abc"}


def test_a_key_that_opens_nothing_or_leads_elsewhere_is_refused(google, tmp_path):
    with pytest.raises(errors.Denied, match="it was deleted"):
        fetch(google, tmp_path / "to", name="gone")
    good = google.account("reader")
    for change in ({"token_uri": "https://example.org/token"}, {"type": "external_account"}):
        bad = Key("bad", "gcp", {"credentials": json.dumps(json.loads(good) | change)})
        with pytest.raises(errors.Refused, match="The key bad is not used"):
            open_source("gs://input/data", bad)


def test_faults_pass(google, tmp_path):
    google.keep("input", "data/large", large := os.urandom(5 * MIB))
    google.keep("input", "data/small", small := os.urandom(MIB))
    google.statuses, google.cut_after = [401, 503, 429, 500], 300_000
    fetch(google, tmp_path / "to", progress=(progress := Counted()))
    assert below(tmp_path / "to") == {"large": large, "small": small} and progress.bytes_done == 6 * MIB
    assert google.cuts == 1 and not google.statuses
    google.revoke()
    fetch(google, tmp_path / "again")
    google.statuses = [503] * 100
    with pytest.raises(errors.Unavailable, match="trouble of its own"):
        fetch(google, tmp_path / "never")


def test_a_name_that_no_file_can_have_is_refused_by_name(google, tmp_path):
    google.keep("input", "data/a\nb", b"abc")
    with pytest.raises(errors.Refused, match="control character"):
        fetch(google, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_an_object_that_is_a_folder_of_another_is_refused(google, tmp_path):
    google.keep("input", "data/a", b"abc")
    google.keep("input", "data/a/b", b"abc")
    with pytest.raises(errors.Refused, match="a folder of another"):
        fetch(google, tmp_path / "to")


def test_what_changes_meanwhile_is_said(google, tmp_path):
    google.keep("input", "data/a", b"abc")
    source = open_source("gs://input/data", key(google))
    [item] = source.items()
    google.keep("input", "data/a", b"abd")
    with pytest.raises(errors.Changed):
        list(source.read(item))
    source.close()


def test_what_was_damaged_is_not_kept(google, tmp_path, monkeypatch):
    google.keep("input", "data/large", large := os.urandom(5 * MIB))
    google.keep("input", "data/small", b"abc")
    real, flips = gcs.GCSSource.read, [1, 1]

    def read(self, item, start=0, stop=None):
        for piece in real(self, item, start, stop):
            flip = flips.pop() if flips else 0
            yield bytes([piece[0] ^ flip]) + piece[1:]

    monkeypatch.setattr(gcs.GCSSource, "read", read)
    fetch(google, tmp_path / "to", progress=(progress := Counted()))
    assert below(tmp_path / "to") == {"large": large, "small": b"abc"} and progress.bytes_done == 5 * MIB + 3
    flips += [1] * 20
    with pytest.raises(errors.Unavailable, match="is not what it keeps"):
        fetch(google, tmp_path / "never")


def test_a_fetch_that_was_killed_goes_on(google, tmp_path):
    files = {f"{number}": os.urandom(MIB) for number in range(3)} | {"large": os.urandom(8 * MIB)}
    for name, content in files.items():
        google.keep("input", f"data/{name}", content)
    google.slow = 0.002
    killed_after(5 * MIB, lambda progress: fetch(google, tmp_path / "to", progress=progress))
    google.slow, before = 0, len(google.asked)
    fetch(google, tmp_path / "to", progress=(progress := Counted()))
    assert below(tmp_path / "to") == files and progress.bytes_done == 11 * MIB and progress.files_done == 4
    assert "storage.objects.list" not in dict(google.asked[before:])  # what was looked up stays


# Sending

FILES = {"a.bin": b"abc", "deep/er/ö 1": b"", "large": os.urandom(3 * MIB + 5), "medium": os.urandom(50_000)}


def test_a_tree_is_sent_with_the_right_to_create_alone(google, tmp_path):
    google.grants = [one for one in google.grants if one[3] is CREATOR]
    root = fill(tmp_path / "root", FILES)
    (root / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe")
    sent = send(google, root, progress := Counted())
    assert google.files("output") == {f"results/{name}": content for name, content in FILES.items()}
    assert sent.files == 4 == progress.files_done and sent.bytes == progress.bytes == progress.bytes_done
    assert {permission for permission, _ in google.asked} == {"storage.objects.create", "storage.objects.list"}
    assert not (tmp_path / "journal").exists()


def test_nothing_is_overwritten(google, tmp_path):
    root = fill(tmp_path / "root", FILES)
    google.keep("output", "results/medium", b"theirs")
    with pytest.raises(errors.Exists, match=r"“medium” already"):
        send(google, root)
    assert google.files("output") == {"results/medium": b"theirs"}
    google.grants = [one for one in google.grants if one[3] is CREATOR]
    with pytest.raises(errors.Exists):
        send(google, root)
    assert google.files("output")["results/medium"] == b"theirs"
    assert "storage.objects.delete" not in dict(google.asked)


def test_without_the_right_the_role_is_named(google, tmp_path):
    root = fill(tmp_path / "root", {"a": b"abc"})
    with pytest.raises(
        errors.Denied, match=r"storage\.objects\.create is missing.*roles/storage\.objectCreator.*objects/elsewhere"
    ):
        send(google, root, where="gs://output/elsewhere")
    with pytest.raises(errors.NotThere, match="no bucket nowhere"):
        send(google, root, where="gs://nowhere/a")


def test_faults_pass_while_sending(google, tmp_path):
    root = fill(tmp_path / "root", FILES)
    google.statuses, google.cut_sent = [401, 503, 429, 500], MIB // 2
    send(google, root, progress := Counted())
    assert google.files("output") == {f"results/{name}": content for name, content in FILES.items()}
    assert google.cuts == 1 and progress.bytes_done == progress.bytes


def test_an_answer_that_was_lost_is_no_error(google, tmp_path):
    for name, content in {"small": b"abc", "large": os.urandom(2 * MIB + 1)}.items():
        google.lost = 1
        root = fill(tmp_path / name / "root", {name: content})
        send(google, root, progress := Counted())
        assert google.files("output")[f"results/{name}"] == content and not google.lost
        assert progress.bytes_done == len(content)


def test_a_send_that_was_killed_goes_on(google, tmp_path):
    files = {f"{number}": os.urandom(MIB // 2) for number in range(3)} | {"large": os.urandom(8 * MIB)}
    root = fill(tmp_path / "root", files)
    google.slow = 0.002
    killed_after(6 * MIB, lambda progress: send(google, root, progress))
    google.slow, before = 0, len(google.asked)
    send(google, root, progress := Counted())
    assert google.files("output") == {f"results/{name}": content for name, content in files.items()}
    assert progress.bytes_done == progress.bytes and progress.files_done == 4
    assert 0 < len(google.asked) - before < 10


def test_a_tree_that_changes_under_its_feet_is_said(google, tmp_path, monkeypatch):
    root = fill(tmp_path / "root", {"a": b"abc"})
    target = open_target("gs://output/results", key(google, "writer"))
    entries = list(trees.walk(root))
    (root / "a").unlink()
    (root / "a").symlink_to("/etc/passwd")
    with pytest.raises(errors.Changed, match="“a” has changed"):
        sending.send(root, entries, target, Counted(), journal=tmp_path / "journal")
    target.close()
    assert google.files("output") == {}
