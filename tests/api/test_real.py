"""A program and a real server: jobs are submitted with files, followed to their end, verified, fetched and removed."""

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server import Server, running

pytestmark = [pytest.mark.sandbox, pytest.mark.serial, pytest.mark.needs("redis")]

PREPARE = """
import json
from access import roles
from accounts import actions, tokens
from projects import actions as projects
ada = actions.create_account(
    email="ada@example.com", username="ada", name="Ada", password="a long enough password", verified=True, admin=True
)
project = projects.create(name="Vision", by=ada)
role = roles.create(place=project, name="ci", by=ada)
roles.add_policy(role=role, text=f"project:get+job:*@{project.urn}+{project.urn}:job:*", by=ada)
print(json.dumps({
    "project": project.pk,
    "person": tokens.make(user=ada, name="t", scope="all", days=1),
    "role": roles.add_key(role=role, name="k", by=ada)[1],
}))
"""
SPEC = {
    "name": "digits",
    "command": "printf 'one\\n\\377\\n'; cat words.txt; cp words.txt $MLTEAM_OUTPUT/found.txt",
    "resources": {"cpu": 1, "mem": 0.25},
}
LOG = b"one\n\xff\nfrom a file\n"


class Asks:
    """A program with a token."""

    def __init__(self, server: Server, token: str) -> None:
        self.root, self.token = f"{server.url}/api/v1", token

    def __call__(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        headers = {"Authorization": f"Bearer {self.token}", **({"Content-Type": kind} if body else {})}
        request = urllib.request.Request(self.root + path, body, headers, method=method)
        try:
            return urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None

    def json(self, path: str) -> Any:
        return json.load(self("GET", path))

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """Each event's kind and data, to the end of the stream."""
        kind = ""
        for line in self("GET", path):
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                yield kind, json.loads(value)


def form() -> bytes:
    parts = [
        f'Content-Disposition: form-data; name="spec"\r\n\r\n{json.dumps(SPEC)}',
        'Content-Disposition: form-data; name="files"; filename="words.txt"\r\n\r\nfrom a file\n',
    ]
    return ("".join(f"--x\r\n{part}\r\n" for part in parts) + "--x--\r\n").encode()


def test_a_program_takes_a_job_through_its_life_as_a_person_and_with_a_roles_key():
    with running(MLTEAM_CPUS="2") as server:
        made = json.loads(server.manage("shell", "--no-imports", "-v", "0", "-c", PREPARE))
        for holder in ("person", "role"):
            _whole_life(Asks(server, made[holder]), made["project"], holder)


def _whole_life(asks: Asks, project: str, holder: str) -> None:
    submitted = json.load(
        asks("POST", f"/projects/{project}/jobs/with-files", form(), "multipart/form-data; boundary=x")
    )
    path = f"/jobs/{submitted['id']}"
    told = list(asks.events(f"{path}/attempts/0/log/events"))
    data = b"".join(said["text"].encode("utf-8", "surrogateescape") for kind, said in told if kind == "log")
    assert data == LOG
    kind, end = told[-1]
    assert (kind, end["state"], end["exit_status"], end["verified"], end["complete"]) == (
        "end",
        "succeeded",
        0,
        True,
        True,
    )
    [checked] = asks.json(f"{path}/verify")["attempts"]
    assert (checked["sha256"], checked["lines"]) == (hashlib.sha256(data).hexdigest(), 3)
    assert asks("GET", f"{path}/attempts/0/log").read() == data
    [found] = asks.json(f"{path}/artifacts")["items"]
    assert asks("GET", f"{path}/artifacts/files/{found['path']}").read() == b"from a file\n"
    job = asks.json(path)
    assert (job["state"], job["by_role"]) == ("succeeded", "ci" if holder == "role" else None)
    assert job["attempts"][0]["log"]["complete"]
    assert asks("DELETE", path).status == 204
    assert asks.json(f"/jobs?project={project}")["items"] == []
