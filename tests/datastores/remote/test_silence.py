"""Whoever stops a transfer need not wait for somebody who does not answer."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from ipaddress import ip_network

import pytest

from compute import trees
from datastores.remote import asking, errors, fetching, s3, sending
from datastores.remote.keys import Key
from datastores.remote.opening import open_source, open_target
from datastores.remote.progress import Counted
from tests import clouds, google_storage

MIB = 2**20
HEAD = b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: 1000000\r\n\r\n'
ENDLESS = b'HTTP/1.1 200 OK\r\nETag: "a"\r\nConnection: close\r\n\r\n'


class Mute:
    """A server that takes connections, says `first` to whoever asks, and then nothing; `asked` is set when one has asked."""

    def __init__(self, first: bytes) -> None:
        self.first, self.asked = first, threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                taken, _ = self._listening.accept()
                self._taken.append(taken)
                if taken.recv(65536):
                    taken.sendall(self.first)
                    self.asked.set()

    def close(self) -> None:
        self._listening.close()
        for taken in self._taken:
            taken.close()


@contextmanager
def mute(first: bytes = b"") -> Iterator[Mute]:
    server = Mute(first)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(autouse=True)
def _patient(settings, monkeypatch):
    """Nobody gives up by himself."""
    settings.MLTEAM_REACHABLE = [ip_network("127.0.0.1/32")]
    monkeypatch.setattr(asking, "PATIENCE", (600.0, 600.0))


def stopped(transfer, asked: threading.Event) -> BaseException | None:
    """What a transfer raises that is stopped when somebody was asked."""
    progress, raised = Counted(), []

    def do() -> None:
        try:
            transfer(progress)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    assert asked.wait(30)
    progress.stop()
    thread.join(30)
    assert not thread.is_alive(), "it waits for an answer"
    return raised[0] if raised else None


def s3_key(place: str) -> Key:
    values = {"access_key_id": "AKIA12345678", "secret_access_key": "01234567", "endpoint": f"http://{place}"}
    return Key("aws", "aws", values)


def source_of(scheme: str, place: str):
    if scheme == "s3":
        return open_source("s3://input/data/", s3_key(place))
    return open_source("gs://input/data/" if scheme == "gs" else f"{scheme}://{place}/a")


@pytest.mark.parametrize("scheme", ["http", "https", "s3", "gs"])
def test_a_server_that_takes_a_connection_and_says_nothing(scheme, tmp_path, settings):
    with mute() as server:
        settings.MLTEAM_SERVICES = {"gcs": f"http://{server.place}"}
        with closing(source_of(scheme, server.place)) as source:
            raised = stopped(lambda progress: fetching.fetch(source, tmp_path / "to", progress), server.asked)
    assert isinstance(raised, errors.Stopped)


@pytest.mark.parametrize("first", [HEAD + b"x" * 1000, ENDLESS + b"x" * 1000])
def test_a_server_that_stops_in_the_middle_of_a_body(first, tmp_path):
    """Also where nobody says how long it is: a connection that was cut is no end."""
    with mute(first) as server, closing(source_of("http", server.place)) as source:
        raised = stopped(lambda progress: fetching.fetch(source, tmp_path / "to", progress), server.asked)
    assert isinstance(raised, errors.Stopped) and not (tmp_path / "to" / "a").exists()


def given_up(root, target, journal):
    """Sends what is in a folder, and forgets it when that is stopped."""

    def send(progress):
        try:
            sending.send(root, trees.walk(root), target, progress, journal=journal)
        except errors.Stopped:
            sending.abandon(target, journal)
            raise

    return send


@pytest.mark.parametrize("service", ["s3", "gcs"])
def test_a_bucket_that_takes_a_connection_and_says_nothing(service, tmp_path, settings):
    root = tmp_path / "from"
    root.mkdir()
    (root / "a").write_bytes(b"a" * 1000)
    with mute() as server:
        settings.MLTEAM_SERVICES = {"gcs": f"http://{server.place}", "gcp": f"http://{server.place}/token"}
        if service == "s3":
            target = open_target("s3://output/results", s3_key(server.place))
        else:
            key = Key("gcp", "gcp", {"credentials": google_storage.account("writer")})
            target = open_target("gs://output/results", key)
        journal = tmp_path / "journal"

        with closing(target):
            raised = stopped(given_up(root, target, journal), server.asked)
    assert isinstance(raised, errors.Stopped) and not journal.exists()


def test_a_bucket_that_no_longer_reads_what_it_is_sent(tmp_path, monkeypatch):
    """Nor says that it has let go of what was sent."""
    monkeypatch.setattr(s3, "PIECE", MIB)
    monkeypatch.setattr(s3, "WHOLE", MIB)
    monkeypatch.setattr(sending, "SOON", 0.5)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", MIB)
    root = tmp_path / "from"
    root.mkdir()
    (root / "large").write_bytes(os.urandom(20 * MIB))
    journal = tmp_path / "journal"
    with clouds.aws() as url, clouds.wire(url) as wire:
        opened = open_target("s3://output/results", s3_key(wire.url.removeprefix("http://")))
        opened.client.create_bucket(Bucket="output")
        wire.hold_after = 5 * MIB

        with closing(opened):
            raised = stopped(given_up(root, opened, journal), wire.held)
        wire.hold_after = 0
    assert isinstance(raised, errors.Stopped) and not journal.exists()
