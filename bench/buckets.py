"""Files into buckets and out of them, against the libraries' own ways to do that, in turn with them and with emulators on loopback.

S3: boto3's transfer manager; Google: upload_many, download_chunks_concurrently for large files and download_many for small ones, all in
threads. The emulators are processes of their own, and the slower part of it: the figures say what we add to them.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from bench.figures import Figure

LARGE, LARGE_BYTES = 4, 64 * 2**20
SMALL, SMALL_BYTES = 100, 100_000
ROUNDS = 3
# As a service would: with the queue of five that Python's servers have, whoever comes sixth at once waits for a second.
LISTENING = """import runpy, socketserver, sys
socketserver.TCPServer.request_queue_size = 128
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)"""
KNOWN = {"aws_access_key_id": "AKIA12345678", "aws_secret_access_key": "01234567", "region_name": "us-east-1"}


def measure(var: Path) -> Iterator[Figure]:
    os.environ["MLTEAM_REACHABLE"] = "127.0.0.1"
    import django

    django.setup()
    with tempfile.TemporaryDirectory(prefix="mlteam-buckets-") as directory:
        here = Path(directory)
        _fill(here / "data")
        with _emulator("moto.server", "-H", "127.0.0.1", "-p") as url:
            yield from _compared("S3", here, *_s3(url))
        with (
            _emulator("gcp_storage_emulator", "start", "--host", "127.0.0.1", "--in-memory", "--port") as url,
            _tokens() as token,
        ):
            yield from _compared("Google Cloud Storage", here, *_google(url, token))


def _fill(data: Path) -> None:
    for number in range(LARGE):
        (data / "large").mkdir(parents=True, exist_ok=True)
        (data / f"large/{number}").write_bytes(os.urandom(LARGE_BYTES))
    for number in range(SMALL):
        (data / "small").mkdir(exist_ok=True)
        (data / f"small/{number}").write_bytes(os.urandom(SMALL_BYTES))


Way = Callable[[Path, str], None]


def _compared(name: str, here: Path, bucket: Callable[[str], None], *ways: Way) -> Iterator[Figure]:
    """`ways`: ours out, theirs out, ours in, theirs in."""
    ours_out, theirs_out, ours_in, theirs_in = ways
    sent, fetched, rates = [], [], []
    for turn in range(ROUNDS):
        mine, other = f"ours-{turn}", f"theirs-{turn}"
        bucket(mine)
        bucket(other)
        first = _seconds(ours_out, here / "data", mine)
        second = _seconds(theirs_out, here / "data", other)
        sent.append(second / first)
        rates.append((LARGE * LARGE_BYTES + SMALL * SMALL_BYTES) / first / 1e6)
        ours = _seconds(ours_in, here / "ours", other)
        theirs = _seconds(theirs_in, here / "theirs", other)
        fetched.append(theirs / ours)
        _check(here)
    yield Figure(f"{name}: out, against the library's own way", "×", sent, bar=0.9, at_least=True)
    yield Figure("  in", "×", fetched, bar=0.9, at_least=True)
    yield Figure("  how fast out", "MB/s", rates)


def _check(here: Path) -> None:
    for side in ("ours", "theirs"):
        subprocess.run(["diff", "-r", here / "data", here / side], check=True)
        shutil.rmtree(here / side)


def _seconds(work: Way, folder: Path, bucket: str) -> float:
    begun = time.perf_counter()
    work(folder, bucket)
    return time.perf_counter() - begun


def _ours(scheme: str, key: Any) -> tuple[Way, Way]:
    from compute import trees
    from datastores.remote import fetching, opening, progress, sending

    def out(folder: Path, bucket: str) -> None:
        target = opening.open_target(f"{scheme}://{bucket}", key)
        sending.send(folder, trees.walk(folder), target, progress.Counted(), journal=folder.with_name("journal"))
        target.close()

    def into(folder: Path, bucket: str) -> None:
        source = opening.open_source(f"{scheme}://{bucket}", key)
        fetching.fetch(source, folder, progress.Counted())
        source.close()

    return out, into


def _names() -> list[str]:
    return [*(f"large/{number}" for number in range(LARGE)), *(f"small/{number}" for number in range(SMALL))]


def _s3(url: str) -> tuple[Any, ...]:
    import boto3
    from boto3.s3.transfer import TransferConfig, create_transfer_manager

    from datastores.remote.keys import Key

    client = boto3.client("s3", endpoint_url=url, **KNOWN)
    values = {
        "access_key_id": KNOWN["aws_access_key_id"],
        "secret_access_key": KNOWN["aws_secret_access_key"],
        "endpoint": url,
    }
    out, into = _ours("s3", Key("bench", "aws", values))

    def theirs_out(folder: Path, bucket: str) -> None:
        with create_transfer_manager(client, TransferConfig()) as manager:
            done = [manager.upload(str(folder / name), bucket, name) for name in _names()]
            for one in done:
                one.result()

    def theirs_in(folder: Path, bucket: str) -> None:
        for kind in ("large", "small"):
            (folder / kind).mkdir(parents=True)
        with create_transfer_manager(client, TransferConfig()) as manager:
            done = [manager.download(bucket, name, str(folder / name)) for name in _names()]
            for one in done:
                one.result()

    return lambda name: client.create_bucket(Bucket=name), out, theirs_out, into, theirs_in


def _google(url: str, token: str) -> tuple[Any, ...]:
    from django.conf import settings
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage
    from google.cloud.storage import transfer_manager

    from datastores.remote.keys import Key

    settings.MLTEAM_SERVICES = {"gcs": url, "gcp": token}
    client = storage.Client(project="bench", credentials=AnonymousCredentials(), client_options={"api_endpoint": url})
    out, into = _ours("gs", Key("bench", "gcp", {"credentials": _account()}))
    threads = {"worker_type": transfer_manager.THREAD, "max_workers": 8}

    def theirs_out(folder: Path, bucket: str) -> None:
        place = client.bucket(bucket)
        pairs = [(str(folder / name), place.blob(name)) for name in _names()]
        transfer_manager.upload_many(pairs, raise_exception=True, **threads)

    def theirs_in(folder: Path, bucket: str) -> None:
        for kind in ("large", "small"):
            (folder / kind).mkdir(parents=True)
        place = client.bucket(bucket)
        for name in (one for one in _names() if one.startswith("large")):
            transfer_manager.download_chunks_concurrently(place.blob(name), str(folder / name), **threads)
        pairs = [(place.blob(name), str(folder / name)) for name in _names() if name.startswith("small")]
        transfer_manager.download_many(pairs, raise_exception=True, **threads)

    return client.create_bucket, out, theirs_out, into, theirs_in


def _account() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = rsa.generate_private_key(65537, 2048)
    none = serialization.NoEncryption()
    private = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none).decode()
    said = {"type": "service_account", "project_id": "bench", "token_uri": "https://oauth2.googleapis.com/token"}
    return json.dumps(said | {"private_key": private, "client_email": "bench@bench.iam.gserviceaccount.com"})


class _Token(BaseHTTPRequestHandler):
    """Gives everybody a token, as the emulator takes any."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        content = b'{"access_token": "token", "expires_in": 3599, "token_type": "Bearer"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _tokens() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Token)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/token"
    finally:
        server.shutdown()


@contextmanager
def _emulator(module: str, *options: str) -> Iterator[str]:
    """Its address, when it answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Token) as free:
        port = free.server_port
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", LISTENING, module, *options, str(port)], **quiet) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait(url)
            yield url
        finally:
            process.terminate()


def _wait(url: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            requests.get(url, timeout=5)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"nothing answers at {url}")
