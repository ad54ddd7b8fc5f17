"""S3 with exactly the rights that are needed: reading below one prefix, writing below another."""

import json
import os
from ipaddress import ip_network

import boto3
import pytest
import requests
from botocore.config import Config

from compute import trees
from datastores.remote import errors, fetching, retrying, s3, sending
from datastores.remote.keys import Key
from datastores.remote.opening import open_source, open_target
from datastores.remote.progress import Counted
from tests import clouds
from tests.datastores.remote.killing import killed_after
from tests.datastores.remote.test_gcs import below, fill

MIB = 2**20
KNOWN = {"aws_access_key_id": "AKIA12345678", "aws_secret_access_key": "01234567", "region_name": "us-east-1"}
INPUT = [("s3:ListBucket", "arn:aws:s3:::input"), ("s3:GetObject", "arn:aws:s3:::input/data/*")]
OUTPUT = [("s3:PutObject", "arn:aws:s3:::output/results/*")]
LOOKS = [("s3:ListBucket", "arn:aws:s3:::output"), ("s3:GetObject", "arn:aws:s3:::output/*")]


class Amazon:
    """`wire`: the way to it, which can be cut. `root`: a client that may everything; `plain`: one without checksums."""

    def __init__(self, wire: clouds.Wire, url: str) -> None:
        self.wire, self.url = wire, url
        self.root = boto3.client("s3", endpoint_url=url, **KNOWN)
        self.iam = boto3.client("iam", endpoint_url=url, **KNOWN)
        self.root.create_bucket(Bucket="input")
        self.root.create_bucket(Bucket="output")
        admin = self._user("admin", [("s3:*", "*")])
        known = {f"aws_{name}": value for name, value in admin.items()}
        self.root = boto3.client("s3", endpoint_url=url, **known, region_name="us-east-1")
        without = Config(request_checksum_calculation="when_required")
        self.plain = boto3.client("s3", endpoint_url=url, **known, region_name="us-east-1", config=without)
        self.keys = {"reader": self._user("reader", INPUT), "writer": self._user("writer", OUTPUT)}
        self.keys |= {"looker": self._user("looker", OUTPUT + LOOKS), "getter": self._user("getter", INPUT[1:])}
        self.keys["aborter"] = self._user("aborter", [("s3:AbortMultipartUpload", "arn:aws:s3:::output/results/*")])
        self.keys["lister"] = self._user("lister", LOOKS[:1])

    def _user(self, name: str, rights: list[tuple[str, str]]) -> dict[str, str]:
        self.iam.create_user(UserName=name)
        made = self.iam.create_access_key(UserName=name)["AccessKey"]
        said = [{"Effect": "Allow", "Action": action, "Resource": place} for action, place in rights]
        policy = json.dumps({"Version": "2012-10-17", "Statement": said})
        self.iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=policy)
        return {"access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}

    def key(self, name: str) -> Key:
        return Key(name, "aws", self.keys[name] | {"endpoint": self.wire.url})

    def keep(self, bucket: str, name: str, content: bytes) -> None:
        self.root.put_object(Bucket=bucket, Key=name, Body=content)

    def files(self, bucket: str) -> dict[str, bytes]:
        found = self.root.list_objects_v2(Bucket=bucket).get("Contents", ())
        return {one["Key"]: self.root.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found}

    def let_everybody_in(self) -> None:
        requests.post(f"{self.url}/moto-api/reset-auth", data=b"inf", timeout=10)

    def clean(self) -> None:
        self.wire.cut_after, self.wire.flips = 0, False
        for bucket in ("input", "output"):
            for one in self.root.list_objects_v2(Bucket=bucket).get("Contents", ()):
                self.root.delete_object(Bucket=bucket, Key=one["Key"])
            for one in self.root.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
                self.root.abort_multipart_upload(Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"])


@pytest.fixture(scope="module")
def running_amazon():
    with clouds.aws() as url, clouds.wire(url) as wire:
        yield Amazon(wire, url)


@pytest.fixture
def amazon(running_amazon, settings, monkeypatch):
    settings.MLTEAM_REACHABLE = [ip_network("127.0.0.1/32")]
    monkeypatch.setattr(retrying, "FIRST", 0.001)
    monkeypatch.setattr(fetching, "PART", MIB)
    monkeypatch.setattr(s3, "PIECE", MIB)
    monkeypatch.setattr(s3, "WHOLE", MIB)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", MIB)
    with clouds.who_may_what_counts(running_amazon.url):
        running_amazon.clean()
        yield running_amazon


def fetch(amazon, to, where="s3://input/data", progress=None, name="reader"):
    source = open_source(where, amazon.key(name))
    try:
        return fetching.fetch(source, to, progress or Counted())
    finally:
        source.close()


def send(amazon, root, progress=None, where="s3://output/results", name="writer"):
    target = open_target(where, amazon.key(name))
    try:
        return sending.send(root, trees.walk(root), target, progress or Counted(), journal=root.with_name("journal"))
    finally:
        target.close()


def test_what_is_below_an_address_is_fetched(amazon, tmp_path):
    files = {f"{number % 3}/{number} ö": os.urandom(number * 100) for number in range(8)} | {
        "large": os.urandom(3 * MIB + 3)
    }
    for name, content in {
        **{f"data/{name}": content for name, content in files.items()},
        "data/": b"",
        "database": b"no",
    }.items():
        amazon.keep("input", name, content)
    fetched = fetch(amazon, tmp_path / "to", progress=(progress := Counted()))
    assert below(tmp_path / "to") == files and fetched.files == progress.files_done == len(files)
    assert fetched.bytes == progress.bytes == progress.bytes_done == sum(map(len, files.values()))
    fetch(amazon, tmp_path / "one", "s3://input/data/large")
    assert below(tmp_path / "one") == {"large": files["large"]}


def test_what_was_sent_in_parts_is_compared(amazon, tmp_path, monkeypatch):
    (tmp_path / "large").write_bytes(large := os.urandom(3 * MIB))
    sizes = boto3.s3.transfer.TransferConfig(multipart_threshold=MIB, multipart_chunksize=MIB)
    amazon.plain.upload_file(str(tmp_path / "large"), "input", "data/large", Config=sizes)
    source = open_source("s3://input/data", amazon.key("reader"))
    [item] = source.items()
    assert set(source.looked_up(item).sums) == {"etag", "part"}
    source.close()
    real, flips = s3.S3Source.read, [1]

    def read(self, item, start=0, stop=None):
        for piece in real(self, item, start, stop):
            flip = flips.pop() if flips else 0
            yield bytes([piece[0] ^ flip]) + piece[1:]

    monkeypatch.setattr(s3.S3Source, "read", read)
    fetch(amazon, tmp_path / "to", progress=(progress := Counted()))
    assert below(tmp_path / "to") == {"large": large} and progress.bytes_done == len(large) and not flips


def test_what_is_not_there_is_said(amazon, tmp_path):
    for where, said in {
        "s3://input/nothing/": "nothing at s3://input/nothing/",
        "s3://elsewhere/a": "elsewhere",
    }.items():
        with pytest.raises((errors.NotThere, errors.Denied), match=said):
            fetch(amazon, tmp_path / "to", where)


def test_where_listing_is_denied_one_object_can_be_fetched(amazon, tmp_path):
    amazon.keep("input", "data/one", b"abc")
    fetch(amazon, tmp_path / "to", "s3://input/data/one", name="getter")
    assert below(tmp_path / "to") == {"one": b"abc"}
    with pytest.raises(errors.Denied, match=r"needs s3:ListBucket on arn:aws:s3:::input\."):
        fetch(amazon, tmp_path / "all", name="getter")
    amazon.keep("output", "one", b"abc")
    with pytest.raises(errors.Denied, match=r"needs s3:GetObject on arn:aws:s3:::output/\*\."):
        fetch(amazon, tmp_path / "no", "s3://output", name="lister")


def test_a_key_that_opens_nothing_is_said(amazon, tmp_path):
    amazon.keys["unknown"] = amazon.keys["reader"] | {"access_key_id": "AKIAUNKNOWN1"}
    amazon.keys["wrong"] = amazon.keys["reader"] | {"secret_access_key": "another-one-0123"}
    for name, said in {"unknown": "no such access key ID", "wrong": "is not the one"}.items():
        with pytest.raises(errors.Denied, match=said):
            fetch(amazon, tmp_path / "to", name=name)


def test_the_servers_own_credentials_are_not_used(amazon, tmp_path, settings, monkeypatch):
    for name, value in {
        "ACCESS_KEY_ID": "AKIA12345678",
        "SECRET_ACCESS_KEY": "01234567",
        "PROFILE": "mine",
        "ENDPOINT_URL": "http://127.0.0.2",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    amazon.keep("input", "data/one", b"abc")
    fetch(amazon, tmp_path / "ours")
    settings.MLTEAM_SERVICES = {"s3": amazon.url}
    amazon.root.put_object_acl(Bucket="input", Key="data/one", ACL="public-read")
    amazon.let_everybody_in()  # to the list: it knows no policies of buckets
    source = open_source("s3://input/data")
    fetching.fetch(source, tmp_path / "public", Counted())
    source.close()
    assert below(tmp_path / "ours") == below(tmp_path / "public") == {"one": b"abc"}


def test_an_endpoint_within_the_servers_network_is_not_gone_to(amazon, settings, tmp_path):
    settings.MLTEAM_REACHABLE = []
    with pytest.raises(errors.Refused, match="private network"):
        fetch(amazon, tmp_path / "to")


def test_it_goes_on_where_the_wire_broke(amazon, tmp_path):
    files = {"large": os.urandom(3 * MIB), "small": os.urandom(MIB)}
    for name, content in files.items():
        amazon.keep("input", f"data/{name}", content)
        amazon.wire.cut_after, before = 500_000, amazon.wire.cuts
        fetch(amazon, tmp_path / name, f"s3://input/data/{name}", progress=(progress := Counted()))
        assert below(tmp_path / name) == {name: content} and progress.bytes_done == len(content)
        assert amazon.wire.cuts == before + 1


@pytest.mark.parametrize("size", [3 * MIB, 2 * MIB])  # in parts, and in one piece that breaks off
def test_another_range_than_was_asked_for_is_not_kept(amazon, tmp_path, size):
    amazon.keep("input", "data/a", content := os.urandom(size))
    shifts, answers = [2], []

    def another(request, **_):
        asked = request.headers.get("Range", "")
        if asked and shifts[0]:
            shifts[0] -= 1
            request.headers.replace_header("Range", f"bytes=1-{asked.partition('-')[2]}")

    def fetched(to):
        amazon.wire.cut_after = MIB // 2
        source = open_source("s3://input/data", amazon.key("reader"))
        source.client.meta.events.register("before-sign.s3.GetObject", another)
        source.client.meta.events.register("after-call.s3.GetObject", lambda parsed, **_: answers.append(parsed))
        fetching.fetch(source, to, Counted())

    fetched(tmp_path / "to")
    assert below(tmp_path / "to") == {"a": content} and not shifts[0]
    assert sum(answer.get("ContentRange", "").startswith("bytes 1-") for answer in answers) == 2
    shifts[0] = 1000
    with pytest.raises(errors.Unavailable, match="another part"):
        fetched(tmp_path / "never")
    assert not (tmp_path / "never" / "a").exists()


def test_what_was_damaged_on_its_way_is_not_kept(amazon, tmp_path):
    amazon.keep("input", "data/small", os.urandom(MIB))
    amazon.wire.flips = True
    with pytest.raises(errors.Unavailable):
        fetch(amazon, tmp_path / "to")
    assert not below(tmp_path / "to")


def test_a_fetch_that_was_killed_goes_on(amazon, tmp_path):
    amazon.keep("input", "data/large", large := os.urandom(6 * MIB))
    killed_after(3 * MIB, lambda progress: fetch(amazon, tmp_path / "to", progress=progress))
    fetch(amazon, tmp_path / "to", progress=(progress := Counted()))
    assert below(tmp_path / "to") == {"large": large} and progress.bytes_done == 6 * MIB


FILES = {"a.bin": b"abc", "deep/er/ö 1": b"", "large": os.urandom(3 * MIB + 5), "medium": os.urandom(50_000)}


def test_a_tree_is_sent_with_the_right_to_put_alone(amazon, tmp_path):
    root = fill(tmp_path / "root", FILES)
    sent = send(amazon, root, progress := Counted())
    assert amazon.files("output") == {f"results/{name}": content for name, content in FILES.items()}
    assert sent.files == 4 == progress.files_done and sent.bytes == progress.bytes == progress.bytes_done
    with pytest.raises(errors.Denied, match=r"needs s3:PutObject on arn:aws:s3:::output/elsewhere/\*"):
        send(amazon, root, where="s3://output/elsewhere")


@pytest.mark.parametrize("name", ["writer", "looker"])
def test_nothing_is_overwritten(amazon, tmp_path, name):
    root = fill(tmp_path / "root", {"large": FILES["large"], "medium": b"ours"})
    amazon.keep("output", "results/large", b"theirs")
    with pytest.raises(errors.Exists, match="“large” already"):
        send(amazon, root, name=name)
    assert amazon.files("output")["results/large"] == b"theirs"
    assert name == "writer" or list(amazon.files("output")) == ["results/large"]


@pytest.mark.parametrize("size", [100, 3 * MIB])
def test_an_answer_that_was_lost_is_no_error(amazon, tmp_path, size):
    root = fill(tmp_path / "root", {"one": os.urandom(size)})
    answers: list[int] = []
    target = open_target("s3://output/results", amazon.key("looker"))
    operation = "PutObject" if size == 100 else "CompleteMultipartUpload"
    target.client.meta.events.register(
        f"before-parse.s3.{operation}", lambda response_dict, **_: _lose(response_dict, answers)
    )
    sending.send(root, trees.walk(root), target, progress := Counted(), journal=tmp_path / "journal")
    assert amazon.files("output") == {"results/one": (root / "one").read_bytes()} and answers
    assert progress.bytes_done == size and progress.trouble == ""


def _lose(answer, answers):
    if not answers:
        answers.append(1)
        answer["status_code"] = 503
        answer["body"] = b""


def test_a_send_that_was_killed_goes_on(amazon, tmp_path):
    files = {f"{number}": os.urandom(MIB) for number in range(3)} | {"large": os.urandom(8 * MIB)}
    root = fill(tmp_path / "root", files)
    killed_after(6 * MIB, lambda progress: send(amazon, root, progress, name="looker"))
    assert "results/large" not in amazon.files("output")
    send(amazon, root, progress := Counted(), name="looker")
    assert amazon.files("output") == {f"results/{name}": content for name, content in files.items()}
    assert progress.bytes_done == progress.bytes and progress.files_done == 4
    assert not amazon.root.list_multipart_uploads(Bucket="output").get("Uploads")


def test_what_is_not_sent_any_further_is_let_go_of(amazon, tmp_path):
    class Stops(Counted):
        def add(self, size: int) -> None:
            super().add(size)
            if self.bytes_done > 3 * MIB:
                self.stop()

    root = fill(tmp_path / "root", {"large": os.urandom(8 * MIB)})
    with pytest.raises(errors.Stopped):
        send(amazon, root, Stops())
    assert amazon.root.list_multipart_uploads(Bucket="output")["Uploads"]
    sending.abandon(open_target("s3://output/results", amazon.key("aborter")), tmp_path / "journal")
    assert (
        not amazon.root.list_multipart_uploads(Bucket="output").get("Uploads") and not (tmp_path / "journal").exists()
    )
