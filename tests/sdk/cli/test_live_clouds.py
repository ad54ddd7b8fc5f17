"""A job is trained on what lies in one bucket, and its model goes to another: the command, a whole server, both clouds."""

import json
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import clouds, google_storage
from tests.datastores.remote.test_s3 import Amazon
from tests.google_storage import CREATOR, VIEWER
from tests.sdk.cli.live import SMALL, Person
from tests.sdk.site import Site

# What google-auth is made of, which a job finds nowhere else.
PACKAGES = ("google/auth", "google/oauth2", "pyasn1", "pyasn1_modules", "cryptography", "cffi", "_cffi_backend*")
POINTS = {
    f"data/{part}.csv": "".join(f"{x},{3 * x + 2}\n" for x in range(part, part + 5)).encode() for part in range(3)
}

TRAIN = """
import json, os, pathlib
points = [tuple(map(float, line.split(","))) for file in sorted(pathlib.Path("/data").iterdir()) for line in file.open()]
mean = [sum(values) / len(points) for values in zip(*points)]
slope = sum((x - mean[0]) * (y - mean[1]) for x, y in points) / sum((x - mean[0]) ** 2 for x, _ in points)
model = {"slope": round(slope, 6), "intercept": round(mean[1] - slope * mean[0], 6), "points": len(points)}
pathlib.Path(os.environ["MLTEAM_OUTPUT"], "model.json").write_text(json.dumps(model))
print("input", os.environ["MLTEAM_INPUT"], "keys", sorted(name for name in os.environ if name.startswith(("AWS", "GOOGLE"))))
"""
SIGN = """
import sys, zipfile
zipfile.ZipFile("packages.zip").extractall("packages")
sys.path.insert(0, "packages")
from google.oauth2 import service_account
found = service_account.Credentials.from_service_account_file(os.environ["GOOGLE_APPLICATION_CREDENTIALS"])
print("signs as", found.signer_email, len(found.sign_bytes(b"a")))
"""
MODEL = {"slope": 3.0, "intercept": 2.0, "points": 15}


@pytest.fixture
def ada(person_at: Callable[..., Person]) -> Person:
    """Somebody with a project of their own, which is active."""
    ada = person_at("ada")
    ada("configure", "--project", ada("project", "new", "Clouds", "--field", "id").out.strip())
    return ada


@pytest.fixture
def google(site: Site) -> Iterator[google_storage.Google]:
    with google_storage.running() as found, clouds.wire(found.url, at=site.google):
        yield found


def packed(to: Path) -> None:
    """The packages as one archive."""
    installed = Path(sysconfig.get_path("purelib"))
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for found in (one for pattern in PACKAGES for one in installed.glob(pattern)):
            for file in [found] if found.is_file() else found.rglob("*"):
                if file.is_file() and file.suffix != ".pyc":
                    archive.write(file, file.relative_to(installed))


def test_from_googles_bucket_to_another(ada: Person, google: google_storage.Google) -> None:
    google.bucket("input-data-bucket", POINTS)
    google.bucket("artifacts-bucket")
    google.grant("reader", "input-data-bucket", "data/", VIEWER, itself=True)
    google.grant("writer", "artifacts-bucket", "", VIEWER)
    google.grant("writer", "artifacts-bucket", "results/", CREATOR)
    for name in ("reader", "writer"):
        ada("key", "new", "gcp", name, "--file", "-", input=google.account(name))
    (ada.directory / "train.py").write_text(TRAIN + SIGN)
    packed(ada.directory / "packages.zip")
    google.statuses = [503]
    carried = (
        "--input",
        "gs://input-data-bucket/data:/data,key=reader",
        "--output",
        "gs://artifacts-bucket/results,key=writer",
    )
    files = ("--file", "train.py", "--file", "packages.zip")
    words = [*SMALL[:2], "--mem", "0.3", *carried, *files, "--key", "reader"]
    job = ada("job", "submit", "--quiet", "--wait", *words, "--", "python3", "train.py").out.strip()
    assert json.loads(google.files("artifacts-bucket")["results/model.json"]) == MODEL
    log = ada("job", "logs", job).out
    assert "input /data keys ['GOOGLE_APPLICATION_CREDENTIALS']" in log
    assert "signs as reader@vision.iam.gserviceaccount.com 256" in log
    info = ada("job", "info", job).out
    assert "Its output became one file in gs://artifacts-bucket/results." in info
    told = json.loads(ada("job", "get", job, "--format", "json").out)["transfers"]
    assert [(one["direction"], one["state"], one["files"]) for one in told] == [("in", "done", 3), ("out", "done", 1)]
    assert {permission for permission, _ in google.asked} <= {*VIEWER, *CREATOR}
    google.grants.clear()
    again = ada("job", "submit", "--wait", *words, "--", "python3", "train.py", status=1).err
    assert "storage.objects.list is missing" in again and "roles/storage.objectViewer" in again


def test_from_amazons_bucket_to_another(ada: Person, site: Site) -> None:
    with clouds.aws() as url, clouds.wire(url, at=(site.google[0], 0)) as wire:
        amazon = Amazon(wire, url)
        for name, content in POINTS.items():
            amazon.keep("input", name, content)
        for name, user in (("from", "reader"), ("to", "looker")):
            known = amazon.keys[user]
            (ada.directory / name).write_text(known["secret_access_key"])
            plain = ("--with", f"access_key_id={known['access_key_id']}", "--with", f"endpoint={wire.url}")
            ada("key", "new", "aws", name, *plain, "--from", f"secret_access_key={name}")
        (ada.directory / "train.py").write_text(TRAIN)
        carried = (
            "--input",
            "s3://input/data:/data,key=from",
            "--output",
            "s3://output/results,key=to,existing=new-prefix",
        )
        with clouds.who_may_what_counts(url):
            submitted = ada(
                "job", "submit", "-q", "--wait", *SMALL, *carried, "--file", "train.py", "--", "python3", "train.py"
            )
        [(name, content)] = amazon.files("output").items()
        assert json.loads(content) == MODEL and name == f"results/{submitted.out.strip()}/0/model.json"
        assert "keys []" in ada("job", "logs", "--last").out
