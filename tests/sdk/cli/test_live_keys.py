"""The installed command against a whole server: third-party keys."""

import hashlib
import json
import os
import pty
import subprocess
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.sdk.cli.live import Person
from tests.sdk.site import Site
from tests.server import PATIENCE

pytestmark = [pytest.mark.needs("bwrap", "slirp4netns"), pytest.mark.xdist_group("site")]

SECRET = "unmistakable-4711"
PRIVATE = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
ACCOUNT = {
    "type": "service_account",
    "project_id": "vision",
    "private_key": PRIVATE.decode(),
    "client_email": "reader@vision.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}


@pytest.fixture
def ada(person_at: Callable[..., Person]) -> Person:
    """Somebody with a project of their own, which is active."""
    ada = person_at("ada")
    ada("configure", "--project", ada("project", "new", "Keys", "--field", "id").out.strip())
    return ada


def test_keys_are_added_listed_replaced_and_removed(ada: Person) -> None:
    ada("key", "new", "aws", "backup", "--with", "access_key_id=AKIA1234", "--with", "region=eu-west-1", input=SECRET)
    lines = [line.split()[1:3] for line in ada("key", "ls").lines[1:]]
    assert ["backup", "aws"] in lines
    assert SECRET not in ada("key", "ls", "--format", "json").out
    (ada.directory / "new").write_text("another-secret\n")
    ada("key", "set", "backup", "--with", "access_key_id=AKIA5678", "--from", "secret_access_key=new")
    shown = json.loads(ada("api", f"/projects/{project_of(ada)}/keys?name=backup").out)["items"][0]
    assert shown["about"] == {"access_key_id": "AKIA5678"} and shown["replaced_at"]
    assert "add --yes" in ada("key", "rm", "backup", status=1).err
    ada("key", "rm", "backup", "--yes")
    assert "backup" not in ada("key", "ls").out


def test_a_key_is_tested_and_the_exit_status_says_what_came_of_it(ada: Person) -> None:
    ada("key", "new", "huggingface", "hub", input="hf_0123456789")
    tested = ada("key", "test", "hub", "--format", "json", status=1)
    said = json.loads(tested.out)
    assert said["works"] is False and "127.0.0.1 is in a private network" in said["said"]
    assert "The key hub does not work." in tested.err and "hf_0123456789" not in tested.out + tested.err
    ada("key", "new", "secret", "A_SECRET", input="01234567")
    assert "nothing to try" in ada("key", "test", "A_SECRET", status=1).err


JOB = """
import base64, hashlib, json, os, subprocess
token = os.environ["HF_TOKEN"]
print("token", hashlib.sha256(token.encode()).hexdigest())
path = os.environ["GOOGLE_APPLICATION_CREDENTIALS"]
account = json.load(open(path))
print("account", account["client_email"], oct(os.stat(path).st_mode)[-3:])
with open("key.pem", "w") as file:
    file.write(account["private_key"])
print("signs", subprocess.run(["openssl", "pkey", "-in", "key.pem", "-noout"]).returncode)
print("leak", token, base64.b64encode(b"x" + token.encode()).decode(), account["private_key"], json.dumps(account))
"""


def test_a_job_has_its_keys_and_its_log_shows_none(ada: Person) -> None:
    (ada.directory / "token").write_text(SECRET)
    (ada.directory / "account.json").write_text(json.dumps(ACCOUNT))
    (ada.directory / "train.py").write_text(JOB)
    ada("key", "new", "huggingface", "hub", "--from", "token=token")
    added = ada("key", "new", "gcp", "reader", "--file", "account.json")
    told = {"client_email": ACCOUNT["client_email"], "project_id": "vision"}
    assert {f"{field}: {value}" for field, value in told.items()} == set(added.err.splitlines())
    assert added.lines[0].split() == ["id", "name", "type", "created", "replaced_at"] and "BEGIN" not in added.out
    [line] = [one for one in ada("key", "ls").lines if one.split()[1] == "reader"]
    assert all(f"{field}: {value}" in line for field, value in told.items())
    assert [one["about"] for one in ada.rows("key", "ls") if one["name"] == "reader"] == [told]
    words = ["--key", "hub", "--key", "reader", "--file", "train.py", "--cpu", "0.1", "--mem", "0.25"]
    job = ada("job", "submit", "--quiet", *words, "--", "python3", "train.py").out.strip()
    log = ada("job", "logs", "-f", job).out
    assert f"token {hashlib.sha256(SECRET.encode()).hexdigest()}" in log
    assert f"account {ACCOUNT['client_email']} 400" in log and "signs 0" in log
    leak = log.partition("leak")[2]
    assert "****" in leak and SECRET not in log and "PRIVATE KEY" not in log
    assert ACCOUNT["private_key"].splitlines()[5] not in log
    trail = json.loads(ada("api", f"/projects/{project_of(ada)}/audit?action=key:use").out)["items"]
    assert {(one["details"]["key"], one["details"]["attempt"]) for one in trail} == {("hub", 0), ("reader", 0)}
    assert "no key called nothing" in ada("job", "submit", "--key", "nothing", "--", "true", status=1).err
    ada("key", "rm", "hub", "--yes")
    assert "no key called hub" in ada("job", "clone", job, status=1).err


def project_of(person: Person) -> str:
    return str(json.loads((person.settings / "config.json").read_text())["project"])


def test_a_secret_is_not_taken_from_the_command_line(ada: Person) -> None:
    ran = ada("key", "new", "wandb", "--with", f"api_key={SECRET}", status=2)
    assert "every program here can read a command line" in ran.err and SECRET not in ran.out + ran.err


def test_what_is_wrong_is_said_without_the_value(ada: Person) -> None:
    said = ada("key", "new", "wandb", "short", input="1234567", status=1).err
    assert "cannot be masked" in said and "1234567" not in said
    assert "service_account" in ada("key", "new", "gcp", "--file", "-", input='{"type": "external"}', status=1).err
    assert "Types: aws, gcp" in ada("key", "new", "other", status=1).err


def test_kaggles_file_is_taken_as_it_is(ada: Person) -> None:
    (ada.directory / "kaggle.json").write_text('{"username": "ada", "key": "0123456789abcdef"}')
    ada("project", "credential", "put", "kaggle", "--file", "kaggle.json")
    ada("project", "credential", "put", "kaggle", "--file", "kaggle.json")
    assert [line.split()[1] for line in ada("project", "credential", "ls").lines[1:]].count("kaggle") == 1
    ada("project", "credential", "rm", "kaggle", "--yes")


def test_at_a_terminal_a_secret_is_asked_for_without_echo(ada: Person, site: Site) -> None:
    ours, theirs = pty.openpty()
    wandb = [str(site.programs / "mlteam"), "key", "new", "wandb", "typed"]
    process = subprocess.Popen(wandb, env=ada.environment(), stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    seen = b""
    while b"API key" not in seen:
        seen += os.read(ours, 1024)
    os.write(ours, f"{SECRET}\n".encode())
    try:
        while more := os.read(ours, 1024):
            seen += more
    except OSError:  # the terminal has gone with the command
        pass
    assert process.wait(PATIENCE) == 0 and SECRET.encode() not in seen
    assert "typed" in ada("key", "ls").out


def test_a_project_begins_with_the_keys_of_personal(person_at: Callable[..., Person]) -> None:
    grace = person_at("grace")
    grace("key", "new", "huggingface", "--project", "Personal", input="hf_12345678")
    made = grace("project", "new", "With keys", "--copy-keys", "--field", "id").out.strip()
    assert grace("key", "ls", "--project", made).lines[1].split()[1:3] == ["huggingface", "huggingface"]
    grace("project", "rm", made, "--yes")  # others look at all that she has


def test_the_sdk_adds_replaces_and_removes_keys(site: Site) -> None:
    said = site.python("stan", SDK)
    assert json.loads(said) == [["hub", "huggingface", {}], True, 11, []]


SDK = """
import json
from mlteam_sdk.sync import MLTeam
with MLTeam() as client:
    project = client.projects.create("With the SDK")
    made = project.keys.add("huggingface", "hub", {"token": "hf_12345678"})
    again = project.keys.replace(made.id, {"token": "hf_87654321"})
    found = [[made.name, made.type, made.about], again.replaced_at is not None, len(project.keys.types())]
    project.keys.remove(made.id)
    print(json.dumps([*found, project.keys.list()]))
    project.remove(confirm="With the SDK")
"""
