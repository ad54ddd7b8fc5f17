"""Names of files that come with a job, through the server as it runs: its own parser refuses those that lead elsewhere."""

import asyncio
import json

import pytest
from asgiref.sync import sync_to_async

from accounts import tokens
from jobs.models import Job
from tests.jobs.conftest import resource  # noqa: F401 - a fixture
from tests.jobs.live import serving, threads  # noqa: F401 - fixtures

# ruff: noqa: F811


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..\\x"])
async def test_a_file_whose_name_leads_elsewhere_is_refused(threads, owner, project, resource, name):
    token = await sync_to_async(tokens.make)(user=owner, name="t", scope="all", days=1)
    async with serving() as port:
        status, problem = await post(port, f"/api/v1/projects/{project.pk}/jobs/with-files", token, form(name))
    assert (status, problem["code"]) == (400, "bad_request")
    assert name in problem["detail"]
    assert not await Job.objects.aexists()


def form(name: str) -> bytes:
    """A job with a file of this name, as a program sends it."""
    parts = [
        'Content-Disposition: form-data; name="spec"\r\n\r\n{"command": "true"}',
        f'Content-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n1',
    ]
    return ("".join(f"--x\r\n{part}\r\n" for part in parts) + "--x--\r\n").encode()


async def post(port: int, path: str, token: str, body: bytes) -> tuple[int, dict]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: localhost:{port}",
        f"Authorization: Bearer {token}",
        "Content-Type: multipart/form-data; boundary=x",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    writer.write("\r\n".join([*head, "", ""]).encode() + body)
    async with asyncio.timeout(20):
        told = await reader.read()
    writer.close()
    start, _, said = told.partition(b"\r\n\r\n")
    return int(start.split()[1]), json.loads(said)
